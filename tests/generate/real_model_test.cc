// Compares the real Gemma 3 270M, whose path is in $GEMMA_TEST_MODEL, with
// transformers in float32 on the dequantized weights; see
// tools/reference/real_model.py.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "ops/workers.h"
#include "tests/support/requests.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

class RealModel : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* path = std::getenv("GEMMA_TEST_MODEL");
    ASSERT_NE(path, nullptr) << "GEMMA_TEST_MODEL names no model";
    model_ = new Model(LoadOrDie(path, {}));
    exact_ = new Model(LoadExact(path));
    std::ifstream file(GEMMA_TESTDATA_DIR "/real270m/reference.json");
    reference_ = new nlohmann::json(nlohmann::json::parse(file));
  }
  static void TearDownTestSuite() {
    delete model_;
    delete exact_;
    delete reference_;
  }

  static size_t vocab_size() { return model_->config().vocab_size; }

  static Model* model_;  // as users run it
  static Model* exact_;  // with activations in float32
  static nlohmann::json* reference_;
};

Model* RealModel::model_ = nullptr;
Model* RealModel::exact_ = nullptr;
nlohmann::json* RealModel::reference_ = nullptr;

// log(sum(exp(logits))). Exponentials in float32 are fast, and exact enough: a
// relative error of 1e-6 changes the logarithm by 1e-6.
double LogSum(const float* logits, size_t size) {
  const float largest = *std::max_element(logits, logits + size);
  double sum = 0;
  for (size_t i = 0; i < size; ++i) sum += std::exp(logits[i] - largest);
  return largest + std::log(sum);
}

// Returns the sum of term(row) over all rows. All cores compute terms, because
// each is a loop over the vocabulary.
double SumOfRows(size_t rows, const std::function<double(size_t)>& term) {
  std::vector<double> terms(rows);
  Workers workers(std::max(1u, std::thread::hardware_concurrency()));
  workers.ForEach(rows, [&](size_t row, size_t) { terms[row] = term(row); });
  return std::accumulate(terms.begin(), terms.end(), 0.0);
}

// Returns the mean over the tokens of `text`, in windows of BOS and window - 1
// tokens.
double MeanNll(const Model& model, const std::vector<TokenId>& text,
               size_t window, CacheFormat cache) {
  constexpr size_t kRows = 64;  // of logits at once
  const size_t vocab_size = model.config().vocab_size;
  std::vector<float> logits;
  double sum = 0;
  for (size_t begin = 0; begin < text.size(); begin += window - 1) {
    std::vector<TokenId> tokens = {model.config().bos_token};
    const size_t end = std::min(text.size(), begin + window - 1);
    tokens.insert(tokens.end(), text.begin() + begin, text.begin() + end);
    Session session =
        NewSession(model, {.max_tokens = window, .cache_format = cache});
    for (size_t row = 0; row + 1 < tokens.size(); row += kRows) {
      const size_t rows = std::min(kRows, tokens.size() - 1 - row);
      logits = AllLogits(session,
                         {tokens.begin() + row, tokens.begin() + row + rows});
      sum += SumOfRows(rows, [&](size_t r) {
        const float* of_row = logits.data() + r * vocab_size;
        return LogSum(of_row, vocab_size) - of_row[tokens[row + r + 1]];
      });
    }
  }
  return sum / static_cast<double>(text.size());
}

// A window of all tokens.
TEST_F(RealModel, PerplexityEqualsTheReference) {
  const nlohmann::json& perplexity = (*reference_)["perplexity"];
  const std::vector<TokenId> ids = perplexity["ids"];
  ASSERT_EQ(ids.front(), model_->config().bos_token);
  ASSERT_GT(ids.size(), 1500u);
  const nlohmann::json& window = perplexity["windows"][0];
  ASSERT_EQ(window["window"], 2048);
  // A difference of mean_nll is the logarithm of a ratio of perplexities.
  EXPECT_NEAR(
      MeanNll(*model_, {ids.begin() + 1, ids.end()}, 2048, CacheFormat::kAuto),
      window["mean_nll"], 0.005);
}

