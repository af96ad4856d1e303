// The implementation of SparseAutoencoder.

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
#include "src/base/internal.h"
#include "src/model/tensors/weights.h"

namespace gemma {

// A matrix whose rows are used one at a time, with its memory.
struct RowMatrix {
  AlignedBuffer memory;
  WeightView view;  // F32, BF16 or Q8_0
};

class SparseAutoencoder::Impl {
 public:
  // As SparseAutoencoder::Encode, on `workers`. x: whole rows.
  absl::StatusOr<std::vector<std::vector<Feature>>> Encode(
      absl::Span<const float> x, size_t top_k, Workers& workers) const;

  // Returns the values of some features, [rows of x, features.size()]: the same
  // as Encode, 0 for inactive features. Computes only their panels, on the
  // calling thread. x: whole rows; features: below num_features.
  std::vector<float> EncodeSome(absl::Span<const float> x,
                                absl::Span<const size_t> features) const;

  // As SparseAutoencoder::Decode, with checked arguments.
  void Decode(absl::Span<const Feature> features, absl::Span<const float> x,
              absl::Span<float> out) const;

  // out += strength times the feature's row of W_dec. out: [output_dim].
  void AddDirection(size_t feature, float strength,
                    absl::Span<float> out) const;

  size_t MemoryBytes() const;

  // Returns InvalidArgument if the feature does not exist.
  absl::Status CheckFeature(size_t feature) const;

  FeatureSite site;
  size_t input_dim = 0;
  size_t output_dim = 0;
  size_t num_features = 0;

  // Columns beyond input_dim and output_dim, up to whole blocks, are zero.
  Matrix encoder;                   // [num_features, input_dim or more]
  std::vector<float> encoder_bias;  // [num_features]
  std::vector<float> threshold;     // [num_features], not negative
  RowMatrix decoder;                // [num_features, output_dim or more]
  std::vector<float> decoder_bias;  // [output_dim]
  Matrix skip;                      // [output_dim, as encoder]; no rows: unused
  std::vector<float> ones;          // [input_dim] if rows are normalized

 private:
  // Returns the rows of x as the encoder multiplies them. `copy` holds them if
  // they differ from x.
  MatrixView<const float> Prepare(absl::Span<const float> x,
                                  std::vector<float>& copy) const;
};

}  // namespace gemma

#endif  // GEMMA_SRC_SCOPE_AUTOENCODER_IMPL_H_
