#include "src/grammar/regex_syntax.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/base/utf8.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 16;
constexpr size_t kMaxDepth = 100;  // of groups
constexpr uint32_t kMaxRepeat = 1000000;

CharacterSet Digits() { return CharacterSet({{'0', '9'}}); }
CharacterSet Words() {
  return CharacterSet({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
}
CharacterSet LineEnds() {
  return CharacterSet({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}});
}
// ECMAScript's white space and line ends.
CharacterSet Blanks() {
  return CharacterSet({{'\t', '\r'},
                       {' ', ' '},
                       {0xA0, 0xA0},
                       {0x1680, 0x1680},
                       {0x2000, 0x200A},
                       {0x2028, 0x2029},
                       {0x202F, 0x202F},
                       {0x205F, 0x205F},
                       {0x3000, 0x3000},
                       {0xFEFF, 0xFEFF}});
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<RegexNode> Parse() {
    GEMMA_ASSIGN_OR_RETURN(RegexNode node, ParseChoice());
    if (!done()) return Error("')' without a '('");
    return node;
  }

 private:
  bool done() const { return at_ == text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  bool Take(std::string_view prefix) {
    if (text_.substr(at_, prefix.size()) != prefix) return false;
    at_ += prefix.size();
    return true;
  }
  absl::Status Error(std::string_view what) const {
    return RegexError(at_, what);
  }
  RegexNode Node(RegexNode::Kind kind) const { return {kind, at_}; }

  absl::StatusOr<RegexNode> ParseChoice() {
    RegexNode choice = Node(RegexNode::Kind::kChoice);
    do {
      RegexNode sequence = Node(RegexNode::Kind::kSequence);
      while (!done() && peek() != '|' && peek() != ')') {
        GEMMA_ASSIGN_OR_RETURN(RegexNode node, ParseRepeated());
        sequence.parts.push_back(std::move(node));
      }
      choice.parts.push_back(std::move(sequence));
    } while (Take("|"));
    return choice;
  }

  absl::StatusOr<RegexNode> ParseRepeated() {
    RegexNode repeat = Node(RegexNode::Kind::kRepeat);
    GEMMA_ASSIGN_OR_RETURN(RegexNode node, ParseOne());
    const size_t count_at = at_;
    if (Take("*")) {
      repeat.most = kNoLimit;
    } else if (Take("+")) {
      repeat.least = 1;
      repeat.most = kNoLimit;
    } else if (Take("?")) {
      repeat.most = 1;
    } else if (peek() == '{') {
      GEMMA_RETURN_IF_ERROR(ParseCounts(repeat));
    } else {
      return node;
    }
    if (node.kind == RegexNode::Kind::kBegin ||
        node.kind == RegexNode::Kind::kEnd) {
      return RegexError(count_at, "an anchor cannot be repeated");
    }
    Take("?");  // lazy: matches the same texts
    if (peek() == '+') return Error("possessive repetition is not supported");
    if (!done() && std::string_view("*?{").find(peek()) != std::string::npos) {
      return Error(
          "a repetition of a repetition, wanted the inner one in a group");
    }
    repeat.parts.push_back(std::move(node));
    return repeat;
  }

  // Parses "{m}", "{m,}" or "{m,n}".
  absl::Status ParseCounts(RegexNode& repeat) {
    const size_t begin = at_;
    const auto malformed = [&] {
      return RegexError(begin, "'{' is not a count like {2,5}, wanted '\\{'");
    };
    Take("{");
    const std::optional<uint32_t> least = ParseNumber();
    if (!least.has_value()) return malformed();
    std::optional<uint32_t> most = least;
    if (Take(",")) most = peek() == '}' ? kNoLimit : ParseNumber();
    if (!most.has_value() || !Take("}")) return malformed();
    repeat.least = *least;
    repeat.most = *most;
    if (*least > kMaxRepeat || (*most > kMaxRepeat && *most != kNoLimit)) {
      return RegexError(begin, FormatText("a count above %u", kMaxRepeat));
    }
    if (*least > *most) return RegexError(begin, "counts in the wrong order");
    return absl::OkStatus();
  }

  // Returns some number above kMaxRepeat for all numbers above it.
  std::optional<uint32_t> ParseNumber() {
    if (!absl::ascii_isdigit(peek())) return std::nullopt;
    uint32_t number = 0;
    for (; absl::ascii_isdigit(peek()); ++at_) {
      number = std::min(number * 10 + (peek() - '0'), kMaxRepeat + 1);
    }
    return number;
  }

  absl::StatusOr<RegexNode> ParseOne() {
    RegexNode node = Node(RegexNode::Kind::kSet);
    switch (peek()) {
      case '(':
        return ParseGroup();
      case '[':
        ++at_;
        return ParseClass(std::move(node));
      case '\\':
        return ParseEscape();
      case '^':
        ++at_;
        return RegexNode{RegexNode::Kind::kBegin, node.offset};
      case '$':
        ++at_;
        return RegexNode{RegexNode::Kind::kEnd, node.offset};
      case '.':
        ++at_;
        node.set = LineEnds().Complement();
        return node;
      case '*':
      case '+':
      case '?':
        return Error("there is nothing to repeat");
      case '{':
        return Error("'{' is not a count like {2,5}, wanted '\\{'");
      default:
        node.set = CharacterSet::One(TakeCharacter());
        return node;
    }
  }

  absl::StatusOr<RegexNode> ParseGroup() {
    const size_t begin = at_;
    Take("(");
    if (Take("?<") || Take("?P<")) {
      if (peek() == '=' || peek() == '!') {
        return RegexError(begin, "look-behind is not supported");
      }
      const size_t end = text_.find('>', at_);
      if (end == std::string_view::npos) {
        return RegexError(begin, "the name of a group has no '>'");
      }
      at_ = end + 1;
    } else if (Take("?=") || Take("?!")) {
      return RegexError(begin, "look-ahead is not supported");
    } else if (Take("?P=")) {
      return RegexError(begin, "back-references are not supported");
    } else if (peek() == '?' && !Take("?:")) {
      return RegexError(begin,
                        "flags and other extensions of groups are not "
                        "supported, wanted '(?:' or '('");
    }
    if (++depth_ > kMaxDepth) {
      return RegexError(
          begin, FormatText("groups are nested deeper than %u", kMaxDepth));
    }
    GEMMA_ASSIGN_OR_RETURN(RegexNode node, ParseChoice());
    --depth_;
    if (!Take(")")) return RegexError(begin, "'(' without a ')'");
    return node;
  }

  absl::StatusOr<RegexNode> ParseEscape() {
    RegexNode node = Node(RegexNode::Kind::kSet);
    const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (c == 'A' || c == 'Z' || c == 'z') {
      at_ += 2;
      node.kind = c == 'A' ? RegexNode::Kind::kBegin : RegexNode::Kind::kEnd;
      return node;
    }
    if (c == 'b' || c == 'B') {
      return Error("word boundaries are not supported");
    }
    GEMMA_ASSIGN_OR_RETURN(node.set, ParseEscapedSet());
    return node;
  }

  // Parses an escape that is also valid inside a class.
  absl::StatusOr<CharacterSet> ParseEscapedSet() {
    const size_t begin = at_;
    Take("\\");
    if (done()) return RegexError(begin, "'\\' at the end");
    const char c = peek();
    if (static_cast<uint8_t>(c) >= 0x80) {
      return RegexError(begin, "an unknown escape");
    }
    ++at_;
    const auto one = [](uint32_t character) {
      return CharacterSet::One(character);
    };
    switch (c) {
      case 'd':
        return Digits();
      case 'D':
        return Digits().Complement();
      case 'w':
        return Words();
      case 'W':
        return Words().Complement();
      case 's':
        return Blanks();
      case 'S':
        return Blanks().Complement();
      case 't':
        return one('\t');
      case 'n':
        return one('\n');
      case 'v':
        return one('\v');
      case 'f':
        return one('\f');
      case 'r':
        return one('\r');
      case 'b':
        return one('\b');  // only inside a class
      case 'x':
        return ParseHex(begin, 2);
      case 'u':
        return ParseHex(begin, 4);
      case '0':
        if (!absl::ascii_isdigit(peek())) return one('\0');
        return RegexError(begin, "octal escapes are not supported");
      case 'p':
      case 'P':
        return RegexError(begin, "properties of Unicode are not supported");
      case 'k':
        return RegexError(begin, "back-references are not supported");
      default:
        if (absl::ascii_isdigit(c)) {
          return RegexError(begin, "back-references are not supported");
        }
        if (absl::ascii_isalpha(c)) {
          return RegexError(begin, "an unknown escape");
        }
        return one(static_cast<uint8_t>(c));
    }
  }

  // Parses `digits` hexadecimal digits, or any number in braces after "\u".
  absl::StatusOr<CharacterSet> ParseHex(size_t begin, size_t digits) {
    const bool braces = digits == 4 && Take("{");
    uint32_t character = 0;
    size_t count = 0;
    for (; absl::ascii_isxdigit(peek()) && (braces || count < digits); ++at_) {
      const char c = absl::ascii_tolower(peek());
      character = std::min<uint32_t>(
          character * 16 + (c <= '9' ? c - '0' : c - 'a' + 10), 0x110000);
      ++count;
    }
    if (braces ? count == 0 || !Take("}") : count != digits) {
      return RegexError(begin, "too few hexadecimal digits");
    }
    if (!CharacterSet::All().Contains(character)) {
      return RegexError(begin, "a number that is not a character");
    }
    return CharacterSet::One(character);
  }

  // Parses a class. Its "[" is already read.
  absl::StatusOr<RegexNode> ParseClass(RegexNode node) {
    const bool negated = Take("^");
    if (peek() == ']') return Error("']' begins a class, wanted '\\]'");
    std::vector<CharacterSet::Range> ranges;
    while (!Take("]")) {
      if (done()) return RegexError(node.offset, "'[' without a ']'");
      if (text_.substr(at_, 2) == "[:") {
        return Error("named classes are not supported");
      }
      GEMMA_ASSIGN_OR_RETURN(CharacterSet first, ParseClassItem());
      if (peek() == '-' && text_.substr(at_, 2) != "-]") {
        const size_t dash = at_++;
        if (done()) return RegexError(node.offset, "'[' without a ']'");
        GEMMA_ASSIGN_OR_RETURN(const CharacterSet last, ParseClassItem());
        GEMMA_ASSIGN_OR_RETURN(first, RangeOf(first, last, dash));
      }
      ranges.insert(ranges.end(), first.ranges().begin(), first.ranges().end());
    }
    node.set = CharacterSet(std::move(ranges));
    if (negated) node.set = node.set.Complement();
    return node;
  }

  absl::StatusOr<CharacterSet> ParseClassItem() {
    if (peek() == '\\') return ParseEscapedSet();
    return CharacterSet::One(TakeCharacter());
  }

  static absl::StatusOr<CharacterSet> RangeOf(const CharacterSet& first,
                                              const CharacterSet& last,
                                              size_t offset) {
    const auto single = [](const CharacterSet& set) {
      return set.ranges().size() == 1 &&
             set.ranges()[0].first == set.ranges()[0].last;
    };
    if (!single(first) || !single(last)) {
      return RegexError(offset, "a range from or to a class, wanted '\\-'");
    }
    const uint32_t begin = first.ranges()[0].first;
    const uint32_t end = last.ranges()[0].first;
    if (begin > end) return RegexError(offset, "a range in the wrong order");
    return CharacterSet({{begin, end}}).Common(CharacterSet::All());
  }

  // Takes the next character of UTF-8. Not at the end of the text.
  uint32_t TakeCharacter() {
    const size_t length = Utf8Length(peek());
    const uint32_t character = Characters(text_.substr(at_, length))[0];
    at_ += length;
    return character;
  }

  std::string_view text_;
  size_t at_ = 0;
  size_t depth_ = 0;
};

}  // namespace

absl::Status RegexError(size_t offset, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("byte ", offset, " of the expression: ", what));
}

absl::StatusOr<RegexNode> ParseRegex(std::string_view expression) {
  if (expression.size() > kMaxBytes) {
    return absl::InvalidArgumentError(
        FormatText("the expression has %u bytes, wanted at most %u",
                   expression.size(), kMaxBytes));
  }
  if (!IsValidUtf8(expression)) {
    return absl::InvalidArgumentError("the expression is not UTF-8");
  }
  return Parser(expression).Parse();
}

}  // namespace gemma::internal
