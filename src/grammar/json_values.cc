#include "src/grammar/json_values.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/grammar/characters.h"

namespace gemma::internal {
namespace {

constexpr uint32_t kMaxWholeDigits = 19;
constexpr uint32_t kMaxFractionDigits = 16;
constexpr uint32_t kMaxExponentDigits = 2;

// The characters of names without quotes: those that end nothing and that no
// reader trims.
CharacterSet BareCharacters() {
  std::vector<CharacterSet::Range> others = {{0, ' '}, {0x7F, 0xA0}};
  for (const char c : {':', ',', '{', '}', '[', ']', '"', '\\'}) {
    others.push_back({static_cast<uint32_t>(c), static_cast<uint32_t>(c)});
  }
  return CharacterSet(std::move(others)).Complement();
}

bool IsBare(std::string_view name) {
  const CharacterSet bare = BareCharacters();
  const std::vector<uint32_t> characters = Characters(name);
  return !characters.empty() &&
         std::all_of(characters.begin(), characters.end(),
                     [&](uint32_t c) { return bare.Contains(c); });
}

// How texts that differ from others are made.
struct OtherText {
  CharacterSet alphabet;
  Writing writing;
  ExprId more;  // any number of characters
  ExprId end;   // what follows the last one
};

// Matches the end of a text that differs from all `names`. The text and the
// names share their first `begin` characters. All characters of the names must
// be in the alphabet.
ExprId CharactersBut(absl::Span<const std::vector<uint32_t>> names,
                     size_t begin, const OtherText& rules,
                     ByteGrammar& grammar) {
  if (!grammar.budget().Spend(names.size())) return grammar.Nothing();
  std::vector<CharacterSet::Range> begun;
  std::vector<ExprId> alternatives;
  bool may_end = true;
  for (size_t i = 0; i < names.size();) {
    if (names[i].size() == begin) {
      may_end = false;
      ++i;
      continue;
    }
    const uint32_t next = names[i][begin];
    size_t end = i + 1;
    while (end < names.size() && names[end][begin] == next) ++end;
    const CharacterSet one = CharacterSet::One(next);
    begun.push_back({next, next});
    alternatives.push_back(grammar.Sequence(
        {OneOf(one, rules.writing, grammar),
         CharactersBut(names.subspan(i, end - i), begin + 1, rules, grammar)}));
    i = end;
  }
  if (may_end) alternatives.push_back(rules.end);
  const CharacterSet others =
      rules.alphabet.Without(CharacterSet(std::move(begun)));
  alternatives.push_back(grammar.Sequence(
      {OneOf(others, rules.writing, grammar), rules.more, rules.end}));
  return grammar.Choice(alternatives);
}

std::string NumberText(const Json& value) {
  int64_t integer = 0;
  if (value.Get(integer).ok()) return absl::StrCat(integer);
  size_t large = 0;
  if (value.Get(large).ok()) return absl::StrCat(large);
  double number = 0;
  value.Get(number).IgnoreError();
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), number);
  return std::string(text, end.ptr);
}

}  // namespace

JsonValues::JsonValues(ByteGrammar& grammar, ValueForm form, size_t max_depth)
    : grammar_(grammar),
      form_(form),
      max_depth_(max_depth),
      comma_(grammar.Text(",")),
      colon_(grammar.Text(":")),
      character_(OneOf(CharacterSet::All(), writing(), grammar)) {
  if (form == ValueForm::kMarked) return;
  const ExprId blank = grammar.Optional(grammar.Text(" "));
  comma_ = grammar.Sequence({comma_, blank});
  colon_ = grammar.Sequence({colon_, blank});
}

ExprId JsonValues::Integer() {
  ByteGrammar& g = grammar_;
  return g.Choice(
      {g.Text("0"),
       g.Sequence({g.Optional(g.Text("-")), g.Byte('1', '9'),
                   g.Repeat(g.Byte('0', '9'), 0, kMaxWholeDigits - 1)})});
}

ExprId JsonValues::Number() {
  ByteGrammar& g = grammar_;
  const ExprId digit = g.Byte('0', '9');
  const ExprId whole = g.Choice(
      {g.Text("0"), g.Sequence({g.Byte('1', '9'),
                                g.Repeat(digit, 0, kMaxWholeDigits - 1)})});
  const ExprId fraction =
      g.Sequence({g.Text("."), g.Repeat(digit, 1, kMaxFractionDigits)});
  const ExprId exponent =
      g.Sequence({g.Choice({g.Text("e"), g.Text("E")}),
                  g.Optional(g.Choice({g.Text("+"), g.Text("-")})),
                  g.Repeat(digit, 1, kMaxExponentDigits)});
  return g.Sequence({g.Optional(g.Text("-")), whole, g.Optional(fraction),
                     g.Optional(exponent)});
}

ExprId JsonValues::String(uint32_t least, uint32_t most) {
  return Quoted(grammar_.Repeat(character_, least, most));
}

ExprId JsonValues::Quoted(ExprId characters) {
  const ExprId quote = form_ == ValueForm::kJson
                           ? grammar_.Text("\"")
                           : MarkExpr(Mark::kQuote, grammar_);
  return grammar_.Sequence({quote, characters, quote});
}

