// Weights that are NaN or infinite end answers with an error, wherever they are
// in the model.

#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/checkpoint.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

const std::vector<TokenId> kPrompt = {2, 9, 33, 7, 120};

std::string PathOf(const std::string& name) {
  return ToyPath("../gguf/" + name + ".gguf");
}

// Writes a copy of the file in which one value of the F32 tensor is `bad`.
// Returns its path.
std::string WithValue(const Checkpoint& checkpoint, const Tensor& tensor,
                      size_t index, float bad) {
  const absl::Span<const uint8_t> bytes = checkpoint.files[0].bytes();
  Bytes copy(bytes.begin(), bytes.end());
  std::memcpy(copy.data() + (tensor.data - bytes.data()) + 4 * index, &bad, 4);
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, copy);
  return path;
}

// Scores two tokens after the prompt.
absl::Status ScoreStatus(const std::string& path, LoadOptions options = {}) {
  options.num_threads = 1;
  Session session = NewSession(LoadOrDie(path, options));
  const std::vector<TokenId> choice = {5, 6};
  const absl::Status status = Score(session, kPrompt, {choice}).status();
  EXPECT_EQ(session.position(), 0u);
  return status;
}

// Each tensor of the first blocks, so that the model computes on with the bad
// value in it.
TEST(NotFinite, FoundInEveryTensor) {
  for (const char* name : {"gemma", "gemma2", "gemma3", "recurrent_gemma",
                           "gemma3n", "gemma4_e2b"}) {
    const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(PathOf(name));
    ASSERT_EQ(ErrorOf(checkpoint), "OK");
    for (const auto& [tensor_name, tensor] : checkpoint->tensors) {
      const std::string_view where = tensor_name;
      if (where.starts_with("blk.") && !where.starts_with("blk.0.") &&
          !where.starts_with("blk.2.")) {
        continue;
      }
      // Only rows of tokens in the text are read of the table, and the reader
      // compares the factors with the rule that they state.
      if (where == "per_layer_token_embd.weight" ||
          where == "rope_freqs.weight") {
        continue;
      }
      for (const float bad : {NAN, INFINITY}) {
        const std::string path =
            WithValue(*checkpoint, tensor, tensor.NumValues() / 2, bad);
        EXPECT_THAT(
            ErrorOf(ScoreStatus(path)),
            AllOf(HasSubstr("the model's logits are not finite ("),
                  EndsWith(absl::StrCat("tensor '", where,
                                        "' has a value that is not finite"))))
            << name << " " << where << " " << bad;
      }
    }
  }
}

// Rounding activations to int8 must not hide a NaN.
TEST(NotFinite, FoundInRoundedActivations) {
  const absl::StatusOr<Checkpoint> checkpoint =
      OpenCheckpoint(PathOf("gemma3_mixed"));
  ASSERT_EQ(ErrorOf(checkpoint), "OK");
  size_t tried = 0;
  for (const auto& [name, tensor] : checkpoint->tensors) {
    if (tensor.format != Format::kF32 || tensor.shape.size() != 1) continue;
    ++tried;
    for (const float bad : {NAN, INFINITY}) {
      const std::string path = WithValue(*checkpoint, tensor, 3, bad);
      EXPECT_THAT(ErrorOf(ScoreStatus(path)), HasSubstr("not finite"))
          << name << " " << bad;
    }
  }
  EXPECT_GT(tried, 8u);
}

// The calls that answer, with greedy and with random choices.
class NotFiniteAnswer : public ::testing::Test {
 protected:
  static Model Damaged() {
    const absl::StatusOr<Checkpoint> checkpoint =
        OpenCheckpoint(PathOf("gemma_fill"));
    const Tensor& tensor = checkpoint->tensors.at("blk.0.ffn_up.weight");
    return LoadOrDie(WithValue(*checkpoint, tensor, 0, NAN), {});
  }
};

