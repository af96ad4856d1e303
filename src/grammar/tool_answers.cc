#include "src/grammar/tool_answers.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/hash_table.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/grammar/characters.h"
#include "src/grammar/json_schema.h"
#include "src/grammar/json_values.h"
#include "src/grammar/schema_parts.h"
#include "src/text/tokenizer/control_names.h"

namespace gemma::internal {
namespace {

constexpr Json::Limits kToolLimits = {.max_bytes = size_t{1} << 20,
                                      .max_depth = 64,
                                      .max_values = size_t{1} << 16};
constexpr size_t kMaxToolNameBytes = 64;
// For values where a schema allows any: readers of calls have limits.
constexpr size_t kMaxAnyDepth = 30;

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxToolNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  c == '_' || c == '-' || c == '.';
         });
}

// Whether the schema of an object allows only the empty one. Without
// additionalProperties, a list of no properties means that.
bool HasNoProperties(const Json& schema) {
  const std::optional<Json> properties = schema.Find("properties");
  if (!properties.has_value() || properties->size() > 0) return false;
  constexpr std::string_view kOthers[] = {"additionalProperties",
                                          "patternProperties",
                                          "required",
                                          "$ref",
                                          "allOf",
                                          "anyOf",
                                          "oneOf",
                                          "const",
                                          "enum"};
  return std::ranges::none_of(
      kOthers, [&](std::string_view keyword) { return schema.Has(keyword); });
}

// Texts before calls that are text themselves, as CallFinder reads them.
class TextBeforeCalls {
 public:
  // `calls`: what follows a "{" or a fence, without it.
  TextBeforeCalls(ExprId calls, ExprId fenced, ByteGrammar& grammar)
      : calls_(calls), fenced_(fenced), grammar_(grammar) {}

  // All texts, with calls where they may begin.
  ExprId Begin() { return StateAt("", /*at_begin=*/true); }

 private:
  struct State {
    std::string held;  // of a line that may become a fence
    bool at_begin;     // of the answer
  };

  // Returns what may follow in a state, perhaps nothing.
  ExprId StateAt(std::string held, bool at_begin) {
    return grammar_.Optional(RuleOf({std::move(held), at_begin}));
  }

  ExprId RuleOf(const State& state) {
    const auto [it, inserted] = rules_.try_emplace(
        absl::StrCat(state.at_begin ? "begin " : "line ", state.held));
    if (!inserted) return it->second;
    const uint32_t rule = grammar_.NewRule();
    const ExprId expr = it->second = grammar_.Rule(rule);
    grammar_.SetRule(rule, NextOf(state));
    return expr;
  }

  ExprId NextOf(const State& state) {
    std::vector<ExprId> alternatives;
    std::vector<CharacterSet::Range> taken = {{'\n', '\n'}};
    const auto take = [&](char c, ExprId rest) {
      taken.push_back({static_cast<uint8_t>(c), static_cast<uint8_t>(c)});
      alternatives.push_back(
          grammar_.Sequence({grammar_.Text(std::string_view(&c, 1)), rest}));
    };
    if (state.at_begin && state.held.empty()) take('{', calls_);
    bool ends_line = false;
    std::string next_ones;
    for (const std::string_view fence : kCallFences) {
      if (!state.at_begin && fence != kLaterFence) continue;
      if (!absl::StartsWith(fence, state.held)) continue;
      const char next = fence[state.held.size()];
      if (next_ones.find(next) != std::string::npos) continue;
      next_ones += next;
      ends_line |= next == '\n';
      const std::string held = state.held + next;
      take(next, held == fence ? fenced_ : StateAt(held, state.at_begin));
    }
    if (!ends_line) take('\n', StateAt("", /*at_begin=*/false));
    alternatives.push_back(
        grammar_.Sequence({OneOf(CharacterSet(std::move(taken)).Complement(),
                                 Writing::kPlain, grammar_),
                           InLine()}));
    return grammar_.Choice(alternatives);
  }

  // The rest of a line that begins no calls.
  ExprId InLine() {
    if (in_line_.has_value()) return *in_line_;
    const ExprId others =
        OneOf(CharacterSet::One('\n').Complement(), Writing::kPlain, grammar_);
    in_line_ = grammar_.Sequence(
        {grammar_.Repeat(others, 0, kNoLimit),
         grammar_.Optional(grammar_.Sequence(
             {grammar_.Text("\n"), StateAt("", /*at_begin=*/false)}))});
    return *in_line_;
  }

  const ExprId calls_;
  const ExprId fenced_;
  ByteGrammar& grammar_;
  HashMap<std::string, ExprId> rules_;
  std::optional<ExprId> in_line_;
};

class AnswerBuilder {
 public:
  AnswerBuilder(const ToolRules& rules, ByteGrammar& grammar)
      : rules_(rules),
        grammar_(grammar),
        values_(grammar,
                rules.dialect == ToolDialect::kJson ? ValueForm::kJson
                                                    : ValueForm::kMarked,
                kMaxAnyDepth) {}

  absl::StatusOr<ExprId> Build(const Json& tools) {
    if (!tools.is_array() || tools.size() == 0) {
      return tools.Unexpected("a list of one tool or more");
    }
    GEMMA_ASSIGN_OR_RETURN(const ExprId calls, NamedArguments(tools));
    return rules_.dialect == ToolDialect::kJson ? JsonAnswer(calls)
                                                : MarkedAnswer(calls);
  }

 private:
  // Between a name and its arguments.
  ExprId AfterName() {
    if (rules_.dialect != ToolDialect::kJson) return grammar_.Empty();
    return grammar_.Sequence({grammar_.Text("\""), values_.comma(),
                              values_.Name("parameters"), values_.colon()});
  }

