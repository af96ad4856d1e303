// Writes a model to one file, with different weight types.

#ifndef GEMMA_QUANTIZE_H_
#define GEMMA_QUANTIZE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gemma/adapter.h"
#include "gemma/export.h"
#include "gemma/weight_type.h"

namespace gemma {

// The layout of weights in the file.
enum class FileLayout {
  kPacked,  // ready to compute with: mapped and run without packing
  kGguf,    // GGUF's, which other programs can read, too
};

// Progress of writing.
struct QuantizeProgress {
  uint64_t done_bytes = 0;   // of the source's weights, so far
  uint64_t total_bytes = 0;  // of the source's weights that the model uses
};

// How to write a model.
struct QuantizeOptions {
  WeightType type = WeightType::kKeep;  // of matrices
  // If not 0, chooses the best type for each matrix so that the model uses at
  // most this many bits per weight. `type` is then ignored.
  double bits = 0;
  // The type of tables of per-layer embeddings. No value: as `type` and `bits`
  // say for all. Tables are stored row by row, in types of GGUF, and stay in
  // the file when the model runs.
  std::optional<WeightType> table_type;
  // The type of experts' matrices, likewise. Matrices that choose experts keep
  // float32 or bfloat16.
  std::optional<WeightType> expert_type;
  FileLayout layout = FileLayout::kPacked;  // of the file
  // A file with the importance of each column of each matrix, from `gemma
  // importance` or llama.cpp (imatrix). May be empty.
  std::string importance;
  std::vector<Adapter> adapters;  // merged before weights are converted
  bool overwrite = false;         // replace an existing file
  size_t num_threads = 0;         // 0: one per core that this process may use
  // Called by the calling thread with each thing that the importance file
  // lacks and that is made up for, a sentence.
  std::function<void(std::string_view)> note;
  // Called repeatedly by the calling thread. Return false to cancel.
  std::function<bool(const QuantizeProgress&)> progress;
};

// Writes the model at `source`, which may be anything that Model::Load accepts,
// to the file `target`, with its configuration, tokenizer and chat template.
// The same source and options produce the same bytes, whatever the number of
// threads.
//
// Memory: twice the largest tensor. `target` stays unchanged until everything
// is written and on the disk, so it also stays unchanged if this fails or the
// process is killed.
//
// A packed source can only be written packed again; matrices that no adapter
// changes stay unchanged. GGUF lacks the library's own formats: with
// FileLayout::kGguf, kQ4 becomes IQ4_NL, kQ6 becomes Q6_K (Q8_0 if the row size
// is not a multiple of 256), and kQ5 and kQ4S are refused. The same holds for
// tables of per-layer embeddings in both layouts, but if `type` is one of these
// two and table_type has no value, kQ5 becomes kQ6 and kQ4S becomes Q4_0.
//
// Errors: those of loading; AlreadyExists if the target exists and
// options.overwrite is false; InvalidArgument if the target is not a regular
// file, is a file of the source (see CheckIsNoModelFile) or of an adapter, or
// is options.importance; InvalidArgument, naming file, tensor, row and column,
// for a weight that is not finite; Cancelled; the system's error for the
// target, with ErrorReason::kOutputFile.
GEMMA_EXPORT absl::Status Quantize(std::string_view source,
                                   std::string_view target,
                                   const QuantizeOptions& options);

}  // namespace gemma

#endif  // GEMMA_QUANTIZE_H_
