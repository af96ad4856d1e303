// Tokenizers and grammars.

#include <string>
#include <string_view>
#include <vector>

#include "src/base/json.h"
#include "src/grammar/automaton.h"
#include "src/grammar/grammar_impl.h"
#include "src/text/tokenizer/vocabulary.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/targets.h"

namespace gemma::internal {
namespace {

// A directory with the least that a model has beside its tokenizer.
class TokenizerFolder {
 public:
  TokenizerFolder() {
    folder_.Write("config.json", R"({"model_type": "gemma"})");
    constexpr std::string_view kNoTensors = "{}";
    std::string weights(8, '\0');
    weights[0] = kNoTensors.size();
    weights += kNoTensors;
    folder_.Write("model.safetensors", weights);
  }

  // Loads the tokenizer of these files and runs it on `text`.
  bool LoadAndRun(const InputFiles& files, std::string_view text) {
    WriteInput(files, folder_, {"config.json", "model.safetensors"});
    const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(folder_.path());
    if (!tokenizer.ok()) {
      RequireBlame(tokenizer.status(), folder_.path());
      return false;
    }
    RunTokenizer(*tokenizer, text);
    return true;
  }

 private:
  InputFolder folder_;
};

// Follows a grammar along bytes that the hash chooses, and requires what the
// grammar promises: a way to go on from every prefix, and that it accepts the
// texts that it writes.
bool RunGrammar(const absl::StatusOr<Grammar>& grammar, uint64_t hash) {
  if (!grammar.ok()) {
    RequireBlame(grammar.status());
    return false;
  }
  constexpr size_t kMaxBytes = 24;
  Automaton automaton(grammar->impl().bytes);
  Automaton::StateId state = automaton.start();
  std::string text;
  while (text.size() < kMaxBytes && !automaton.overflowed() &&
         !automaton.must_end(state)) {
    hash = hash * 6364136223846793005 + 1442695040888963407;
    auto byte = static_cast<uint8_t>(hash >> 56);
    size_t tried = 0;
    while (tried < 256 && automaton.Step(state, byte) == Automaton::kDead) {
      ++byte;
      ++tried;
    }
    if (automaton.overflowed()) break;
    Require(tried < 256, "a byte that may follow");
    text.push_back(static_cast<char>(byte));
    state = automaton.Step(state, byte);
    automaton.Trim(state);
  }
  if (automaton.overflowed()) {
    RequireBlame(automaton.status());
    return true;
  }
  const absl::StatusOr<bool> matches = grammar->Matches(text);
  if (!matches.ok()) {
    RequireBlame(matches.status());
  } else {
    Require(*matches == automaton.may_end(state), "the same answer twice");
  }
  return true;
}

}  // namespace

bool FuzzTokenizerJson(absl::Span<const uint8_t> input) {
  static TokenizerFolder folder;
  const InputFiles files = SplitInput(
      TextOf(input), {"tokenizer.json", "tokenizer_config.json",
                      "special_tokens_map.json", "added_tokens.json"});
  for (const auto& [name, contents] : files) {
    // Most inputs end here, without writing files.
    const std::vector<char> exact(contents.begin(), contents.end());
    const auto json = Json::Parse({exact.data(), exact.size()}, name);
    if (!json.ok()) {
      RequireBlame(json.status(), name);
      return false;
    }
  }
  return folder.LoadAndRun(files, TextOf(input));
}

bool FuzzTokenizerModel(absl::Span<const uint8_t> input) {
  static TokenizerFolder folder;
  const InputFiles files =
      SplitInput(TextOf(input), {"tokenizer.model", "tokenizer.json",
                                 "tokenizer_config.json", "added_tokens.json"});
  for (const auto& [name, contents] : files) {
    if (name != "tokenizer.model") continue;
    const std::vector<uint8_t> exact(contents.begin(), contents.end());
    const auto vocabulary = VocabularyFromModelProto(exact, name);
    if (!vocabulary.ok()) {
      RequireBlame(vocabulary.status(), name);
      return false;
    }
  }
  return folder.LoadAndRun(files, TextOf(input));
}

bool FuzzJsonSchema(absl::Span<const uint8_t> input) {
  return RunGrammar(Grammar::FromJsonSchema(TextOf(input)), HashOf(input));
}

bool FuzzRegex(absl::Span<const uint8_t> input) {
  return RunGrammar(Grammar::FromRegex(TextOf(input)), HashOf(input));
}

}  // namespace gemma::internal
