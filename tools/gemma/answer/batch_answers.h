// The answers of a batch, a line each, in a file that can be continued.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_BATCH_ANSWERS_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_BATCH_ANSWERS_H_

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// Each line is an object with
//   line    the number of the input's line, from 1 on
//   input   the CRC-32 of that line, in 8 hexadecimal digits
//   id      that of the request, if it has one
// and either error, a text, or what the answer is. Lines come in the order in
// which answers end, and are written as they do.
class BatchAnswers {
 public:
  // Opens `path` ("-": standard output) for the answers to `lines`. What a
  // file has already is kept, but for a last line without an end, which is cut
  // off. Fails if another process writes to the file, or if a line of it is no
  // answer to a line of the input, which is named.
  static absl::StatusOr<BatchAnswers> Open(
      const std::string& path, const std::vector<std::string_view>& lines);

  ~BatchAnswers();
  BatchAnswers(BatchAnswers&& other) noexcept;
  BatchAnswers& operator=(BatchAnswers&&) = delete;

  // Whether the line, from 0 on, had an answer when the file was opened.
  bool Has(size_t line) const { return has_[line]; }
  // How many of those are errors.
  size_t num_errors() const { return num_errors_; }

  // Writes the answer to a line. `id`: as JSON, or empty. `fields`: what comes
  // behind it.
  absl::Status Write(size_t line, std::string_view input, std::string_view id,
                     const nlohmann::ordered_json& fields);

 private:
  BatchAnswers(int fd, std::string path, size_t num_lines)
      : fd_(fd), path_(std::move(path)), has_(num_lines) {}

  // Reads what the file has.
  absl::Status Continue(const std::vector<std::string_view>& lines);
  absl::Status Read(std::string_view answer, size_t number,
                    const std::vector<std::string_view>& lines);

  int fd_;  // -1: standard output
  std::string path_;
  std::vector<bool> has_;
  size_t num_errors_ = 0;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_BATCH_ANSWERS_H_
