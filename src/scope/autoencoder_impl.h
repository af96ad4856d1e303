// What is behind SparseAutoencoder's pointer.

#ifndef GEMMA_SRC_SCOPE_AUTOENCODER_IMPL_H_
#define GEMMA_SRC_SCOPE_AUTOENCODER_IMPL_H_

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compression/weight_view.h"
#include "gemma/sparse_autoencoder.h"
#include "ops/aligned_buffer.h"
#include "ops/matrix_view.h"
#include "ops/workers.h"
#include "src/model/weights.h"

namespace gemma {

// A matrix whose rows are used one by one, and its memory.
struct RowMatrix {
  AlignedBuffer memory;
  WeightView view;  // F32, BF16 or Q8_0
};

class SparseAutoencoder::Impl {
 public:
  // As SparseAutoencoder::Encode, on these threads. x: whole rows.
  absl::StatusOr<std::vector<std::vector<Feature>>> Encode(
      absl::Span<const float> x, size_t top_k, Workers& workers) const;

  // The values of some features, [rows of x, features.size()]: what Encode
  // gives, 0 for those that are not active. Computes no others, on the calling
  // thread. x: whole rows; features: below num_features.
  std::vector<float> EncodeSome(absl::Span<const float> x,
                                absl::Span<const size_t> features) const;

  // As SparseAutoencoder::Decode, of arguments that are checked.
  void Decode(absl::Span<const Feature> features, absl::Span<const float> x,
              absl::Span<float> out) const;

  // out += strength times the feature's row of W_dec. out: [output_dim].
  void AddDirection(size_t feature, float strength,
                    absl::Span<float> out) const;

  size_t MemoryBytes() const;

  // OK, or InvalidArgument if there is no such feature.
  absl::Status CheckFeature(size_t feature) const;

  FeatureSite site;
  size_t input_dim = 0;
  size_t output_dim = 0;
  size_t num_features = 0;

  // Columns beyond input_dim and output_dim, up to whole blocks, are zeros.
  Matrix encoder;                   // [num_features, input_dim or more]
  std::vector<float> encoder_bias;  // [num_features]
  std::vector<float> threshold;     // [num_features], not negative
  RowMatrix decoder;                // [num_features, output_dim or more]
  std::vector<float> decoder_bias;  // [output_dim]
  Matrix skip;              // [output_dim, as encoder]; no rows: there is none
  std::vector<float> ones;  // [input_dim], where rows are normalized

 private:
  // Rows of x as the encoder multiplies them; `copy` holds them if they are
  // others.
  MatrixView<const float> Prepare(absl::Span<const float> x,
                                  std::vector<float>& copy) const;
};

}  // namespace gemma

#endif  // GEMMA_SRC_SCOPE_AUTOENCODER_IMPL_H_
