// JSON schemas: an independent validator accepts every text that a grammar
// writes. Keywords that cannot be enforced are refused.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/grammar.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/error_of.h"
#include "tests/support/grammar_texts.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using OrderedJson = nlohmann::ordered_json;

Grammar FromSchema(const OrderedJson& schema) {
  absl::StatusOr<Grammar> grammar = Grammar::FromJsonSchema(schema.dump());
  EXPECT_EQ(ErrorOf(grammar), "OK") << schema;
  return grammar.ok() ? *std::move(grammar) : Grammar::AnyJson();
}

std::string SchemaError(std::string_view schema) {
  return ErrorOf(Grammar::FromJsonSchema(schema));
}

TEST(JsonSchema, AgreesWithValidator) {
  Validation validation;
  for (const OrderedJson& c : SchemaCases()) {
    SCOPED_TRACE(c["schema"].dump());
    const Grammar grammar = FromSchema(c["schema"]);
    for (const std::string list : {"accepted", "rejected", "unwritten"}) {
      for (const std::string text : c[list]) {
        const bool matches = Matches(grammar, text);
        EXPECT_EQ(matches, list == "accepted") << list << ": " << text;
        // The validator does not know all formats.
        OrderedJson expected = list != "rejected";
        if (c["schema"].contains("format")) expected = nullptr;
        validation.Add({{"schema", c["schema"]},
                        {"text", text},
                        {"matches", matches},
                        {"exact", false},
                        {"valid", expected}});
      }
    }
  }
  validation.Run();
}

// Matches the texts of all cases against every schema.
TEST(JsonSchema, AgreesOnOtherTexts) {
  std::vector<std::string> texts;
  for (const OrderedJson& c : SchemaCases()) {
    for (const std::string text : c["accepted"]) {
      // The validator takes 1.0 for an integer, but a grammar never writes
      // integers so.
      if (text.find_first_of(".E") == std::string::npos &&
          text.find("e+") == std::string::npos && text != "-0") {
        texts.push_back(text);
      }
    }
  }
  Validation validation;
  for (const OrderedJson& c : SchemaCases()) {
    const Grammar grammar = FromSchema(c["schema"]);
    for (const std::string& text : texts) {
      validation.Add({{"schema", c["schema"]},
                      {"text", text},
                      {"matches", Matches(grammar, text)},
                      {"exact", !c["subset"].get<bool>()},
                      {"valid", nullptr}});
    }
  }
  validation.Run();
}

TEST(JsonSchema, RandomTextsAreValid) {
  std::mt19937_64 random(1);
  Validation validation;
  for (const OrderedJson& c : SchemaCases()) {
    SCOPED_TRACE(c["schema"].dump());
    const Grammar grammar = FromSchema(c["schema"]);
    for (size_t i = 0; i < 50; ++i) {
      const std::string text = RandomText(grammar, random);
      EXPECT_TRUE(Matches(grammar, text)) << text;
      validation.Add({{"schema", c["schema"]},
                      {"text", text},
                      {"matches", true},
                      {"exact", false},
                      {"valid", true}});
    }
  }
  validation.Run();
}

// Numbers of many lengths, near their limits.
TEST(JsonSchema, RangesAreExact) {
  std::mt19937_64 random(2);
  const auto number = [&](int digits, int point) {
    int64_t value = 1;
    for (int i = 0; i < digits; ++i) value *= 10;
    value = static_cast<int64_t>(random() % (2 * value + 1)) - value;
    OrderedJson json = value;
    if (point > 0) {
      double scaled = static_cast<double>(value);
      for (int i = 0; i < point; ++i) scaled /= 10;
      json = scaled;
    }
    return json;
  };
  Validation validation;
  for (int trial = 0; trial < 200; ++trial) {
    const int digits = 1 + static_cast<int>(random() % 6);
    const int point = trial % 2 == 0 ? 0 : static_cast<int>(random() % 4);
    OrderedJson least = number(digits, point);
    OrderedJson most = number(digits, point);
    if (least.get<double>() > most.get<double>()) std::swap(least, most);
    OrderedJson schema = {{"type", trial % 2 == 0 ? "integer" : "number"}};
    if (random() % 8 != 0) {
      schema[random() % 2 == 0 ? "minimum" : "exclusiveMinimum"] = least;
    }
    if (random() % 8 != 0) {
      schema[random() % 2 == 0 ? "maximum" : "exclusiveMaximum"] = most;
    }
    const auto grammar = Grammar::FromJsonSchema(schema.dump());
    const auto add = [&](const std::string& text, bool exact) {
      validation.Add({{"schema", schema},
                      {"text", text},
                      {"matches", grammar.ok() && Matches(*grammar, text)},
                      {"exact", exact},
                      {"valid", nullptr}});
    };
    for (int i = 0; i < 20; ++i) {
      add(number(digits, point).dump(), trial % 2 == 0);
      if (grammar.ok()) add(RandomText(*grammar, random, 10), false);
    }
    add(least.dump(), trial % 2 == 0);
    add(most.dump(), trial % 2 == 0);
  }
  validation.Run();
}

