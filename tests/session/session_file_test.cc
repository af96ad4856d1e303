// Sessions that are forked, or saved and restored, continue as if nothing had
// happened. Changed files are refused.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "absl/crc/crc32c.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/forward/sequence_state.h"
#include "tests/support/error_of.h"
#include "tests/support/input_rows.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

std::vector<TokenId> RandomPrompt(size_t size, uint32_t seed = 1) {
  std::vector<TokenId> tokens;
  for (size_t i = 0; i < size; ++i) {
    seed = seed * 1664525 + 1013904223;
    tokens.push_back(static_cast<TokenId>(3 + (seed >> 16) % 40));
  }
  return tokens;
}

// An empty folder.
class SessionFileTest : public ::testing::TestWithParam<Toy> {
 protected:
  std::string Path(const std::string& name = "saved") const {
    return folder_ / name;
  }
  size_t NumFiles() const {
    return std::distance(std::filesystem::directory_iterator(folder_), {});
  }

 private:
  const std::filesystem::path folder_ = TestDirectory();
};

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Appends and rewinds both sessions in the same way, beyond windows; the
// results must be equal.
void ExpectSameFuture(Session& a, Session& b) {
  ASSERT_EQ(TokensOf(a), TokensOf(b));
  EXPECT_EQ(AllLogits(a, RandomPrompt(3, 7)), AllLogits(b, RandomPrompt(3, 7)));
  const size_t position = a.position();
  ASSERT_TRUE(a.Rewind(position - 5).ok());
  ASSERT_TRUE(b.Rewind(position - 5).ok());
  EXPECT_EQ(AllLogits(a, RandomPrompt(20, 8)),
            AllLogits(b, RandomPrompt(20, 8)));
  // Farther than the free rollback.
  ASSERT_TRUE(a.Rewind(4).ok());
  ASSERT_TRUE(b.Rewind(4).ok());
  EXPECT_EQ(AllLogits(a, RandomPrompt(6, 9)), AllLogits(b, RandomPrompt(6, 9)));
}

using EveryToy = SessionFileTest;
INSTANTIATE_TEST_SUITE_P(Toys, EveryToy, ::testing::ValuesIn(AllToys()),
                         [](const auto& toy) { return toy.param.name; });

TEST_P(EveryToy, ForkContinuesAlike) {
  const Model model = LoadToy(GetParam());
  for (const size_t size : {1, 5, 16, 40}) {
    SCOPED_TRACE(size);
    Session session = NewSession(model, {.max_tokens = 100});
    ASSERT_TRUE(session.Append(RandomPrompt(size)).ok());
    auto fork = session.Fork();
    ASSERT_TRUE(fork.ok()) << fork.status();
    // Changes of one session do not affect the other.
    auto other = session.Fork();
    ASSERT_TRUE(other.ok() && other->Append(RandomPrompt(30, 5)).ok());
    if (size >= 5) ExpectSameFuture(session, *fork);
  }
}

TEST_P(EveryToy, ForkKeepsCheckpoints) {
  const Model model = LoadToy(GetParam());
  Session session =
      NewSession(model, {.max_tokens = 200, .checkpoint_interval = 16});
  ASSERT_TRUE(session.Append(RandomPrompt(60)).ok());
  auto fork = session.Fork();
  ASSERT_TRUE(fork.ok());
  ASSERT_TRUE(session.Rewind(33).ok());
  ASSERT_TRUE(fork->Rewind(33).ok());
  EXPECT_EQ(AllLogits(session, RandomPrompt(9, 3)),
            AllLogits(*fork, RandomPrompt(9, 3)));
}

TEST_P(EveryToy, RestoredContinuesAlike) {
  const Model model = LoadToy(GetParam());
  for (const size_t size : {5, 16, 40}) {
    SCOPED_TRACE(size);
    Session session = NewSession(
        model, {.max_tokens = 100, .cache_format = CacheFormat::kBFloat16});
    ASSERT_TRUE(session.Append(RandomPrompt(size)).ok());
    ASSERT_EQ(ErrorOf(session.Save(Path())), "OK");
    auto restored = Session::Restore(model, Path());
    ASSERT_TRUE(restored.ok()) << restored.status();
    EXPECT_EQ(restored->options().max_tokens, 100u);
    EXPECT_EQ(restored->options().cache_format, CacheFormat::kBFloat16);
    ExpectSameFuture(session, *restored);
  }
}