ExprId JsonValues::Name(std::string_view name) {
  const ExprId text = grammar_.Text(Written(name, writing()));
  return form_ == ValueForm::kMarked && IsBare(name) ? text : Quoted(text);
}

ExprId JsonValues::NameBut(std::vector<std::string> names) {
  const bool quoted = form_ == ValueForm::kJson;
  std::vector<std::vector<uint32_t>> texts;
  for (const std::string& name : names) {
    // A name without quotes never equals one that needs them. A part of such a
    // name would be misread without quotes.
    if (quoted || IsBare(name)) texts.push_back(Characters(name));
  }
  // A name without quotes is not empty.
  if (!quoted) texts.emplace_back();
  std::sort(texts.begin(), texts.end());
  const CharacterSet alphabet = quoted ? CharacterSet::All() : BareCharacters();
  const ExprId character = OneOf(alphabet, writing(), grammar_);
  const ExprId quote = quoted ? grammar_.Text("\"") : grammar_.Empty();
  const OtherText rules = {.alphabet = alphabet,
                           .writing = writing(),
                           .more = grammar_.Repeat(character, 0, kNoLimit),
                           .end = quote};
  return grammar_.Sequence({quote, CharactersBut(texts, 0, rules, grammar_)});
}

ExprId JsonValues::Object(ExprId members) {
  return grammar_.Sequence({grammar_.Text("{"), members, grammar_.Text("}")});
}

ExprId JsonValues::Array(ExprId elements) {
  return grammar_.Sequence({grammar_.Text("["), elements, grammar_.Text("]")});
}

ExprId JsonValues::List(ExprId item, uint32_t least, uint32_t most) {
  if (most == 0) return grammar_.Empty();
  const ExprId rest = grammar_.Repeat(grammar_.Sequence({comma_, item}),
                                      least == 0 ? 0 : least - 1,
                                      most == kNoLimit ? kNoLimit : most - 1);
  const ExprId list = grammar_.Sequence({item, rest});
  return least == 0 ? grammar_.Optional(list) : list;
}

ExprId JsonValues::Member(ExprId name, ExprId value) {
  return grammar_.Sequence({name, colon_, value});
}

ExprId JsonValues::Any() {
  if (any_.has_value()) return *any_;
  if (max_depth_ == 0) {
    const uint32_t rule = grammar_.NewRule();
    any_ = grammar_.Rule(rule);
    grammar_.SetRule(rule, AnyOf(*any_));
    return *any_;
  }
  any_ = Scalar();
  for (size_t depth = 0; depth < max_depth_; ++depth) any_ = AnyOf(*any_);
  return *any_;
}

ExprId JsonValues::Scalar() {
  return grammar_.Choice({Null(), Boolean(), Number(), String(0, kNoLimit)});
}

ExprId JsonValues::AnyOf(ExprId inner) {
  const ExprId name =
      form_ == ValueForm::kJson ? String(0, kNoLimit) : NameBut({});
  return grammar_.Choice({Scalar(),
                          Object(List(Member(name, inner), 0, kNoLimit)),
                          Array(List(inner, 0, kNoLimit))});
}

ExprId JsonValues::Literal(const Json& value) {
  if (value.is_array()) {
    std::vector<ExprId> parts;
    for (const Json& element : value.Elements()) {
      if (!parts.empty()) parts.push_back(comma_);
      parts.push_back(Literal(element));
    }
    return Array(grammar_.Sequence(parts));
  }
  if (value.is_object()) {
    std::vector<ExprId> parts;
    for (const auto& [name, member] : value.Members()) {
      if (!parts.empty()) parts.push_back(comma_);
      parts.push_back(Member(Name(name), Literal(member)));
    }
    return Object(grammar_.Sequence(parts));
  }
  return grammar_.Text(ScalarText(value));
}

std::string JsonValues::ScalarText(const Json& value) const {
  if (form_ == ValueForm::kJson || !value.is_string()) return JsonText(value);
  std::string_view characters;
  value.Get(characters).IgnoreError();
  const char quote = static_cast<char>(ByteOf(Mark::kQuote));
  return absl::StrCat(std::string_view(&quote, 1), characters,
                      std::string_view(&quote, 1));
}

std::string JsonText(const Json& value) {
  std::string text;
  switch (value.type()) {
    case Json::Type::kNull:
      return "null";
    case Json::Type::kBool: {
      bool is_true = false;
      value.Get(is_true).IgnoreError();
      return is_true ? "true" : "false";
    }
    case Json::Type::kNumber:
      return NumberText(value);
    case Json::Type::kString: {
      std::string_view characters;
      value.Get(characters).IgnoreError();
      return absl::StrCat("\"", Written(characters, Writing::kJson), "\"");
    }
    case Json::Type::kArray:
      for (const Json& element : value.Elements()) {
        absl::StrAppend(&text, text.empty() ? "" : ",", JsonText(element));
      }
      return absl::StrCat("[", text, "]");
    case Json::Type::kObject:
      for (const auto& [name, member] : value.Members()) {
        absl::StrAppend(&text, text.empty() ? "\"" : ",\"",
                        Written(name, Writing::kJson), "\":", JsonText(member));
      }
      return absl::StrCat("{", text, "}");
  }
  return text;
}

}  // namespace gemma::internal
