// Writes the continuations of texts: text_completion.

#ifndef GEMMA_SRC_SERVE_ANSWER_COMPLETION_WRITER_H_
#define GEMMA_SRC_SERVE_ANSWER_COMPLETION_WRITER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/tokenizer.h"
#include "src/serve/answer/answer_writer.h"

namespace gemma::internal {

// What a completion shows besides the answers.
struct CompletionStyle {
  // For each prompt, the text that its answers begin with; empty: none.
  std::vector<std::string> echoes;
  size_t n = 1;                 // answers to each prompt
  bool logprobs = false;        // log-probabilities
  size_t num_alternatives = 0;  // that they list; 0: no list
};

class CompletionWriter : public AnswerWriter {
 public:
  CompletionWriter(ResponseHead head, std::shared_ptr<Exchange::State> out,
                   const Tokenizer& tokenizer, size_t num_choices,
                   CompletionStyle style);

  void Begin() override;
  void Token(size_t choice, const ScoredToken& token) override;
  void Text(size_t choice, std::string_view text) override;
  void End(size_t choice, StopReason reason,
           absl::Span<const ToolCall> calls) override;
  void Finish(const Usage& usage) override;

 private:
  struct Choice {
    explicit Choice(const Tokenizer& tokenizer) : decoder(tokenizer) {}

    std::string text;
    // Elements of JSON arrays, not yet written.
    std::string tokens, token_logprobs, top_logprobs, text_offset;
    StreamDecoder decoder;  // of the tokens with log-probabilities
    size_t num_chars = 0;   // of their text so far
    std::string json;       // of the choice, once it has ended
  };

  // Writes an event with a text. `ended`: the reason, if the choice ends here.
  void Event(size_t choice, std::string_view text,
             const StopReason* ended = nullptr);
  // Writes the object of a choice.
  void WriteChoice(size_t choice, std::string_view text,
                   const StopReason* ended, JsonWriter& json);
  // Writes the tokens since the last call.
  void WriteLogprobs(Choice& choice, JsonWriter& json) const;

  const Tokenizer tokenizer_;
  const CompletionStyle style_;
  std::vector<Choice> choices_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_ANSWER_COMPLETION_WRITER_H_
