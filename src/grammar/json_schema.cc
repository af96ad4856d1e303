#include "src/grammar/json_schema.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
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

namespace gemma {
namespace {

// Names that are told apart character by character.
constexpr size_t kMaxNameBytes = 4096;

constexpr Json::Limits kLimits = {.max_bytes = size_t{1} << 20,
                                  .max_depth = 64,
                                  .max_values = size_t{1} << 16};

// Every place of the schema becomes a rule, made when it is first needed.
class SchemaBuilder {
 public:
  SchemaBuilder(Json root, ByteGrammar& grammar)
      : document_(std::move(root)), grammar_(grammar), values_(grammar) {}

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

  // What is right for all parts.
  ExprId RuleFor(const SchemaParts& parts) {
    if (parts.empty()) return values_.Any();
    std::vector<std::string> pointers;
    for (const SchemaPart& part : parts) pointers.push_back(part.pointer);
    std::sort(pointers.begin(), pointers.end());
    const auto [it, inserted] =
        rules_.try_emplace(absl::StrJoin(pointers, "\n"));
    if (inserted) {
      const uint32_t rule = grammar_.NewRule();
      it->second = grammar_.Rule(rule);
      waiting_.push_back({rule, parts});
    }
    return it->second;
  }

  absl::StatusOr<ExprId> BuildPlace(const SchemaParts& parts) {
    GEMMA_ASSIGN_OR_RETURN(const auto alternatives,
                           document_.Alternatives(parts));
    std::vector<ExprId> choices;
    for (const SchemaParts& alternative : alternatives) {
      GEMMA_ASSIGN_OR_RETURN(const ExprId choice, BuildAll(alternative));
      choices.push_back(choice);
    }
    return grammar_.Choice(choices);
  }

  // One value that has all keywords' consent.
  absl::StatusOr<ExprId> BuildAll(const SchemaParts& parts) {
    TypeSet types = kAnyType;
    bool has_values = false;
    for (const SchemaPart& part : parts) {
      GEMMA_RETURN_IF_ERROR(CheckKeywords(part));
      GEMMA_ASSIGN_OR_RETURN(const TypeSet own, TypesOf(part));
      types &= own;
      GEMMA_ASSIGN_OR_RETURN(const auto values, ValuesOf(part));
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

  // "const" and "enum".
  absl::StatusOr<ExprId> BuildValues(const SchemaParts& parts, TypeSet types) {
    // Those that all parts have.
    std::optional<std::vector<Json>> common;
    for (const SchemaPart& part : parts) {
      GEMMA_RETURN_IF_ERROR(CheckBesideValues(part));
      GEMMA_ASSIGN_OR_RETURN(auto values, ValuesOf(part));
      if (!values.has_value()) continue;
      if (!common.has_value()) {
        common = std::move(values);
        continue;
      }
      absl::flat_hash_set<std::string> texts;
      for (const Json& value : *values) texts.insert(JsonText(value));
      std::erase_if(*common, [&](const Json& value) {
        return !texts.contains(JsonText(value));
      });
    }
    std::vector<ExprId> choices;
    std::vector<std::string> scalars;
    for (const Json& value : *common) {
      if ((TypeOf(value) & types) == 0) continue;
      if (value.is_array() || value.is_object()) {
        choices.push_back(values_.Literal(value));
      } else {
        scalars.push_back(JsonText(value));
      }
    }
    std::sort(scalars.begin(), scalars.end());
    scalars.erase(std::unique(scalars.begin(), scalars.end()), scalars.end());
    choices.push_back(OneOf(scalars, grammar_));
    return grammar_.Choice(choices);
  }

  // Values are compared with no keyword but "type".
  static absl::Status CheckBesideValues(const SchemaPart& part) {
    constexpr std::string_view kAsserting[] = {"additionalProperties",
                                               "exclusiveMaximum",
                                               "exclusiveMinimum",
                                               "format",
                                               "items",
                                               "maxItems",
                                               "maxLength",
                                               "maxProperties",
                                               "maximum",
                                               "minItems",
                                               "minLength",
                                               "minProperties",
                                               "minimum",
                                               "multipleOf",
                                               "pattern",
                                               "prefixItems",
                                               "properties",
                                               "required",
                                               "uniqueItems"};
    for (const std::string_view name : kAsserting) {
      if (!part.schema.Has(name)) continue;
      return SchemaError(PointerTo(part.pointer, name),
                         "this keyword is not supported together with enum or "
                         "const");
    }
    return absl::OkStatus();
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
          parts.back().pointer,
          absl::StrCat("a limit of a number has more than ", kMaxLimitDigits,
                       " digits, wanted fewer"));
    }
    return NumbersBetween(range, grammar_);
  }