// Several windows. With a float32 cache, only the order of sums differs.
TEST_F(RealModel, PerplexityExactInFloat32) {
  const nlohmann::json& perplexity = (*reference_)["perplexity"];
  const std::vector<TokenId> ids = perplexity["ids"];
  const nlohmann::json& window = perplexity["windows"][1];
  ASSERT_EQ(window["window"], 512);
  EXPECT_NEAR(MeanNll(*exact_, {ids.begin() + 1, ids.end()}, 512,
                      CacheFormat::kFloat32),
              window["mean_nll"], 1e-5);
}

// KL(p || q) in nats of the softmax of two rows of logits.
double Kl(const float* p, const float* q, size_t size) {
  double sum = 0;
  const double log_p = LogSum(p, size);
  const double log_q = LogSum(q, size);
  for (size_t i = 0; i < size; ++i) {
    const double log = p[i] - log_p;
    sum += std::exp(static_cast<float>(log)) * (log - (q[i] - log_q));
  }
  return sum;
}

// A session whose distributions are compared. It computes `chunk` tokens at
// once, a divisor of 64.
struct Compared {
  Session session;
  size_t chunk;
  double kl = 0;  // mean divergence
};

// Appends the tokens, a multiple of 64, to all sessions. The bits of `exact` do
// not depend on its chunk.
void Compare(Session exact, const std::vector<TokenId>& ids,
             std::vector<Compared>& all) {
  constexpr size_t kTokens = 64;
  const size_t vocab_size = exact.model().config().vocab_size;
  for (auto at = ids.begin(); at != ids.end(); at += kTokens) {
    const std::vector<float> p = AllLogits(exact, {at, at + kTokens});
    for (Compared& compared : all) {
      std::vector<float> q;
      for (size_t i = 0; i < kTokens; i += compared.chunk) {
        const std::vector<float> rows =
            AllLogits(compared.session, {at + i, at + i + compared.chunk});
        q.insert(q.end(), rows.begin(), rows.end());
      }
      compared.kl += SumOfRows(kTokens, [&](size_t row) {
        return Kl(p.data() + row * vocab_size, q.data() + row * vocab_size,
                  vocab_size) /
               static_cast<double>(ids.size());
      });
    }
  }
}

// Tries single tokens, as in decode, and many at once. If outliers were
// rounded, too, this would cost 2.2e-3.
TEST_F(RealModel, RoundedActivationsKeepDistribution) {
  const std::vector<TokenId> ids = (*reference_)["perplexity"]["ids"];
  std::vector<Compared> all;
  all.push_back({NewSession(*model_), 1});
  all.push_back({NewSession(*model_), 64});
  Compare(NewSession(*exact_), {ids.begin(), ids.begin() + 320}, all);
  for (const Compared& compared : all) {
    EXPECT_LE(compared.kl, 1.2e-3) << "chunk " << compared.chunk;
    RecordProperty("kl_chunk_" + std::to_string(compared.chunk),
                   std::to_string(compared.kl));
  }
}

// An int8 scale for each row would cost 6e-3.
TEST_F(RealModel, RoundedCachesKeepDistribution) {
  const std::vector<TokenId> ids = (*reference_)["perplexity"]["ids"];
  const auto session = [](CacheFormat format) {
    return NewSession(*exact_, {.cache_format = format});
  };
  std::vector<Compared> all;
  all.push_back({session(CacheFormat::kBFloat16), 64});
  all.push_back({session(CacheFormat::kInt8), 64});
  Compare(session(CacheFormat::kFloat32), {ids.begin(), ids.begin() + 320},
          all);
  EXPECT_LE(all[0].kl, 1e-4);
  EXPECT_LE(all[1].kl, 2e-3);
  RecordProperty("kl_cache_bfloat16", std::to_string(all[0].kl * 1e6));
  RecordProperty("kl_cache_int8", std::to_string(all[1].kl * 1e6));
}

// Checks the `top_k` largest logits, as ForwardTop found them, against all
// logits. Returns how many it found.
size_t CheckTop(absl::Span<const float> all, absl::Span<const float> top,
                size_t top_k) {
  std::vector<float> ranked(all.begin(), all.end());
  const auto nth = ranked.begin() + (top_k - 1);
  std::nth_element(ranked.begin(), nth, ranked.end(), std::greater<>());
  const float least = *nth;
  size_t found = 0;
  size_t wrong = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const bool skipped = top[i] == -INFINITY;
    found += skipped ? 0 : 1;
    wrong += (skipped ? all[i] < least : all[i] == top[i]) ? 0 : 1;
  }
  EXPECT_EQ(wrong, 0u) << "of the top " << top_k;
  return found;
}

