// Tools for models without control tokens for them: declarations, calls and
// results as text, as Gemma 3 reads and writes them.

#ifndef GEMMA_SRC_TEXT_TURNS_TEXT_CALLS_H_
#define GEMMA_SRC_TEXT_TURNS_TEXT_CALLS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/chat_template.h"
#include "src/base/internal.h"

namespace gemma::internal {

// Turns the calls of a message into text after its own, each on a line,
// {"name": "NAME", "parameters": {...}} with a blank after each comma and colon
// as models write them, and a result into a message of the user.
void WriteCallsAsText(Message& message);

// A chat without tools, calls and results that says the same, and how many of
// its messages are the first `num_read` of the other one.
struct TextChat {
  std::vector<Message> messages;
  size_t num_read = 0;
};

// Whether there is anything to write as text.
bool HasTools(absl::Span<const Message> messages, const ChatOptions& options);

// Writes calls and results as text, results and other messages of the user in a
// row as one, and declarations as instructions after those of the first
// message. InvalidArgument if the declarations are not valid.
absl::StatusOr<TextChat> WithToolsAsText(absl::Span<const Message> messages,
                                         size_t num_read,
                                         const ChatOptions& options);

// Finds where calls begin in an answer.
class CallFinder {
 public:
  // Takes the next byte of a text before calls. Adds what is now known to be
  // text to `text`. Returns whether a call begins with this byte, or with the
  // next one, after fence().
  bool Take(char c, std::string& text);
  // The text that was held back, at the end of the answer.
  std::string Finish();

  // The line that began the block of code with the calls; empty without one.
  std::string_view fence() const { return fence_; }

 private:
  bool MayBeFence() const;

  bool at_begin_ = true;  // of the answer
  bool at_line_ = true;   // the held text begins a line
  std::string held_;
  std::string_view fence_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_TEXT_CALLS_H_
