// Tests that sessions compute, go back and are copied in C as in C++.

#include "gemma/c_session.h"

#include <string>
#include <vector>

#include "gemma/c_taps.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_toys.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

TEST(CSession, AllLogitsEqualSession) {
  const CToy& toy = Gemma3Toy();
  const CSequence made(toy);
  const std::vector<int32_t> prompt = HelloPrompt(toy);
  const std::vector<float> expected = AllLogits(toy.same, prompt);
  std::vector<float> logits(expected.size(), -7);
  size_t size = 0;
  EXPECT_EQ(
      gemma_session_forward_all(made.session, prompt.data(), prompt.size(),
                                logits.data(), logits.size() - 1, &size),
      GEMMA_OUT_OF_RANGE);
  EXPECT_EQ(size, expected.size());
  EXPECT_EQ(gemma_session_position(made.session), 0u);
  EXPECT_EQ(logits, std::vector<float>(logits.size(), -7));
  ASSERT_EQ(
      gemma_session_forward_all(made.session, prompt.data(), prompt.size(),
                                logits.data(), logits.size(), &size),
      GEMMA_OK);
  EXPECT_EQ(logits, expected);
  EXPECT_EQ(made.Tokens(), prompt);
  EXPECT_EQ(gemma_session_forward_all(made.session, prompt.data(),
                                      size_t{1} << 60, nullptr, 0, &size),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("rows of logits"));
}

TEST(CSession, TopLogitsEqualSession) {
  const CToy& toy = Gemma3Toy();
  const CSequence made(toy);
  const std::vector<int32_t> prompt = HelloPrompt(toy);
  for (const size_t top_k : {0, 3}) {
    Session expected = NewSession(toy.same);
    const auto want = expected.ForwardTop(prompt, top_k);
    ASSERT_TRUE(want.ok());
    ASSERT_EQ(gemma_session_rewind(made.session, 0), GEMMA_OK);
    const float* logits = nullptr;
    ASSERT_EQ(gemma_session_forward_top(made.session, prompt.data(),
                                        prompt.size(), top_k, &logits),
              GEMMA_OK);
    EXPECT_EQ(absl::Span<const float>(logits, want->size()), *want);
  }
}

TEST(CSession, BatchEqualsSessions) {
  const CToy& toy = Gemma3Toy();
  const CSequence a(toy), b(toy);
  const std::vector<int32_t> first = {2, 17, 4}, second = {2, 9};
  std::vector<float> expected = AllLogits(toy.same, first);
  const size_t vocab = toy.same.config().vocab_size;
  expected.erase(expected.begin(), expected.end() - vocab);
  const std::vector<float> other = AllLogits(toy.same, second);
  expected.insert(expected.end(), other.end() - vocab, other.end());
  const gemma_continuation batch[] = {
      {a.session, first.data(), first.size()},
      {b.session, second.data(), second.size()}};
  std::vector<float> logits(2 * vocab);
  size_t size = 0;
  EXPECT_EQ(gemma_session_forward_batch(batch, 2, nullptr, 0, &size),
            GEMMA_OUT_OF_RANGE);
  EXPECT_EQ(size, logits.size());
  ASSERT_EQ(gemma_session_forward_batch(batch, 2, logits.data(), logits.size(),
                                        &size),
            GEMMA_OK);
  EXPECT_EQ(logits, expected);
  EXPECT_EQ(b.Tokens(), second);
  const gemma_continuation twice[] = {batch[0], batch[0]};
  EXPECT_EQ(gemma_session_forward_batch(twice, 2, logits.data(), logits.size(),
                                        &size),
            GEMMA_INVALID_ARGUMENT);
}

bool StopAfterOnePass(size_t done, void* user) {
  *static_cast<size_t*>(user) += done;
  return false;
}

