// Reads from files how much the inputs of a model's matrices matter.

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

namespace gemma::internal {

// The mean square, over the tokens of some text, of the activations that each
// column of a matrix multiplies.
class Importance {
 public:
  // Reads files by ActivationSums and llama.cpp: GGUF files of the type
  // "imatrix", and llama.cpp's older binary files (.dat). Values from the
  // oldest of these are off by one factor, the same for all matrices. Values
  // that are negative or not finite are refused. Errors name the file, the
  // tensor, what was found and what was wanted.
  static absl::StatusOr<Importance> Load(std::string path);
  // The same for the bytes of a file. `path` appears in messages.
  static absl::StatusOr<Importance> Parse(absl::Span<const uint8_t> bytes,
                                          std::string path);

  // The importance of a tensor, found by its name in GGUF files: a number of 0
  // or more for each column of each of its matrices. Empty if the file lacks
  // the tensor. Valid as long as this object. A matrix of an expert that no
  // token chose has the mean over the tokens of the others; see notes.
  absl::Span<const float> Of(std::string_view tensor) const;

  // OK if Of(tensor) is empty or has `columns` numbers for each of `matrices`.
  absl::Status CheckColumns(std::string_view tensor, size_t columns,
                            size_t matrices = 1) const;

  // What the file lacks and was made up for, in sentences that name the file.
  const std::vector<std::string>& notes() const { return notes_; }

  // The number of tensors in the file, at least one.
  size_t size() const { return means_.size(); }
  // The file's path, for messages.
  const std::string& path() const { return path_; }

 private:
  using Means = HashMap<std::string, std::vector<float>>;

  Importance(std::string path, Means means, std::vector<std::string> notes)
      : path_(std::move(path)),
        means_(std::move(means)),
        notes_(std::move(notes)) {}

  std::string path_;
  Means means_;  // by tensor name
  std::vector<std::string> notes_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_QUANTIZE_IMPORTANCE_H_
