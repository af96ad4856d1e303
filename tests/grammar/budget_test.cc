// The cost of compiling a grammar: ordinary grammars stay far below the limits,
// and hostile ones stop at them.

#include "src/grammar/budget.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/grammar/byte_grammar.h"
#include "src/grammar/characters.h"
#include "src/grammar/json_schema.h"
#include "src/grammar/regex.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using OrderedJson = nlohmann::ordered_json;

constexpr Budget::Limits kSmallLimits;

struct Cost {
  std::string error;  // the message, or "OK"
  size_t steps;
  size_t bytes;
};

Cost CostOf(const absl::StatusOr<ExprId>& root, ByteGrammar& grammar) {
  const absl::Status status = root.ok() ? grammar.Finish(*root) : root.status();
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  return {ErrorOf(status), grammar.budget().steps(), grammar.budget().bytes()};
}

Cost CostOfSchema(const OrderedJson& schema,
                  const Budget::Limits& limits = {}) {
  ByteGrammar grammar(limits);
  return CostOf(JsonSchema(schema.dump(), grammar), grammar);
}

Cost CostOfRegex(const std::string& expression,
                 const Budget::Limits& limits = {}) {
  ByteGrammar grammar(limits);
  return CostOf(Regex(expression, RegexMatch::kAll, Writing::kPlain, grammar),
                grammar);
}

void ExpectWithin(const Cost& cost) {
  EXPECT_LE(cost.steps, kSmallLimits.steps);
  EXPECT_LE(cost.bytes, kSmallLimits.bytes);
}

void ExpectRefused(const Cost& cost, std::string_view place,
                   std::string_view limit) {
  EXPECT_THAT(cost.error, AllOf(StartsWith(std::string(place)),
                                HasSubstr(std::string(limit))));
  ExpectWithin(cost);
}

constexpr std::string_view kSteps = "takes more than 16777216 steps";
constexpr std::string_view kBytes = "takes more than 67108864 bytes";

void ExpectOrdinary(const Cost& cost) {
  EXPECT_EQ(cost.error, "OK");
  EXPECT_LT(cost.steps, kSmallLimits.steps / 4);
  EXPECT_LT(cost.bytes, kSmallLimits.bytes / 4);
}

std::string Name(std::string_view prefix, size_t i) {
  return std::string(prefix) + std::to_string(i);
}

OrderedJson Ref(const std::string& name) {
  return {{"$ref", "#/$defs/" + name}};
}

// Adds a member whose name is new. operator[] would look for it among all
// others.
void AddMember(const std::string& name, OrderedJson value, OrderedJson& to) {
  if (to.is_null()) to = OrderedJson::object();
  using Members = OrderedJson::object_t::Container;
  Members& members = to.get_ref<OrderedJson::object_t&>();
  members.emplace_back(name, std::move(value));
}

// A typical value of a form's field.
OrderedJson Field(size_t i) {
  switch (i % 7) {
    case 0:
      return {{"type", "string"}, {"maxLength", 10 + i}};
    case 1:
      return {{"type", "integer"}, {"minimum", 0}, {"maximum", 100 * i}};
    case 2:
      return {{"type", "string"}, {"format", "date-time"}};
    case 3:
      return {{"enum", {"red", "green", "blue", nullptr, i}}};
    case 4:
      return {{"type", "array"}, {"items", {{"type", "number"}}}};
    case 5:
      return {{"type", {"boolean", "null"}}, {"description", "yes or no"}};
    default:
      return {{"type", "string"}, {"pattern", "^[A-Z]{2}-[0-9]{1,8}$"}};
  }
}

TEST(GrammarBudget, ManyPropertiesFit) {
  OrderedJson schema = {{"type", "object"}};
  for (size_t i = 0; i < 500; ++i) {
    schema["properties"][Name("property_", i)] = Field(i);
    if (i % 3 == 0) schema["required"].push_back(Name("property_", i));
  }
  ExpectOrdinary(CostOfSchema(schema));
  schema["additionalProperties"] = {{"type", "string"}};
  ExpectOrdinary(CostOfSchema(schema));
}

// Definitions that refer to each other, may be null, extend a common one, and
// differ by a constant.
TEST(GrammarBudget, LinkedDefinitionsFit) {
  OrderedJson schema = {{"type", "object"}};
  OrderedJson& defs = schema["$defs"];
  defs["base"] = {{"type", "object"}, {"required", {"id", "time"}}};
  for (const char* name : {"id", "time", "owner", "notes"}) {
    defs["base"]["properties"][name] = {{"type", "string"}};
  }
  OrderedJson any = {{"discriminator", {{"propertyName", "kind"}}}};
  for (size_t i = 0; i < 100; ++i) {
    OrderedJson own = {{"type", "object"}, {"required", {"kind"}}};
    own["properties"]["kind"] = {{"const", Name("kind", i)}};
    for (size_t j = 0; j < 10; ++j) own["properties"][Name("p", j)] = Field(j);
    own["properties"]["next"] = Ref(Name("def", (i * 7 + 1) % 100));
    own["properties"]["other"] = {
        {"anyOf", {Ref(Name("def", i / 2)), {{"type", "null"}}}}};
    defs[Name("def", i)] = {{"allOf", {Ref("base"), own}}};
    any["oneOf"].push_back(Ref(Name("def", i)));
  }
  schema["properties"]["all"] = {{"type", "array"}, {"items", any}};
  ExpectOrdinary(CostOfSchema(schema));
}

