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
  // For each prompt, how many of its tokens come before those of an answer.
  std::vector<size_t> scored_tokens;
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
  // Elements of JSON arrays.
  struct Logprobs {
    void Append(Logprobs others);

    std::string tokens, token_logprobs, top_logprobs, text_offset;
  };

  struct Choice {
    explicit Choice(const Tokenizer& tokenizer) : decoder(tokenizer) {}

    std::string text;
    // Not yet written: of the prompt's tokens and those up to the last text,
    // and of the tokens after it, whose text is held back. A stop string that
    // ends the answer leaves their text out.
    Logprobs logprobs, held_logprobs;
    StreamDecoder decoder;  // of the tokens with log-probabilities
    size_t num_tokens = 0;  // with log-probabilities
    size_t num_chars = 0;   // of their text so far
    std::string json;       // of the choice, once it has ended
  };

  // A text of the choice comes: it is that of the tokens so far.
  static void ReleaseLogprobs(Choice& choice);
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
