// Generates text with a real vocabulary, and with models whose tokens are all
// known beforehand.

#include "gemma/generate.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <latch>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/utf8.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

// A finished answer.
struct Answer {
  GenerateStats stats;
  std::vector<std::string> parts;  // as on_text received them
  std::vector<TokenId> tokens;     // in the session, after the prompt

  std::string text() const {
    std::string out;
    for (const std::string& part : parts) out += part;
    return out;
  }
};

// Generates an answer and checks what every answer must fulfil.
Answer AskSession(Session& session, const std::vector<TokenId>& prompt,
                  const GenerateOptions& options) {
  Answer answer;
  std::vector<TokenId> before = TokensOf(session);
  const absl::StatusOr<GenerateStats> stats =
      Generate(session, prompt, options, [&](std::string_view text) {
        EXPECT_FALSE(text.empty());
        EXPECT_TRUE(IsValidUtf8(text)) << text;
        answer.parts.emplace_back(text);
        return true;
      });
  EXPECT_EQ(ErrorOf(stats.status()), "OK");
  if (!stats.ok()) return answer;
  answer.stats = *stats;
  EXPECT_EQ(stats->prompt_tokens, prompt.size());
  EXPECT_GE(stats->prefill_seconds, 0);
  EXPECT_GE(stats->decode_seconds, 0);
  // The session holds its earlier tokens, the prompt and every new token.
  before.insert(before.end(), prompt.begin(), prompt.end());
  const std::vector<TokenId> after = TokensOf(session);
  EXPECT_EQ(after.size(), before.size() + stats->new_tokens);
  if (after.size() < before.size()) return answer;
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
  answer.tokens.assign(after.begin() + before.size(), after.end());
  return answer;
}

// ---------------------------------------------------------------------------
// A vocabulary of 512 pieces

class GenerateMixed : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = new Model(
        LoadOrDie(std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed.gguf",
                  {.num_threads = 1}));
  }
  static void TearDownTestSuite() {
    delete model_;
    model_ = nullptr;
  }

  const Tokenizer& tokenizer() const { return **model_->tokenizer(); }

  Answer RunNew(const GenerateOptions& options) const {
    Session session = NewSession(*model_, {.max_tokens = 256});
    return AskSession(session, kPrompt, options);
  }

  const std::vector<TokenId> kPrompt = {2, 300, 310, 320};
  static Model* model_;
};

Model* GenerateMixed::model_ = nullptr;

TEST_F(GenerateMixed, StreamsDecodedTokens) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    GenerateOptions options;
    options.max_new_tokens = 60;
    options.sampling = {
        .temperature = 1.5f, .top_k = 0, .top_p = 1.0f, .seed = seed};
    const Answer answer = RunNew(options);
    EXPECT_EQ(answer.text(), tokenizer().Decode(answer.tokens));
    EXPECT_EQ(answer.stats.stop_reason, answer.tokens.size() == 60
                                            ? StopReason::kMaxTokens
                                            : StopReason::kStopToken);
    // The same seed gives the same answer.
    EXPECT_EQ(RunNew(options).tokens, answer.tokens);
  }
}

TEST_F(GenerateMixed, TemperatureZeroIsGreedy) {
  Session session = NewSession(*model_);
  std::vector<TokenId> expected;
  std::vector<TokenId> next = kPrompt;
  Sampler greedy({.temperature = 0.0f});
  const std::vector<TokenId>& stops = model_->config().stop_tokens;
  while (expected.size() < 20) {
    const auto logits = session.Forward(next);
    ASSERT_TRUE(logits.ok());
    next = {greedy.Sample(*logits)};
    if (std::count(stops.begin(), stops.end(), next[0]) != 0) break;
    expected.push_back(next[0]);
  }
  GenerateOptions options;
  options.max_new_tokens = 20;
  options.sampling.temperature = 0.0f;
  EXPECT_EQ(RunNew(options).tokens, expected);
}

