#include "src/grammar/regex.h"

#include <utility>
#include <vector>

#include "src/base/status_macros.h"
#include "src/grammar/regex_syntax.h"

namespace gemma::internal {
namespace {

// The ends of the text that an expression touches. Anchors hold only there.
struct Place {
  bool begin = false;
  bool end = false;
};

class Converter {
 public:
  Converter(RegexMatch match, Writing writing, ByteGrammar& grammar)
      : writing_(writing), grammar_(grammar) {
    if (match == RegexMatch::kPart) {
      anything_ = grammar_.Repeat(OneOf(CharacterSet::All(), writing, grammar_),
                                  0, kNoLimit);
    }
  }

  absl::StatusOr<ExprId> Convert(const RegexNode& node, Place place) {
    GEMMA_ASSIGN_OR_RETURN(const ExprId expr, ConvertNode(node, place));
    if (grammar_.budget().Spend(1)) return expr;
    return RegexError(node.offset, grammar_.budget().Excess());
  }

 private:
  absl::StatusOr<ExprId> ConvertNode(const RegexNode& node, Place place) {
    switch (node.kind) {
      case RegexNode::Kind::kSet:
        return OneOf(node.set, writing_, grammar_);
      case RegexNode::Kind::kBegin:
      case RegexNode::Kind::kEnd:
        return RegexError(node.offset,
                          "an anchor within a text, where it never holds");
      case RegexNode::Kind::kSequence:
        return ConvertSequence(node, place);
      case RegexNode::Kind::kChoice: {
        std::vector<ExprId> parts;
        for (const RegexNode& part : node.parts) {
          GEMMA_ASSIGN_OR_RETURN(const ExprId expr, Convert(part, place));
          parts.push_back(expr);
        }
        return grammar_.Choice(parts);
      }
      case RegexNode::Kind::kRepeat: {
        GEMMA_ASSIGN_OR_RETURN(const ExprId body, Convert(node.parts[0], {}));
        return grammar_.Repeat(body, node.least, node.most);
      }
    }
    return grammar_.Nothing();
  }

  // If an expression describes a part of the text, any text may surround it at
  // an end without an anchor. A group at that end brings its own anchors.
  absl::StatusOr<ExprId> ConvertSequence(const RegexNode& node, Place place) {
    size_t first = 0;
    size_t last = node.parts.size();
    bool open_begin = place.begin;
    bool open_end = place.end;
    while (place.begin && first < last &&
           node.parts[first].kind == RegexNode::Kind::kBegin) {
      open_begin = false;
      ++first;
    }
    while (place.end && first < last &&
           node.parts[last - 1].kind == RegexNode::Kind::kEnd) {
      open_end = false;
      --last;
    }
    std::vector<ExprId> parts;
    for (size_t i = first; i < last; ++i) {
      const RegexNode& part = node.parts[i];
      const bool group = part.kind == RegexNode::Kind::kChoice;
      const Place inner = {group && open_begin && i == first,
                           group && open_end && i + 1 == last};
      if (inner.begin) open_begin = false;
      if (inner.end) open_end = false;
      GEMMA_ASSIGN_OR_RETURN(const ExprId expr, Convert(part, inner));
      parts.push_back(expr);
    }
    if (open_begin) parts.insert(parts.begin(), anything_);
    if (open_end) parts.push_back(anything_);
    return grammar_.Sequence(parts);
  }

  Writing writing_;
  ByteGrammar& grammar_;
  ExprId anything_ = grammar_.Empty();
};

}  // namespace

absl::StatusOr<ExprId> Regex(std::string_view expression, RegexMatch match,
                             Writing writing, ByteGrammar& grammar) {
  GEMMA_ASSIGN_OR_RETURN(const RegexNode node, ParseRegex(expression));
  return Converter(match, writing, grammar)
      .Convert(node, {/*begin=*/true, /*end=*/true});
}

}  // namespace gemma::internal
