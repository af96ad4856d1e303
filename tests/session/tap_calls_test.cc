// Calls from a tap to its model: each call works or is refused, and no thread
// waits for ever.

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "src/forward/executor.h"
#include "src/session/model_impl.h"
#include "tests/support/error_of.h"
#include "tests/support/in_tap.h"
#include "tests/support/requests.h"
#include "tests/support/tiny_files.h"
#include "tests/support/without_hanging.h"

namespace gemma::internal {
namespace {

const Toy kTapToy = {"", "gemma3"};
const Toy kRecurrentToy = {"", "recurrent_gemma"};

// Calls each function that computes, changes or copies, and returns the codes.
std::map<std::string, absl::StatusCode> CallAll(Session& session) {
  const std::vector<TokenId> tokens = {3, 4};
  std::vector<float> logits(2 * session.model().config().vocab_size);
  const auto one =
      absl::MakeSpan(logits).first(session.model().config().vocab_size);
  const std::string path = TestDirectory() + "/session";
  std::map<std::string, absl::StatusCode> codes;
  codes["Forward"] = session.Forward(tokens).status().code();
  codes["ForwardTop"] = session.ForwardTop(tokens, 3).status().code();
  codes["Append"] = session.Append(tokens).code();
  codes["ForwardAll"] =
      session.ForwardAll(tokens, absl::MakeSpan(logits)).code();
  codes["ForwardBatch"] =
      Session::ForwardBatch({{&session, tokens}}, one).code();
  codes["Rewind"] = session.Rewind(0).code();
  codes["Checkpoint"] = session.Checkpoint().code();
  codes["Fork"] = session.Fork().status().code();
  codes["Save"] = session.Save(path).code();
  codes["Score"] = Score(session, tokens, {{5}, {6}}).status().code();
  codes["Generate"] = Generate(session, tokens, Ask({}).options,
                               [](std::string_view) { return true; })
                          .status()
                          .code();
  EXPECT_EQ(std::filesystem::remove(path),
            codes["Save"] == absl::StatusCode::kOk);
  return codes;
}

// The logits of `more` after `before`, in a session that never had a tap.
std::vector<float> LogitsAfter(const Model& model,
                               const std::vector<TokenId>& before,
                               const std::vector<TokenId>& more) {
  Session session = NewSession(model);
  EXPECT_TRUE(session.Append(before).ok());
  return AllLogits(session, more);
}

TEST(TapCalls, SameModelSessionsRefused) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kTapToy, 2, 64);
    Session session = NewSession(model);
    Session other = NewSession(model);
    ASSERT_TRUE(other.Append({2, 9}).ok());
    InTap(session, [&] {
      for (Session* called : {&other, &session}) {
        for (const auto& [name, code] : CallAll(*called)) {
          EXPECT_EQ(code, absl::StatusCode::kFailedPrecondition) << name;
        }
      }
    });
    // The sessions are unchanged by the refused calls.
    const std::vector<TokenId> more = MakePrompt(20, 1);
    EXPECT_EQ(AllLogits(session, more), LogitsAfter(model, {2, 5, 7}, more));
    EXPECT_EQ(AllLogits(other, more), LogitsAfter(model, {2, 9}, more));
    for (const auto& [name, code] : CallAll(other)) {
      EXPECT_EQ(code, absl::StatusCode::kOk) << name;
    }
  });
}

TEST(TapCalls, NewSessionsAreMade) {
  WithoutHanging([] {
    const Model model = LoadToy(kTapToy);
    const std::string path = TestDirectory() + "/session";
    Session saved = NewSession(model);
    ASSERT_TRUE(saved.Append({2, 8}).ok());
    ASSERT_EQ(ErrorOf(saved.Save(path)), "OK");
    std::optional<Session> created;
    std::optional<Session> restored;
    Session session = NewSession(model);
    InTap(session, [&] {
      created = NewSession(model);
      absl::StatusOr<Session> result = Session::Restore(model, path);
      ASSERT_EQ(ErrorOf(result), "OK");
      restored = *std::move(result);
    });
    const std::vector<TokenId> more = MakePrompt(9, 1);
    EXPECT_EQ(AllLogits(*created, more), AllLogits(model, more));
    EXPECT_EQ(AllLogits(*restored, more), LogitsAfter(model, {2, 8}, more));
  });
}

// The inner pass is of another model, but its tap also runs in the outer pass.
TEST(TapCalls, OtherModelsCompute) {
  WithoutHanging([] {
    const Model model = LoadToy(kTapToy);
    const Model guest = LoadToy(kRecurrentToy);
    Session session = NewSession(model);
    Session inner = NewSession(guest);
    InTap(session, [&] {
      InTap(inner, [&] {
        EXPECT_EQ(NewSession(model).Append({2}).code(),
                  absl::StatusCode::kFailedPrecondition);
        EXPECT_EQ(NewSession(guest).Append({2}).code(),
                  absl::StatusCode::kFailedPrecondition);
      });
      EXPECT_EQ(NewSession(model).Append({2}).code(),
                absl::StatusCode::kFailedPrecondition);
      EXPECT_EQ(ErrorOf(NewSession(guest).Append({2})), "OK");
    });
    EXPECT_EQ(ErrorOf(NewSession(model).Append({2})), "OK");
  });
}