// Tries stop strings from all over the answer, across any borders of tokens.
TEST_F(GenerateMixed, StopStringsEndAnswers) {
  GenerateOptions options;
  options.max_new_tokens = 30;
  options.sampling = {.top_k = 0, .seed = 3};
  const Answer free = RunNew(options);
  const std::string text = free.text();
  ASSERT_GE(text.size(), 20u);
  size_t tried = 0;
  for (size_t begin = 0; begin < text.size(); begin += 3) {
    for (const size_t size : {1, 2, 5, 11}) {
      if (begin + size > text.size()) continue;
      const std::string stop = text.substr(begin, size);
      SCOPED_TRACE(testing::Message() << "stop string '" << stop << "'");
      // A stray byte becomes U+FFFD only when the next token comes.
      if (!IsValidUtf8(stop) || stop.find("\uFFFD") != std::string::npos) {
        continue;
      }
      ++tried;
      options.stop_strings = {"never \x01 seen", stop};
      const Answer answer = RunNew(options);
      EXPECT_EQ(answer.stats.stop_reason, StopReason::kStopString);
      EXPECT_EQ(answer.text(), text.substr(0, text.find(stop)));
      // The last token is the one that completed the stop string.
      ASSERT_LE(answer.tokens.size(), free.tokens.size());
      EXPECT_TRUE(std::equal(answer.tokens.begin(), answer.tokens.end(),
                             free.tokens.begin()));
      EXPECT_THAT(tokenizer().Decode(answer.tokens), HasSubstr(stop));
      std::vector<TokenId> fewer = answer.tokens;
      fewer.pop_back();
      EXPECT_THAT(tokenizer().Decode(fewer), Not(HasSubstr(stop)));
    }
  }
  EXPECT_GE(tried, 10u);
}

TEST_F(GenerateMixed, NextPromptContinuesSession) {
  Session session = NewSession(*model_);
  GenerateOptions options;
  options.max_new_tokens = 5;
  options.sampling.temperature = 0.0f;
  const Answer first = AskSession(session, kPrompt, options);
  const Answer second = AskSession(session, {301, 302}, options);
  // One prompt of both, with the first answer between them, gives the same.
  std::vector<TokenId> whole = kPrompt;
  whole.insert(whole.end(), first.tokens.begin(), first.tokens.end());
  whole.insert(whole.end(), {301, 302});
  Session other = NewSession(*model_);
  EXPECT_EQ(AskSession(other, whole, options).tokens, second.tokens);
}

TEST_F(GenerateMixed, FullContextEndsAnswer) {
  for (const size_t room : {0, 1, 7}) {
    Session session =
        NewSession(*model_, {.max_tokens = kPrompt.size() + room});
    GenerateOptions options;
    options.sampling = {.top_k = 0, .seed = 3};
    const Answer answer = AskSession(session, kPrompt, options);
    EXPECT_EQ(answer.tokens.size(), room);
    EXPECT_EQ(answer.stats.stop_reason, StopReason::kContextFull);
    EXPECT_EQ(session.remaining(), 0u);
    EXPECT_EQ(answer.text(), tokenizer().Decode(answer.tokens));
  }
}

TEST_F(GenerateMixed, LongPromptChangesNothing) {
  Session session = NewSession(*model_, {.max_tokens = 8});
  ASSERT_TRUE(session.Forward({2, 300, 301}).ok());
  const absl::StatusOr<GenerateStats> stats =
      Generate(session, {302, 303, 304, 305, 306, 307}, {},
               [](std::string_view) { return true; });
  EXPECT_TRUE(absl::IsOutOfRange(stats.status()));
  EXPECT_THAT(ErrorOf(stats.status()),
              AllOf(HasSubstr("6 tokens"), HasSubstr("room for 5")));
  EXPECT_THAT(TokensOf(session), ElementsAre(2, 300, 301));
}