TEST(CSession, AppendStopsBetweenPasses) {
  gemma_load_options options = Initialized(gemma_load_options_init);
  options.prefill_chunk = 2;
  gemma_model* model = nullptr;
  ASSERT_EQ(gemma_model_load(TestFile("gguf/gemma3_mixed.gguf").c_str(),
                             &options, &model),
            GEMMA_OK);
  gemma_session* session = nullptr;
  ASSERT_EQ(gemma_session_create(model, nullptr, &session), GEMMA_OK);
  const std::vector<int32_t> prompt = HelloPrompt(Gemma3Toy());
  ASSERT_GT(prompt.size(), 2u);
  size_t done = 0;
  EXPECT_EQ(gemma_session_append(session, prompt.data(), prompt.size(),
                                 StopAfterOnePass, &done),
            GEMMA_OK);
  EXPECT_EQ(done, 2u);
  EXPECT_EQ(gemma_session_position(session), 2u);
  gemma_session_free(session);
  gemma_model_free(model);
}

TEST(CSession, ForksGoOn) {
  const CToy& toy = Gemma3Toy();
  const CSequence made(toy);
  const std::vector<int32_t> prompt = HelloPrompt(toy);
  ASSERT_EQ(gemma_session_append(made.session, prompt.data(), prompt.size() - 1,
                                 nullptr, nullptr),
            GEMMA_OK);
  const std::string path = TestDirectory() + "/saved";
  ASSERT_EQ(gemma_session_save(made.session, path.c_str()), GEMMA_OK);
  gemma_session* copy = nullptr;
  ASSERT_EQ(gemma_session_fork(made.session, &copy), GEMMA_OK);
  gemma_session* restored = nullptr;
  ASSERT_EQ(gemma_session_restore(toy.model, path.c_str(), &restored), GEMMA_OK)
      << gemma_last_error();
  std::vector<float> expected = AllLogits(toy.same, prompt);
  const size_t vocab = toy.same.config().vocab_size;
  for (gemma_session* session : {made.session, copy, restored}) {
    const float* logits = nullptr;
    ASSERT_EQ(gemma_session_forward(session, &prompt.back(), 1, &logits),
              GEMMA_OK);
    EXPECT_EQ(std::vector<float>(logits, logits + vocab),
              std::vector<float>(expected.end() - vocab, expected.end()));
  }
  gemma_session_free(copy);
  gemma_session_free(restored);
  restored = nullptr;
  const std::string none = path + ".none";
  EXPECT_EQ(gemma_session_restore(toy.model, none.c_str(), &restored),
            GEMMA_NOT_FOUND);
  EXPECT_THAT(gemma_last_error(), HasSubstr(none));
  EXPECT_EQ(restored, nullptr);
}

TEST(CSession, OptionsOfSession) {
  const CToy& toy = Gemma3Toy();
  gemma_session_options options = Initialized(gemma_session_options_init);
  options.max_tokens = 99;
  options.max_rollback = 3;
  options.checkpoint_interval = 5;
  options.max_checkpoints = 7;
  options.cache_format = GEMMA_CACHE_INT8;
  gemma_session* session = nullptr;
  ASSERT_EQ(gemma_session_create(toy.model, &options, &session), GEMMA_OK);
  gemma_session_options found = Initialized(gemma_session_options_init);
  ASSERT_EQ(gemma_session_get_options(session, &found), GEMMA_OK);
  EXPECT_EQ(found.max_tokens, 99u);
  EXPECT_EQ(found.max_rollback, 3u);
  EXPECT_EQ(found.checkpoint_interval, 5u);
  EXPECT_EQ(found.max_checkpoints, 7u);
  EXPECT_EQ(found.cache_format, GEMMA_CACHE_INT8);
  // An older caller's struct ends earlier.
  found.struct_size = offsetof(gemma_session_options, max_checkpoints);
  found.max_checkpoints = 1;
  ASSERT_EQ(gemma_session_get_options(session, &found), GEMMA_OK);
  EXPECT_EQ(found.max_checkpoints, 1u);
  found.struct_size = 0;
  EXPECT_EQ(gemma_session_get_options(session, &found), GEMMA_INVALID_ARGUMENT);
  gemma_session_free(session);
}