TEST(GrammarBudget, SharedEnumsFit) {
  OrderedJson schema = {{"type", "object"}};
  for (size_t i = 0; i < 2000; ++i) {
    schema["$defs"]["city"]["enum"].push_back(Name("City of ", i * 7919));
  }
  for (size_t i = 0; i < 500; ++i) {
    OrderedJson city = Ref("city");
    if (i % 2 == 0) city = {{"anyOf", {Ref("city"), {{"type", "null"}}}}};
    city["description"] = Name("city ", i);
    schema["properties"][Name("city_", i)] = city;
  }
  ExpectOrdinary(CostOfSchema(schema));
}

OrderedJson Alternatives(size_t count) {
  OrderedJson any;
  for (size_t i = 0; i < count; ++i) {
    any["anyOf"].push_back({{"type", "string"}, {"minLength", i}});
  }
  return any;
}

TEST(GrammarBudget, SharedAlternativesFit) {
  OrderedJson schema = {{"$defs", {{"big", Alternatives(256)}}}};
  OrderedJson& properties = schema["properties"];
  for (size_t i = 0; i < 10000; ++i) {
    AddMember(Name("p", i), Ref("big"), properties);
  }
  const Cost cost = CostOfSchema(schema);
  EXPECT_EQ(cost.error, "OK");
  ExpectWithin(cost);
}

TEST(GrammarBudget, CopiedAlternativesAreRefused) {
  OrderedJson schema = {{"$defs", {{"big", Alternatives(256)}}}};
  OrderedJson& properties = schema["properties"];
  for (size_t i = 0; i < 10000; ++i) {
    OrderedJson property = Ref("big");
    property["maxLength"] = 1000 + i;
    AddMember(Name("p", i), std::move(property), properties);
  }
  ExpectRefused(CostOfSchema(schema), "'#/$defs/big/anyOf/", kSteps);
}

// Every part of a branch is compared with every part of all other branches.
TEST(GrammarBudget, ComparedBranchesAreRefused) {
  OrderedJson schema;
  for (size_t i = 0; i < 255; ++i) {
    schema["$defs"]["big"]["allOf"].push_back({{"maxLength", i}});
    schema["$defs"]["huge"]["allOf"].push_back({{"maxLength", i}});
  }
  for (size_t i = 0; i < 250; ++i) {
    schema["oneOf"].push_back(
        {{"allOf", {Ref(i % 2 == 0 ? "big" : "huge"), {{"const", i}}}}});
  }
  ExpectRefused(CostOfSchema(schema), "'#/$defs/", kSteps);
}

TEST(GrammarBudget, ComparedPropertiesAreRefused) {
  OrderedJson properties, required;
  for (size_t i = 0; i < 4000; ++i) {
    required.push_back(Name("p", i));
    AddMember(Name("p", i), true, properties);
  }
  const OrderedJson branch = {
      {"type", "object"}, {"required", required}, {"properties", properties}};
  OrderedJson schema;
  schema["oneOf"] = {branch, branch};
  ExpectRefused(CostOfSchema(schema), "'#/oneOf/", kSteps);
}

// Each alternative compares a long constant with all values.
TEST(GrammarBudget, ComparedValuesAreRefused) {
  OrderedJson schema;
  OrderedJson& values = schema["$defs"]["values"];
  values = {{"const", std::string(100000, 'x')}};
  for (size_t i = 0; i < 9; ++i) {
    values["enum"].push_back(std::string(100000, static_cast<char>('a' + i)));
  }
  OrderedJson& any = schema["$defs"]["any"]["anyOf"];
  for (size_t i = 0; i < 100; ++i) any.push_back({{"type", "string"}});
  schema["allOf"] = {Ref("values"), Ref("any")};
  ExpectRefused(CostOfSchema(schema), "'#/$defs/values/enum'", kSteps);
}

// A search among many members takes time too.
TEST(GrammarBudget, WidePlacesAreRefused) {
  OrderedJson wide = {{"type", "object"}};
  for (size_t i = 0; i < 30000; ++i) AddMember(Name("x-", i), 0, wide);
  OrderedJson schema = {
      {"$defs", {{"wide", wide}, {"big", Alternatives(256)}}}};
  schema["allOf"] = {Ref("wide"), Ref("big")};
  ExpectRefused(CostOfSchema(schema), "'#", kSteps);

  OrderedJson defs, properties;
  for (size_t i = 0; i < 8000; ++i) {
    AddMember(Name("d", i), true, defs);
    AddMember(Name("p", i), Ref(Name("d", 7999 - i)), properties);
  }
  const OrderedJson links = {{"$defs", defs}, {"properties", properties}};
  ExpectRefused(CostOfSchema(links), "'#/properties/p", kSteps);
}