// Rings of different sizes, after a rewind.
TEST_P(EveryToy, RestoredWithAnotherChunk) {
  const Model model = LoadToy(GetParam(), kToyThreads, /*chunk=*/64);
  Session session = NewSession(model, {.max_tokens = 100});
  ASSERT_TRUE(session.Append(RandomPrompt(50)).ok());
  ASSERT_TRUE(session.Rewind(41).ok());
  ASSERT_TRUE(session.Save(Path()).ok());
  for (const size_t chunk : {1, 3, 200}) {
    SCOPED_TRACE(chunk);
    const Model other = LoadToy(GetParam(), 1, chunk);
    auto restored = Session::Restore(other, Path());
    ASSERT_TRUE(restored.ok()) << restored.status();
    auto expected = session.Fork();
    ASSERT_TRUE(expected.ok());
    ExpectSameFuture(*expected, *restored);
  }
}

TEST_P(EveryToy, AnEmptySession) {
  const Model model = LoadToy(GetParam());
  Session session = NewSession(model);
  ASSERT_TRUE(session.Save(Path()).ok());
  auto restored = Session::Restore(model, Path());
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(AllLogits(*restored, RandomPrompt(10)),
            AllLogits(session, RandomPrompt(10)));
}

TEST_F(SessionFileTest, RecurrentSizeIsConstant) {
  const Model model = LoadOrDie(ToyPath("recurrent_gemma"), {});
  Session session = NewSession(model);
  size_t before = 0;
  for (const size_t size : {300, 100}) {
    ASSERT_TRUE(session.Append(RandomPrompt(size)).ok());
    ASSERT_TRUE(session.Save(Path()).ok());
    const size_t bytes = std::filesystem::file_size(Path()) -
                         session.position() * sizeof(TokenId);
    // The first and the last block of a window may be incomplete.
    if (before != 0) {
      EXPECT_NEAR(bytes, before, before / 10);
    }
    before = bytes;
  }
}

// Layers that read the keys and values of others have none of their own: of
// five layers, only the first three are stored.
TEST_F(SessionFileTest, SharedLayersNotStored) {
  constexpr size_t kTokens = 40;
  constexpr size_t kHeader = 8 + 2 * 4 + 7 * 8 + kTokens * 4 + 8;
  constexpr size_t kChecksum = 4;
  const Model model = LoadExact(ToyPath("gemma4_e2b"));
  const SessionOptions options = {.max_tokens = 64, .max_rollback = 6};
  Session session = NewSession(model, options);
  ASSERT_EQ(ErrorOf(session.Append(RandomPrompt(kTokens))), "OK");
  ASSERT_EQ(ErrorOf(session.Save(Path())), "OK");
  ModelConfig own = model.config();
  own.layers.resize(3);
  const SequenceLimits limits = {64, 6, LoadOptions().prefill_chunk,
                                 CacheType::kF32};
  const absl::StatusOr<SequenceState> state =
      SequenceState::Create(own, limits);
  ASSERT_EQ(ErrorOf(state), "OK");
  size_t bytes = 0;
  state->ForEachPiece(kTokens,
                      [&](std::span<uint8_t> piece) { bytes += piece.size(); });
  EXPECT_EQ(ReadFile(Path()).size(), kHeader + bytes + kChecksum);
  EXPECT_EQ(model.MemoryFor(options).cache, SequenceState::Bytes(own, limits));
  // Another number of layers, and the same with other sources.
  for (const char* toy : {"gemma4_shared", "gemma4_narrow"}) {
    EXPECT_THAT(ErrorOf(Session::Restore(LoadExact(ToyPath(toy)), Path())),
                HasSubstr(": saved with another model"));
  }
}

// Where values are keys, the cache holds of a key only what is rotated: of the
// 16 values in the toy's global layer, 2 pairs.
TEST_F(SessionFileTest, SplitKeysTakeLess) {
  const Model model = LoadExact(ToyPath("gemma4_31b"));
  ModelConfig config = model.config();
  const SequenceLimits limits = {64, 6, 32, CacheType::kF32};
  const uint64_t split = SequenceState::Bytes(config, limits);
  config.layers[2].k_eq_v = false;
  EXPECT_EQ(SequenceState::Bytes(config, limits) - split, 64u * (16 - 4) * 4);
}

