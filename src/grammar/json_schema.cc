#include "src/grammar/json_schema.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/json.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/grammar/characters.h"
#include "src/grammar/json_formats.h"
#include "src/grammar/json_numbers.h"
#include "src/grammar/json_values.h"
#include "src/grammar/regex.h"
#include "src/grammar/schema_keywords.h"
#include "src/grammar/schema_object.h"
#include "src/grammar/schema_parts.h"

namespace gemma::internal {
namespace {

// The limit on property names that are distinguished character by character.
constexpr size_t kMaxNameBytes = 4096;

constexpr Json::Limits kLimits = {.max_bytes = size_t{1} << 20,
                                  .max_depth = 64,
                                  .max_values = size_t{1} << 16};

// Makes a rule for each place of the schema when it is first needed.
class SchemaBuilder {
 public:
  SchemaBuilder(Json root, JsonValues& values, ByteGrammar& grammar)
      : grammar_(grammar),
        document_(std::move(root), grammar.budget()),
        values_(values) {}

  absl::StatusOr<ExprId> Build() {
    const ExprId root = RuleFor({document_.root()});
    while (!waiting_.empty()) {
      const Place place = std::move(waiting_.back());
      waiting_.pop_back();
      GEMMA_ASSIGN_OR_RETURN(const ExprId body, BuildPlace(place.parts));
      grammar_.SetRule(place.rule, body);
    }
    return root;
  }

 private:
  struct Place {
    uint32_t rule;
    SchemaParts parts;
  };
  struct WrittenValue {
    Json json;
    std::string text;
  };

  // Matches the values that are valid for all parts.
  ExprId RuleFor(const SchemaParts& parts) {
    if (parts.empty()) return values_.Any();
    const auto [it, inserted] = rules_.try_emplace(KeyOf(parts));
    if (inserted) {
      grammar_.budget().Spend(parts.size(), BytesOf(parts));
      const uint32_t rule = grammar_.NewRule();
      it->second = grammar_.Rule(rule);
      waiting_.push_back({rule, parts});
    }
    return it->second;
  }

  absl::StatusOr<ExprId> BuildPlace(const SchemaParts& parts) {
    GEMMA_ASSIGN_OR_RETURN(const auto alternatives,
                           document_.AlternativesOf(parts));
    std::vector<ExprId> choices;
    for (const SchemaParts& alternative : *alternatives) {
      GEMMA_ASSIGN_OR_RETURN(const ExprId choice,
                             BuildAlternative(alternative));
      choices.push_back(choice);
    }
    const ExprId choice = grammar_.Choice(choices);
    GEMMA_RETURN_IF_ERROR(Spend(grammar_.budget(), parts.front(), 0));
    return choice;
  }

  // Builds an alternative once, even if many places share it.
  absl::StatusOr<ExprId> BuildAlternative(const SchemaParts& parts) {
    if (parts.empty()) return values_.Any();
    const auto [it, inserted] = built_.try_emplace(KeyOf(parts));
    if (inserted) {
      GEMMA_ASSIGN_OR_RETURN(const ExprId built, BuildAll(parts));
      GEMMA_RETURN_IF_ERROR(Spend(grammar_.budget(), parts.front(),
                                  parts.size(), BytesOf(parts)));
      it->second = built;
    }
    return it->second;
  }

  // Matches the values that all keywords allow. There is at least one part.
  absl::StatusOr<ExprId> BuildAll(const SchemaParts& parts) {
    TypeSet types = kAnyType;
    bool has_values = false;
    for (const Json& part : parts) {
      GEMMA_RETURN_IF_ERROR(
          Spend(grammar_.budget(), part, 4 * StepsToRead(part)));
      GEMMA_ASSIGN_OR_RETURN(const TypeSet own, TypesOf(part));
      types &= own;
      GEMMA_ASSIGN_OR_RETURN(const auto values,
                             ValuesOf(part, grammar_.budget()));
      has_values |= values.has_value();
    }
    if (has_values) return BuildValues(parts, types);
    if (HasKeyword(parts, "multipleOf")) types &= ~kFractionType;

    std::vector<ExprId> choices;
    if (types & kNullType) choices.push_back(values_.Null());
    if (types & kBooleanType) choices.push_back(values_.Boolean());
    if (types & kNumberType) {
      GEMMA_ASSIGN_OR_RETURN(const ExprId number, BuildNumber(parts, types));
      choices.push_back(number);
    }
    if (types & kStringType) {
      GEMMA_ASSIGN_OR_RETURN(const ExprId string, BuildString(parts));
      choices.push_back(string);
    }
    if (types & kArrayType) {
      GEMMA_ASSIGN_OR_RETURN(const ExprId array, BuildArray(parts));
      choices.push_back(array);
    }
    if (types & kObjectType) {
      GEMMA_ASSIGN_OR_RETURN(const ExprId object, BuildObject(parts));
      choices.push_back(object);
    }
    return grammar_.Choice(choices);
  }

