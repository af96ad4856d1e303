// Sparse autoencoders and transcoders of Gemma Scope. They represent
// activations as a few of thousands of features.

#ifndef GEMMA_SPARSE_AUTOENCODER_H_
#define GEMMA_SPARSE_AUTOENCODER_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/taps.h"

namespace gemma {

// An active feature.
struct Feature {
  size_t index = 0;    // among the autoencoder's features
  float value = 0.0f;  // positive
};

// The points that an autoencoder reads and reconstructs: the same point, except
// in a transcoder.
struct FeatureSite {
  TapPoint input = TapPoint::kBlockOutput;   // encoded
  TapPoint output = TapPoint::kBlockOutput;  // reconstructed
  size_t layer = 0;                          // of both
  // Whether the input is first divided by its root mean square, as in a norm
  // without gain (transcoders of Gemma Scope 1).
  bool normalize = false;
};

// Returns the text for a site, with the layer counted from 0:
//   res@12          the residual stream after the layer
//   att@12          the heads' values, before the output matrix
//   mlp@12          the output that the feed-forward layer adds
//   transcoder@12   from the residual stream after the mix, normalized without
//                   a gain, to that output
//   transcoder2@12  from the feed-forward layer's input to that output
//   embedding       the scaled embeddings
// Any other site is only "layer 12".
GEMMA_EXPORT std::string FeatureSiteText(const FeatureSite& site);

// Returns the site of a text that FeatureSiteText lists, or nothing.
GEMMA_EXPORT std::optional<FeatureSite> ParseFeatureSite(std::string_view text);

// The format of the weights in memory.
enum class FeatureWeights {
  kFloat32,   // as in the files
  kBFloat16,  // half the size
  kInt8,      // about a quarter; one scale for each 32 weights of a feature
};

// How to load an autoencoder.
struct SparseAutoencoderOptions {
  FeatureWeights weights = FeatureWeights::kBFloat16;  // in memory
  // Where the autoencoder is attached. Without a value, its config.json
  // decides, or the path under which Gemma Scope publishes it.
  std::optional<FeatureSite> site;
  // Threads that pack the weights; 0: one per core that this process may use.
  size_t num_threads = 0;
};

// A JumpReLU autoencoder: with the row vector x [input_dim],
//   pre = x W_enc + b_enc,   f = pre where pre > max(threshold, 0), else 0,
//   reconstruction = f W_dec + b_dec (+ x A, with an affine skip connection).
// W_enc, W_dec and A are rounded to FeatureWeights; all else is float32.
// Immutable, and cheap to copy: copies share the weights. Threads may share it.
class GEMMA_EXPORT SparseAutoencoder {
 public:
  // Loads params.npz (Gemma Scope 1), or params.safetensors with config.json in
  // the same folder (Gemma Scope 2), or a folder that holds one of them. Errors
  // name the file, the array, what was found and what was wanted.
  // FailedPrecondition if neither the options nor the files say where the
  // autoencoder is attached.
  static absl::StatusOr<SparseAutoencoder> Load(
      std::string_view path, const SparseAutoencoderOptions& options = {});

  ~SparseAutoencoder();
  SparseAutoencoder(const SparseAutoencoder&) noexcept;  // shares the weights
  SparseAutoencoder& operator=(const SparseAutoencoder&) noexcept;  // likewise
  // A moved-from autoencoder may only be assigned to or destroyed.
  SparseAutoencoder(SparseAutoencoder&&) noexcept;
  SparseAutoencoder& operator=(SparseAutoencoder&&) noexcept;

  // Returns the points that it reads and reconstructs.
  const FeatureSite& site() const;
  // Returns the number of columns of its input.
  size_t input_dim() const;
  // Returns the number of columns of its reconstruction.
  size_t output_dim() const;
  // Returns the number of features.
  size_t num_features() const;
  // Returns the bytes of its weights in memory.
  size_t memory_bytes() const;
  // Returns whether the reconstruction also depends directly on the input.
  bool has_affine_skip() const;

  // Returns the active features of each row of x, [rows, input_dim]:
  // activations at the site's input, before they are normalized. Features come
  // by ascending index (top_k is 0), or the `top_k` strongest, in descending
  // order; of equally strong features the one with the lower index comes first.
  // A row with NaN may have no features. Computes only on the calling thread; a
  // FeatureTap uses the model's threads. InvalidArgument if x does not consist
  // of whole rows.
  absl::StatusOr<std::vector<std::vector<Feature>>> Encode(
      absl::Span<const float> x, size_t top_k = 0) const;

  // Writes the reconstruction of one row from its features to `out`
  // [output_dim]. x: the encoded row [input_dim], for the affine skip
  // connection, or empty to leave the skip connection out. InvalidArgument if a
  // size or an index is wrong.
  absl::Status Decode(absl::Span<const Feature> features,
                      absl::Span<const float> x, absl::Span<float> out) const;

  // Returns what one unit of a feature adds to the reconstruction: its row of
  // W_dec, [output_dim]. InvalidArgument if the feature does not exist.
  absl::StatusOr<std::vector<float>> Direction(size_t feature) const;

  // Internal; see src/scope/autoencoder_impl.h.
  class Impl;
  // Internal.
  const Impl& impl() const { return *impl_; }

 private:
  explicit SparseAutoencoder(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_SPARSE_AUTOENCODER_H_
