// The result of a row does not depend on the schedule: chunks, threads, other
// rows of the batch, and earlier rollbacks.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "src/session/model_impl.h"
#include "src/session/session_impl.h"
#include "tests/support/for_each_target.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

std::vector<TokenId> Prompt(size_t size, size_t seed = 0) {
  std::vector<TokenId> tokens = {2};
  for (size_t i = 1; i < size; ++i) {
    tokens.push_back(
        static_cast<TokenId>(3 + (37 * i * i + 11 * i + seed) % 250));
  }
  return tokens;
}

std::vector<TokenId> Slice(const std::vector<TokenId>& tokens, size_t begin,
                           size_t end) {
  return {tokens.begin() + begin, tokens.begin() + end};
}

void Append(std::vector<float> more, std::vector<float>& all) {
  all.insert(all.end(), more.begin(), more.end());
}

class SameBits : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, SameBits, ::testing::ValuesIn(AllToys()),
                         [](const auto& toy) { return toy.param.name; });

TEST_P(SameBits, TokenByToken) {
  const std::vector<TokenId> tokens = Prompt(30);
  const Model model = LoadToy(GetParam());
  ForEachTarget([&] {
    const std::vector<float> expected = AllLogits(model, tokens);
    Session session = NewSession(model);
    std::vector<float> actual;
    for (const TokenId token : tokens) {
      Append(AllLogits(session, {token}), actual);
    }
    EXPECT_EQ(actual, expected);
  });
}

TEST_P(SameBits, AnyPieces) {
  const std::vector<TokenId> tokens = Prompt(40);
  const Model model = LoadToy(GetParam());
  const std::vector<float> expected = AllLogits(model, tokens);
  for (const std::vector<size_t>& cuts :
       {std::vector<size_t>{1, 3, 10, 11, 27}, {17}, {5, 10, 15, 20, 25, 39}}) {
    Session session = NewSession(model);
    std::vector<float> actual;
    size_t begin = 0;
    for (const size_t cut : cuts) {
      Append(AllLogits(session, Slice(tokens, begin, cut)), actual);
      begin = cut;
    }
    Append(AllLogits(session, Slice(tokens, begin, 40)), actual);
    EXPECT_EQ(actual, expected);
  }
}

TEST_P(SameBits, AnyThreadsAndChunk) {
  const std::vector<TokenId> tokens = Prompt(40);
  const std::vector<float> expected = AllLogits(LoadToy(GetParam()), tokens);
  for (const size_t threads : {2, 3, 4}) {
    for (const size_t chunk : {1, 2, 7, 16, 64}) {
      const Model model = LoadToy(GetParam(), threads, chunk);
      EXPECT_EQ(AllLogits(model, tokens), expected)
          << threads << " threads, chunk " << chunk;
    }
  }
}

TEST_P(SameBits, ForwardGivesLastLogits) {
  const std::vector<TokenId> tokens = Prompt(20);
  const Model model = LoadToy(GetParam());
  const std::vector<float> all = AllLogits(model, tokens);
  Session session = NewSession(model);
  const auto last = session.Forward(tokens);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(std::vector<float>(last->begin(), last->end()),
            std::vector<float>(all.end() - last->size(), all.end()));
}

