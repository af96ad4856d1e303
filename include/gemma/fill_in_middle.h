// CodeGemma: the middle of a text whose beginning and end are known.

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

// A file that the model is told of.
struct SourceFile {
  std::string_view path;  // a line that the model reads first; empty: none
  std::string_view text;  // UTF-8
};

// Where something is missing, and what the model is told of it.
struct Gap {
  std::string_view prefix;  // the text before it, UTF-8; may be empty
  std::string_view suffix;  // the text after it; as above
  // Of the file that it is in. Optional, and what CodeGemma's authors
  // recommend.
  std::string_view path;
  absl::Span<const SourceFile> files;  // others, for example that it includes
};

// Prompts of models that were trained to fill gaps, which CodeGemma 2B and 7B
// were. What the model generates is the text that belongs into the gap.
class GEMMA_EXPORT FillInMiddle {
 public:
  // FailedPrecondition, naming what is lacking, if <|fim_prefix|>,
  // <|fim_suffix|>, <|fim_middle|> and <|file_separator|> are not all control
  // tokens of the vocabulary.
  static absl::StatusOr<FillInMiddle> Create(const Tokenizer& tokenizer);

  // BOS; for each other file its path, a newline, its text and
  // <|file_separator|>; the path and a newline; <|fim_prefix|>, the prefix,
  // <|fim_suffix|>, the suffix and <|fim_middle|>: figures 2 and 4 of
  // CodeGemma's report (arXiv 2406.11409). Texts are encoded as they are:
  // nothing is trimmed, no blank is put in front, whatever the vocabulary does
  // with other texts, and nothing in them becomes a control token.
  // InvalidArgument if a path has a line end; else as Tokenizer::Encode.
  absl::StatusOr<std::vector<TokenId>> Prompt(const Gap& gap) const;

  // The four markers. Each ends what the model fills in, as its own stop tokens
  // do: they belong into GenerateOptions::stop_tokens.
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
