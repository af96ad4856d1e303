// CodeGemma: generates the text between a given beginning and end.

#ifndef GEMMA_FILL_IN_MIDDLE_H_
#define GEMMA_FILL_IN_MIDDLE_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/model_config.h"
#include "gemma/tokenizer.h"

namespace gemma {

// Another file that the model reads for context.
struct SourceFile {
  std::string_view path;  // a line before the text; empty: no such line
  std::string_view text;  // UTF-8
};

// A gap to fill, with its context. Views must stay valid during the call.
struct Gap {
  std::string_view prefix;  // the text before the gap, UTF-8; may be empty
  std::string_view suffix;  // the text after the gap, likewise
  // Path of the file that contains the gap. Optional; CodeGemma's authors
  // recommend it.
  std::string_view path;
  absl::Span<const SourceFile> files;  // for example, files that it includes
};

// Makes prompts for models that were trained to fill gaps: CodeGemma 2B and 7B.
// The model then generates the text for the gap.
class GEMMA_EXPORT FillInMiddle {
 public:
  // Returns FailedPrecondition if <|fim_prefix|>, <|fim_suffix|>,
  // <|fim_middle|> or <|file_separator|> is not a control token of the
  // vocabulary. The message names it.
  static absl::StatusOr<FillInMiddle> Create(const Tokenizer& tokenizer);

  // Returns BOS; for each other file its path, a newline, its text and
  // <|file_separator|>; the gap's path and a newline; <|fim_prefix|>, the
  // prefix, <|fim_suffix|>, the suffix and <|fim_middle|>. Source: figures 2
  // and 4 of CodeGemma's report (arXiv 2406.11409). Texts are encoded
  // unchanged: nothing is trimmed, no blank is added before them (even if the
  // vocabulary does so for other texts), and nothing in them becomes a control
  // token. InvalidArgument if a path contains a line end; other errors as in
  // Tokenizer::Encode.
  absl::StatusOr<std::vector<TokenId>> Prompt(const Gap& gap) const;

  // Returns the four markers. Each ends the filled-in text, as the model's own
  // stop tokens do: put them into GenerateOptions::stop_tokens.
  std::vector<TokenId> stop_tokens() const {
    return {prefix_, suffix_, middle_, separator_};
  }

 private:
  explicit FillInMiddle(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  Tokenizer tokenizer_;
  TokenId prefix_ = -1;
  TokenId suffix_ = -1;
  TokenId middle_ = -1;
  TokenId separator_ = -1;
};

}  // namespace gemma

#endif  // GEMMA_FILL_IN_MIDDLE_H_
