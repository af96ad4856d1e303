// Makes files of sparse autoencoders, both valid and broken.

#ifndef GEMMA_TESTS_SUPPORT_AUTOENCODER_FILES_H_
#define GEMMA_TESTS_SUPPORT_AUTOENCODER_FILES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gemma/sparse_autoencoder.h"
#include "tests/support/tiny_files.h"
#include "tests/support/zip_writer.h"

namespace gemma::internal {

struct FileArray {
  std::vector<uint64_t> shape;
  std::vector<float> values;
};

// The arrays of a file, by the names of Gemma Scope 1.
using FileArrays = std::map<std::string, FileArray>;

// Returns random arrays. About a tenth of the features are active for rows of
// RandomVector. `affine` adds an affine skip connection.
FileArrays RandomArrays(size_t input_dim, size_t num_features,
                        size_t output_dim, uint64_t seed, bool affine = false);

Bytes NpzOf(const FileArrays& arrays, Packing packing = Packing::kDeflated);

// Returns a file in float32, with the names of Gemma Scope 2.
Bytes SafetensorsOf(const FileArrays& arrays);

// Returns options that set the site to the residual stream after layer 1.
// Needed for files that do not state their site.
SparseAutoencoderOptions AtLayer1(
    FeatureWeights weights = FeatureWeights::kFloat32);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_AUTOENCODER_FILES_H_