// Three sequences with different positions and numbers of tokens, together in
// one batch and alone.
TEST_P(SameBits, AnyBatchNeighbours) {
  const Model model = LoadToy(GetParam());
  const size_t vocab_size = model.config().vocab_size;
  Executor* executor = *model.impl().executor();
  const SequenceLimits limits = {128, 16, executor->max_rows(),
                                 CacheType::kF32};
  const std::vector<std::vector<TokenId>> prompts = {
      Prompt(25, 1), Prompt(13, 2), Prompt(31, 3)};
  const size_t before[] = {24, 0, 9};  // tokens that were computed before
  std::vector<SequenceState> states;
  std::vector<Segment> segments;
  std::vector<float> expected;
  size_t rows = 0;
  states.reserve(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    states.push_back(*SequenceState::Create(model.config(), limits));
    const std::span<const TokenId> tokens = prompts[i];
    if (before[i] != 0) {
      const Segment first = {&states[i], tokens.first(before[i]), 0,
                             WantedLogits::kNone};
      ASSERT_TRUE(executor->Forward({&first, 1}, {}).ok());
    }
    segments.push_back(
        {&states[i], tokens.subspan(before[i]), before[i], WantedLogits::kAll});
    rows += tokens.size() - before[i];
    const std::vector<float> alone = AllLogits(model, prompts[i]);
    expected.insert(expected.end(), alone.begin() + before[i] * vocab_size,
                    alone.end());
  }
  std::vector<float> actual(rows * vocab_size);
  ASSERT_TRUE(
      executor->Forward(segments, {actual.data(), rows, vocab_size}).ok());
  EXPECT_EQ(actual, expected);
}

// With passes of few rows, so that continuations are cut, and with checkpoints
// where passes end.
TEST_P(SameBits, SessionsTogether) {
  const Model model = LoadToy(GetParam(), kToyThreads, /*chunk=*/8);
  const size_t vocab_size = model.config().vocab_size;
  const std::vector<std::vector<TokenId>> prompts = {
      Prompt(5, 1), Prompt(23, 2), Prompt(1), Prompt(12, 3)};
  std::vector<Session> sessions;
  std::vector<Session::Continuation> prefill;
  std::vector<float> expected;
  for (const std::vector<TokenId>& prompt : prompts) {
    sessions.push_back(NewSession(model, {.checkpoint_interval = 10}));
    const std::vector<float> alone = AllLogits(model, prompt);
    expected.insert(expected.end(), alone.end() - vocab_size, alone.end());
  }
  for (size_t i = 0; i < prompts.size(); ++i) {
    prefill.push_back({&sessions[i], prompts[i]});
  }
  std::vector<float> actual(expected.size());
  ASSERT_TRUE(Session::ForwardBatch(prefill, absl::MakeSpan(actual)).ok());
  EXPECT_EQ(actual, expected);
  for (size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(sessions[i].tokens(), absl::MakeConstSpan(prompts[i]));
  }
}

TEST(SessionTest, RefusesBadBatches) {
  const Model model = LoadToy(AllToys()[0]);
  const Model other = LoadToy(AllToys()[0]);
  Session a = NewSession(model);
  Session b = NewSession(model, {.max_tokens = 2});
  Session foreign = NewSession(other);
  const std::vector<TokenId> one = {2};
  const std::vector<TokenId> three = {2, 3, 4};
  const std::vector<TokenId> unknown = {256};
  std::vector<float> room(2 * model.config().vocab_size);
  const auto error = [&](std::vector<Session::Continuation> batch) {
    return std::string(
        Session::ForwardBatch(batch, absl::MakeSpan(room)).message());
  };
  EXPECT_EQ(error({}), "there are no continuations, wanted 1 or more");
  EXPECT_EQ(error({{&a, one}, {nullptr, one}}), "a session is null");
  EXPECT_EQ(error({{&a, one}, {&foreign, one}}),
            "the sessions are of different models, wanted one");
  EXPECT_EQ(error({{&a, one}, {&a, one}}),
            "two continuations are of the same session");
  EXPECT_EQ(error({{&a, one}, {&b, three}}),
            "3 tokens after 0 do not fit in the context of 2 tokens");
  EXPECT_EQ(error({{&a, one}, {&b, unknown}}),
            "token 0 of the input is 256, wanted 0 to 255");
  EXPECT_EQ(error({{&a, one}, {&b, {}}}),
            "there are no tokens, wanted 1 or more");
  EXPECT_EQ(error({{&a, one}}), "there is room for 512 logits, wanted 256");
  // Nothing was changed by any of them.
  EXPECT_EQ(a.position(), 0u);
  EXPECT_EQ(error({{&a, one}, {&b, one}}), "");
}

