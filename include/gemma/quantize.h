// Writes a model to one file, with other types of weights.

#ifndef GEMMA_QUANTIZE_H_
#define GEMMA_QUANTIZE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "gemma/export.h"

namespace gemma {

// What matrices are stored as. One that takes no more bits already is kept as
// it is, code by code. Vectors (norms, biases) and the small matrices of
// RecurrentGemma's gates are float32 in any case.
enum class WeightType {
  kKeep,  // as in the source
  kBF16,  // bfloat16: 16 bits
  kQ8,    // 8-bit blocks: 8.5 bits
  kQ6,  // 6-bit blocks: 6.6 bits, where rows are multiples of 256; else as kQ8
  kQ4,  // 4-bit blocks: 4.5 bits
  kQ4_0,  // GGUF's Q4_0, what Google's quantization-aware training was for
};

// "keep", "bf16", "q8", "q6", "q4", "q4_0".
GEMMA_EXPORT std::string_view WeightTypeName(WeightType type);
// The type of a name; nothing if there is none.
GEMMA_EXPORT std::optional<WeightType> ParseWeightType(std::string_view name);

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
  WeightType type = WeightType::kKeep;      // of matrices
  double bits = 0;                          // for each weight; 0: by `type`
  FileLayout layout = FileLayout::kPacked;  // of the file
  std::string importance;  // file of how much each channel matters; or none
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
// Errors: those of loading; AlreadyExists if there is a target and not
// options.overwrite; InvalidArgument for a target that is no regular file or is
// one of the source's, and, naming file, tensor, row and column, for a weight
// that is not finite; Cancelled; what the system says of the target.
GEMMA_EXPORT absl::Status Quantize(std::string_view source,
                                   std::string_view target,
                                   const QuantizeOptions& options);

}  // namespace gemma

#endif  // GEMMA_QUANTIZE_H_