  // "const" and "enum": the values that all parts list.
  absl::StatusOr<ExprId> BuildValues(const SchemaParts& parts, TypeSet types) {
    std::optional<std::vector<WrittenValue>> common;
    for (const Json& part : parts) {
      if (const auto keyword = ShapeKeyword(part)) {
        return SchemaError(*keyword,
                           "this keyword is not supported together with enum "
                           "or const");
      }
      GEMMA_ASSIGN_OR_RETURN(const auto values,
                             ValuesOf(part, grammar_.budget()));
      if (!values.has_value()) continue;
      GEMMA_ASSIGN_OR_RETURN(auto written, Write(*values, part));
      if (!common.has_value()) {
        common = std::move(written);
        continue;
      }
      HashSet<std::string_view> texts;
      for (const WrittenValue& value : written) texts.insert(value.text);
      std::erase_if(*common, [&](const WrittenValue& value) {
        return !texts.contains(value.text);
      });
    }
    std::vector<ExprId> choices;
    std::vector<std::string> scalars;
    for (const WrittenValue& value : *common) {
      if ((TypeOf(value.json) & types) == 0) continue;
      if (value.json.is_array() || value.json.is_object()) {
        choices.push_back(values_.Literal(value.json));
      } else {
        scalars.push_back(values_.ScalarText(value.json));
      }
    }
    std::sort(scalars.begin(), scalars.end());
    scalars.erase(std::unique(scalars.begin(), scalars.end()), scalars.end());
    choices.push_back(OneOf(scalars, grammar_));
    return grammar_.Choice(choices);
  }

  absl::StatusOr<std::vector<WrittenValue>> Write(
      const std::vector<Json>& values, const Json& place) {
    std::vector<WrittenValue> written;
    for (const Json& value : values) {
      written.push_back({value, JsonText(value)});
      const size_t size = written.back().text.size();
      GEMMA_RETURN_IF_ERROR(Spend(grammar_.budget(), place, 1 + size,
                                  sizeof(WrittenValue) + size));
    }
    return written;
  }

  absl::StatusOr<ExprId> BuildNumber(const SchemaParts& parts, TypeSet types) {
    const bool integer = (types & kFractionType) == 0;
    GEMMA_ASSIGN_OR_RETURN(const NumberRange range, NumberRangeOf(parts));
    if (std::isinf(range.least) && std::isinf(range.most)) {
      return integer ? values_.Integer() : values_.Number();
    }
    if (integer) {
      GEMMA_ASSIGN_OR_RETURN(const IntegerRange r, IntegerRangeOf(parts));
      return IntegersBetween(r.least, r.most, grammar_);
    }
    if (!IsShort(range.least) || !IsShort(range.most)) {
      return SchemaError(
          parts.back(), absl::StrCat("a limit of a number has more than ",
                                     kMaxLimitDigits, " digits, wanted fewer"));
    }
    return NumbersBetween(range, grammar_);
  }

  absl::StatusOr<ExprId> BuildString(const SchemaParts& parts) {
    GEMMA_ASSIGN_OR_RETURN(const CountRange length,
                           CountsOf(parts, "minLength", "maxLength"));
    std::optional<ExprId> characters;
    for (const Json& part : parts) {
      for (const std::string_view name : {"pattern", "format"}) {
        GEMMA_ASSIGN_OR_RETURN(
            const auto text, ReadKeyword<std::string>(part, name, "a string"));
        if (!text.has_value()) continue;
        const Json place = *part.Find(name);
        if (characters.has_value()) {
          return SchemaError(place,
                             "a second pattern or format is not supported");
        }
        if (length.least > 0 || length.most < kNoLimit) {
          return SchemaError(place,
                             "a pattern or format is not supported together "
                             "with minLength or maxLength");
        }
        GEMMA_ASSIGN_OR_RETURN(characters, BuildShape(name, *text, place));
      }
    }
    if (characters.has_value()) return values_.Quoted(*characters);
    return values_.String(length.least, length.most);
  }

  absl::StatusOr<ExprId> BuildShape(std::string_view keyword,
                                    std::string_view text, const Json& place) {
    RegexMatch match = RegexMatch::kPart;
    if (keyword == "format") {
      const auto expression = FormatExpression(text);
      if (!expression.has_value()) {
        return SchemaError(place, absl::StrCat("the format ", Quoted(text),
                                               " is not supported"));
      }
      text = *expression;
      match = RegexMatch::kAll;
    }
    const absl::StatusOr<ExprId> expr =
        Regex(text, match, values_.writing(), grammar_);
    if (!expr.ok()) return SchemaError(place, expr.status().message());
    return *expr;
  }