// Rolls back max_rollback tokens, appends others, rolls back again, and appends
// the first ones again.
TEST_P(SameBits, RollBackAndRedo) {
  const std::vector<TokenId> tokens = Prompt(60);
  const Model model = LoadToy(GetParam(), kToyThreads, 8);
  const std::vector<float> expected = AllLogits(model, tokens);
  const size_t vocab_size = model.config().vocab_size;
  for (const size_t max_rollback : {1, 5, 16}) {
    for (const size_t at : {17, 33, 50}) {
      Session session = NewSession(model, {.max_rollback = max_rollback});
      AllLogits(session, Slice(tokens, 0, at));
      ASSERT_TRUE(session.Rewind(at - max_rollback).ok());
      AllLogits(session, Prompt(max_rollback, 77));  // a rejected draft
      ASSERT_TRUE(session.Rewind(at - max_rollback).ok());
      EXPECT_EQ(session.position(), at - max_rollback);
      const std::vector<float> rest =
          AllLogits(session, Slice(tokens, at - max_rollback, 60));
      EXPECT_EQ(rest, std::vector<float>(
                          expected.begin() + (at - max_rollback) * vocab_size,
                          expected.end()))
          << "back by " << max_rollback << " from " << at;
    }
  }
}

// Rewinds farther than rings and states allow: from a checkpoint or from the
// start.
TEST_P(SameBits, RewindFar) {
  const std::vector<TokenId> tokens = Prompt(90);
  const Model model = LoadToy(GetParam(), kToyThreads, 8);
  const size_t vocab_size = model.config().vocab_size;
  const std::vector<float> expected = AllLogits(model, tokens);
  for (const size_t interval : {0, 13}) {
    for (const size_t to : {0, 1, 12, 13, 40, 66, 80}) {
      Session session = NewSession(
          model, {.max_rollback = 3, .checkpoint_interval = interval});
      AllLogits(session, tokens);
      ASSERT_TRUE(session.Rewind(to).ok());
      ASSERT_EQ(session.position(), to);
      EXPECT_EQ(AllLogits(session, Slice(tokens, to, 90)),
                std::vector<float>(expected.begin() + to * vocab_size,
                                   expected.end()))
          << "to " << to << ", checkpoints every " << interval;
    }
  }
}

// A rewind beyond the free rollback begins at a checkpoint made by hand: taps
// see only the rows after it.
TEST_P(SameBits, RewindRecomputesFromCheckpoint) {
  const std::vector<TokenId> tokens = Prompt(60);
  const Model model = LoadToy(GetParam());
  Session session = NewSession(model, {.max_rollback = 2});
  AllLogits(session, Slice(tokens, 0, 20));
  ASSERT_TRUE(session.Checkpoint().ok());
  AllLogits(session, Slice(tokens, 20, 60));
  size_t first = 60;
  session.SetTap([&](const TapSite& site, absl::Span<float>) {
    first = std::min(first, site.position);
  });
  ASSERT_TRUE(session.Rewind(30).ok());
  EXPECT_GE(first, 20u);
}

// If a checkpoint after the position still holds all that is needed, a rewind
// computes nothing.
TEST_P(SameBits, RewindStartsAtCheckpoint) {
  const std::vector<TokenId> tokens = Prompt(90);
  const Model model = LoadToy(GetParam(), kToyThreads, 8);
  const size_t vocab_size = model.config().vocab_size;
  const std::vector<float> expected = AllLogits(model, tokens);
  for (const size_t back : {0, 1, 5}) {
    Session session = NewSession(model, {.max_rollback = 5});
    AllLogits(session, Slice(tokens, 0, 40));
    ASSERT_TRUE(session.Checkpoint().ok());
    AllLogits(session, Slice(tokens, 40, 90));
    size_t rows = 0;
    session.SetTap(
        [&](const TapSite& site, absl::Span<float>) { rows += site.num_rows; });
    ASSERT_TRUE(session.Rewind(40 - back).ok());
    EXPECT_EQ(rows, 0u);
    session.SetTap({});
    EXPECT_EQ(AllLogits(session, Slice(tokens, 40 - back, 90)),
              std::vector<float>(expected.begin() + (40 - back) * vocab_size,
                                 expected.end()));
  }
}

