#include "tests/serve/tool_toys.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

Model FunctionGemmaToy() {
  static const Model* model =
      new Model(LoadFunctionGemmaToy({.num_threads = kToyThreads}));
  return *model;
}

// Whether the arguments of a call are valid by its tool's schema.
bool AreValid(const std::string& name, const std::string& text) {
  if (!ServeJson::accept(text)) return false;
  const ServeJson a = ServeJson::parse(text);
  if (name == "now") return a == ServeJson::object();
  if (name != "look_up") return false;
  const std::set<std::string> known = {"unit", "city", "days", "ok",
                                       "code", "at",   "in"};
  for (const auto& [key, value] : a.items()) {
    if (!known.contains(key)) return false;
  }
  for (const char* key : {"unit", "city", "code", "in"}) {
    if (!a.contains(key)) return false;
  }
  const ServeJson units = {"c", "f\"", nullptr, 2.5, true};
  const auto is_unit = [&](const ServeJson& unit) { return unit == a["unit"]; };
  size_t characters = 0;
  for (const char c : a["city"].get<std::string>()) {
    characters += (c & 0xC0) != 0x80 ? 1 : 0;
  }
  const std::string code = a["code"].get<std::string>();
  bool valid = std::any_of(units.begin(), units.end(), is_unit) &&
               characters <= 6 && code.size() == 5 && code[2] == '-' &&
               std::isupper(code[0]) && std::isdigit(code[4]) &&
               a["in"].size() == 2 && a["in"].at("x").is_null() &&
               a["in"].at("odd, key:") == "v";
  if (a.contains("days")) {
    valid = valid && a["days"].is_number_integer() && a["days"] >= 2 &&
            a["days"] <= 14;
  }
  if (a.contains("ok")) valid = valid && a["ok"].is_boolean();
  if (!a.contains("at")) return valid;
  for (const ServeJson& part : a["at"]) {
    valid = valid && part.is_number() && part >= -5 && part <= 5;
  }
  return valid && !a["at"].empty() && a["at"].size() <= 2;
}

}  // namespace

Model LoadFunctionGemmaToy(const LoadOptions& options) {
  const std::filesystem::path from = ToyPath("gemma4_chat");
  const std::filesystem::path to =
      std::filesystem::path(::testing::TempDir()) /
      absl::StrCat("function_gemma_toy_", getpid());
  std::filesystem::create_directories(to);
  for (const char* name :
       {"config.json", "generation_config.json", "model.safetensors",
        "tokenizer_config.json", "tokenizer.json"}) {
    std::ostringstream bytes;
    bytes << std::ifstream(from / name, std::ios::binary).rdbuf();
    const std::string text =
        name[0] == 'm' ? bytes.str()
                       : absl::StrReplaceAll(
                             bytes.str(),
                             {{"<|tool>", "<start_function_declaration>"},
                              {"<tool|>", "<end_function_declaration>"},
                              {"<|tool_call>", "<start_function_call>"},
                              {"<tool_call|>", "<end_function_call>"},
                              {"<|tool_response>", "<start_function_response>"},
                              {"<tool_response|>", "<end_function_response>"},
                              {"<|\\\"|>", "<escape>"},
                              {"<|turn>", "<start_of_turn>"},
                              {"<turn|>", "<end_of_turn>"}});
    std::ofstream(to / name, std::ios::binary) << text;
  }
  Model model = LoadOrDie(to.string(), options);
  std::filesystem::remove_all(to);
  return model;
}

ServeJson UserAsks(const std::string& text) {
  return ServeJson::array({{{"role", "user"}, {"content", text}}});
}

ServeJson Tools() {
  return ServeJson::parse(R"([
    {"type": "function", "function": {"name": "look_up", "description": "Looks",
     "strict": true, "parameters": {"type": "object",
      "properties": {
       "unit": {"enum": ["c", "f\"", null, 2.5, true]},
       "city": {"type": "string", "maxLength": 6},
       "days": {"type": "integer", "minimum": 2, "maximum": 14},
       "ok": {"type": "boolean"},
       "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{2}$"},
       "at": {"type": "array", "items": {"$ref": "#/$defs/part"},
              "minItems": 1, "maxItems": 2},
       "in": {"type": "object", "required": ["x", "odd, key:"],
              "properties": {"x": {"type": "null"},
                             "odd, key:": {"const": "v"}}}},
      "$defs": {"part": {"type": "number", "minimum": -5, "maximum": 5}},
      "required": ["unit", "city", "code", "in"]}}},
    {"type": "function", "function": {"name": "now"}}])");
}

size_t CheckCalls(const ServeJson& choice) {
  const ServeJson calls =
      choice["message"].value("tool_calls", ServeJson::array());
  std::set<std::string> ids;
  for (const ServeJson& call : calls) {
    EXPECT_EQ(call["type"], "function");
    ids.insert(call["id"].get<std::string>());
    EXPECT_TRUE(AreValid(call["function"]["name"].get<std::string>(),
                         call["function"]["arguments"].get<std::string>()))
        << call;
  }
  EXPECT_EQ(ids.size(), calls.size());
  return calls.size();
}

std::vector<Dialect> Dialects() {
  std::vector<Dialect> dialects = {{"gemma4", Gemma4Toy()},
                                   {"functiongemma", FunctionGemmaToy()},
                                   {"json", Gemma3Toy()}};
  const char* tokens[] = {"<|tool_call>", "<start_function_call>", "{"};
  for (size_t i = 0; i < dialects.size(); ++i) {
    const Tokenizer& tokenizer = **dialects[i].model.tokenizer();
    dialects[i].call =
        tokenizer.Encode(tokens[i], ControlTokens::kParse)->back();
  }
  return dialects;
}

}  // namespace gemma::internal