TEST_F(GenerateMixed, BadPromptChangesNothing) {
  Session session = NewSession(*model_);
  ASSERT_TRUE(session.Forward({2, 300}).ok());
  std::vector<std::vector<TokenId>> prompts = {{}, {5, -1}, {512}, {}};
  // A prompt of more than one pass, with the fault at its end.
  prompts.back().assign(600, 5);
  prompts.back().back() = 512;
  for (const std::vector<TokenId>& prompt : prompts) {
    const absl::StatusOr<GenerateStats> stats =
        Generate(session, prompt, {}, [](std::string_view) { return true; });
    EXPECT_TRUE(absl::IsInvalidArgument(stats.status()));
    EXPECT_EQ(TokensOf(session), std::vector<TokenId>({2, 300}))
        << "prompt of " << prompt.size();
    ASSERT_TRUE(session.Rewind(2).ok());
  }
}

TEST_F(GenerateMixed, BadOptionsChangeNothing) {
  Session session = NewSession(*model_);
  const auto error = [&](const GenerateOptions& options) {
    const absl::StatusOr<GenerateStats> stats =
        Generate(session, kPrompt, options, [](std::string_view) {
          ADD_FAILURE() << "text";
          return true;
        });
    EXPECT_TRUE(absl::IsInvalidArgument(stats.status()));
    EXPECT_EQ(session.position(), 0u);
    return ErrorOf(stats.status());
  };
  GenerateOptions options;
  options.sampling.temperature = -1.0f;
  EXPECT_EQ(error(options), "temperature is -1, wanted 0 or more");
  options = {};
  options.sampling.top_p = 1.5f;
  EXPECT_THAT(error(options), HasSubstr("top_p is 1.5"));
  options = {};
  options.stop_strings = {"a", ""};
  EXPECT_THAT(error(options), HasSubstr("stop string"));
  options = {};
  options.stop_tokens = {5, 512};
  EXPECT_EQ(error(options), "token 1 of stop_tokens is 512, wanted 0 to 511");
  options.stop_tokens = {-1};
  EXPECT_THAT(error(options), HasSubstr("token 0 of stop_tokens is -1"));
  options = {};
  options.checkpoints = {2, 2};
  EXPECT_EQ(error(options),
            "a number of checkpoints is 2, wanted 3 to 4, in ascending order");
  options.checkpoints = {0};
  EXPECT_THAT(error(options), HasSubstr("is 0, wanted 1 to 4"));
  options.checkpoints = {1, 5};
  EXPECT_THAT(error(options), HasSubstr("is 5, wanted 2 to 4"));
}

TEST_F(GenerateMixed, CancelledDuringThePrompt) {
  const std::vector<TokenId> prompt(1000, 300);
  for (const size_t last : {1, 2, 4}) {
    Session session = NewSession(*model_);
    size_t calls = 0;
    GenerateOptions options;
    options.cancelled = [&] { return ++calls == last; };
    const absl::StatusOr<GenerateStats> stats =
        Generate(session, prompt, options, [](std::string_view) {
          ADD_FAILURE() << "text";
          return true;
        });
    ASSERT_EQ(ErrorOf(stats.status()), "OK");
    EXPECT_EQ(stats->stop_reason, StopReason::kCancelled);
    EXPECT_EQ(stats->new_tokens, 0u);
    EXPECT_EQ(calls, last);
    // The session holds a beginning of the prompt.
    EXPECT_EQ(session.position(), std::min(256 * last, prompt.size()));
    EXPECT_EQ(stats->prompt_tokens, session.position());
    EXPECT_GT(stats->prefill_seconds, 0);
  }
}