TEST(Session, RefusesBadArguments) {
  const Model model = LoadToy(AllToys()[0]);
  EXPECT_FALSE(Session::Create(model, {.max_tokens = 0}).ok());
  EXPECT_FALSE(Session::Create(model, {.max_tokens = SIZE_MAX}).ok());
  EXPECT_FALSE(Session::Create(model, {.max_rollback = SIZE_MAX}).ok());
  Session session = NewSession(model, {.max_tokens = 4});
  EXPECT_FALSE(session.Forward(std::vector<TokenId>()).ok());
  EXPECT_FALSE(session.Forward(Words()).ok());
  const std::vector<TokenId> bad = {2, 256};
  const std::vector<TokenId> negative = {-1};
  const std::vector<TokenId> long_one = {2, 3, 4, 5, 6};
  EXPECT_EQ(session.Forward(bad).status().message(),
            "token 1 of the input is 256, wanted 0 to 255");
  EXPECT_FALSE(session.Forward(negative).ok());
  EXPECT_EQ(session.Forward(long_one).status().code(),
            absl::StatusCode::kOutOfRange);
  std::vector<float> room(3);
  EXPECT_FALSE(session.ForwardAll({2}, absl::MakeSpan(room)).ok());
  EXPECT_FALSE(session.Rewind(1).ok());
  // Nothing was changed by any of them.
  EXPECT_EQ(session.position(), 0u);
  EXPECT_TRUE(session.Forward({2, 3, 4, 5}).ok());
  EXPECT_EQ(session.remaining(), 0u);
}

TEST(Session, CheckpointOptionsAreBounded) {
  const Model model = LoadOrDie(ToyPath("gemma2"), {});
  constexpr size_t kMost = std::numeric_limits<size_t>::max();
  const auto code = [&](const SessionOptions& options) {
    return Session::Create(model, options).status().code();
  };
  using enum absl::StatusCode;
  EXPECT_EQ(code({.max_checkpoints = 4096}), kOk);
  EXPECT_EQ(code({.max_checkpoints = 4097}), kInvalidArgument);
  EXPECT_EQ(code({.max_checkpoints = kMost}), kInvalidArgument);
  EXPECT_EQ(code({.checkpoint_interval = size_t{1} << 24}), kOk);
  EXPECT_EQ(code({.checkpoint_interval = kMost}), kInvalidArgument);
}

// Beyond the limit, each new checkpoint replaces the oldest.
TEST(Session, CheckpointsAreCounted) {
  const Model model = LoadOrDie(ToyPath("recurrent_gemma"), {});
  const SessionOptions options = {.checkpoint_interval = 4,
                                  .max_checkpoints = 3};
  Session session = NewSession(model, options);
  const std::vector<TokenId> tokens = Prompt(40, 1);
  for (size_t i = 0; i < tokens.size(); ++i) {
    ASSERT_TRUE(session.Append({tokens[i]}).ok());
    EXPECT_EQ(session.impl().num_checkpoints(),
              std::min<size_t>((i + 1) / 4, 3));
  }
  const uint64_t each = session.impl().checkpoint_bytes();
  EXPECT_EQ(model.MemoryFor(options).checkpoints, 3 * each);
  EXPECT_EQ(model.MemoryFor({}).checkpoints, 0u);
  const Model bounded = LoadOrDie(ToyPath("gemma2"), {});
  EXPECT_EQ(bounded
                .MemoryFor({.max_tokens = 64,
                            .checkpoint_interval = 40,
                            .max_checkpoints = 3})
                .checkpoints,
            NewSession(bounded, {.max_tokens = 64}).impl().checkpoint_bytes());
}