TEST(TapCalls, EmbeddersAreRefused) {
  WithoutHanging([] {
    const Model model = LoadExact(ToyPath("embedding_gemma"));
    const absl::StatusOr<Embedder> embedder = Embedder::Create(model);
    ASSERT_EQ(ErrorOf(embedder), "OK");
    const std::vector<TokenId> tokens = {2, 5, 1};
    absl::StatusOr<SequenceState> state = SequenceState::Create(
        model.config(), {tokens.size(), 0, tokens.size(), CacheType::kF32});
    ASSERT_EQ(ErrorOf(state), "OK");
    size_t calls = 0;
    const TapFunction tap = [&](const TapSite&, absl::Span<float>) {
      if (calls++ != 0) return;
      EXPECT_EQ(embedder->Embed({"a text"}).status().code(),
                absl::StatusCode::kFailedPrecondition);
    };
    const Segment segment = {&*state, tokens, 0, WantedLogits::kNone, &tap};
    std::vector<float> out(model.config().embedding_dim());
    EXPECT_EQ(ErrorOf((*model.impl().executor())
                          ->Embed({&segment, 1}, {out.data(), 1, out.size()})),
              "OK");
    EXPECT_GT(calls, 0u);
    EXPECT_EQ(ErrorOf(embedder->Embed({"a text"})), "OK");
  });
}

TEST(TapCalls, MaySetAnotherTap) {
  const Model model = LoadToy(kTapToy);
  Session session = NewSession(model);
  size_t second_calls = 0;
  auto alive = std::make_shared<size_t>(0);
  const std::weak_ptr<size_t> seen = alive;
  session.SetTap([&, alive](const TapSite&, absl::Span<float>) {
    if (++*alive != 1) return;
    session.SetTap([&](const TapSite&, absl::Span<float>) { ++second_calls; });
  });
  alive.reset();
  ASSERT_TRUE(session.Append({2, 5}).ok());
  EXPECT_EQ(second_calls, 0u);
  EXPECT_TRUE(seen.expired());  // with its last pass
  ASSERT_TRUE(session.Append({7}).ok());
  EXPECT_GT(second_calls, 0u);
}

class TapFailures : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, TapFailures, ::testing::ValuesIn(AllToys()),
                         [](const auto& toy) { return toy.param.name; });

// A pass that fails at any layer leaves the beginning of the sequence.
TEST_P(TapFailures, SequencesGoOn) {
  const Model model = LoadToy(GetParam(), 2, 16);
  const std::vector<TokenId> before = MakePrompt(40, 1);
  const std::vector<TokenId> more = MakePrompt(30, 2);
  const std::vector<float> expected = LogitsAfter(model, before, more);
  for (size_t layer = 0; layer < model.config().num_layers(); ++layer) {
    for (const bool memory : {false, true}) {
      Session session =
          NewSession(model, {.max_tokens = 128, .checkpoint_interval = 8});
      ASSERT_TRUE(session.Append(before).ok());
      session.SetTap([&](const TapSite& site, absl::Span<float>) {
        if (site.layer != layer) return;
        if (memory) throw std::bad_alloc();
        throw std::runtime_error("no more paper");
      });
      const absl::Status status = session.Append(more);
      EXPECT_EQ(status.code(), memory ? absl::StatusCode::kResourceExhausted
                                      : absl::StatusCode::kInternal);
      EXPECT_EQ(ErrorOf(status), memory ? "out of memory" : "no more paper");
      session.SetTap(nullptr);
      const size_t position = session.position();
      ASSERT_LE(position, before.size());
      if (model.config().lru_width == 0) {
        EXPECT_EQ(position, before.size());
      }
      const auto lost = absl::MakeConstSpan(before).subspan(position);
      if (!lost.empty()) {
        ASSERT_EQ(ErrorOf(session.Append(lost)), "OK");
      }
      EXPECT_EQ(AllLogits(session, more), expected) << layer;
    }
  }
}

TEST_P(TapFailures, BatchesGoOn) {
  const Model model = LoadToy(GetParam());
  Session failing = NewSession(model);
  Session other = NewSession(model);
  ASSERT_TRUE(failing.Append({2, 5}).ok());
  ASSERT_TRUE(other.Append({2, 6, 7}).ok());
  failing.SetTap([&](const TapSite& site, absl::Span<float>) {
    if (site.layer == 1) throw 7;
  });
  const std::vector<TokenId> tokens = {9};
  std::vector<float> logits(2 * model.config().vocab_size);
  EXPECT_EQ(Session::ForwardBatch({{&other, tokens}, {&failing, tokens}},
                                  absl::MakeSpan(logits))
                .code(),
            absl::StatusCode::kInternal);
  failing.SetTap(nullptr);
  const std::vector<TokenId> more = MakePrompt(10, 3);
  EXPECT_EQ(AllLogits(failing, more), LogitsAfter(model, {2, 5}, more));
  EXPECT_EQ(AllLogits(other, more), LogitsAfter(model, {2, 6, 7}, more));
}

// The pass ends only after another thread has created a session.
TEST(Creation, NeverWaitsForPasses) {
  WithoutHanging([] {
    const Model model = LoadToy(kTapToy);
    Session session = NewSession(model);
    InTap(session, [&] {
      std::thread([&] {
        const Session other = NewSession(model);
        EXPECT_EQ(other.position(), 0u);
      }).join();
    });
  });
}

}  // namespace
}  // namespace gemma::internal