// Compares every step of the 20 continuations with the reference, and scans of
// the head with products of all of it. In nearly all steps a scan must skip
// more than half of the rows, or it is not worth its code.
TEST_F(RealModel, GreedyTokensEqualReference) {
  constexpr size_t kTopKs[] = {64, 1};
  size_t compared = 0;
  size_t steps = 0;
  size_t steps_that_pay = 0;
  const nlohmann::json& prompts = (*reference_)["prompts"];
  ASSERT_EQ(prompts.size(), 20u);
  for (const nlohmann::json& prompt : prompts) {
    std::vector<TokenId> tokens = prompt["ids"];
    const std::vector<TokenId> greedy = prompt["greedy"];
    const std::vector<double> margins = prompt["margins"];
    ASSERT_EQ(greedy.size(), 32u);
    Session all = NewSession(*model_);
    Session top = NewSession(*model_);
    // Feed the reference's continuation, not ours, so that every step can be
    // compared.
    for (size_t i = 0; i < greedy.size(); ++i) {
      const auto logits = all.Forward(tokens);
      ASSERT_TRUE(logits.ok()) << logits.status();
      const auto best = std::max_element(logits->begin(), logits->end());
      if (margins[i] > 0.5) {
        EXPECT_EQ(best - logits->begin(), greedy[i])
            << prompt["text"] << ", step " << i;
        ++compared;
      }
      const size_t top_k = kTopKs[i % std::size(kTopKs)];
      const auto largest = top.ForwardTop(tokens, top_k);
      ASSERT_TRUE(largest.ok()) << largest.status();
      ++steps;
      if (CheckTop(*logits, *largest, top_k) < vocab_size() / 2) {
        ++steps_that_pay;
      }
      tokens = {greedy[i]};
    }
  }
  EXPECT_GT(compared, 400u);
  EXPECT_GT(steps_that_pay, steps * 9 / 10) << steps;
}

// With on_token, Generate computes all logits.
TEST_F(RealModel, LargestLogitsDecideAnswer) {
  std::vector<SamplingOptions> samplings(5);
  samplings[0].seed = 1;
  samplings[1] = {.temperature = 0.0f, .repetition_penalty = 1.3f};
  samplings[2] = {.frequency_penalty = 0.5f, .presence_penalty = 0.5f};
  samplings[3] = {.top_k = 20, .typical_p = 0.8f, .penalty_window = 5};
  samplings[3].presence_penalty = 2.0f;
  // These are the most probable tokens after any word.
  samplings[4] = {.temperature = 0.0f,
                  .logit_bias = {{107, -INFINITY}, {236761, -8.0f}}};
  const std::vector<TokenId> prompt =
      (*reference_)["prompts"][0]["ids"].get<std::vector<TokenId>>();
  for (const SamplingOptions& sampling : samplings) {
    GenerateOptions options;
    options.max_new_tokens = 24;
    options.sampling = sampling;
    const auto answer = [&] {
      Session session = NewSession(*model_);
      EXPECT_TRUE(Generate(session, prompt, options, [](std::string_view) {
                    return true;
                  }).ok());
      return std::vector<TokenId>(session.tokens().begin(),
                                  session.tokens().end());
    };
    const std::vector<TokenId> expected = answer();
    EXPECT_GT(expected.size(), prompt.size());
    options.on_token = [](const ScoredToken&) {};
    EXPECT_EQ(answer(), expected);
  }
}

