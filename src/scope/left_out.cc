// In place of load_autoencoder.cc in a library without GEMMA_WITH_SCOPE, which
// has no code that reads the files of autoencoders.

#include "absl/strings/str_cat.h"
#include "src/scope/load_autoencoder.h"

namespace gemma::internal {

absl::StatusOr<std::unique_ptr<SparseAutoencoder::Impl>> LoadAutoencoder(
    const std::string& path, const SparseAutoencoderOptions&) {
  return absl::UnimplementedError(
      absl::StrCat(path,
                   ": this libgemma was built without sparse autoencoders "
                   "(GEMMA_WITH_SCOPE)"));
}

}  // namespace gemma::internal
