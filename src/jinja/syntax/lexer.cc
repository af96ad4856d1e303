#include "src/jinja/syntax/lexer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/values/characters.h"

namespace gemma::internal {
namespace {

// Longer ones first.
constexpr std::string_view kOperators[] = {
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
    "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

bool IsNameCharacter(char c) { return absl::ascii_isalnum(c) || c == '_'; }

// Returns the source as jinja2 reads it: lines end with \n, and one line end at
// the end of the source is not part of it.
std::string NormalizeLines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      text.push_back('\n');
    } else {
      text.push_back(source[i]);
    }
  }
  if (absl::EndsWith(text, "\n")) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  absl::StatusOr<std::vector<JinjaToken>> Run() {
    while (at_ < source_.size()) GEMMA_RETURN_IF_ERROR(TextAndTag());
    Add(JinjaToken::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const {
    return std::string_view(source_).substr(at_);
  }
  bool Ahead(std::string_view text) const {
    return absl::StartsWith(rest(), text);
  }
  absl::Status Error(std::string_view what) const {
    return SyntaxError(line_, what);
  }

  void Add(JinjaToken::Kind kind, std::string text) {
    tokens_.push_back({kind, line_, std::move(text)});
  }

  // Moves on and counts lines.
  void MoveTo(size_t at) {
    line_ += static_cast<uint32_t>(
        std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                   source_.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    at_ = at;
  }

  size_t SpaceEnd(size_t at) const {
    while (at < source_.size()) {
      const size_t end = CharacterEnd(source_, at);
      if (!IsSpace(CodePoint(std::string_view(source_).substr(at, end - at)))) {
        break;
      }
      at = end;
    }
    return at;
  }

  static bool IsBlank(std::string_view text) { return StripEnd(text).empty(); }

  static std::string_view StripEnd(std::string_view text) {
    while (!text.empty()) {
      const size_t begin = CharacterBegin(text, text.size());
      if (!IsSpace(CodePoint(text.substr(begin)))) break;
      text = text.substr(0, begin);
    }
    return text;
  }

  // Adds the text up to `end`, where a tag with `sign` begins. `lstrip` is
  // whether the tag removes white space between it and the begin of its line.
  void AddText(size_t end, char sign, bool lstrip) {
    std::string_view text = std::string_view(source_).substr(at_, end - at_);
    if (sign == '-') {
      text = StripEnd(text);
    } else if (sign != '+' && lstrip) {
      const size_t line = text.rfind('\n') + 1;  // 0 without a line end
      const bool begins_line = line > 0 || at_ == 0 || source_[at_ - 1] == '\n';
      if (begins_line && IsBlank(text.substr(line)))
        text = text.substr(0, line);
    }
    if (!text.empty()) Add(JinjaToken::Kind::kText, std::string(text));
    MoveTo(end);
  }

  char SignAt(size_t at) const {
    return at < source_.size() && (source_[at] == '-' || source_[at] == '+')
               ? source_[at]
               : '\0';
  }

  // Skips what ends a comment or a tag at `at`, "%}" with a sign, and the white
  // space that it removes. Returns false if there is no end.
  bool SkipEnd(std::string_view end) {
    const char sign = SignAt(at_);
    const size_t begin = at_ + (sign == '\0' ? 0 : 1);
    if (source_.compare(begin, end.size(), end) != 0) return false;
    if (sign == '+' && end == "}}") return false;
    size_t after = begin + end.size();
    if (sign == '-') {
      after = SpaceEnd(after);
    } else if (sign == '\0' && end != "}}" && after < source_.size() &&
               source_[after] == '\n') {
      ++after;
    }
    MoveTo(after);
    return true;
  }

  // Returns the next place with "{{", "{%" or "{#".
  size_t FindTag() const {
    for (size_t at = at_;; ++at) {
      at = source_.find('{', at);
      if (at == std::string::npos || at + 1 == source_.size()) {
        return source_.size();
      }
      const char c = source_[at + 1];
      if (c == '{' || c == '%' || c == '#') return at;
    }
  }

  absl::Status TextAndTag() {
    const size_t tag = FindTag();
    if (tag == source_.size()) {
      AddText(tag, '+', false);
      return absl::OkStatus();
    }
    const char type = source_[tag + 1];
    const char sign = SignAt(tag + 2);
    AddText(tag, sign, /*lstrip=*/type != '{');
    const size_t inside = tag + 2 + (sign == '\0' ? 0 : 1);
    if (type == '#') return Comment(inside);
    if (type == '%') {
      const size_t raw = RawBegin(inside);
      if (raw != 0) return Raw(raw);
    }
    Add(type == '%' ? JinjaToken::Kind::kTagBegin
                    : JinjaToken::Kind::kPrintBegin,
        "");
    MoveTo(inside);
    return Tag(type == '%' ? "%}" : "}}");
  }

  absl::Status Comment(size_t inside) {
    const size_t end = source_.find("#}", inside);
    if (end == std::string::npos) return Error("a comment has no '#}'");
    MoveTo(end > inside && SignAt(end - 1) != '\0' ? end - 1 : end);
    SkipEnd("#}");
    return absl::OkStatus();
  }

  // Returns the offset after "raw %}", or 0 if the tag is a different one.
  size_t RawBegin(size_t inside) const {
    size_t at = SpaceEnd(inside);
    if (source_.compare(at, 3, "raw") != 0) return 0;
    at = SpaceEnd(at + 3);
    const bool strip = SignAt(at) == '-';
    if (source_.compare(strip ? at + 1 : at, 2, "%}") != 0) return 0;
    return strip ? SpaceEnd(at + 3) : at + 2;
  }

  absl::Status Raw(size_t begin) {
    MoveTo(begin);
    for (size_t tag = source_.find("{%", at_); tag != std::string::npos;
         tag = source_.find("{%", tag + 1)) {
      const char sign = SignAt(tag + 2);
      const size_t name = SpaceEnd(tag + 2 + (sign == '\0' ? 0 : 1));
      if (source_.compare(name, 6, "endraw") != 0) continue;
      const size_t end = SpaceEnd(name + 6);
      const size_t after = end + (SignAt(end) == '\0' ? 0 : 1);
      if (source_.compare(after, 2, "%}") != 0) continue;
      AddText(tag, sign, /*lstrip=*/true);
      MoveTo(end);
      SkipEnd("%}");
      return absl::OkStatus();
    }
    return Error("a 'raw' has no 'endraw'");
  }

  // Reads the tokens of a tag and its end.
  absl::Status Tag(std::string_view end) {
    std::string open;  // brackets
    while (true) {
      if (open.empty() && SkipEnd(end)) {
        Add(end == "%}" ? JinjaToken::Kind::kTagEnd
                        : JinjaToken::Kind::kPrintEnd,
            "");
        return absl::OkStatus();
      }
      if (at_ == source_.size()) {
        return Error(absl::StrCat("a tag has no '", end, "'"));
      }
      const size_t space = SpaceEnd(at_);
      if (space > at_) {
        MoveTo(space);
        continue;
      }
      const char c = source_[at_];
      if (absl::ascii_isdigit(c)) {
        GEMMA_RETURN_IF_ERROR(Number());
      } else if (IsNameCharacter(c)) {
        const size_t name = at_;
        while (at_ < source_.size() && IsNameCharacter(source_[at_])) ++at_;
        Add(JinjaToken::Kind::kName, source_.substr(name, at_ - name));
      } else if (c == '\'' || c == '"') {
        GEMMA_RETURN_IF_ERROR(String());
      } else {
        GEMMA_RETURN_IF_ERROR(OneOperator(open));
      }
    }
  }

  absl::Status OneOperator(std::string& open) {
    const auto found = std::find_if(
        std::begin(kOperators), std::end(kOperators),
        [&](std::string_view candidate) { return Ahead(candidate); });
    if (found == std::end(kOperators)) {
      const size_t end = CharacterEnd(source_, at_);
      return Error(absl::StrCat("unexpected character ",
                                Quoted(rest().substr(0, end - at_))));
    }
    const char c = (*found)[0];
    if (c == '(' || c == '[' || c == '{') {
      open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    } else if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) {
        return Error(absl::StrCat("unexpected ", Quoted(*found)));
      }
      open.pop_back();
    }
    Add(JinjaToken::Kind::kOperator, std::string(*found));
    at_ += found->size();
    return absl::OkStatus();
  }

  absl::Status Number() {
    JinjaToken token{JinjaToken::Kind::kInteger, line_, ""};
    GEMMA_ASSIGN_OR_RETURN(const size_t end, LexNumber(source_, at_, token));
    tokens_.push_back(std::move(token));
    at_ = end;
    return absl::OkStatus();
  }

  absl::Status String() {
    JinjaToken token{JinjaToken::Kind::kString, line_, ""};
    GEMMA_ASSIGN_OR_RETURN(const size_t end, LexString(source_, at_, token));
    tokens_.push_back(std::move(token));
    MoveTo(end);
    return absl::OkStatus();
  }

  std::string source_;
  size_t at_ = 0;
  uint32_t line_ = 1;
  std::vector<JinjaToken> tokens_;
};

}  // namespace

absl::Status SyntaxError(uint32_t line, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
}

absl::StatusOr<std::vector<JinjaToken>> LexTemplate(std::string_view source) {
  return Lexer(NormalizeLines(source)).Run();
}

}  // namespace gemma::internal