TEST(GrammarBudget, WideTuplesAreRefused) {
  OrderedJson schema;
  for (size_t i = 0; i < 256; ++i) {
    schema["allOf"].push_back({{"items", true}});
  }
  for (size_t i = 0; i < 30000; ++i) {
    schema["allOf"][0]["prefixItems"].push_back(true);
  }
  ExpectRefused(CostOfSchema(schema), "'#/allOf/0", kBytes);
}

// The pointers of all places below the long name contain it.
TEST(GrammarBudget, LongNamesFit) {
  OrderedJson inner;
  OrderedJson& properties = inner["properties"];
  for (size_t i = 0; i < 5000; ++i) {
    AddMember(Name("p", i), {{"type", "null"}}, properties);
  }
  OrderedJson schema;
  schema["properties"][std::string(500000, 'x')] = inner;
  const Cost cost = CostOfSchema(schema);
  EXPECT_EQ(cost.error, "OK");
  ExpectWithin(cost);
}

TEST(GrammarBudget, LargeEnumsFit) {
  OrderedJson schema;
  for (size_t i = 0; i < 50000; ++i) schema["enum"].push_back(Name("v", i));
  const Cost cost = CostOfSchema(schema);
  EXPECT_EQ(cost.error, "OK");
  ExpectWithin(cost);
}

// Names of additional properties must differ from all listed names.
TEST(GrammarBudget, ExcludedNamesAreRefused) {
  OrderedJson schema = {{"additionalProperties", true}};
  for (size_t i = 0; i < 200; ++i) {
    schema["properties"][Name("", i) + std::string(4000, 'x')] = true;
  }
  ExpectRefused(CostOfSchema(schema), "'#", kSteps);
}

TEST(GrammarBudget, OptionalPartsAreRefused) {
  std::string optional;
  for (size_t i = 0; i < 30000; ++i) optional += "a?";
  ExpectRefused(CostOfRegex("x(" + optional + ")*"),
                "byte 1 of the expression: ", kBytes);
  OrderedJson schema = {
      {"properties", {{"a", {{"pattern", "(" + optional + ")*"}}}}}};
  ExpectRefused(CostOfSchema(schema),
                "'#/properties/a/pattern': byte 0 of the expression: ", kBytes);
}

TEST(GrammarBudget, NestedCountsStayWithin) {
  std::string nested = "a?";
  for (size_t i = 0; i < 90; ++i) nested = "(" + nested + "){0,1000}b?c?";
  ExpectWithin(CostOfRegex(nested));
  nested = "[a-c]";
  for (size_t i = 0; i < 90; ++i) nested = "(" + nested + "|x?){2,1000000}";
  ExpectWithin(CostOfRegex(nested));
}

// Sorting a class must not take quadratic time.
TEST(GrammarBudget, LargeClassesStayWithin) {
  std::string characters = "[";
  for (uint32_t c = 0x4E00; c < 0x4E00 + 2 * 10000; c += 2) {
    AppendUtf8(c, characters);
  }
  characters += "]";
  const Cost cost = CostOfRegex(characters);
  EXPECT_EQ(cost.error, "OK");
  ExpectWithin(cost);
  ExpectWithin(CostOfRegex(characters + "\\P"));
}

// With any limit, a compile either finishes or fails with an error that names
// the limit.
TEST(GrammarBudget, EveryLimitIsKept) {
  const OrderedJson schema = {
      {"type", "object"},
      {"properties",
       {{"a", {{"type", "integer"}, {"minimum", 0}}},
        {"b", {{"enum", {"x", "y", {1, 2}}}}},
        {"c", {{"oneOf", {{{"const", 1}}, {{"type", "null"}}}}}},
        {"d", {{"$ref", "#"}}},
        {"e", {{"type", "string"}, {"pattern", "^(a?b?){3}[^x]$"}}}}},
      {"additionalProperties", true}};
  const Cost all = CostOfSchema(schema);
  ASSERT_EQ(all.error, "OK");
  for (size_t steps = 0; steps < all.steps; steps += 1 + steps / 50) {
    EXPECT_THAT(
        CostOfSchema(schema, {.steps = steps}).error,
        AllOf(StartsWith("'#"),
              HasSubstr("more than " + std::to_string(steps) + " steps")));
  }
  for (size_t bytes = 0; bytes < all.bytes; bytes += 1 + bytes / 50) {
    EXPECT_THAT(
        CostOfSchema(schema, {.bytes = bytes}).error,
        AllOf(StartsWith("'#"),
              HasSubstr("more than " + std::to_string(bytes) + " bytes")));
  }
  EXPECT_EQ(
      CostOfSchema(schema, {.steps = all.steps, .bytes = all.bytes}).error,
      "OK");
}

TEST(GrammarBudget, ZeroBudgetIsHarmless) {
  ByteGrammar grammar({.steps = 0, .bytes = 0});
  const uint32_t rule = grammar.NewRule();
  grammar.SetRule(rule, grammar.Text("a"));
  EXPECT_EQ(ErrorOf(grammar.Finish(grammar.Rule(rule))),
            "compiling takes more than 0 steps, wanted a smaller grammar");
}

}  // namespace
}  // namespace gemma::internal