TEST_F(SessionFileTest, OtherModelIsRefused) {
  const Model model = LoadOrDie(ToyPath("gemma2"), {});
  ASSERT_TRUE(NewSession(model).Save(Path()).ok());
  for (const char* other : {"gemma2_odd", "gemma3", "recurrent_gemma"}) {
    const auto restored =
        Session::Restore(LoadOrDie(ToyPath(other), {}), Path());
    EXPECT_EQ(restored.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ErrorOf(restored), Path() + ": saved with another model");
  }
}

TEST_F(SessionFileTest, ReplacesOrKeepsFile) {
  const Model model = LoadOrDie(ToyPath("gemma2"), {});
  Session session = NewSession(model);
  ASSERT_TRUE(session.Append(RandomPrompt(5)).ok());
  WriteFile(Path(), "something else");
  ASSERT_TRUE(session.Save(Path()).ok());
  EXPECT_TRUE(Session::Restore(model, Path()).ok());
  EXPECT_EQ(NumFiles(), 1u);

  EXPECT_THAT(ErrorOf(session.Save(Path("no/such/folder"))),
              HasSubstr(Path("no/such/folder")));
  std::filesystem::create_directory(Path("folder"));
  EXPECT_THAT(ErrorOf(session.Save(Path("folder"))), HasSubstr("folder: "));
  EXPECT_EQ(NumFiles(), 2u);
}