TEST(CSession, MemoryEqualsModel) {
  const CToy& toy = Gemma3Toy();
  gemma_session_options options = Initialized(gemma_session_options_init);
  options.max_tokens = 300;
  options.checkpoint_interval = 100;
  gemma_memory_use use = Initialized(gemma_memory_use_init);
  ASSERT_EQ(gemma_session_memory(toy.model, &options, 3, &use), GEMMA_OK);
  const MemoryUse expected =
      toy.same.MemoryFor({.max_tokens = 300, .checkpoint_interval = 100}, 3);
  EXPECT_EQ(use.weights, expected.weights);
  EXPECT_EQ(use.mapped, expected.mapped);
  EXPECT_EQ(use.weights_per_token, expected.weights_per_token);
  EXPECT_EQ(use.cache, expected.cache);
  EXPECT_EQ(use.scratch, expected.scratch);
  EXPECT_EQ(use.checkpoints, expected.checkpoints);
  EXPECT_EQ(use.table, expected.table);
  EXPECT_EQ(use.table_per_token, expected.table_per_token);
  EXPECT_EQ(use.total, expected.total());
  EXPECT_GT(use.checkpoints, 0u);
}

// What a tap of C saw, and what it adds.
struct TapSeen {
  std::vector<gemma_tap_site> sites;
  std::vector<std::vector<float>> values;
};

void SeeAndChange(const gemma_tap_site* site, float* activations, size_t size,
                  void* user) {
  auto* seen = static_cast<TapSeen*>(user);
  seen->sites.push_back(*site);
  seen->values.emplace_back(activations, activations + size);
  if (site->point == GEMMA_TAP_BLOCK_OUTPUT) activations[0] += 1;
}

TEST(CSession, TapsSeeAndChange) {
  const CToy& toy = Gemma3Toy();
  const std::vector<int32_t> prompt = HelloPrompt(toy);
  TapSeen expected_seen;
  Session expected = NewSession(toy.same);
  expected.SetTap([&](const TapSite& site, absl::Span<float> activations) {
    const gemma_tap_site same = {sizeof(same),
                                 static_cast<gemma_tap_point>(site.point),
                                 site.layer, site.position, site.num_rows};
    SeeAndChange(&same, activations.data(), activations.size(), &expected_seen);
  });
  const auto want = expected.Forward(prompt);
  ASSERT_TRUE(want.ok());

  const CSequence made(toy);
  TapSeen seen;
  ASSERT_EQ(gemma_session_set_tap(made.session, SeeAndChange, &seen), GEMMA_OK);
  const float* logits = nullptr;
  ASSERT_EQ(gemma_session_forward(made.session, prompt.data(), prompt.size(),
                                  &logits),
            GEMMA_OK);
  EXPECT_EQ(absl::Span<const float>(logits, want->size()), *want);
  EXPECT_EQ(seen.values, expected_seen.values);
  ASSERT_EQ(seen.sites.size(), expected_seen.sites.size());
  for (size_t i = 0; i < seen.sites.size(); ++i) {
    EXPECT_EQ(seen.sites[i].struct_size, sizeof(gemma_tap_site));
    EXPECT_EQ(seen.sites[i].point, expected_seen.sites[i].point);
    EXPECT_EQ(seen.sites[i].layer, expected_seen.sites[i].layer);
    EXPECT_EQ(seen.sites[i].position, expected_seen.sites[i].position);
    EXPECT_EQ(seen.sites[i].num_rows, expected_seen.sites[i].num_rows);
  }
  EXPECT_EQ(seen.sites.back().point, GEMMA_TAP_HEAD_INPUT);
  const size_t calls = seen.sites.size();
  ASSERT_EQ(gemma_session_set_tap(made.session, nullptr, nullptr), GEMMA_OK);
  ASSERT_EQ(gemma_session_forward(made.session, &prompt[1], 1, nullptr),
            GEMMA_OK);
  EXPECT_EQ(seen.sites.size(), calls);
}

