// Functions that a session calls between the passes of a prompt, and that
// append to the session themselves.

#include <cstddef>
#include <string_view>
#include <vector>

#include "gemma/gemma.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

class PassCalls : public ::testing::TestWithParam<const char*> {
 protected:
  const Model model_ =
      LoadSpeakingToy({"", GetParam()}, /*num_threads=*/2, /*chunk=*/4);
  const std::vector<TokenId> prompt_ = std::vector<TokenId>(12, 5);
};

INSTANTIATE_TEST_SUITE_P(Toys, PassCalls,
                         ::testing::Values("gemma2_odd", "gemma3"),
                         [](const auto& test) { return test.param; });

constexpr char kError[] =
    "8 tokens no longer fit: a function that is called after each pass has "
    "appended to the session";

TEST_P(PassCalls, CallbackFillsDuringAppend) {
  Session session = NewSession(model_, {.max_tokens = 16});
  const absl::Status status = session.Append(prompt_, [&](size_t done) {
    if (done == 4) {
      EXPECT_EQ(ErrorOf(session.Append({6, 7, 8, 9, 10})), "OK");
    }
    return true;
  });
  EXPECT_EQ(ErrorOf(status), kError);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(session.position(), 9u);
  EXPECT_EQ(ErrorOf(session.Append({6, 7})), "OK");
}

TEST_P(PassCalls, CallbackFillsDuringGenerate) {
  Session session = NewSession(model_, {.max_tokens = 16});
  GenerateOptions options;
  options.on_prompt = [&](size_t done, size_t) {
    if (done == 4) {
      EXPECT_EQ(ErrorOf(session.Append({6, 7, 8, 9, 10})), "OK");
    }
  };
  const auto stats = Generate(session, prompt_, options,
                              [](std::string_view) { return true; });
  EXPECT_EQ(ErrorOf(stats), kError);
  EXPECT_EQ(session.position(), 9u);
}

}  // namespace
}  // namespace gemma::internal