// With on_token, Generate computes and masks all logits.
TEST_F(RealModel, GrammarEqualsMaskedLogits) {
  const auto schema = Grammar::FromJsonSchema(
      R"({"type":"object","properties":{"name":{"type":"string",)"
      R"("maxLength":40},"kind":{"enum":["city","town","village"]},)"
      R"("area":{"type":"number","minimum":0},"notes":{"type":"array",)"
      R"("items":{"type":"string"},"maxItems":4}},)"
      R"("required":["name","kind","area","notes"]})");
  const auto lower = Grammar::FromRegex("[a-z ]{1,200}\\.");
  // The model seldom wants these: too few of the largest logits are allowed.
  const auto rare = Grammar::FromRegex("[^a-zA-Z0-9 \\n]{30}");
  const std::vector<TokenId> prompt =
      (*reference_)["prompts"][0]["ids"].get<std::vector<TokenId>>();
  for (const auto* grammar : {&schema, &lower, &rare}) {
    ASSERT_TRUE(grammar->ok()) << grammar->status();
    for (const float temperature : {0.0f, 1.5f}) {
      GenerateOptions options;
      options.grammar = &**grammar;
      options.max_new_tokens = grammar == &schema ? 60 : 30;
      options.sampling.temperature = temperature;
      const auto answer = [&] {
        Session session = NewSession(*model_);
        std::string text;
        const auto stats =
            Generate(session, prompt, options, [&](std::string_view part) {
              text += part;
              return true;
            });
        EXPECT_TRUE(stats.ok()) << stats.status();
        if (stats.ok() && stats->stop_reason != StopReason::kMaxTokens) {
          EXPECT_TRUE((*grammar)->Matches(text).value_or(false)) << text;
        }
        return std::vector<TokenId>(session.tokens().begin(),
                                    session.tokens().end());
      };
      const std::vector<TokenId> expected = answer();
      EXPECT_GT(expected.size(), prompt.size());
      options.on_token = [](const ScoredToken&) {};
      EXPECT_EQ(answer(), expected);
    }
  }
}

TEST_F(RealModel, SameBitsAnyChunk) {
  const std::vector<TokenId> ids = (*reference_)["perplexity"]["ids"];
  // More than the local layers' window of 512.
  const std::vector<TokenId> tokens(ids.begin(), ids.begin() + 700);
  Session whole = NewSession(*exact_);
  const auto expected = whole.Forward(tokens);
  ASSERT_TRUE(expected.ok()) << expected.status();
  Session pieces = NewSession(*exact_);
  std::vector<float> actual;
  for (size_t begin = 0; begin < tokens.size(); begin += 97) {
    const size_t end = std::min(tokens.size(), begin + 97);
    const auto logits =
        pieces.Forward(absl::MakeConstSpan(tokens).subspan(begin, end - begin));
    ASSERT_TRUE(logits.ok()) << logits.status();
    actual.assign(logits->begin(), logits->end());
  }
  EXPECT_EQ(actual, std::vector<float>(expected->begin(), expected->end()));
}

// Requests begin with the same 500 tokens. Only the first computes them.
TEST_F(RealModel, EngineReusesCommonPrefix) {
  std::ifstream file(GEMMA_TESTDATA_DIR "/real270m/text.txt");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::vector<TokenId> tokens = *(*model_->tokenizer())->Encode(text);
  tokens.insert(tokens.begin(), model_->config().bos_token);
  const auto question = [&](size_t i) {
    // The questions after them differ from the first token on.
    Request request = Ask({tokens.begin(), tokens.begin() + 500}, 12);
    request.prompt.insert(request.prompt.end(), tokens.begin() + 600 + 25 * i,
                          tokens.begin() + 610 + 30 * i);
    return request;
  };
  auto engine = Engine::Create(*model_, {.max_tokens = 1024});
  ASSERT_TRUE(engine.ok()) << engine.status();
  // Submit three one after the other, then three together.
  std::vector<Ticket> tickets;
  for (size_t i = 0; i < 6; ++i) {
    tickets.push_back(*engine->Submit(question(i)));
    if (i < 3) tickets.back().Wait();
  }
  for (size_t i = 0; i < 6; ++i) {
    Outcome outcome;
    Collect(tickets[i], &outcome);
    EXPECT_EQ(outcome, Alone(*model_, question(i), {.max_tokens = 1024}));
    const size_t reused = (*tickets[i].Wait()).stats.reused_tokens;
    EXPECT_EQ(reused, i == 0 ? 0u : 500u) << i;
  }
}

}  // namespace
}  // namespace gemma::internal
