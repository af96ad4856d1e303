// Loads sparse autoencoders from files into memory.

#ifndef GEMMA_SRC_SCOPE_LOAD_AUTOENCODER_H_
#define GEMMA_SRC_SCOPE_LOAD_AUTOENCODER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "gemma/sparse_autoencoder.h"
#include "src/scope/autoencoder_impl.h"

namespace gemma::internal {

// As SparseAutoencoder::Load. Files are read a few rows at a time, so that
// weights are in memory once.
absl::StatusOr<std::unique_ptr<SparseAutoencoder::Impl>> LoadAutoencoder(
    const std::string& path, const SparseAutoencoderOptions& options);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SCOPE_LOAD_AUTOENCODER_H_
