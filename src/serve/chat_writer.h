// Writes the answers to a chat: chat.completion and chat.completion.chunk.

#ifndef GEMMA_SRC_SERVE_CHAT_WRITER_H_
#define GEMMA_SRC_SERVE_CHAT_WRITER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/tokenizer.h"
#include "src/serve/answer_writer.h"

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
  void End(size_t choice, StopReason reason,
           absl::Span<const ToolCall> calls) override;
  void Finish(const Usage& usage) override;

 private:
  struct Choice {
    std::string text;
    std::string thoughts;
    std::string logprobs;  // elements of a JSON array, not yet written
    std::string message;   // JSON of the choice, once it has ended
  };

  // Writes an event with a delta, which is JSON. `ended`: the reason, if the
  // choice ends here.
  void Delta(size_t choice, std::string_view delta,
             const StopReason* ended = nullptr, bool has_calls = false);
  // Writes the tokens since the last call.
  void WriteLogprobs(Choice& choice, JsonWriter& json) const;

  const Tokenizer tokenizer_;
  const bool logprobs_;
  std::vector<Choice> choices_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_CHAT_WRITER_H_