  absl::StatusOr<ExprId> BuildString(const SchemaParts& parts) {
    GEMMA_ASSIGN_OR_RETURN(const CountRange length,
                           CountsOf(parts, "minLength", "maxLength"));
    std::optional<ExprId> characters;
    for (const SchemaPart& part : parts) {
      for (const std::string_view name : {"pattern", "format"}) {
        GEMMA_ASSIGN_OR_RETURN(
            const auto text, ReadKeyword<std::string>(part, name, "a string"));
        if (!text.has_value()) continue;
        const std::string pointer = PointerTo(part.pointer, name);
        if (characters.has_value()) {
          return SchemaError(pointer,
                             "a second pattern or format is not supported");
        }
        if (length.least > 0 || length.most < kNoLimit) {
          return SchemaError(pointer,
                             "a pattern or format is not supported together "
                             "with minLength or maxLength");
        }
        GEMMA_ASSIGN_OR_RETURN(characters, BuildShape(name, *text, pointer));
      }
    }
    if (characters.has_value()) return values_.Quoted(*characters);
    return values_.String(length.least, length.most);
  }

  absl::StatusOr<ExprId> BuildShape(std::string_view keyword,
                                    std::string_view text,
                                    std::string_view pointer) {
    RegexMatch match = RegexMatch::kPart;
    if (keyword == "format") {
      const auto expression = FormatExpression(text);
      if (!expression.has_value()) {
        return SchemaError(pointer, absl::StrCat("the format ", Quoted(text),
                                                 " is not supported"));
      }
      text = *expression;
      match = RegexMatch::kAll;
    }
    const absl::StatusOr<ExprId> expr =
        Regex(text, match, Writing::kJson, grammar_);
    if (!expr.ok()) return SchemaError(pointer, expr.status().message());
    return *expr;
  }

  absl::StatusOr<ExprId> BuildArray(const SchemaParts& parts) {
    GEMMA_ASSIGN_OR_RETURN(const ArrayShape shape, ArrayShapeOf(parts));
    std::vector<ExprId> first;
    for (const auto& item : shape.first) first.push_back(Value(item));
    return values_.Array(Elements(first, Value(shape.rest), shape.count));
  }

  // Elements of an array, from the last that has a schema of its own back.
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
    GEMMA_ASSIGN_OR_RETURN(const ObjectShape shape, ObjectShapeOf(parts));
    ExprId more = grammar_.Nothing();
    if (shape.more.has_value()) {
      std::vector<std::string> names;
      for (const auto& p : shape.properties) {
        if (p.name.size() > kMaxNameBytes) {
          return SchemaError(
              parts[0].pointer,
              absl::StrFormat("the name of a property has more than %u bytes",
                              kMaxNameBytes));
        }
        names.push_back(p.name);
      }
      more = values_.Member(values_.StringBut(names), Value(*shape.more));
    }
    // What may follow the properties so far: where there is one, behind a
    // comma.
    ExprId first_tail = values_.List(more, 0, kNoLimit);
    ExprId later_tail = grammar_.Repeat(
        grammar_.Sequence({values_.comma(), more}), 0, kNoLimit);
    for (auto p = shape.properties.rbegin(); p != shape.properties.rend();
         ++p) {
      const ExprId name =
          values_.Quoted(grammar_.Text(Written(p->name, Writing::kJson)));
      const ExprId member = values_.Member(name, Value(p->value));
      std::vector<ExprId> first = {grammar_.Sequence({member, later_tail})};
      std::vector<ExprId> later = {
          grammar_.Sequence({values_.comma(), member, later_tail})};
      if (!p->required) {
        first.push_back(first_tail);
        later.push_back(later_tail);
      }
      first_tail = grammar_.Choice(first);
      later_tail = grammar_.Choice(later);
    }
    return values_.Object(first_tail);
  }

  // Nothing, where no value is allowed.
  ExprId Value(const std::optional<SchemaParts>& parts) {
    return parts.has_value() ? RuleFor(*parts) : grammar_.Nothing();
  }

  SchemaDocument document_;
  ByteGrammar& grammar_;
  JsonValues values_;
  absl::flat_hash_map<std::string, ExprId> rules_;  // by pointers
  std::vector<Place> waiting_;
};

}  // namespace

absl::StatusOr<ExprId> JsonSchema(std::string_view schema,
                                  ByteGrammar& grammar) {
  GEMMA_ASSIGN_OR_RETURN(Json root, Json::Parse(schema, "the schema", kLimits));
  return SchemaBuilder(std::move(root), grammar).Build();
}

}  // namespace gemma
