// Writes the answers of a request as its response.

#ifndef GEMMA_SRC_SERVE_ANSWER_ANSWER_WRITER_H_
#define GEMMA_SRC_SERVE_ANSWER_ANSWER_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/answer_parser.h"
#include "gemma/generate.h"
#include "src/serve/answer/json_writer.h"
#include "src/serve/exchange_state.h"

namespace gemma::internal {

// Tokens of a request. Those of a prompt count once, however many answers it
// has.
struct Usage {
  size_t prompt_tokens = 0;      // all that were read
  size_t cached_tokens = 0;      // of them, those that were not computed
  size_t completion_tokens = 0;  // of all answers, thoughts included
  size_t reasoning_tokens = 0;   // of them, those of thoughts, with their marks
};

// Writes the member "usage" of the open object.
void WriteUsage(const Usage& usage, JsonWriter& json);

// What every response, and every event of a stream, begins with.
struct ResponseHead {
  std::string id;
  std::string model;
  int64_t created = 0;  // seconds since 1970
  std::string seed;     // a number; see AnswerFields::seed_text
  bool stream = false;
  bool include_usage = false;  // of a stream
  // The most bytes that the writer of a whole response holds; see
  // ServerOptions::max_response_bytes.
  size_t max_bytes = std::numeric_limits<size_t>::max();
};

// Receives answers as they come, in choices 0 to n - 1. One thread at a time
// calls it. In a stream, it writes events; otherwise the whole response at the
// end.
class AnswerWriter {
 public:
  AnswerWriter(ResponseHead head, std::shared_ptr<Exchange::State> out)
      : head_(std::move(head)), out_(std::move(out)) {}
  virtual ~AnswerWriter() = default;

  // Called once, before anything else.
  virtual void Begin() = 0;
  // A token of a choice, before its text. Only called if log-probabilities are
  // wanted.
  virtual void Token(size_t choice, const ScoredToken& token) = 0;
  // The next text of a choice, or of its thoughts.
  virtual void Text(size_t choice, std::string_view text) = 0;
  virtual void Thoughts(size_t /*choice*/, std::string_view /*text*/) {}
  // The next piece of a call of a choice. End gets the whole calls again.
  virtual void Call(size_t /*choice*/, const ToolCallPiece& /*piece*/) {}
  // `done` of the `total` tokens of prompt `prompt` were read after this time.
  void Progress(size_t prompt, size_t done, size_t total, double seconds);
  // An error once the response was larger than it may be. Its text is then
  // incomplete.
  absl::Status CheckSize() const;
  // The counts and times of a choice, which ends next.
  virtual void Took(size_t /*choice*/, const GenerateStats& /*stats*/) {}
  // The end of a choice.
  virtual void End(size_t choice, StopReason reason,
                   absl::Span<const ToolCall> calls) = 0;
  // All choices have ended.
  virtual void Finish(const Usage& usage) = 0;

 protected:
  // Opens the object of a response or an event, with the fields of its head.
  JsonWriter Open(std::string_view object) const;
  // Writes the usage as an event, and ends the stream.
  void EndStream(std::string_view object, const Usage& usage) const;
  // Closes the object of an event, and writes it.
  void WriteEvent(JsonWriter& json) const;
  void Respond(JsonWriter& json) const;

  // Counts bytes that the writer is about to hold until the end of the
  // response. Returns whether they may be held.
  bool MayHold(size_t bytes);

  const std::string& id() const { return head_.id; }
  bool streams() const { return head_.stream; }
  bool include_usage() const { return head_.include_usage; }
  const std::shared_ptr<Exchange::State>& out() const { return out_; }

 private:
  const ResponseHead head_;
  const std::shared_ptr<Exchange::State> out_;
  size_t held_bytes_ = 0;
};

// The finish_reason of an answer: "stop" if the model, a stop or the grammar
// ended it, "length" if a limit did, and "tool_calls" if it ended by itself
// after calls.
std::string_view FinishReason(StopReason reason, bool has_calls);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_ANSWER_ANSWER_WRITER_H_