TEST(JsonSchema, RefusesUnenforcedKeywords) {
  struct Case {
    const char* schema;
    const char* pointer;
  };
  const Case cases[] = {
      {R"({"not":{}})", "'#/not'"},
      {R"({"if":{},"then":{}})", "'#/if'"},
      {R"({"properties":{"a":{"uniqueItems":true}}})",
       "'#/properties/a/uniqueItems'"},
      {R"({"contains":{}})", "'#/contains'"},
      {R"({"patternProperties":{"a":{}}})", "'#/patternProperties'"},
      {R"({"propertyNames":{}})", "'#/propertyNames'"},
      {R"({"dependentRequired":{}})", "'#/dependentRequired'"},
      {R"({"unevaluatedProperties":false})", "'#/unevaluatedProperties'"},
      {R"({"items":{"multipleOf":3}})", "'#/items/multipleOf'"},
      {R"({"minProperties":1})", "'#/minProperties'"},
      {R"({"properties":{"a":{},"b":{}},"maxProperties":1})",
       "'#/maxProperties'"},
      {R"({"nullable":true})", "'#/nullable'"},
      {R"({"requird":["a"]})", "'#/requird'"},
      {R"({"type":"string","format":"phone"})", "'#/format'"},
      {R"({"type":"string","pattern":"a","maxLength":3})", "'#/pattern'"},
      {R"({"allOf":[{"pattern":"a"},{"pattern":"b"}]})", "'#/allOf/1/pattern'"},
      {R"x({"pattern":"(?=a)"})x", "'#/pattern': byte 0"},
      {R"({"enum":["a"],"minLength":1})", "'#/minLength'"},
      {R"({"oneOf":[{"type":"string"},{"maxLength":3}]})", "'#/oneOf/1'"},
      {R"({"oneOf":[{"properties":{"a":{"const":1}}},{"type":"object"}]})",
       "'#/oneOf/1'"},
      {R"({"$ref":"other.json"})", "'#/$ref'"},
      {R"({"$ref":"#/$defs/a"})", "'#/$ref': there is no '#/$defs/a'"},
      {R"({"$ref":"#name"})", "'#/$ref'"},
      {R"({"$ref":"#"})", "refers to itself before it reads any text"},
      {R"({"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"}]}},
           "$ref":"#/$defs/a"})",
       "refers to itself before it reads any text"},
      {R"({"items":{"$id":"x"}})", "'#/items/$id'"},
      {R"({"type":"text"})", "'#/type'"},
      {R"({"type":[1]})", "'#/type'"},
      {R"({"minimum":"0"})", "'#/minimum'"},
      {R"({"type":"number","minimum":0.1234567890123456789})", "15 digits"},
      {R"({"minLength":-1})", "'#/minLength'"},
      {R"({"required":"a"})", "'#/required'"},
      {R"({"properties":[]})", "'#/properties'"},
      {R"({"properties":{"a~/b":1}})", "'#/properties/a~0~1b'"},
      {R"({"items":[{}]})", "'#/items'"},
      {R"({"prefixItems":{}})", "'#/prefixItems'"},
      {R"({"anyOf":[]})", "'#/anyOf'"},
      {R"(5)", "'#': wanted a schema"},
      {R"({"a":1)", "the schema"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(SchemaError(c.schema), HasSubstr(c.pointer)) << c.schema;
  }
}

TEST(JsonSchema, RefusesUnsatisfiableSchemas) {
  for (const char* schema :
       {"false", R"({"enum":[]})", R"({"type":"integer","enum":["a"]})",
        R"({"minLength":3,"maxLength":2,"type":"string"})",
        R"({"type":"integer","minimum":3,"maximum":2})",
        R"({"type":"array","minItems":3,"maxItems":2})",
        R"({"allOf":[{"type":"string"},{"type":"null"}]})",
        R"({"type":"object","properties":{"a":false},"required":["a"]})",
        R"({"type":"object","properties":{"a":{"$ref":"#"}},
            "required":["a"]})",
        R"({"type":"array","minItems":1,"items":{"$ref":"#"}})",
        R"({"type":"string","pattern":"^[^\\s\\S]$"})"}) {
    EXPECT_THAT(SchemaError(schema), StartsWith("no text is allowed"))
        << schema;
  }
}

