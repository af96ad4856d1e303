// Encodes texts in which only some parts may name control tokens.

#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/text/tokenizer/tokenizer_impl.h"

namespace gemma {
namespace {

// Encodes the text between control tokens and cuts, piece by piece.
class PieceEncoder {
 public:
  PieceEncoder(const Tokenizer::Impl& tokenizer, std::string_view text,
               size_t begin, std::vector<TokenId>& tokens)
      : tokenizer_(tokenizer),
        text_(text),
        done_(begin),
        continues_(begin > 0),
        tokens_(tokens) {}

  // Encodes all text up to `end`.
  absl::Status EncodeTo(size_t end) {
    if (end <= done_) return absl::OkStatus();
    const std::string_view piece = text_.substr(done_, end - done_);
    done_ = end;
    const bool continues = continues_;
    continues_ = true;
    return continues ? tokenizer_.EncodeExactly(piece, tokens_)
                     : tokenizer_.EncodeText(piece, tokens_);
  }

  // Appends a control token, whose name ends at `end`. All text before the name
  // must be encoded.
  void Control(TokenId token, size_t end) {
    tokens_.push_back(token);
    done_ = end;
    continues_ = false;
  }

 private:
  const Tokenizer::Impl& tokenizer_;
  const std::string_view text_;
  size_t done_;
  bool continues_;  // the next piece continues a text: it gets no blank
  std::vector<TokenId>& tokens_;
};

// Flags of control tokens would move the border between the words of the
// template and those of messages.
absl::Status CheckFlags(const Vocabulary& vocabulary) {
  if (!vocabulary.rules.has_value()) return absl::OkStatus();
  for (const AddedToken& token : vocabulary.rules->added) {
    const bool has_flag =
        token.single_word || token.lstrip || token.rstrip || token.normalized;
    if (!token.special || !has_flag) continue;
    return absl::UnimplementedError(absl::StrCat(
        "the control token ", QuotedPiece(token.content),
        " is single_word, lstrip, rstrip or normalized, wanted none of them in "
        "a model with a chat template of its own"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Tokenizer::Impl::EncodeMarked(
    const MarkedText& text, size_t begin, absl::Span<const size_t> cuts,
    std::vector<TokenId>& tokens, std::vector<size_t>& cut_tokens) const {
  GEMMA_RETURN_IF_ERROR(CheckFlags(vocabulary_));
  const std::string_view all = text.text();
  PieceEncoder pieces(*this, all, begin, tokens);
  auto cut = cuts.begin();
  const auto cut_at = [&](size_t offset) -> absl::Status {
    for (; cut != cuts.end() && *cut <= offset; ++cut) {
      GEMMA_RETURN_IF_ERROR(pieces.EncodeTo(*cut));
      cut_tokens.push_back(tokens.size());
    }
    return absl::OkStatus();
  };
  size_t i = begin;
  for (const MarkedText::Run& run : text.runs()) {
    while (i < run.end) {
      GEMMA_RETURN_IF_ERROR(cut_at(i));
      if (run.origin == TextOrigin::kMessage) {
        const bool has_cut = cut != cuts.end() && *cut < run.end;
        i = has_cut ? *cut : run.end;
        continue;
      }
      const PrefixMatcher::Entry* control =
          MatchControl(all.substr(i, run.end - i));
      if (control == nullptr) {
        ++i;
        continue;
      }
      GEMMA_RETURN_IF_ERROR(pieces.EncodeTo(i));
      i += control->text.size();
      GEMMA_RETURN_IF_ERROR(CheckRows({control->token}));
      pieces.Control(control->token, i);
    }
  }
  GEMMA_RETURN_IF_ERROR(cut_at(all.size()));
  return pieces.EncodeTo(all.size());
}

}  // namespace gemma
