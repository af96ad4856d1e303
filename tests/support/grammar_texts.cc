#include "tests/support/grammar_texts.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <string_view>

#include "gtest/gtest.h"
#include "src/grammar/automaton.h"
#include "src/grammar/grammar_impl.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

std::string OutputOf(const std::string& command) {
  std::string output;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "cannot run " + command;
  std::array<char, 4096> part;
  while (const size_t size = fread(part.data(), 1, part.size(), pipe)) {
    output.append(part.data(), size);
  }
  if (pclose(pipe) != 0 && output.empty()) output = "failed: " + command;
  return output;
}

}  // namespace

bool Matches(const Grammar& grammar, std::string_view text) {
  const absl::StatusOr<bool> matches = grammar.Matches(text);
  EXPECT_TRUE(matches.ok()) << matches.status();
  return matches.value_or(false);
}

std::string RandomText(const Grammar& grammar, std::mt19937_64& random,
                       size_t max_bytes) {
  // Bytes that end strings, containers and lists, or begin short values.
  constexpr std::string_view kEnding = "\"}]ntf0";
  Automaton automaton(grammar.impl().bytes);
  Automaton::StateId state = automaton.start();
  std::string text;
  for (;;) {
    const bool tired = text.size() > max_bytes;
    if (automaton.must_end(state)) return text;
    if (automaton.may_end(state) && (tired || random() % 4 == 0)) return text;
    std::string bytes;
    for (size_t byte = 0; byte < 256; ++byte) {
      if (automaton.Step(state, static_cast<uint8_t>(byte)) !=
          Automaton::kDead) {
        bytes.push_back(static_cast<char>(byte));
      }
    }
    if (text.size() > 100 * (max_bytes + 100)) return text;
    if (bytes.empty()) {
      ADD_FAILURE() << "no byte may follow: " << text;
      return text;
    }
    char next = bytes[random() % bytes.size()];
    for (const char ending : kEnding) {
      if (!tired || random() % 2 == 0) break;
      if (bytes.find(ending) == std::string::npos) continue;
      next = ending;
      break;
    }
    text.push_back(next);
    state = automaton.Step(state, static_cast<uint8_t>(next));
  }
}

void Validation::Run() const {
  const std::string path = TestDirectory() + "/texts.jsonl";
  std::ofstream file(path);
  for (const nlohmann::ordered_json& line : lines_) file << line.dump() << '\n';
  file.close();
  EXPECT_EQ(OutputOf("'" GEMMA_PYTHON "' '" GEMMA_SUPPORT_DIR
                     "/validate_texts.py' '" +
                     path + "' 2>&1"),
            "");
}

nlohmann::ordered_json SchemaCases() {
  std::ifstream file(std::string(GEMMA_TESTDATA_DIR) + "/grammar/schemas.json");
  return nlohmann::ordered_json::parse(file);
}

}  // namespace gemma::internal
