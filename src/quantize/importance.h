// How much the inputs of a model's matrices matter: what files tell.

#ifndef GEMMA_SRC_QUANTIZE_IMPORTANCE_H_
#define GEMMA_SRC_QUANTIZE_IMPORTANCE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/hash_table.h"

namespace gemma {

// The mean square of what each column of a matrix is multiplied with, over the
// tokens of some text.
class Importance {
 public:
  // Reads what ActivationSums and llama.cpp write: GGUF files of the type
  // "imatrix", and llama.cpp's older binary files (.dat), the oldest of which
  // are right up to a factor, the same for all matrices. Errors name the file,
  // the tensor, what was found and what was wanted; values that are not finite
  // or below zero are refused.
  static absl::StatusOr<Importance> Load(std::string path);
  // The same of the bytes of a file; `path` is for messages.
  static absl::StatusOr<Importance> Parse(absl::Span<const uint8_t> bytes,
                                          std::string path);

  // Of a matrix, by the name that GGUF files give it: a number of 0 or more for
  // each column. Empty if the file tells nothing of it. Valid as long as this.
  absl::Span<const float> Of(std::string_view tensor) const;

  // OK if Of(tensor) is empty or has `columns` numbers.
  absl::Status CheckColumns(std::string_view tensor, size_t columns) const;

  // Matrices that the file tells of, at least one.
  size_t size() const { return means_.size(); }
  // The file, for messages.
  const std::string& path() const { return path_; }

 private:
  using Means = HashMap<std::string, std::vector<float>>;

  Importance(std::string path, Means means)
      : path_(std::move(path)), means_(std::move(means)) {}

  std::string path_;
  Means means_;  // by tensor
};

}  // namespace gemma

#endif  // GEMMA_SRC_QUANTIZE_IMPORTANCE_H_
