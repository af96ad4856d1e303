// Writes a model to one file, with other types of weights.

#ifndef GEMMA_QUANTIZE_H_
#define GEMMA_QUANTIZE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "gemma/export.h"
#include "gemma/weight_type.h"

namespace gemma {

// How the file lays weights out.
enum class FileLayout {
  kPacked,  // as they are computed with: mapped and run, without packing
  kGguf,    // as GGUF does, for other programs too
};

// How far writing is.
struct QuantizeProgress {
  uint64_t done_bytes = 0;   // of the source's weights
  uint64_t total_bytes = 0;  // of all of them that the model uses
};

// How to write a model.
struct QuantizeOptions {
  WeightType type = WeightType::kKeep;  // of matrices
  // Not 0: each matrix gets the type that serves it best, so that the model
  // takes at most so many bits for each weight. `type` is not asked then.
  double bits = 0;
  FileLayout layout = FileLayout::kPacked;  // of the file
  // A file that tells how much each column of each matrix matters, of `gemma
  // importance` or llama.cpp (imatrix); empty: none.
  std::string importance;
  bool overwrite = false;  // a file that is there already
  size_t num_threads = 0;  // 0: one per core that this process may use
  // Called now and then from the calling thread; returning false cancels.
  std::function<bool(const QuantizeProgress&)> progress;
};

// Writes the model of `source`, which is anything that Model::Load takes, to
// the file `target`, with its configuration, tokenizer and chat template. The
// same source and options give the same bytes, whatever the number of threads.
//
// Memory: the largest tensor, twice. Until all is written and on the disk,
// `target` is as it was; if this fails or the process is killed, it stays so.
//
// A file that is packed can only be written packed again, as it is. GGUF has no
// formats of our own: with FileLayout::kGguf, kQ4 is IQ4_NL, kQ6 is Q6_K (Q8_0
// where rows are no multiples of 256), and there is no kQ5 or kQ4S.
//
// Errors: those of loading; AlreadyExists if there is a target and not
// options.overwrite; InvalidArgument for a target that is no regular file, is
// one of the source's (see CheckIsNoModelFile) or is options.importance, and,
// naming file, tensor, row and column, for a weight that is not finite;
// Cancelled; what the system says of the target, with
// ErrorReason::kOutputFile.
GEMMA_EXPORT absl::Status Quantize(std::string_view source,
                                   std::string_view target,
                                   const QuantizeOptions& options);

}  // namespace gemma

#endif  // GEMMA_QUANTIZE_H_