TEST_F(NotFiniteAnswer, GenerateFails) {
  const Model model = Damaged();
  Session session = NewSession(model);
  for (const float temperature : {0.0f, 1.0f}) {
    for (const bool reports : {false, true}) {
      GenerateOptions options;
      options.sampling.temperature = temperature;
      options.max_new_tokens = 4;
      if (reports) options.on_token = [](const ScoredToken&) {};
      options.score_prompt = reports;
      const auto stats = Generate(session, kPrompt, options,
                                  [](std::string_view) { return true; });
      EXPECT_THAT(ErrorOf(stats), HasSubstr("not finite (position "));
      EXPECT_EQ(ReasonOf(stats.status()), ErrorReason::kNotFinite);
      // The session can go back and be used again.
      EXPECT_EQ(ErrorOf(session.Rewind(0)), "OK");
    }
  }
}

TEST_F(NotFiniteAnswer, EngineFails) {
  absl::StatusOr<Engine> engine = Engine::Create(Damaged(), {});
  ASSERT_EQ(ErrorOf(engine), "OK");
  for (const bool scored : {false, true}) {
    Request request;
    request.prompt = kPrompt;
    request.options.max_new_tokens = 4;
    if (scored) request.options.on_token = [](const ScoredToken&) {};
    request.options.score_prompt = scored;
    absl::StatusOr<Ticket> ticket = engine->Submit(std::move(request));
    ASSERT_EQ(ErrorOf(ticket), "OK");
    EXPECT_THAT(ErrorOf(ticket->Wait()), HasSubstr("not finite"));
  }
}

// A bad row of the head is found even by an answer that chooses other tokens.
TEST_F(NotFiniteAnswer, BadHeadRow) {
  const absl::StatusOr<Checkpoint> checkpoint =
      OpenCheckpoint(PathOf("gemma_fill"));
  const Tensor& table = checkpoint->tensors.at("token_embd.weight");
  const std::string path =
      WithValue(*checkpoint, table, 300 * table.shape[1], NAN);
  Session session = NewSession(LoadOrDie(path, {}));
  GenerateOptions options;
  options.sampling.temperature = 0.0f;
  EXPECT_THAT(ErrorOf(Generate(session, kPrompt, options,
                               [](std::string_view) { return true; })),
              HasSubstr("not finite (position 5)"));
}

// One sign of an infinite weight makes the only bad logit -infinity.
TEST_F(NotFiniteAnswer, InfiniteHeadRow) {
  for (const char* name : {"gemma", "gemma2", "gemma3"}) {
    const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(PathOf(name));
    ASSERT_EQ(ErrorOf(checkpoint), "OK");
    const Tensor& table = checkpoint->tensors.at("token_embd.weight");
    for (const float bad : {INFINITY, -INFINITY}) {
      // The last token, which is not in the prompt.
      const std::string path = WithValue(
          *checkpoint, table, (table.shape[0] - 1) * table.shape[1], bad);
      EXPECT_THAT(ErrorOf(ScoreStatus(path)),
                  EndsWith("(position 5): tensor 'token_embd.weight' has a "
                           "value that is not finite"))
          << name << " " << bad;
    }
  }
}

// Finite weights whose products overflow.
TEST_F(NotFiniteAnswer, OverflowNamesNoTensor) {
  const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(PathOf("gemma"));
  ASSERT_EQ(ErrorOf(checkpoint), "OK");
  const Tensor& norm = checkpoint->tensors.at("output_norm.weight");
  // A large value of the last state, so that the product overflows.
  EXPECT_THAT(ErrorOf(ScoreStatus(WithValue(*checkpoint, norm, 12, 3e38f))),
              EndsWith("all weights are finite"));
}

// Callers of Session::Forward see the logits, and ask why they are NaN.
TEST_F(NotFiniteAnswer, CallersLearnTheTensor) {
  const absl::Status status = NotFiniteError(Damaged(), "row 7 of a.npy");
  EXPECT_EQ(ErrorOf(status),
            "row 7 of a.npy: tensor 'blk.0.ffn_up.weight' has a value that is "
            "not finite");
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_EQ(ReasonOf(status), ErrorReason::kNotFinite);
  const Model sound = LoadOrDie(PathOf("gemma_fill"), {});
  EXPECT_EQ(ErrorOf(NotFiniteError(sound, "x")), "x: all weights are finite");
}

}  // namespace
}  // namespace gemma::internal
