// Packs the matrices of a file for the ops while it reads them.

#ifndef GEMMA_SRC_SCOPE_PACK_ARRAY_H_
#define GEMMA_SRC_SCOPE_PACK_ARRAY_H_

#include "absl/status/statusor.h"
#include "compression/format.h"
#include "ops/workers.h"
#include "src/model/tensors/weights.h"
#include "src/scope/autoencoder_file.h"
#include "src/scope/autoencoder_impl.h"

namespace gemma::internal {

// Returns the transpose of an array [cols, rows] in panels, rounded to
// `format`: F32, BF16 or Q8_0. Zeros pad its columns to whole blocks. An error
// names a row that holds a value that is not finite.
absl::StatusOr<Matrix> PackTransposed(ArrayInFile& array, Format format,
                                      Workers& workers);

// The same for an array [rows, cols], stored by rows.
absl::StatusOr<RowMatrix> PackRows(ArrayInFile& array, Format format,
                                   Workers& workers);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SCOPE_PACK_ARRAY_H_
