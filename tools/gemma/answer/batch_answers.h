// Writes the answers of a batch, one per line, to a file that a later run can
// continue.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_BATCH_ANSWERS_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_BATCH_ANSWERS_H_

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// Each line is a JSON object with
//   line    the number of the input line, from 1
//   input   the CRC-32 of that line, in 8 hexadecimal digits
//   id      the id of the request, if it has one
// and either "error", a string, or the fields of the answer. Each line is
// written when its answer ends, so lines are in that order.
class BatchAnswers {
 public:
  // Says what an answer in the file has that an answer to the line `line` (from
  // 0) would not have now: "the answer of m.gguf, wanted n.gguf". Else "".
  using Check = std::function<std::string(const nlohmann::ordered_json& answer,
                                          size_t line)>;

  // Opens `path` ("-": standard output) for the answers to `lines`. Keeps the
  // lines that the file already has, but cuts off a last line without a
  // newline. Fails if another process writes to the file, or if a line of the
  // file does not answer a line of the input, or as `check` says; the error
  // names that line. `restart`: empties the file instead. `head`: the fields
  // that each line begins with.
  static absl::StatusOr<BatchAnswers> Open(
      const std::string& path, const std::vector<std::string_view>& lines,
      nlohmann::ordered_json head, const Check& check, bool restart);

  ~BatchAnswers();
  BatchAnswers(BatchAnswers&& other) noexcept;
  BatchAnswers& operator=(BatchAnswers&&) = delete;

  // Whether the line, counted from 0, had an answer when the file was opened.
  bool Has(size_t line) const { return has_[line]; }
  // Number of those answers that are errors.
  size_t num_errors() const { return num_errors_; }

  // Writes the answer to the line with index `line` (from 0) and the text
  // `input`. `id` is JSON, or empty. `fields` come after the id.
  absl::Status Write(size_t line, std::string_view input, std::string_view id,
                     const nlohmann::ordered_json& fields);

 private:
  BatchAnswers(int fd, std::string path, size_t num_lines,
               nlohmann::ordered_json head)
      : fd_(fd),
        path_(std::move(path)),
        head_(std::move(head)),
        has_(num_lines) {}

  // Reads the answers that the file already has.
  absl::Status Continue(const std::vector<std::string_view>& lines,
                        const Check& check);
  absl::Status Read(std::string_view answer, size_t number,
                    const std::vector<std::string_view>& lines,
                    const Check& check);

  int fd_;  // -1: standard output
  std::string path_;
  nlohmann::ordered_json head_;
  std::vector<bool> has_;
  size_t num_errors_ = 0;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_BATCH_ANSWERS_H_
