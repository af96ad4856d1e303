// Writes the answers to a chat: chat.completion and chat.completion.chunk.

#ifndef GEMMA_SRC_SERVE_ANSWER_CHAT_WRITER_H_
#define GEMMA_SRC_SERVE_ANSWER_CHAT_WRITER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/tokenizer.h"
#include "src/serve/answer/answer_writer.h"

namespace gemma::internal {

class ChatWriter : public AnswerWriter {
 public:
  // `logprobs`: whether the response has log-probabilities.
  ChatWriter(ResponseHead head, std::shared_ptr<Exchange::State> out,
             const Tokenizer& tokenizer, size_t num_choices, bool logprobs)
      : AnswerWriter(std::move(head), std::move(out)),
        tokenizer_(tokenizer),
        logprobs_(logprobs),
        choices_(num_choices) {}

  void Begin() override;
  void Token(size_t choice, const ScoredToken& token) override;
  void Text(size_t choice, std::string_view text) override;
  void Thoughts(size_t choice, std::string_view text) override;
  void Call(size_t choice, const ToolCallPiece& piece) override;
  void End(size_t choice, StopReason reason,
           absl::Span<const ToolCall> calls) override;
  void Finish(const Usage& usage) override;

 private:
  struct Choice {
    std::string text;
    std::string thoughts;
    // Elements of a JSON array, not yet written: of the tokens up to the last
    // text, and of those after it, whose text is held back. A stop string that
    // ends the answer leaves their text out.
    std::string logprobs, held_logprobs;
    std::string message;   // JSON of the choice, once it has ended
    size_t num_calls = 0;  // that came in pieces
  };

  // The id of a call: one that no other response has.
  std::string CallId(size_t choice, size_t call) const;
  void WriteCalls(absl::Span<const ToolCall> calls, size_t choice,
                  JsonWriter& json) const;
  // A text of the choice comes: it is that of the tokens so far.
  static void ReleaseLogprobs(Choice& choice);
  // Writes an event with a delta, which is JSON. `ended`: the reason, if the
  // choice ends here.
  void Delta(size_t choice, std::string_view delta,
             const StopReason* ended = nullptr, bool has_calls = false);
  // Writes the tokens whose text came since the last call.
  void WriteLogprobs(Choice& choice, JsonWriter& json) const;

  const Tokenizer tokenizer_;
  const bool logprobs_;
  std::vector<Choice> choices_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_ANSWER_CHAT_WRITER_H_
