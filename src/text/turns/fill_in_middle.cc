#include "gemma/fill_in_middle.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/text/tokenizer/token_writer.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma {
namespace {

absl::Status CheckPath(std::string_view path) {
  if (path.find_first_of("\n\r") == std::string_view::npos) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "the path ", QuotedPiece(path), " has a line end, wanted one line"));
}

// Returns the line of the path, or nothing if the path is empty.
std::string PathLine(std::string_view path) {
  return path.empty() ? "" : absl::StrCat(path, "\n");
}

}  // namespace

absl::StatusOr<FillInMiddle> FillInMiddle::Create(const Tokenizer& tokenizer) {
  return NoThrow([&]() -> absl::StatusOr<FillInMiddle> {
    FillInMiddle fill(tokenizer);
    std::vector<std::string> missing;
    const auto find = [&](std::string_view piece) {
      const std::optional<TokenId> token = tokenizer.Find(piece);
      if (token.has_value() && tokenizer.IsControl(*token)) return *token;
      missing.push_back(QuotedPiece(piece));
      return TokenId{-1};
    };
    fill.prefix_ = find("<|fim_prefix|>");
    fill.suffix_ = find("<|fim_suffix|>");
    fill.middle_ = find("<|fim_middle|>");
    fill.separator_ = find("<|file_separator|>");
    if (missing.empty()) return fill;
    return absl::FailedPreconditionError(
        FormatText("the vocabulary has no control token %s, wanted "
                   "CodeGemma's markers: the "
                   "model does not fill in",
                   absl::StrJoin(missing, ", ")));
  });
}

absl::StatusOr<std::vector<TokenId>> FillInMiddle::Prompt(
    const Gap& gap) const {
  return NoThrow([&]() -> absl::StatusOr<std::vector<TokenId>> {
    absl::Status status = CheckPath(gap.path);
    TokenWriter prompt(tokenizer_);
    prompt.Token(tokenizer_.bos());
    for (const SourceFile& file : gap.files) {
      status.Update(CheckPath(file.path));
      prompt.ExactText(absl::StrCat(PathLine(file.path), file.text));
      prompt.Token(separator_);
    }
    if (!status.ok()) return status;
    prompt.ExactText(PathLine(gap.path));
    prompt.Token(prefix_);
    prompt.ExactText(gap.prefix);
    prompt.Token(suffix_);
    prompt.ExactText(gap.suffix);
    prompt.Token(middle_);
    return prompt.Release();
  });
}

}  // namespace gemma
