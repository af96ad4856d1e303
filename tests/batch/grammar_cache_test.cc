#include "src/batch/grammar_cache.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/batch/batcher.h"
#include "tests/support/engines.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;
using Kind = GrammarSource::Kind;

GrammarSource RegexOf(std::string text) { return {Kind::kRegex, text}; }

GrammarSource ToolsOf(ToolRules rules) {
  rules.dialect = ToolDialect::kJson;
  return {.kind = Kind::kTools,
          .text = R"([{"function": {"name": "f"}}])",
          .rules = std::move(rules)};
}

bool Matches(const absl::StatusOr<Grammar>& grammar, std::string_view text) {
  EXPECT_EQ(ErrorOf(grammar.status()), "OK");
  return grammar.ok() && *grammar->Matches(text);
}

// A cache and what its meter says.
struct Cache {
  explicit Cache(uint64_t max_bytes)
      : meter(EngineOptions()), grammars(max_bytes, meter, account) {}
  absl::StatusOr<Grammar> Get(const GrammarSource& source) {
    return grammars.Get(source);
  }
  uint64_t hits() const { return meter.Get().grammar_hits; }

  MemoryAccount account{std::make_shared<MemoryBudget::Impl>(0), 0, 0, 0};
  EngineMeter meter;
  GrammarCache grammars;
};

TEST(GrammarCache, CompilesEachSourceOnce) {
  Cache cache(1 << 20);
  EXPECT_TRUE(Matches(cache.Get(RegexOf("[0-9]+")), "12"));
  EXPECT_EQ(cache.hits(), 0u);
  const auto again = cache.Get(RegexOf("[0-9]+"));
  EXPECT_TRUE(Matches(again, "12"));
  EXPECT_FALSE(Matches(again, "ab"));
  EXPECT_EQ(cache.hits(), 1u);
  EXPECT_EQ(&cache.Get(RegexOf("[0-9]+"))->impl(), &again->impl());
  EXPECT_EQ(cache.meter.Get().grammar_misses, 1u);
  EXPECT_EQ(cache.meter.Get().grammars, 1u);
  EXPECT_EQ(cache.meter.Get().grammar_bytes, cache.grammars.bytes());
  EXPECT_GT(cache.grammars.bytes(), again->bytes());
}

TEST(GrammarCache, TellsSourcesApart) {
  Cache cache(1 << 20);
  const std::vector<GrammarSource> sources = {{Kind::kAnyJson},
                                              {Kind::kJsonSchema, "true"},
                                              {Kind::kRegex, "true"},
                                              {Kind::kChoices, "", {"true"}},
                                              {Kind::kChoices, "", {"ab", "c"}},
                                              {Kind::kChoices, "", {"a", "bc"}},
                                              {Kind::kChoices, "", {"a 2 bc"}},
                                              ToolsOf({}),
                                              ToolsOf({.parallel = false}),
                                              ToolsOf({.thinking = true}),
                                              ToolsOf({.names = {"f"}})};
  for (const GrammarSource& source : sources) {
    EXPECT_EQ(ErrorOf(cache.Get(source).status()), "OK");
  }
  EXPECT_EQ(cache.hits(), 0u);
  EXPECT_EQ(cache.meter.Get().grammars, sources.size());
  EXPECT_TRUE(Matches(cache.Get(sources[0]), "[1]"));
  EXPECT_FALSE(Matches(cache.Get(sources[2]), "[1]"));
  EXPECT_TRUE(Matches(cache.Get(sources[5]), "bc"));
  EXPECT_FALSE(Matches(cache.Get(sources[4]), "bc"));
}

TEST(GrammarCache, DropsTheOldest) {
  // Sources of the same form take the same bytes.
  Cache one(1 << 20);
  EXPECT_TRUE(one.Get(RegexOf("aaaa[0-9]{9}")).ok());
  Cache cache(2 * one.grammars.bytes());
  for (const char* text : {"aaaa[0-9]{9}", "bbbb[0-9]{9}", "aaaa[0-9]{9}",
                           "cccc[0-9]{9}", "aaaa[0-9]{9}"}) {
    EXPECT_TRUE(cache.Get(RegexOf(text)).ok());
    EXPECT_LE(cache.grammars.bytes(), 2 * one.grammars.bytes());
  }
  EXPECT_EQ(cache.hits(), 2u);
  EXPECT_TRUE(cache.Get(RegexOf("bbbb[0-9]{9}")).ok());
  EXPECT_EQ(cache.hits(), 2u);
  // One that is too large leaves the others.
  EXPECT_TRUE(Matches(cache.Get(RegexOf(std::string(2000, 'x'))),
                      std::string(2000, 'x')));
  EXPECT_EQ(cache.meter.Get().grammars, 2u);
}

TEST(GrammarCache, KeepsNoErrors) {
  Cache cache(1 << 20);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_THAT(ErrorOf(cache.Get(RegexOf("(")).status()), HasSubstr("byte"));
  }
  EXPECT_EQ(cache.hits(), 0u);
  EXPECT_EQ(cache.grammars.bytes(), 0u);
  EXPECT_THAT(ErrorOf(cache.Get({Kind::kAnyJson, "{}"}).status()),
              HasSubstr("has a text"));
  EXPECT_THAT(ErrorOf(cache.Get({Kind::kRegex, "a", {"b"}}).status()),
              HasSubstr("has choices"));
}

// For the thread sanitizer.
TEST(GrammarCache, SharesRunningCompiles) {
  Cache cache(1 << 24);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < 5; ++i) {
        const std::string n = std::to_string(1 + i);
        EXPECT_TRUE(Matches(cache.Get(RegexOf("(a|b){" + n + "}")),
                            std::string(1 + i, 'a')));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache.meter.Get().grammar_misses, 5u);
  EXPECT_EQ(cache.hits(), 15u);
}

TEST(Engine, GrammarsCountAsReuse) {
  const Model model = LoadSpeakingToy({"", "gemma"}, 1, 64);
  EngineOptions options;
  options.max_tokens = 100;
  options.reuse_bytes =
      SequencePool::SequenceBytes(model, Batcher::SequenceOptions(options)) +
      1000;
  Engine engine = MakeEngine(model, options);
  AnswerOf(Submit(engine, Ask(MakePrompt(50, 1), 1)));
  EXPECT_EQ(engine.Snapshot().kept_sequences, 1u);
  const auto grammar = engine.Compile(RegexOf(std::string(500, 'x')));
  ASSERT_EQ(ErrorOf(grammar.status()), "OK");
  EXPECT_GT(engine.Snapshot().grammar_bytes, 1000u);
  // The kept sequence makes room for the grammar, and the next one finds none.
  AnswerOf(Submit(engine, Ask(MakePrompt(50, 1), 1)));
  const EngineSnapshot last = engine.Snapshot();
  EXPECT_EQ(last.kept_sequences, 0u);
  EXPECT_EQ(last.reused_tokens, 0u);
  EXPECT_EQ(last.reuse_bytes, last.grammar_bytes);
  EXPECT_LE(last.reuse_bytes, last.max_reuse_bytes);
}

}  // namespace
}  // namespace gemma::internal