TEST_F(GenerateMixed, CheckpointsOfThePrompt) {
  const std::vector<TokenId> prompt(300, 300);
  for (const bool scored : {false, true}) {
    Session session = NewSession(*model_, {.max_rollback = 4});
    size_t computed = 0;
    session.SetTap([&](const TapSite& site, absl::Span<float>) {
      if (site.point == TapPoint::kMixOutput && site.layer == 0) {
        computed += site.num_rows;
      }
    });
    GenerateOptions options;
    options.max_new_tokens = 300;  // the rings forget the prompt
    options.sampling.logit_bias = {{1, -INFINITY}, {6, -INFINITY}};
    options.checkpoints = {17, 100, 299};
    options.score_prompt = scored;
    options.on_token = [](const ScoredToken&) {};
    std::vector<size_t> told;
    options.on_prompt = [&](size_t done, size_t) { told.push_back(done); };
    AskSession(session, prompt, options);
    EXPECT_THAT(told, IsSupersetOf({17, 100, 299, 300}));
    for (const size_t position : {299, 100, 17}) {
      computed = 0;
      ASSERT_TRUE(session.Rewind(position).ok());
      EXPECT_EQ(computed, 0u) << "back to " << position;
    }
  }
}

TEST_F(GenerateMixed, CancelledFromAnotherThread) {
  Session session = NewSession(*model_, {.max_tokens = 100'000});
  std::atomic<bool> cancel = false;
  std::latch reached(1);
  size_t tokens = 0;
  GenerateOptions options;
  options.cancelled = [&] { return cancel.load(); };
  options.on_token = [&](const ScoredToken&) {
    if (++tokens == 3) reached.count_down();
  };
  options.sampling.logit_bias = {{1, -INFINITY}, {6, -INFINITY}};
  std::thread other([&] {
    reached.wait();
    cancel = true;
  });
  const Answer answer = AskSession(session, kPrompt, options);
  other.join();
  EXPECT_EQ(answer.stats.stop_reason, StopReason::kCancelled);
  EXPECT_GE(answer.tokens.size(), 3u);
}

TEST_F(GenerateMixed, DeadlineAtAnyStage) {
  const auto now = [] { return std::chrono::steady_clock::now(); };
  Session session = NewSession(*model_);
  GenerateOptions options;
  options.deadline = now();
  EXPECT_EQ(AskSession(session, kPrompt, options).stats.stop_reason,
            StopReason::kDeadline);
  for (const size_t last : {1, 4, 5, 9}) {
    session = NewSession(*model_);
    size_t calls = 0;
    options.sampling.logit_bias = {{1, -INFINITY}, {6, -INFINITY}};
    options.deadline = now() + std::chrono::seconds(1000);
    options.cancelled = [&] {
      // The deadline passes.
      if (++calls == last) options.deadline = now();
      return false;
    };
    const absl::StatusOr<GenerateStats> stats =
        Generate(session, std::vector<TokenId>(1000, 300), options,
                 [](std::string_view) { return true; });
    ASSERT_EQ(ErrorOf(stats.status()), "OK");
    EXPECT_EQ(stats->stop_reason, StopReason::kDeadline);
    EXPECT_EQ(stats->new_tokens, last - std::min<size_t>(last, 4));
    EXPECT_EQ(calls, last);
  }
}

TEST(Generate, ModelWithoutTokenizerFails) {
  const Model model = LoadOrDie(ToyPath("gemma"), {.num_threads = 1});
  Session session = NewSession(model);
  const absl::StatusOr<GenerateStats> stats =
      Generate(session, {2, 5}, {}, [](std::string_view) { return true; });
  EXPECT_TRUE(absl::IsFailedPrecondition(stats.status()));
  EXPECT_THAT(ErrorOf(stats.status()), HasSubstr("tokenizer"));
  EXPECT_EQ(session.position(), 0u);
}

// ---------------------------------------------------------------------------
// Scripts: each token is followed by a known one

constexpr TokenId Byte(int byte) { return kFirstByte + byte; }
constexpr TokenId Piece(int index) { return kFirstPiece + index; }

// A model that says `tokens` after <bos>, then <eos>. All tokens must differ.
class Script {
 public:
  Script(const std::vector<std::string>& pieces,
         const std::vector<TokenId>& tokens)
      : tokens_(tokens), model_(Load(pieces, tokens)) {}

  // Returns the answer to <bos>.
  Answer Say(GenerateOptions options = {}) {
    options.sampling.temperature = 0.0f;
    Session session = NewSession(model_, {.max_tokens = 64});
    Answer answer = AskSession(session, {2}, options);
    EXPECT_LE(answer.tokens.size(), tokens_.size());
    EXPECT_TRUE(std::equal(answer.tokens.begin(), answer.tokens.end(),
                           tokens_.begin()));
    return answer;
  }

  // The same with these stop strings.
  Answer SayUntil(std::vector<std::string> stops) {
    GenerateOptions options;
    options.stop_strings = std::move(stops);
    return Say(options);
  }

  const Model& model() const { return model_; }

 private:
  static Model Load(const std::vector<std::string>& pieces,
                    const std::vector<TokenId>& tokens) {
    std::map<TokenId, TokenId> next;
    TokenId last = 2;
    for (const TokenId token : tokens) {
      EXPECT_FALSE(next.contains(last)) << "token " << last << " repeats";
      next[last] = token;
      last = token;
    }
    const std::string path = TestDirectory() + "/m.gguf";
    WriteFile(path, ScriptedModel(pieces, next));
    return LoadOrDie(path, {.num_threads = 1, .prefill_chunk = 8});
  }

  std::vector<TokenId> tokens_;
  Model model_;
};

TEST(GenerateScript, EndsAtStopToken) {
  Script script({"\u2581Hello", ",", "\u2581world"},
                {Piece(0), Piece(1), Piece(2)});
  const Answer answer = script.Say();
  EXPECT_THAT(answer.parts, ElementsAre(" Hello", ",", " world"));
  EXPECT_THAT(answer.tokens, ElementsAre(Piece(0), Piece(1), Piece(2)));
  EXPECT_EQ(answer.stats.new_tokens, 3u);
  EXPECT_EQ(answer.stats.stop_reason, StopReason::kStopToken);
}

TEST(GenerateScript, StopTokenAtOnce) {
  Script script({}, {});
  const Answer answer = script.Say();
  EXPECT_EQ(answer.text(), "");
  EXPECT_EQ(answer.stats.new_tokens, 0u);
  EXPECT_EQ(answer.stats.stop_reason, StopReason::kStopToken);
  EXPECT_EQ(answer.stats.decode_tokens_per_second(), 0);
}

TEST(GenerateScript, StopTokensOfOptions) {
  Script script({"a", "b", "c"}, {Piece(0), Piece(1), Piece(2)});
  for (size_t i = 0; i < 3; ++i) {
    GenerateOptions options;
    // Stop tokens may be in any order and repeat, also the model's own.
    options.stop_tokens = {Piece(2), Piece(static_cast<int>(i)), 1, Piece(2)};
    const Answer answer = script.Say(options);
    EXPECT_EQ(answer.text(), std::string("abc").substr(0, i));
    EXPECT_EQ(answer.stats.new_tokens, i);
    EXPECT_EQ(answer.stats.stop_reason, StopReason::kStopToken);
  }
}

// A stop token is allowed only where a text of the grammar may end.
TEST(GenerateScript, GrammarKnowsStopTokens) {
  Script script({"a", "b", "<end>"}, {Piece(0), Piece(2)});
  const absl::StatusOr<Grammar> grammar = Grammar::FromRegex("a|ab+");
  ASSERT_EQ(ErrorOf(grammar), "OK");
  GenerateOptions options;
  options.grammar = &*grammar;
  options.stop_tokens = {Piece(2)};
  const Answer answer = script.Say(options);
  EXPECT_EQ(answer.text(), "a");
  EXPECT_EQ(answer.stats.stop_reason, StopReason::kStopToken);
  // Now the model wants the stop token first, where no text ends.
  options.sampling.logit_bias = {{Piece(2), 1000.0f}};
  EXPECT_EQ(script.Say(options).text(), "a");
}

TEST(GenerateScript, ObeysMaxNewTokens) {
  Script script({"a", "b", "c"}, {Piece(0), Piece(1), Piece(2)});
  for (size_t max = 1; max <= 4; ++max) {
    GenerateOptions options;
    options.max_new_tokens = max;
    const Answer answer = script.Say(options);
    EXPECT_EQ(answer.text(), std::string("abc").substr(0, max));
    EXPECT_EQ(answer.stats.new_tokens, std::min<size_t>(max, 3));
    EXPECT_EQ(answer.stats.stop_reason,
              max <= 3 ? StopReason::kMaxTokens : StopReason::kStopToken);
  }
}

TEST(GenerateScript, CharactersComeWhole) {
  // The bytes of U+20AC between letters.
  Script script({"x", "y"},
                {Piece(0), Byte(0xE2), Byte(0x82), Byte(0xAC), Piece(1)});
  EXPECT_THAT(script.Say().parts, ElementsAre("x", "\u20AC", "y"));
}

TEST(GenerateScript, ReplacesUnfinishedCharacter) {
  Script script({"x"}, {Piece(0), Byte(0xE2), Byte(0x82)});
  const Answer answer = script.Say();
  EXPECT_EQ(answer.text(),
            (*script.model().tokenizer())->Decode(answer.tokens));
  EXPECT_EQ(answer.text(), "x\uFFFD\uFFFD");
}

TEST(GenerateScript, StopStringSpansTokens) {
  Script script({"Hel", "lo\u2581wo", "rld", "!"},
                {Piece(0), Piece(1), Piece(2), Piece(3)});
  const std::pair<const char*, const char*> cases[] = {
      {"Hel", ""},          {"H", ""},           {"llo", "He"},
      {"lo", "Hel"},        {"o worl", "Hell"},  {"world!", "Hello "},
      {"Hello world!", ""}, {"d!", "Hello worl"}};
  for (const auto& [stop, text] : cases) {
    const Answer answer = script.SayUntil({stop});
    EXPECT_EQ(answer.text(), text) << stop;
    EXPECT_EQ(answer.stats.stop_reason, StopReason::kStopString) << stop;
  }
  // The token that completes the stop string is the last.
  EXPECT_EQ(script.SayUntil({"llo"}).stats.new_tokens, 2u);
}

TEST(GenerateScript, StopStringNearMiss) {
  // "aab" in "aaab": after "aa", the third "a" starts the match anew.
  Script script({"a", "aa", "b"}, {Piece(0), Piece(1), Piece(2)});
  EXPECT_EQ(script.SayUntil({"aab"}).text(), "a");
  EXPECT_EQ(script.SayUntil({"aaaab"}).text(), "aaab");
}

TEST(GenerateScript, FirstStopStringCounts) {
  Script script({"one", "two", "three"}, {Piece(0), Piece(1), Piece(2)});
  EXPECT_EQ(script.SayUntil({"three", "two", "wot"}).text(), "one");
  EXPECT_EQ(script.SayUntil({"wot", "etwot"}).text(), "on");
  EXPECT_EQ(script.SayUntil({"none", "xyz"}).text(), "onetwothree");
}

TEST(GenerateScript, HeldTextComesLast) {
  Script script({"ab", "cd"}, {Piece(0), Piece(1)});
  // The end of the answer begins each of these stop strings.
  for (const char* stop : {"cde", "bcdx", "abcdabcd", "dd"}) {
    const Answer answer = script.SayUntil({stop});
    EXPECT_EQ(answer.text(), "abcd") << stop;
    EXPECT_EQ(answer.stats.stop_reason, StopReason::kStopToken);
  }
  GenerateOptions options;
  options.stop_strings = {"abx", "cdx"};
  options.max_new_tokens = 1;
  EXPECT_EQ(script.Say(options).text(), "ab");
  size_t calls = 0;
  options.max_new_tokens = 0;
  options.cancelled = [&] { return ++calls == 3; };
  EXPECT_EQ(script.Say(options).text(), "abcd");
}

TEST(GenerateScript, ReplacementMatchesStopString) {
  Script script({"x"}, {Piece(0), Byte(0xE2)});
  const Answer answer = script.SayUntil({"\uFFFD"});
  EXPECT_EQ(answer.text(), "x");
  EXPECT_EQ(answer.stats.stop_reason, StopReason::kStopString);
  // The reason is the same if max_new_tokens ended the answer, but not if the
  // caller did.
  GenerateOptions options;
  options.stop_strings = {"\uFFFD"};
  options.max_new_tokens = 2;
  EXPECT_EQ(script.Say(options).stats.stop_reason, StopReason::kStopString);
  size_t calls = 0;
  options.cancelled = [&] { return ++calls == 3; };
  const Answer cancelled = script.Say(options);
  EXPECT_EQ(cancelled.text(), "x");
  EXPECT_EQ(cancelled.stats.stop_reason, StopReason::kCancelled);
}

TEST(GenerateScript, NothingAfterStopString) {
  // 0xE2 becomes U+FFFD when 0xE3 arrives, which is then held back itself.
  Script script({"x"}, {Piece(0), Byte(0xE2), Byte(0xE3), Byte(0xE4)});
  const Answer answer = script.SayUntil({"x\uFFFD"});
  EXPECT_EQ(answer.text(), "");
  EXPECT_EQ(answer.stats.stop_reason, StopReason::kStopString);
}

TEST(GenerateScript, CallerStopEndsCalls) {
  Script script({"x"}, {Piece(0), Byte(0xE2), Byte(0xE3), Byte(0xE4)});
  for (size_t wanted = 1; wanted <= 3; ++wanted) {
    Session session = NewSession(script.model(), {.max_tokens = 64});
    GenerateOptions options;
    options.sampling.temperature = 0.0f;
    size_t calls = 0;
    const absl::StatusOr<GenerateStats> stats =
        Generate(session, {2}, options,
                 [&](std::string_view) { return ++calls < wanted; });
    ASSERT_EQ(ErrorOf(stats.status()), "OK");
    EXPECT_EQ(calls, wanted);
    EXPECT_EQ(stats->stop_reason, StopReason::kCancelled);
    EXPECT_EQ(session.position(), 1 + stats->new_tokens);
  }
}

// The text that is held back for a stop string is dropped.
TEST(GenerateScript, CallerStopDropsText) {
  Script script({"ab", "c"}, {Piece(0), Piece(1)});
  Session session = NewSession(script.model(), {.max_tokens = 64});
  GenerateOptions options;
  options.sampling.temperature = 0.0f;
  options.stop_strings = {"bx"};
  std::string text;
  ASSERT_EQ(ErrorOf(Generate(session, {2}, options,
                             [&](std::string_view part) {
                               text += part;
                               return false;
                             })
                        .status()),
            "OK");
  EXPECT_EQ(text, "a");
}

TEST(GenerateScript, CancelledBetweenTokens) {
  Script script({"a", "b", "c", "d"}, {Piece(0), Piece(1), Piece(2), Piece(3)});
  for (size_t last = 1; last <= 5; ++last) {
    size_t calls = 0;
    GenerateOptions options;
    options.cancelled = [&] { return ++calls == last; };
    const Answer answer = script.Say(options);
    // The first call is after the prompt.
    EXPECT_EQ(answer.text(), std::string("abcd").substr(0, last - 1));
    EXPECT_EQ(answer.stats.stop_reason, StopReason::kCancelled);
  }
}

TEST(GenerateScript, ControlTokensWithoutText) {
  Script script({"a", "b"}, {Piece(0), 0, Piece(1)});  // <pad> between
  const Answer answer = script.SayUntil({"ab"});
  EXPECT_THAT(answer.tokens, ElementsAre(Piece(0), 0, Piece(1)));
  EXPECT_EQ(answer.text(), "");
}

}  // namespace
}  // namespace gemma::internal
