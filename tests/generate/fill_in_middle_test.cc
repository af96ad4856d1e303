// Compares the answers of a toy with CodeGemma's markers with transformers';
// see tools/reference/fill_toys.py.

#include "gemma/fill_in_middle.h"

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gemma/gemma.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::nlohmann::json;
using ::testing::UnorderedElementsAre;

json Cases() {
  std::ifstream file(ToyPath("gemma_fill") + "/fill.json");
  return json::parse(file);
}

std::vector<TokenId> Prompt(const FillInMiddle& fill, const json& gap) {
  const auto text = [](const json& value) -> std::string_view {
    return value.get_ref<const std::string&>();
  };
  std::vector<SourceFile> files;
  for (const json& file : gap["files"]) {
    files.push_back({text(file[0]), text(file[1])});
  }
  const auto prompt = fill.Prompt({.prefix = text(gap["prefix"]),
                                   .suffix = text(gap["suffix"]),
                                   .path = text(gap["path"]),
                                   .files = files});
  EXPECT_EQ(ErrorOf(prompt), "OK");
  return *prompt;
}

struct Filled {
  std::string text;
  std::vector<TokenId> tokens;
  GenerateStats stats;
};

class FillInMiddleModel : public ::testing::TestWithParam<std::string> {
 protected:
  Filled Fill(const json& gap, const GenerateOptions& options) const {
    Session session = NewSession(model_);
    const std::vector<TokenId> prompt = Prompt(fill_, gap);
    Filled filled;
    const auto stats =
        Generate(session, prompt, options, [&](std::string_view text) {
          filled.text += text;
          return true;
        });
    EXPECT_EQ(ErrorOf(stats), "OK");
    filled.stats = *stats;
    filled.tokens.assign(session.tokens().begin() + prompt.size(),
                         session.tokens().end());
    return filled;
  }

  GenerateOptions Greedy() const {
    GenerateOptions options;
    options.sampling.temperature = 0;
    options.max_new_tokens = 40;
    options.stop_tokens = fill_.stop_tokens();
    return options;
  }

  const Model model_ = LoadExact(GEMMA_TESTDATA_DIR "/" + GetParam());
  const FillInMiddle fill_ = *FillInMiddle::Create(**model_.tokenizer());
  const json cases_ = Cases();
};

INSTANTIATE_TEST_SUITE_P(Files, FillInMiddleModel,
                         ::testing::Values("models/gemma_fill",
                                           "gguf/gemma_fill.gguf"),
                         [](const auto& path) {
                           return path.index == 0 ? "HuggingFace" : "Gguf";
                         });

TEST_P(FillInMiddleModel, PromptsEqualTransformers) {
  for (const json& gap : cases_) {
    EXPECT_EQ(json(Prompt(fill_, gap)), gap["prompt"]) << gap["prefix"];
  }
}

TEST_P(FillInMiddleModel, AnswersEqualTransformers) {
  std::set<std::string> stops;
  for (const json& gap : cases_) {
    SCOPED_TRACE(gap["stop"]);
    for (const Speculation speculation :
         {Speculation::kOff, Speculation::kAuto}) {
      GenerateOptions options = Greedy();
      options.speculation = speculation;
      const Filled filled = Fill(gap, options);
      EXPECT_EQ(json(filled.text), gap["text"]);
      EXPECT_EQ(json(filled.tokens), gap["answer"]);
      EXPECT_EQ(filled.stats.stop_reason, StopReason::kStopToken);
    }
    stops.insert(gap["stop"]);
  }
  EXPECT_THAT(stops,
              UnorderedElementsAre("<eos>", "<|fim_prefix|>", "<|fim_suffix|>",
                                   "<|fim_middle|>", "<|file_separator|>"));
}

// Without stop_tokens, only <eos> ends the same answers.
TEST_P(FillInMiddleModel, MarkersNeedStopTokens) {
  for (const json& gap : cases_) {
    GenerateOptions options = Greedy();
    options.stop_tokens.clear();
    const Filled filled = Fill(gap, options);
    if (gap["stop"] == "<eos>") {
      EXPECT_EQ(json(filled.tokens), gap["answer"]);
      continue;
    }
    ASSERT_GT(filled.tokens.size(), gap["answer"].size());
    const TokenId next = filled.tokens[gap["answer"].size()];
    EXPECT_EQ(json((*model_.tokenizer())->Piece(next)), gap["stop"]);
  }
}

// The engine chooses and ends as Generate does.
TEST_P(FillInMiddleModel, TheEngineStopsToo) {
  absl::StatusOr<Engine> engine = Engine::Create(model_, {.max_tokens = 256});
  ASSERT_EQ(ErrorOf(engine), "OK");
  for (const json& gap : cases_) {
    const absl::StatusOr<Ticket> ticket =
        engine->Submit({.prompt = Prompt(fill_, gap), .options = Greedy()});
    ASSERT_EQ(ErrorOf(ticket), "OK");
    ASSERT_EQ(ErrorOf(ticket->Wait()), "OK");
    EXPECT_EQ(json(ticket->Wait()->text), gap["text"]);
    EXPECT_EQ(json(ticket->Wait()->tokens), gap["answer"]);
  }
}

TEST_P(FillInMiddleModel, AnyMarkerEndsAnswer) {
  for (const TokenId stop : fill_.stop_tokens()) {
    GenerateOptions options = Greedy();
    options.sampling.logit_bias = {{stop, 1000.0f}};
    const Filled filled = Fill(cases_[0], options);
    EXPECT_EQ(filled.text, "");
    EXPECT_EQ(filled.stats.new_tokens, 0u);
    EXPECT_EQ(filled.stats.stop_reason, StopReason::kStopToken);
  }
}

}  // namespace
}  // namespace gemma::internal