TEST(CSession, NullPointersAreRefused) {
  const CToy& toy = Gemma3Toy();
  const CSequence made(toy);
  gemma_session* session = made.session;
  int32_t token = 2;
  size_t size = 0;
  float value = 0;
  gemma_memory_use use = Initialized(gemma_memory_use_init);
  gemma_session_options options = Initialized(gemma_session_options_init);
  const gemma_continuation no_session = {nullptr, &token, 1};
  const gemma_continuation no_tokens = {session, nullptr, 1};
  ExpectRefused(gemma_session_memory(nullptr, nullptr, 1, &use),
                "model is null");
  ExpectRefused(gemma_session_memory(toy.model, nullptr, 1, nullptr),
                "use is null");
  ExpectRefused(gemma_session_tokens(nullptr, &token, 1, &size),
                "session is null");
  ExpectRefused(gemma_session_tokens(session, &token, 1, nullptr),
                "size is null");
  ExpectRefused(gemma_session_get_options(nullptr, &options),
                "session is null");
  ExpectRefused(gemma_session_get_options(session, nullptr), "options is null");
  const float* logits = nullptr;
  ExpectRefused(gemma_session_forward_top(nullptr, &token, 1, 0, &logits),
                "session is null");
  ExpectRefused(gemma_session_forward_top(session, nullptr, 1, 0, &logits),
                "tokens is null");
  ExpectRefused(gemma_session_forward_top(session, &token, 1, 0, nullptr),
                "logits is null");
  ExpectRefused(gemma_session_forward_all(nullptr, &token, 1, &value, 1, &size),
                "session is null");
  ExpectRefused(
      gemma_session_forward_all(session, nullptr, 1, &value, 1, &size),
      "tokens is null");
  ExpectRefused(
      gemma_session_forward_all(session, &token, 1, &value, 1, nullptr),
      "size is null");
  ExpectRefused(
      gemma_session_forward_all(session, &token, 1, nullptr, 1 << 20, &size),
      "logits is null");
  ExpectRefused(gemma_session_append(nullptr, &token, 1, nullptr, nullptr),
                "session is null");
  ExpectRefused(gemma_session_append(session, nullptr, 1, nullptr, nullptr),
                "tokens is null");
  ExpectRefused(gemma_session_forward_batch(nullptr, 1, &value, 1, &size),
                "batch is null");
  ExpectRefused(gemma_session_forward_batch(&no_session, 1, &value, 1, &size),
                "batch[0].session is null");
  ExpectRefused(gemma_session_forward_batch(&no_tokens, 1, &value, 1, &size),
                "batch[0].tokens is null");
  ExpectRefused(gemma_session_forward_batch(&no_tokens, 1, &value, 1, nullptr),
                "size is null");
  ExpectRefused(gemma_session_forward_batch(nullptr, 0, &value, 1, &size),
                "batch_size is 0, wanted 1 or more");
  gemma_session* copy = nullptr;
  ExpectRefused(gemma_session_fork(nullptr, &copy), "session is null");
  ExpectRefused(gemma_session_fork(session, nullptr), "copy is null");
  ExpectRefused(gemma_session_save(nullptr, "x"), "session is null");
  ExpectRefused(gemma_session_save(session, nullptr), "path is null");
  ExpectRefused(gemma_session_restore(nullptr, "x", &copy), "model is null");
  ExpectRefused(gemma_session_restore(toy.model, nullptr, &copy),
                "path is null");
  ExpectRefused(gemma_session_restore(toy.model, "x", nullptr),
                "session is null");
  ExpectRefused(gemma_session_set_tap(nullptr, nullptr, nullptr),
                "session is null");
  EXPECT_EQ(gemma_session_position(session), 0u);
}

}  // namespace
}  // namespace gemma::internal