TEST(JsonSchema, TimeIsBounded) {
  // A chain of references that doubles at each step.
  OrderedJson doubling = {{"$ref", "#/$defs/d0"}};
  for (int i = 0; i < 40; ++i) {
    const std::string next = "#/$defs/d" + std::to_string(i + 1);
    doubling["$defs"]["d" + std::to_string(i)] = {
        {"allOf", {{{"$ref", next}}, {{"$ref", next}}}}};
  }
  doubling["$defs"]["d40"] = {{"type", "null"}};
  EXPECT_TRUE(Matches(FromSchema(doubling), "null"));
  // The same number of alternatives.
  for (int i = 0; i < 40; ++i) {
    OrderedJson& d = doubling["$defs"]["d" + std::to_string(i)];
    d = {{"anyOf", d["allOf"]}};
  }
  EXPECT_THAT(SchemaError(doubling.dump()), HasSubstr("alternatives"));

  OrderedJson deep = {{"type", "null"}};
  for (int i = 0; i < 25; ++i) deep = {{"items", deep}, {"type", "array"}};
  EXPECT_TRUE(Matches(FromSchema(deep), "[[[]]]"));
  std::string deeper;
  for (int i = 0; i < 50000; ++i) deeper += R"({"items":)";
  EXPECT_NE(SchemaError(deeper), "OK");

  OrderedJson wide = {{"type", "object"}, {"additionalProperties", false}};
  for (int i = 0; i < 3000; ++i) {
    wide["properties"]["name" + std::to_string(i)] = {{"type", "null"}};
  }
  const Grammar grammar = FromSchema(wide);
  EXPECT_TRUE(Matches(grammar, R"({"name0":null,"name999":null})"));
  EXPECT_FALSE(Matches(grammar, R"({"name999":null,"name0":null})"));

  // Other names must differ from these.
  OrderedJson open = {{"additionalProperties", true}};
  open["properties"][std::string(4000, 'x')] = true;
  const std::string last(3999, 'x');
  EXPECT_TRUE(Matches(FromSchema(open), "{\"" + last + "y\":1}"));
  open["properties"][std::string(500000, 'x')] = true;
  EXPECT_THAT(SchemaError(open.dump()), HasSubstr("4096 bytes"));

  const Grammar counted = FromSchema(
      {{"type", "string"}, {"minLength", 100000}, {"maxLength", 100002}});
  EXPECT_TRUE(Matches(counted, "\"" + std::string(100001, 'x') + "\""));
  EXPECT_FALSE(Matches(counted, "\"" + std::string(99999, 'x') + "\""));
  EXPECT_FALSE(Matches(counted, "\"" + std::string(100003, 'x') + "\""));
}

// Any truncated or changed text gives an error or a grammar.
TEST(JsonSchema, HostileTextsAreErrors) {
  const std::string schema =
      R"({"type":"object","properties":{"a":{"type":"integer","minimum":-5,)"
      R"("maximum":1e3},"b":{"enum":["x",null]},"c":{"$ref":"#/$defs/s"},)"
      R"("d":{"type":"array","prefixItems":[true],"items":{"anyOf":[{"type":)"
      R"("string","pattern":"^[a-f]{2,3}$"},{"$ref":"#"}]},"maxItems":4}},)"
      R"("required":["a","b"],"$defs":{"s":{"type":"string","maxLength":9}}})";
  ASSERT_EQ(SchemaError(schema), "OK");
  std::mt19937_64 random(3);
  for (size_t size = 0; size < schema.size(); ++size) {
    EXPECT_NE(SchemaError(std::string(schema, 0, size)), "OK");
  }
  for (size_t i = 0; i < schema.size(); ++i) {
    for (const char c :
         {'\0', '"', '9', '}', '\xC3', schema[i] == 'a' ? 'b' : 'a'}) {
      std::string changed = schema;
      changed[i] = c;
      const auto grammar = Grammar::FromJsonSchema(changed);
      if (grammar.ok()) RandomText(*grammar, random, 50);
    }
  }
}

TEST(JsonSchema, AnyJsonMatchesValues) {
  const Grammar any = Grammar::AnyJson();
  std::mt19937_64 random(4);
  Validation validation;
  for (size_t i = 0; i < 300; ++i) {
    validation.Add({{"schema", true},
                    {"text", RandomText(any, random)},
                    {"matches", true},
                    {"exact", false},
                    {"valid", true}});
  }
  validation.Run();
  EXPECT_TRUE(Matches(any, R"({"a": [1, {"b":"\n"}, null], "": -1e3})"));
  EXPECT_FALSE(Matches(any, R"({"a": [1)"));
}

}  // namespace
}  // namespace gemma::internal