  // One of the tools that may be called, and its arguments.
  absl::StatusOr<ExprId> NamedArguments(const Json& tools) {
    std::vector<ExprId> choices;
    HashSet<std::string> names;
    for (const Json& tool : tools.Elements()) {
      const std::optional<Json> function = tool.Find("function");
      if (!function.has_value()) {
        return tool.Unexpected("an object with the key 'function'");
      }
      std::string name;
      GEMMA_RETURN_IF_ERROR(function->ReadRequired("name", name));
      const Json place = *function->Find("name");
      if (!IsName(name)) {
        return place.Unexpected(
            "up to 64 letters, digits and the signs _, - and .");
      }
      if (!names.insert(name).second) {
        return place.Unexpected("a name that no other tool has");
      }
      // All schemas are compiled: one that is not enforced is an error, whether
      // the model may call the tool now or not.
      GEMMA_ASSIGN_OR_RETURN(const ExprId arguments, Arguments(*function));
      if (!rules_.names.empty() &&
          std::ranges::find(rules_.names, name) == rules_.names.end()) {
        continue;
      }
      choices.push_back(
          grammar_.Sequence({grammar_.Text(name), AfterName(), arguments}));
    }
    for (const std::string& name : rules_.names) {
      if (names.contains(name)) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "the tool ", Quoted(name), " may be called, but is not declared"));
    }
    return grammar_.Choice(choices);
  }

  absl::StatusOr<ExprId> Arguments(const Json& function) {
    const std::optional<Json> schema = function.Find("parameters");
    const bool has_schema = schema.has_value() && !schema->is_null() &&
                            !(schema->is_object() && schema->size() == 0);
    if (!has_schema) return values_.Object(grammar_.Empty());
    if (!schema->is_object()) return SchemaError(*schema, "wanted an object");
    const std::optional<Json> type = schema->Find("type");
    std::string_view word;
    if (!type.has_value() || !type->Get(word).ok() || word != "object") {
      return SchemaError(*schema, "wanted \"type\": \"object\"");
    }
    if (HasNoProperties(*schema)) return values_.Object(grammar_.Empty());
    return JsonSchema(*schema, values_, grammar_);
  }

  // Any text.
  ExprId Text() {
    return grammar_.Repeat(
        OneOf(CharacterSet::All(), Writing::kPlain, grammar_), 0, kNoLimit);
  }

  ExprId MarkedAnswer(ExprId calls) {
    ByteGrammar& g = grammar_;
    const ExprId call =
        g.Sequence({MarkExpr(Mark::kOpenCall, g), g.Text("call:"), calls,
                    MarkExpr(Mark::kCloseCall, g)});
    const ExprId all = g.Repeat(call, 1, rules_.parallel ? kNoLimit : 1);
    ExprId thoughts = g.Empty();
    if (rules_.dialect == ToolDialect::kGemma4) {
      thoughts = g.Optional(
          g.Sequence({MarkExpr(Mark::kOpenThoughts, g), g.Text("thought\n"),
                      Text(), MarkExpr(Mark::kCloseThoughts, g)}));
    }
    switch (rules_.choice) {
      case ToolChoice::kAuto:
        return g.Sequence({thoughts, Text(), g.Optional(all)});
      case ToolChoice::kNone:
        return g.Sequence({thoughts, Text()});
      case ToolChoice::kRequired:
        break;
    }
    return rules_.thinking ? g.Sequence({thoughts, all}) : all;
  }

  ExprId JsonAnswer(ExprId calls) {
    ByteGrammar& g = grammar_;
    // Without its brace.
    const ExprId call = g.Sequence({values_.Name("name"), values_.colon(),
                                    g.Text("\""), calls, g.Text("}")});
    const ExprId more = g.Sequence({g.Text("\n{"), call});
    const ExprId all =
        g.Sequence({call, g.Repeat(more, 0, rules_.parallel ? kNoLimit : 0)});
    const ExprId fenced = g.Sequence({g.Text("{"), all, g.Text(kFenceEnd)});
    switch (rules_.choice) {
      case ToolChoice::kAuto:
        return TextBeforeCalls(all, fenced, g).Begin();
      case ToolChoice::kNone:
        // Nobody reads calls in it, so JSON is text as well.
        return Text();
      case ToolChoice::kRequired:
        break;
    }
    std::vector<ExprId> choices = {g.Sequence({g.Text("{"), all})};
    for (const std::string_view fence : kCallFences) {
      choices.push_back(g.Sequence({g.Text(fence), fenced}));
    }
    return g.Choice(choices);
  }

  const ToolRules& rules_;
  ByteGrammar& grammar_;
  JsonValues values_;
};

}  // namespace

absl::StatusOr<ExprId> ToolAnswers(std::string_view tools,
                                   const ToolRules& rules,
                                   ByteGrammar& grammar) {
  if (rules.dialect == ToolDialect::kNone) {
    return absl::InvalidArgumentError(
        "the model has no dialect for calls of tools");
  }
  GEMMA_ASSIGN_OR_RETURN(const Json json,
                         Json::Parse(tools, "tools", kToolLimits));
  return AnswerBuilder(rules, grammar).Build(json);
}

std::array<std::string_view, kNumMarks> MarkNames(ToolDialect dialect) {
  if (dialect != ToolDialect::kGemma4 &&
      dialect != ToolDialect::kFunctionGemma) {
    return {};
  }
  const TurnMarks& marks =
      dialect == ToolDialect::kGemma4 ? kGemma4Turns : kGemma3Turns;
  return {marks.tools.open_call, marks.tools.close_call, marks.tools.quote,
          marks.open_channel, marks.close_channel};
}

}  // namespace gemma::internal
