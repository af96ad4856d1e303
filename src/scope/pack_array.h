// Matrices of a file, packed for the ops as they are read.

#ifndef GEMMA_SRC_SCOPE_PACK_ARRAY_H_
#define GEMMA_SRC_SCOPE_PACK_ARRAY_H_

#include "absl/status/statusor.h"
#include "compression/format.h"
#include "ops/workers.h"
#include "src/model/weights.h"
#include "src/scope/autoencoder_file.h"
#include "src/scope/autoencoder_impl.h"

namespace gemma {

// The transpose of an array [cols, rows] in panels, rounded to a format of F32,
// BF16 and Q8_0, its columns filled up with zeros to whole blocks. An error
// names the row that holds a value that is not finite.
absl::StatusOr<Matrix> PackTransposed(ArrayInFile& array, Format format,
                                      Workers& workers);

// An array [rows, cols] by rows, as above.
absl::StatusOr<RowMatrix> PackRows(ArrayInFile& array, Format format,
                                   Workers& workers);

}  // namespace gemma

#endif  // GEMMA_SRC_SCOPE_PACK_ARRAY_H_