  absl::StatusOr<ExprId> BuildArray(const SchemaParts& parts) {
    GEMMA_ASSIGN_OR_RETURN(const ArrayShape shape,
                           ArrayShapeOf(parts, grammar_.budget()));
    std::vector<ExprId> first;
    for (const auto& item : shape.first) first.push_back(Value(item));
    return values_.Array(Elements(first, Value(shape.rest), shape.count));
  }

  // Matches the elements of an array. Builds from the last element with its own
  // schema back to the first.
  ExprId Elements(const std::vector<ExprId>& first, ExprId rest,
                  CountRange count) {
    const auto num_first = static_cast<uint32_t>(first.size());
    const auto less = [&](uint32_t n, uint32_t k) {
      return n == kNoLimit ? kNoLimit : n - std::min(n, k);
    };
    ExprId tail =
        num_first == 0
            ? values_.List(rest, count.least, count.most)
            : grammar_.Repeat(grammar_.Sequence({values_.comma(), rest}),
                              less(count.least, num_first),
                              less(count.most, num_first));
    if (count.least > count.most) return grammar_.Nothing();
    for (uint32_t i = num_first; i-- > 0;) {
      std::vector<ExprId> choices;
      if (i >= count.least) choices.push_back(grammar_.Empty());
      if (i < count.most) {
        choices.push_back(grammar_.Sequence(
            {i > 0 ? values_.comma() : grammar_.Empty(), first[i], tail}));
      }
      tail = grammar_.Choice(choices);
    }
    return tail;
  }

  absl::StatusOr<ExprId> BuildObject(const SchemaParts& parts) {
    GEMMA_ASSIGN_OR_RETURN(ObjectShape shape,
                           ObjectShapeOf(parts, grammar_.budget()));
    if (values_.form() == ValueForm::kMarked) SortByName(shape.properties);
    ExprId more = grammar_.Nothing();
    if (shape.more.has_value()) {
      std::vector<std::string> names;
      for (const auto& p : shape.properties) {
        if (p.name.size() > kMaxNameBytes) {
          return SchemaError(
              parts.front(),
              FormatText("the name of a property has more than %u bytes",
                         kMaxNameBytes));
        }
        GEMMA_RETURN_IF_ERROR(Spend(grammar_.budget(), parts.front(), 1,
                                    p.name.size() * sizeof(uint32_t)));
        names.push_back(p.name);
      }
      more = values_.Member(values_.NameBut(names), Value(*shape.more));
    }
    // Expressions that may follow the properties so far. After a property, a
    // comma comes first.
    ExprId first_tail = values_.List(more, 0, kNoLimit);
    ExprId later_tail = grammar_.Repeat(
        grammar_.Sequence({values_.comma(), more}), 0, kNoLimit);
    for (auto p = shape.properties.rbegin(); p != shape.properties.rend();
         ++p) {
      const ExprId member =
          values_.Member(values_.Name(p->name), Value(p->value));
      std::vector<ExprId> first = {grammar_.Sequence({member, later_tail})};
      std::vector<ExprId> later = {
          grammar_.Sequence({values_.comma(), member, later_tail})};
      if (!p->required) {
        first.push_back(first_tail);
        later.push_back(later_tail);
      }
      first_tail = grammar_.Choice(first);
      later_tail = grammar_.Choice(later);
      const Json& place = p->value.empty() ? parts.front() : p->value.front();
      GEMMA_RETURN_IF_ERROR(Spend(grammar_.budget(), place, 0));
    }
    return values_.Object(first_tail);
  }

  static void SortByName(std::vector<ObjectShape::Property>& properties) {
    std::ranges::stable_sort(properties, {}, [](const auto& property) {
      return absl::AsciiStrToLower(property.name);
    });
  }

  // Nothing if no value is allowed.
  ExprId Value(const std::optional<SchemaParts>& parts) {
    return parts.has_value() ? RuleFor(*parts) : grammar_.Nothing();
  }

  ByteGrammar& grammar_;
  SchemaDocument document_;
  JsonValues& values_;
  // By parts: rules of those that a place has, and expressions of alternatives.
  HashMap<SchemaKey, ExprId> rules_;
  HashMap<SchemaKey, ExprId> built_;
  std::vector<Place> waiting_;
};

}  // namespace

absl::StatusOr<ExprId> JsonSchema(std::string_view schema,
                                  ByteGrammar& grammar) {
  GEMMA_ASSIGN_OR_RETURN(Json root, Json::Parse(schema, "the schema", kLimits));
  JsonValues values(grammar);
  return JsonSchema(root, values, grammar);
}

absl::StatusOr<ExprId> JsonSchema(const Json& schema, JsonValues& values,
                                  ByteGrammar& grammar) {
  return SchemaBuilder(schema, values, grammar).Build();
}

}  // namespace gemma::internal
