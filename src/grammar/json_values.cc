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

// Matches the end of a string, with its quote, that differs from all `names`.
// The string and the names share their first `begin` characters.
ExprId CharactersBut(absl::Span<const std::vector<uint32_t>> names,
                     size_t begin, ExprId any, ByteGrammar& grammar) {
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
        {OneOf(one, Writing::kJson, grammar),
         CharactersBut(names.subspan(i, end - i), begin + 1, any, grammar)}));
    i = end;
  }
  if (may_end) alternatives.push_back(grammar.Text("\""));
  alternatives.push_back(
      grammar.Sequence({OneOf(CharacterSet(std::move(begun)).Complement(),
                              Writing::kJson, grammar),
                        any, grammar.Text("\"")}));
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

JsonValues::JsonValues(ByteGrammar& grammar)
    : grammar_(grammar),
      comma_(grammar.Sequence(
          {grammar.Text(","), grammar.Optional(grammar.Text(" "))})),
      colon_(grammar.Sequence(
          {grammar.Text(":"), grammar.Optional(grammar.Text(" "))})),
      character_(OneOf(CharacterSet::All(), Writing::kJson, grammar)) {}

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
  const ExprId quote = grammar_.Text("\"");
  return grammar_.Sequence({quote, characters, quote});
}

ExprId JsonValues::StringBut(std::vector<std::string> names) {
  std::vector<std::vector<uint32_t>> texts;
  for (const std::string& name : names) texts.push_back(Characters(name));
  std::sort(texts.begin(), texts.end());
  const ExprId any = grammar_.Repeat(character_, 0, kNoLimit);
  return grammar_.Sequence(
      {grammar_.Text("\""), CharactersBut(texts, 0, any, grammar_)});
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
  const uint32_t rule = grammar_.NewRule();
  any_ = grammar_.Rule(rule);
  grammar_.SetRule(
      rule, grammar_.Choice({Null(), Boolean(), Number(), String(0, kNoLimit),
                             AnyObject(), AnyArray()}));
  return *any_;
}

ExprId JsonValues::AnyObject() {
  return Object(List(Member(String(0, kNoLimit), Any()), 0, kNoLimit));
}

ExprId JsonValues::AnyArray() { return Array(List(Any(), 0, kNoLimit)); }

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
      const std::string text = Written(name, Writing::kJson);
      parts.push_back(Member(Quoted(grammar_.Text(text)), Literal(member)));
    }
    return Object(grammar_.Sequence(parts));
  }
  return grammar_.Text(JsonText(value));
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