TEST_F(SessionFileTest, NeedsWeights) {
  const Model model = LoadOrDie(ToyPath("gemma2"), {});
  Session session = NewSession(model, {.max_tokens = 20});
  ASSERT_TRUE(session.Append(RandomPrompt(5)).ok());
  ASSERT_TRUE(session.Save(Path()).ok());
  LoadOptions options;
  options.skip_weights = true;
  const Model outline = LoadOrDie(ToyPath("gemma2"), options);
  const absl::Status status = Session::Restore(outline, Path()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(ErrorOf(status), HasSubstr("without its weights"));
}

TEST_F(SessionFileTest, DamageIsFound) {
  const Model model = LoadOrDie(ToyPath("gemma2"), {});
  Session session = NewSession(model, {.max_tokens = 20});
  ASSERT_TRUE(session.Append(RandomPrompt(5)).ok());
  ASSERT_TRUE(session.Save(Path()).ok());
  const std::string good = ReadFile(Path());
  const size_t step = std::max<size_t>(1, good.size() / 500);
  for (size_t i = 0; i < good.size(); i += i < 200 ? 1 : step) {
    std::string changed = good;
    changed[i] ^= 0x10;
    WriteFile(Path("changed"), changed);
    EXPECT_FALSE(Session::Restore(model, Path("changed")).ok()) << i;
    WriteFile(Path("cut"), good.substr(0, i));
    EXPECT_FALSE(Session::Restore(model, Path("cut")).ok()) << i;
  }
  WriteFile(Path("longer"), good + "x");
  EXPECT_FALSE(Session::Restore(model, Path("longer")).ok());
}

// The file with a number of `size` bytes changed, and a correct checksum.
std::string Changed(const std::string& good, size_t at, uint64_t number,
                    size_t size) {
  std::string bytes = good.substr(0, good.size() - 4);
  for (size_t i = 0; i < size; ++i) {
    bytes[at + i] = static_cast<char>(number >> (8 * i));
  }
  const auto checksum = static_cast<uint32_t>(absl::ComputeCrc32c(bytes));
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(checksum >> (8 * i));
  return bytes;
}

TEST_F(SessionFileTest, HostileNumbersAreRefused) {
  const Model model = LoadOrDie(ToyPath("gemma2"), {});
  Session session = NewSession(model, {.max_tokens = 20});
  ASSERT_TRUE(session.Append(RandomPrompt(5)).ok());
  ASSERT_TRUE(session.Save(Path()).ok());
  const std::string good = ReadFile(Path());
  const auto restore = [&](size_t at, uint64_t number, size_t size) {
    WriteFile(Path("hostile"), Changed(good, at, number, size));
    return ErrorOf(Session::Restore(model, Path("hostile")));
  };
  EXPECT_EQ(restore(0, 'G', 1), "OK");
  EXPECT_THAT(restore(8, 1, 4), HasSubstr("version 1, wanted 2"));
  EXPECT_THAT(restore(12, 9, 4), HasSubstr("out of range"));  // cache_format
  for (const uint64_t number :
       {uint64_t{0}, uint64_t{1} << 25, ~uint64_t{0}, ~uint64_t{0} >> 1}) {
    EXPECT_THAT(restore(24, number, 8), HasSubstr("max_tokens"));
    EXPECT_NE(restore(64, number, 8), "OK");  // number of tokens
    if (number == 0) continue;
    EXPECT_NE(restore(32, number, 8), "OK");  // max_rollback
    EXPECT_NE(restore(56, number, 8), "OK");  // floor
  }
  for (const uint64_t number : {uint64_t{4097}, ~uint64_t{0}}) {
    EXPECT_THAT(restore(48, number, 8), HasSubstr("max_checkpoints"));
  }
  EXPECT_THAT(restore(40, ~uint64_t{0}, 8), HasSubstr("checkpoint_interval"));
  EXPECT_EQ(restore(24, 4, 8),
            Path("hostile") +
                ": saved session of 5 tokens, wanted at most max_tokens, "
                "which is 4");
  EXPECT_THAT(restore(72, ~uint64_t{0}, 4), HasSubstr("out of range"));
  EXPECT_THAT(restore(72, model.config().vocab_size, 4),
              HasSubstr("out of range"));
  EXPECT_THAT(restore(92, 1, 8), HasSubstr("out of range"));  // number of rows
}

TEST_F(SessionFileTest, HostileRowsAreRefused) {
  const Model model = LoadOrDie(ToyPath("gemma2"), {});
  Session session = NewSession(model, {.max_tokens = 20});
  Words words(RandomPrompt(2));
  words.Append(RandomRows(model, 3, RowMask::kBidirectional, 1));
  words.Append({7});
  ASSERT_TRUE(session.Append(words).ok());
  ASSERT_TRUE(session.Save(Path()).ok());
  const std::string good = ReadFile(Path());
  const auto restore = [&](size_t at, uint64_t number, size_t size) {
    WriteFile(Path("hostile"), Changed(good, at, number, size));
    return ErrorOf(Session::Restore(model, Path("hostile")));
  };
  EXPECT_EQ(restore(0, 'G', 1), "OK");
  constexpr size_t kTokens = 72;
  constexpr size_t kRows = kTokens + 6 * sizeof(TokenId);
  EXPECT_EQ(restore(kRows + 24, 0, 4), "OK");  // the mask, which is 1
  const auto expect_refused = [&](size_t at, uint64_t number, size_t size) {
    EXPECT_THAT(restore(at, number, size), HasSubstr("out of range"))
        << number << " at " << at;
  };
  expect_refused(kRows + 24, 2, 4);
  for (const uint64_t number :
       {uint64_t{0}, uint64_t{1}, uint64_t{4}, uint64_t{1} << 60, ~uint64_t{0},
        ~uint64_t{0} / 256, ~uint64_t{0} - 2}) {
    if (number != 1) expect_refused(kRows, number, 8);
    expect_refused(kRows + 8, number, 8);   // begin
    expect_refused(kRows + 16, number, 8);  // count
  }
  expect_refused(kRows + 28, 0x7f800000, 4);            // an infinite value
  expect_refused(kTokens + 2 * sizeof(TokenId), 5, 4);  // a token for a row
  expect_refused(kTokens, ~uint64_t{0}, 4);             // a row for a token
}

TEST_F(SessionFileTest, RowsMustFitPass) {
  LoadOptions options;
  options.prefill_chunk = 40;
  const Model model = LoadOrDie(ToyPath("gemma2"), options);
  Session session = NewSession(model);
  Words words;
  words.Append(RandomRows(model, 40, RowMask::kBidirectional, 1));
  ASSERT_TRUE(session.Append(words).ok());
  ASSERT_TRUE(session.Save(Path()).ok());
  EXPECT_EQ(ErrorOf(Session::Restore(model, Path())), "OK");
  options.prefill_chunk = 39;
  EXPECT_EQ(
      ErrorOf(Session::Restore(LoadOrDie(ToyPath("gemma2"), options), Path())),
      Path() +
          ": word 0 of the session begins 40 bidirectional rows, wanted at "
          "most 39 "
          "(LoadOptions::prefill_chunk)");
}

}  // namespace
}  // namespace gemma::internal
