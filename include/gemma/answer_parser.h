// Takes a model's answer apart: thoughts, text, and calls of tools.

#ifndef GEMMA_ANSWER_PARSER_H_
#define GEMMA_ANSWER_PARSER_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/chat_template.h"
#include "gemma/export.h"
#include "gemma/model_config.h"
#include "gemma/tokenizer.h"
#include "gemma/tool_calls.h"

namespace gemma {

// The parts of an answer. They fit into a Message of Role::kModel.
struct ParsedAnswer {
  std::string text = {};      // the answer to the user
  std::string thoughts = {};  // what the model thought first; may be empty
  std::vector<ToolCall> tool_calls = {};  // in order, without ids
  // Whether a call was cut short that is in no other field; see AnswerParser.
  bool ends_in_call = false;
  // Whether the answer had marks of thoughts or calls, or calls, so that a
  // later prompt with `text` differs from what the session has read.
  bool has_markers = false;
};

// Splits an answer while it is generated: give Text to Generate as on_text and
// Control as GenerateOptions::on_control. With the vocabulary of Gemma 4 or
// FunctionGemma, only control tokens begin thoughts and calls; text that looks
// like their names stays text. With ToolDialect::kJson, text is a call where
// the dialect says so. A call in wrong syntax, or one that is cut short,
// becomes text, with the names of its control tokens. Grammar::FromTools allows
// only calls in right syntax. In all other cases, all is text. Movable, not
// copyable.
class GEMMA_EXPORT AnswerParser {
 public:
  // Receives a part of the text or of the thoughts as soon as it is known.
  using TextFunction = std::function<void(std::string_view text)>;
  // Receives calls as they come. The first piece of a call has its name.
  using CallFunction = std::function<void(const ToolCallPiece& piece)>;

  // The functions may be empty. They are called in Text, Control and Finish.
  // With on_call, a call that is cut short does not become text.
  explicit AnswerParser(const Tokenizer& tokenizer, TextFunction on_text = {},
                        TextFunction on_thoughts = {},
                        CallFunction on_call = {},
                        ToolDialect dialect = ToolDialect::kNone);
  ~AnswerParser();
  AnswerParser(AnswerParser&&) noexcept;
  AnswerParser& operator=(AnswerParser&&) noexcept;

  // Takes the next text of the answer, in UTF-8.
  void Text(std::string_view text);

  // Takes a control token, which comes after all text so far.
  void Control(TokenId token);

  // Takes the end of the answer. Call this once, then only answer().
  void Finish();

  // Returns the parts so far; after Finish, all of them.
  const ParsedAnswer& answer() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_ANSWER_PARSER_H_