TEST(Session, MemoryNeverWraps) {
  for (const Toy& toy : AllToys()) {
    const Model model = LoadToy(toy);
    const uint64_t least = model.MemoryFor({.max_tokens = 1}).total();
    EXPECT_GE(model.MemoryFor({.max_tokens = size_t{1} << 24}).total(), least);
    for (int bits = 0; bits < 64; ++bits) {
      const size_t many = std::numeric_limits<size_t>::max() >> bits;
      if (many <= size_t{1} << 24) break;
      for (const SessionOptions& options :
           {SessionOptions{.max_tokens = many},
            SessionOptions{.max_rollback = many},
            SessionOptions{.max_tokens = many, .max_rollback = many}}) {
        const MemoryUse use = model.MemoryFor(options);
        EXPECT_GE(use.cache, uint64_t{1} << 62) << toy.name << bits;
        EXPECT_GE(use.total(), uint64_t{1} << 62) << toy.name << bits;
      }
    }
  }
}

TEST(Session, GrowsWithoutGlobalLayers) {
  const Model model = LoadToy({"", "recurrent_gemma"});
  Session session = NewSession(model, {.max_tokens = 4});
  EXPECT_TRUE(session.Forward(Prompt(100)).ok());
  EXPECT_GT(session.remaining(), 1000u);
}

TEST(Session, SeveralThreadsTakeTurns) {
  const Model model = LoadToy(AllToys()[5], 2, 4);
  std::vector<std::vector<float>> expected, actual(4);
  for (size_t i = 0; i < actual.size(); ++i) {
    expected.push_back(AllLogits(model, Prompt(30, i)));
  }
  std::vector<std::thread> threads;
  for (size_t i = 0; i < actual.size(); ++i) {
    threads.emplace_back(
        [&, i] { actual[i] = AllLogits(model, Prompt(30, i)); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(actual, expected);
}

// Each thread continues its sessions in turn, token by token.
TEST(Session, SixteenOnFourThreads) {
  constexpr size_t kThreads = 4;
  constexpr size_t kSessions = 16;
  const Model model = LoadToy({"", "gemma3"}, 2, 8);
  std::vector<std::vector<float>> expected, actual(kSessions);
  for (size_t i = 0; i < kSessions; ++i) {
    expected.push_back(AllLogits(model, Prompt(20 + i, i)));
  }
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::vector<Session> sessions;
      for (size_t i = t; i < kSessions; i += kThreads) {
        sessions.push_back(NewSession(model));
        Append(AllLogits(sessions.back(), Slice(Prompt(20 + i, i), 0, 12)),
               actual[i]);
      }
      for (size_t at = 12; at < 20 + kSessions; ++at) {
        for (size_t s = 0; s < sessions.size(); ++s) {
          const size_t i = t + s * kThreads;
          if (at >= 20 + i) continue;
          Append(AllLogits(sessions[s], {Prompt(20 + i, i)[at]}), actual[i]);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(actual, expected);
}

TEST(Session, DecodeJoinsPerLayer) {
  for (const Toy& toy : AllToys()) {
    const Model model = LoadToy(toy, 2);
    Session session = NewSession(model);
    ASSERT_TRUE(session.Forward(Prompt(10)).ok());
    const uint64_t before = model.impl().workers->num_joins();
    ASSERT_TRUE(session.Forward({5}).ok());
    const uint64_t joins = model.impl().workers->num_joins() - before;
    const size_t per_layer = model.config().per_layer_dim == 0 ? 6 : 8;
    EXPECT_LE(joins, per_layer * model.config().num_layers() + 4) << toy.name;
  }
}

}  // namespace
}  // namespace gemma::internal
