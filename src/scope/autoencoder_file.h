// The files of sparse autoencoders as Gemma Scope publishes them. Files are not
// trusted.

#ifndef GEMMA_SRC_SCOPE_AUTOENCODER_FILE_H_
#define GEMMA_SRC_SCOPE_AUTOENCODER_FILE_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/json.h"
#include "src/os/mapped_file.h"

namespace gemma::internal {

// Reads an array's values in order. Releases the pages of the file that were
// read.
class ArrayReader {
 public:
  virtual ~ArrayReader() = default;
  virtual absl::Status Read(absl::Span<float> values) = 0;
  // Call this after the last value. Fails if the values differ from those that
  // were written.
  virtual absl::Status Finish() = 0;
};

// An array of the file.
struct ArrayInFile {
  std::string where;  // "params.npz: array 'W_enc'", for messages
  std::vector<size_t> shape;
  std::unique_ptr<ArrayReader> values;
};

// An open file. Its shapes agree, and no dimension is zero.
struct AutoencoderFile {
  std::string path;                        // of the file with the arrays
  std::unique_ptr<const MappedFile> file;  // read by the arrays
  std::optional<Json> config;              // config.json next to it, an object
  ArrayInFile w_enc;                       // [input_dim, num_features]
  ArrayInFile b_enc, threshold;            // [num_features]
  ArrayInFile w_dec;                       // [num_features, output_dim]
  ArrayInFile b_dec;                       // [output_dim]
  std::optional<ArrayInFile> skip;         // [input_dim, output_dim]

  size_t input_dim() const { return w_enc.shape[0]; }
  size_t num_features() const { return w_dec.shape[0]; }
  size_t output_dim() const { return w_dec.shape[1]; }
};

// Opens an .npz file, a .safetensors file or a folder with params.npz or
// params.safetensors. Also reads config.json, which must be an object, if it is
// in the folder of a .safetensors file.
absl::StatusOr<AutoencoderFile> OpenAutoencoder(const std::string& path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SCOPE_AUTOENCODER_FILE_H_
