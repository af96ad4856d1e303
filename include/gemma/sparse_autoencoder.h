// Sparse autoencoders and transcoders, as Gemma Scope has them: activations as
// a few features out of thousands.

#ifndef GEMMA_SPARSE_AUTOENCODER_H_
#define GEMMA_SPARSE_AUTOENCODER_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/taps.h"

namespace gemma {

// A feature that is active.
struct Feature {
  size_t index = 0;    // of the autoencoder's features
  float value = 0.0f;  // positive
};

// What an autoencoder reads and what it reconstructs. The same point, unless it
// is a transcoder.
struct FeatureSite {
  TapPoint input = TapPoint::kBlockOutput;   // what is encoded
  TapPoint output = TapPoint::kBlockOutput;  // what is reconstructed
  size_t layer = 0;                          // of both
  // Whether the input is divided by its root mean square first, as a norm
  // without its gain does (transcoders of Gemma Scope 1).
  bool normalize = false;
};

// What the weights are in memory.
enum class FeatureWeights {
  kFloat32,   // as in the files
  kBFloat16,  // half of that
  kInt8,      // about a quarter; a scale for each 32 weights of a feature
};

// How to load an autoencoder.
struct SparseAutoencoderOptions {
  FeatureWeights weights = FeatureWeights::kBFloat16;  // in memory
  // Where it is attached; none: as its config.json, or the path that Gemma
  // Scope publishes it under, says.
  std::optional<FeatureSite> site;
  // That pack the weights; 0: one per core that this process may use.
  size_t num_threads = 0;
};

// A JumpReLU autoencoder: with the row vector x [input_dim],
//   pre = x W_enc + b_enc,   f = pre where pre > max(threshold, 0), else 0,
//   reconstruction = f W_dec + b_dec (+ x A, with an affine skip connection).
// W_enc, W_dec and A are rounded to FeatureWeights; all else is float32.
// Immutable, and cheap to copy: copies share the weights. Threads may share it.
class GEMMA_EXPORT SparseAutoencoder {
 public:
  // Loads params.npz (Gemma Scope 1), or params.safetensors with the
  // config.json beside it (Gemma Scope 2), or a folder that holds one of them.
  // Errors name file, array, what was found and what was wanted;
  // FailedPrecondition: nothing tells where it is attached.
  static absl::StatusOr<SparseAutoencoder> Load(
      std::string_view path, const SparseAutoencoderOptions& options = {});

  ~SparseAutoencoder();
  SparseAutoencoder(const SparseAutoencoder&) noexcept;             // shares it
  SparseAutoencoder& operator=(const SparseAutoencoder&) noexcept;  // as above
  // One that was moved from may only be assigned to or destroyed.
  SparseAutoencoder(SparseAutoencoder&&) noexcept;
  SparseAutoencoder& operator=(SparseAutoencoder&&) noexcept;

  // What it reads and reconstructs.
  const FeatureSite& site() const;
  // Columns of the activations that are encoded.
  size_t input_dim() const;
  // Columns of what is reconstructed.
  size_t output_dim() const;
  // How many features there are.
  size_t num_features() const;
  // Bytes that its weights take.
  size_t memory_bytes() const;
  // Whether the reconstruction depends on the input too.
  bool has_affine_skip() const;

  // The active features of each row of x, [rows, input_dim] (of what the site
  // says, before it is normalized): their indices ascending, or the `top_k`
  // strongest, the strongest first, of equals the lower index; 0: all. A row
  // that holds NaN may have none. Computes on the calling thread alone; a
  // FeatureTap uses the model's threads.
  // InvalidArgument if x has no whole rows.
  absl::StatusOr<std::vector<std::vector<Feature>>> Encode(
      absl::Span<const float> x, size_t top_k = 0) const;

  // The reconstruction of one row from its features, to `out` [output_dim]. x,
  // [input_dim]: the row that was encoded, for the affine skip connection;
  // empty: without it. InvalidArgument if a size or an index is another.
  absl::Status Decode(absl::Span<const Feature> features,
                      absl::Span<const float> x, absl::Span<float> out) const;

  // What one unit of a feature adds to the reconstruction: its row of W_dec,
  // [output_dim]. InvalidArgument if there is no such feature.
  absl::StatusOr<std::vector<float>> Direction(size_t feature) const;

  // The library's own; see src/scope/autoencoder_impl.h.
  class Impl;
  // The library's own.
  const Impl& impl() const { return *impl_; }

 private:
  explicit SparseAutoencoder(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_SPARSE_AUTOENCODER_H_
