// Implements gemma/c_grammar.h.

#include "gemma/c_grammar.h"

#include <utility>

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

namespace gemma::internal {

absl::Status ReadToolRules(const gemma_tool_rules* from, ToolRules& to) {
  gemma_tool_rules read;
  gemma_tool_rules_init(&read, sizeof(read));
  GEMMA_RETURN_IF_ERROR(ReadSized(from, "gemma_tool_rules", read));
  GEMMA_RETURN_IF_ERROR(
      ReadEnum(read.dialect, "dialect", GEMMA_TOOLS_GEMMA4 + 1, to.dialect));
  GEMMA_RETURN_IF_ERROR(ReadEnum(read.choice, "choice",
                                 GEMMA_TOOL_CHOICE_REQUIRED + 1, to.choice));
  to.parallel = read.parallel;
  to.thinking = read.thinking;
  return ReadTexts(read.names, read.num_names, "names", to.names);
}

namespace {

absl::Status ReadTextsOf(const gemma_grammar_source& from, GrammarSource& to) {
  std::vector<std::string> texts;
  GEMMA_RETURN_IF_ERROR(ReadTexts(from.texts, from.num_texts, "texts", texts));
  if (to.kind == GrammarSource::Kind::kChoices) {
    to.choices = std::move(texts);
    return absl::OkStatus();
  }
  const size_t wanted = to.kind == GrammarSource::Kind::kAnyJson ? 0 : 1;
  if (texts.size() != wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat("num_texts is ", texts.size(), ", wanted ", wanted));
  }
  if (wanted == 1) to.text = std::move(texts[0]);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadGrammarSource(const gemma_grammar_source* from,
                               GrammarSource& to) {
  GEMMA_C_REQUIRE(from);
  gemma_grammar_source read = {};
  GEMMA_RETURN_IF_ERROR(ReadSized(from, "gemma_grammar_source", read));
  const unsigned kind = NumberOf(read.kind);
  if (kind < GEMMA_GRAMMAR_JSON || kind > GEMMA_GRAMMAR_TOOLS) {
    return absl::InvalidArgumentError(
        absl::StrCat("kind is ", kind, ", wanted 1 to 5"));
  }
  to.kind = static_cast<GrammarSource::Kind>(kind - GEMMA_GRAMMAR_JSON);
  GEMMA_RETURN_IF_ERROR(ReadTextsOf(read, to));
  if (read.rules == nullptr) return absl::OkStatus();
  if (to.kind != GrammarSource::Kind::kTools) {
    return absl::InvalidArgumentError(
        "rules are set, wanted null for a grammar without tools");
  }
  return ReadToolRules(read.rules, to.rules);
}

}  // namespace gemma::internal

using gemma::internal::Reported;

void gemma_tool_rules_init(gemma_tool_rules* rules, size_t size) {
  const gemma::ToolRules defaults;
  gemma::internal::InitSized(
      rules, size,
      {.parallel = defaults.parallel, .thinking = defaults.thinking});
}

void gemma_grammar_source_init(gemma_grammar_source* source, size_t size) {
  gemma::internal::InitSized(source, size, {});
}

gemma_status gemma_grammar_compile(const gemma_grammar_source* source,
                                   gemma_compiled_grammar** grammar) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(source);
    GEMMA_C_REQUIRE(grammar);
    gemma::GrammarSource read;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadGrammarSource(source, read));
    GEMMA_ASSIGN_OR_RETURN(auto compiled, gemma::Grammar::FromSource(read));
    *grammar = new gemma_compiled_grammar{std::move(compiled)};
    return absl::OkStatus();
  });
}

void gemma_compiled_grammar_free(gemma_compiled_grammar* grammar) {
  delete grammar;
}

gemma_status gemma_compiled_grammar_matches(
    const gemma_compiled_grammar* grammar, const char* text, size_t text_size,
    bool* matches) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(grammar);
    if (text_size != 0) GEMMA_C_REQUIRE(text);
    GEMMA_C_REQUIRE(matches);
    GEMMA_ASSIGN_OR_RETURN(*matches,
                           grammar->grammar.Matches({text, text_size}));
    return absl::OkStatus();
  });
}

uint64_t gemma_compiled_grammar_bytes(const gemma_compiled_grammar* grammar) {
  return grammar == nullptr ? 0 : grammar->grammar.bytes();
}
