// Matrices that adapters change.

#ifndef GEMMA_SRC_MODEL_TENSORS_LOW_RANK_H_
#define GEMMA_SRC_MODEL_TENSORS_LOW_RANK_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "compression/weight_view.h"
#include "ops/aligned_buffer.h"
#include "ops/workers.h"
#include "src/formats/tensor.h"
#include "src/formats/tensor_values.h"
#include "src/model/tensors/outline.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// A product B A that is added to a matrix [rows, cols].
struct LowRank {
  // `b` is [rows, rank], with all scales; `a` is A transposed, [cols, rank].
  // Fails if memory runs out.
  static absl::StatusOr<LowRank> Create(std::vector<float> b,
                                        const std::vector<float>& a,
                                        size_t rank);

  std::vector<float> b;
  size_t rank = 0;
  AlignedBuffer memory;  // of `a`
  PackedView a;          // [cols, rank]
};

// The format of a matrix of `format` after an adapter changed it: a format that
// holds the sums as exactly as floats of the matrix's own type; see
// gemma/adapter.h.
Format MergedFormat(Format format);

// As RowsOf(*weight.tensor), or a view of the merged matrix, in MergedFormat
// and without data, if adapters change the weight.
WeightView RowsOf(const BoundWeight& weight);

// The number of matrices that adapters turn from blocks into F32.
size_t NumGrown(const Outline& outline);

// Computes rows of a matrix that adapters change.
class MergedRows {
 public:
  // The weight and its tensor must outlive the result. Fails if memory runs
  // out.
  static absl::StatusOr<MergedRows> Read(const BoundWeight& weight);

  // Writes rows [begin, end) to out [end - begin, cols]. Any number of threads
  // may call this at the same time. The values do not depend on how rows are
  // divided into calls.
  void Get(size_t begin, size_t end, float* out) const;

 private:
  MergedRows(const BoundWeight& weight, TensorValues values)
      : weight_(&weight), values_(std::move(values)) {}

  const BoundWeight* weight_;
  TensorValues values_;
};

// Returns up to `max_rows` merged rows, spread as those of SampledError.
absl::StatusOr<std::vector<float>> SampleMerged(const BoundWeight& weight,
                                                size_t max_rows);

// Packs a matrix that adapters change into `out`, whose view and memory fit
// `format`. Returns the first row with a value that is not finite, if there is
// one and `format` cannot hold it. Fails if memory runs out.
absl::StatusOr<std::optional<size_t>> PackMerged(const BoundWeight& weight,
                                                 Format format,
                                                 Workers& workers, Matrix& out);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_LOW_RANK_H_
