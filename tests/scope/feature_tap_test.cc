// Feature taps: the features that they report and change, alone or in a batch.

#include "gemma/feature_tap.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/scope/toy_autoencoders.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const Toy kToy = {"", "gemma2_odd"};
const std::string kFolder = "/layer_1/width_24/average_l0_6";
const std::string kRes = "gemma-scope-toy-pt-res" + kFolder;
const std::string kAtt = "gemma-scope-toy-pt-att" + kFolder;
const std::string kTranscoder = "gemma-scope-toy-pt-transcoders" + kFolder;

std::vector<TokenId> Prompt() {
  return ReadTokens(ScopePath("gemma2_odd.npz"), "ids");
}

// Reported features: reader, position, index and value.
using Told = std::vector<std::tuple<size_t, size_t, size_t, float>>;

std::function<void(const TokenFeatures&)> Into(Told* told) {
  return [told](const TokenFeatures& of) {
    for (const Feature& feature : of.features) {
      told->emplace_back(of.reader, of.position, feature.index, feature.value);
    }
  };
}

Told FeaturesOf(const Model& model, const std::vector<TokenId>& tokens,
                std::vector<FeatureReader> readers) {
  Session session = NewSession(model);
  Told told;
  Attach({.readers = std::move(readers), .on_features = Into(&told)}, session);
  EXPECT_TRUE(session.Append(tokens).ok());
  return told;
}

std::vector<float> LogitsWith(const Model& model, FeatureTapOptions options) {
  Session session = NewSession(model);
  Attach(std::move(options), session);
  return AllLogits(session, Prompt());
}

// As LogitsWith, but with a plain tap at the site's output that adds
// strengths[i] times the direction of features[i].
std::vector<float> LogitsOfPlainTap(
    const Model& model, const SparseAutoencoder& autoencoder,
    const std::vector<std::pair<size_t, float>>& changes) {
  Session session = NewSession(model);
  session.SetTap([&](const TapSite& site, absl::Span<float> x) {
    if (site.point != autoencoder.site().output ||
        site.layer != autoencoder.site().layer) {
      return;
    }
    const size_t columns = x.size() / site.num_rows;
    for (const auto& [feature, strength] : changes) {
      const std::vector<float> direction = *autoencoder.Direction(feature);
      for (size_t i = 0; i < x.size(); ++i) {
        if (site.position * columns + i < columns) continue;  // BOS
        x[i] += strength * direction[i % columns];
      }
    }
  });
  return AllLogits(session, Prompt());
}

TEST(FeatureTap, OutlivesModelAndAutoencoder) {
  auto model = std::make_unique<Model>(LoadToy(kToy));
  auto res = std::make_unique<SparseAutoencoder>(LoadToyAutoencoder(kRes));
  const Told expected = FeaturesOf(*model, Prompt(), {{res.get()}});
  const std::vector<float> expected_logits =
      LogitsWith(*model, {.changes = {{res.get(), 5, 2.0f, true}}});
  Told told;
  auto tap = FeatureTap(*model, {.readers = {{res.get()}},
                                 .changes = {{res.get(), 5, 2.0f, true}},
                                 .on_features = Into(&told)});
  ASSERT_EQ(ErrorOf(tap), "OK");
  Session session = NewSession(*model);
  session.SetTap(*std::move(tap));
  { const SparseAutoencoder moved = std::move(*res); }
  { const Model moved = std::move(*model); }
  EXPECT_EQ(AllLogits(session, Prompt()), expected_logits);
  EXPECT_EQ(told, expected);
}

TEST(FeatureTap, AnyThreadsAndChunk) {
  const SparseAutoencoder res = LoadToyAutoencoder(kRes);
  const SparseAutoencoder transcoder = LoadToyAutoencoder(kTranscoder);
  std::vector<std::tuple<size_t, size_t, size_t, float>> expected;
  std::vector<float> expected_logits;
  for (const auto& [threads, chunk] : std::vector<std::pair<size_t, size_t>>{
           {1, 256}, {2, 256}, {3, 7}, {2, 1}}) {
    const Model model = LoadToy(kToy, threads, chunk);
    Told told;
    const std::vector<float> logits = LogitsWith(
        model, {.readers = {{&res}, {&transcoder, 3}},
                .changes = {{&transcoder, 2, 1.5f, true}, {&res, 5, 2.0f}},
                .on_features = Into(&told)});
    std::sort(told.begin(), told.end());  // each chunk visits the sites anew
    if (expected.empty()) {
      expected = told;
      expected_logits = logits;
      EXPECT_GT(told.size(), 2 * Prompt().size());
    }
    EXPECT_EQ(told, expected) << threads << " threads, chunk " << chunk;
    EXPECT_EQ(logits, expected_logits);
  }
}

TEST(FeatureTap, ReadersAreIndependent) {
  const Model model = LoadToy(kToy);
  const SparseAutoencoder res = LoadToyAutoencoder(kRes);
  const SparseAutoencoder att = LoadToyAutoencoder(kAtt);
  const std::vector<FeatureReader> readers = {
      {&res}, {&att, 2}, {&res, 1}, {&res, 0, {5, 0, 11, 5}}};
  Told expected;
  for (size_t i = 0; i < readers.size(); ++i) {
    for (auto [reader, position, index, value] :
         FeaturesOf(model, Prompt(), {readers[i]})) {
      EXPECT_EQ(reader, 0u);
      expected.emplace_back(i, position, index, value);
    }
  }
  Told together = FeaturesOf(model, Prompt(), readers);
  // The heads' values come before the stream, each reader in order.
  EXPECT_EQ(std::get<0>(together.front()), 1u);
  const auto by_reader = [](const auto& a, const auto& b) {
    return std::get<0>(a) < std::get<0>(b);
  };
  std::stable_sort(together.begin(), together.end(), by_reader);
  EXPECT_EQ(together, expected);
}

TEST(FeatureTap, TellsStrongestOrNamed) {
  const Model model = LoadToy(kToy);
  const SparseAutoencoder res = LoadToyAutoencoder(kRes);
  const Told all = FeaturesOf(model, Prompt(), {{&res}});
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  for (const size_t top_k : {1, 3, 24, 100}) {
    const Told told = FeaturesOf(model, Prompt(), {{&res, top_k}});
    Told expected;
    for (size_t position = 0; position < Prompt().size(); ++position) {
      Told here;
      std::copy_if(all.begin(), all.end(), std::back_inserter(here),
                   [&](const auto& feature) {
                     return std::get<1>(feature) == position;
                   });
      std::stable_sort(here.begin(), here.end(),
                       [](const auto& a, const auto& b) {
                         return std::get<3>(a) > std::get<3>(b);
                       });
      here.resize(std::min(here.size(), top_k));
      expected.insert(expected.end(), here.begin(), here.end());
    }
    EXPECT_EQ(told, expected) << top_k;
    // A list of all features gives the same result.
    std::vector<size_t> names(res.num_features());
    for (size_t i = 0; i < names.size(); ++i) names[i] = names.size() - 1 - i;
    EXPECT_EQ(FeaturesOf(model, Prompt(), {{&res, top_k, names}}), expected);
  }
  Told some;
  std::copy_if(all.begin(), all.end(), std::back_inserter(some),
               [](const auto& feature) {
                 return std::get<2>(feature) == 3 || std::get<2>(feature) == 8;
               });
  EXPECT_FALSE(some.empty());
  EXPECT_EQ(FeaturesOf(model, Prompt(), {{&res, 0, {8, 3}}}), some);
}

TEST(FeatureTap, AddsLikePlainTap) {
  const Model model = LoadToy(kToy);
  for (const ToySite& toy : AllToySites()) {
    if (toy.toy != kToy.folder) continue;
    const SparseAutoencoder autoencoder = LoadToyAutoencoder(toy.file);
    const std::vector<float> logits = LogitsWith(
        model,
        {.changes = {{&autoencoder, 4, 2.5f}, {&autoencoder, 9, -1.25f}}});
    EXPECT_EQ(logits,
              LogitsOfPlainTap(model, autoencoder, {{4, 2.5f}, {9, -1.25f}}));
    EXPECT_NE(logits, AllLogits(model, Prompt()));
  }
}

TEST(FeatureTap, UsesValuesBeforeChanges) {
  const Model model = LoadToy(kToy);
  const SparseAutoencoder res = LoadToyAutoencoder(kRes);
  const ToySite toy = AllToySites()[0];
  const size_t feature = toy.Feature();
  const Told plain = FeaturesOf(model, Prompt(), {{&res}});
  Told told;
  const FeatureChange added = {&res, 4, 3.0f};
  const FeatureChange taken = {&res, feature, 0.0f, /*ablate=*/true};
  const std::vector<float> logits =
      LogitsWith(model, {.readers = {{&res}},
                         .changes = {added, taken},
                         .on_features = Into(&told)});
  EXPECT_EQ(told, plain);
  // Ablation takes away each row's value from before the other change.
  Session session = NewSession(model);
  session.SetTap([&](const TapSite& site, absl::Span<float> x) {
    if (site.point != TapPoint::kBlockOutput || site.layer != 1) return;
    const std::vector<float> four = *res.Direction(4);
    const std::vector<float> gone = *res.Direction(feature);
    for (const auto& [reader, position, index, value] : plain) {
      if (index != feature || position == 0) continue;
      float* row = x.data() + position * four.size();
      for (size_t i = 0; i < four.size(); ++i) {
        row[i] = (row[i] + 3.0f * four[i]) + -value * gone[i];
      }
    }
    for (size_t row = 1; row < site.num_rows; ++row) {
      const bool active =
          std::any_of(plain.begin(), plain.end(), [&](const auto& of) {
            return std::get<1>(of) == row && std::get<2>(of) == feature;
          });
      for (size_t i = 0; i < four.size() && !active; ++i) {
        x[row * four.size() + i] += 3.0f * four[i];
      }
    }
  });
  EXPECT_EQ(logits, AllLogits(session, Prompt()));
}

TEST(FeatureTap, SparesBosAndInactive) {
  const Model model = LoadToy(kToy);
  const SparseAutoencoder res = LoadToyAutoencoder(kRes);
  Session session = NewSession(model);
  auto tap = FeatureTap(model, {.changes = {{&res, 4, 3.0f}}});
  ASSERT_EQ(ErrorOf(tap), "OK");
  std::vector<std::vector<float>> before(2), after(2);
  session.SetTap([&](const TapSite& site, absl::Span<float> x) {
    const bool here = site.point == TapPoint::kBlockOutput && site.layer == 1;
    if (here) before[site.position != 0].assign(x.begin(), x.end());
    (*tap)(site, x);
    if (here) after[site.position != 0].assign(x.begin(), x.end());
  });
  const std::vector<TokenId> tokens = Prompt();
  ASSERT_TRUE(session.Append({tokens.data(), 1}).ok());
  ASSERT_TRUE(session.Append({tokens.data() + 1, 3}).ok());
  EXPECT_EQ(after[0], before[0]);
  EXPECT_NE(after[1], before[1]);
  // Ablating a feature that is never active changes no bit.
  const Told told = FeaturesOf(model, Prompt(), {{&res}});
  for (size_t feature = 0; feature < res.num_features(); ++feature) {
    const bool active =
        std::any_of(told.begin(), told.end(), [&](const auto& of) {
          return std::get<1>(of) > 0 && std::get<2>(of) == feature;
        });
    const std::vector<float> logits =
        LogitsWith(model, {.changes = {{&res, feature, 0.0f, true}}});
    EXPECT_EQ(logits == AllLogits(model, Prompt()), !active) << feature;
  }
}

TEST(FeatureTap, GoingBackChangesAgain) {
  const Model model = LoadToy(kToy, 2, 5);
  const SparseAutoencoder transcoder = LoadToyAutoencoder(kTranscoder);
  const std::vector<TokenId> tokens = Prompt();
  const FeatureChange change = {&transcoder, 2, 4.0f, true};
  const std::vector<float> expected = LogitsWith(model, {.changes = {change}});
  Session session = NewSession(model, {.max_rollback = 0});
  Attach({.changes = {change}}, session);
  ASSERT_TRUE(session.Append(tokens).ok());
  ASSERT_TRUE(session.Rewind(tokens.size() - 2).ok());
  const std::vector<float> logits =
      AllLogits(session, {tokens.end() - 2, tokens.end()});
  EXPECT_TRUE(std::equal(logits.rbegin(), logits.rend(), expected.rbegin()));
}

// Each session of a batch has its own tap, even if a copy of the same tap.
TEST(FeatureTap, BatchSessionsAreSeparate) {
  const Model model = LoadToy(kToy);
  const SparseAutoencoder transcoder = LoadToyAutoencoder(kTranscoder);
  const std::vector<TokenId> tokens = Prompt();
  const auto tap =
      FeatureTap(model, {.changes = {{&transcoder, 2, 4.0f, /*ablate=*/true}}});
  ASSERT_EQ(ErrorOf(tap), "OK");
  std::vector<Session> sessions;
  for (size_t i = 0; i < 3; ++i) sessions.push_back(NewSession(model));
  sessions[0].SetTap(*tap);
  sessions[1].SetTap(*tap);
  const std::vector<Session::Continuation> batch = {
      {&sessions[0], {tokens.data(), 9}},
      {&sessions[1], {tokens.data() + 3, 4}},
      {&sessions[2], {tokens.data(), 7}}};
  const size_t vocab_size = model.config().vocab_size;
  std::vector<float> logits(batch.size() * vocab_size);
  ASSERT_TRUE(Session::ForwardBatch(batch, absl::MakeSpan(logits)).ok());
  for (size_t i = 0; i < batch.size(); ++i) {
    Session alone = NewSession(model);
    if (i < 2) alone.SetTap(*tap);
    const absl::StatusOr<absl::Span<float>> expected =
        alone.Forward(batch[i].tokens);
    ASSERT_TRUE(expected.ok());
    EXPECT_EQ(absl::MakeSpan(logits).subspan(i * vocab_size, vocab_size),
              *expected);
  }
}

TEST(FeatureTap, EngineRequestsStayUnchanged) {
  const Model model = LoadSpeakingToy(kToy, 2, 64);
  const SparseAutoencoder res = LoadToyAutoencoder(kRes);
  const Request request = Ask(Prompt(), 8);
  const Outcome expected = Alone(model, request, {});
  auto engine = Engine::Create(model, {});
  ASSERT_EQ(ErrorOf(engine.status()), "OK");
  Session session = NewSession(model);
  Told told;
  Attach({.readers = {{&res}},
          .changes = {{&res, 4, 100.0f}},
          .on_features = Into(&told)},
         session);
  Outcome outcome;
  const auto ticket = engine->Submit(Scored(request, &outcome));
  ASSERT_EQ(ErrorOf(ticket.status()), "OK");
  ASSERT_TRUE(session.Append(Prompt()).ok());  // while the engine computes
  Collect(*ticket, &outcome);
  EXPECT_EQ(outcome.tokens, expected.tokens);
  EXPECT_EQ(outcome.text, expected.text);
  EXPECT_EQ(told, FeaturesOf(model, Prompt(), {{&res}}));
}

TEST(FeatureTap, StreamsFeaturesBesideTokens) {
  const Model model = LoadSpeakingToy(kToy, 2, 64);
  const SparseAutoencoder res = LoadToyAutoencoder(kRes);
  const std::vector<TokenId> prompt = Prompt();
  Session session = NewSession(model);
  std::vector<size_t> seen;  // tokens generated at each report
  std::vector<size_t> positions;
  size_t generated = 0;
  Attach({.readers = {{&res, 3}},
          .on_features =
              [&](const TokenFeatures& of) {
                positions.push_back(of.position);
                seen.push_back(generated);
              }},
         session);
  GenerateOptions options = Ask(prompt, 6).options;
  options.on_token = [&](const ScoredToken&) { ++generated; };
  const auto stats =
      Generate(session, prompt, options, [](std::string_view) { return true; });
  ASSERT_EQ(ErrorOf(stats.status()), "OK");
  ASSERT_EQ(stats->new_tokens, 6u);
  EXPECT_EQ(stats->drafted_tokens, 0u);
  ASSERT_EQ(positions.size(), prompt.size() + 6);
  for (size_t i = 0; i < positions.size(); ++i) {
    EXPECT_EQ(positions[i], i);
    // The features of a token are reported when it is read: after it was chosen
    // and before the next token is.
    EXPECT_EQ(seen[i], i < prompt.size() ? 0 : i - prompt.size() + 1);
  }
}

TEST(FeatureTap, RefusesBadOptions) {
  const SparseAutoencoder res = LoadToyAutoencoder(kRes);
  const Model model = LoadToy(kToy);
  const auto error = [&](FeatureTapOptions options) {
    return ErrorOf(FeatureTap(model, std::move(options)));
  };
  EXPECT_EQ(error({}), "OK");
  EXPECT_EQ(error({.readers = {{&res}, {}}}), "reader 1: autoencoder is null");
  EXPECT_EQ(error({.changes = {{}}}), "change 0: autoencoder is null");
  EXPECT_EQ(error({.readers = {{&res, 0, {0, 24}}}}),
            "reader 0: feature 24 does not exist, wanted 0 to 23");
  EXPECT_EQ(error({.changes = {{&res, 0}, {&res, 24, 1.0f}}}),
            "change 1: feature 24 does not exist, wanted 0 to 23");
  EXPECT_EQ(error({.changes = {{&res, 0, -kMaxFeatureStrength}}}), "OK");
  for (const float strength :
       {std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN(), 1e16f, -1e20f}) {
    EXPECT_THAT(error({.changes = {{&res, 0, strength}}}),
                HasSubstr("wanted -1e+15 to 1e+15"));
  }
}

TEST(FeatureTap, ChecksWidthAndLayer) {
  const SparseAutoencoder res = LoadToyAutoencoder(kRes);
  const SparseAutoencoder att = LoadToyAutoencoder(kAtt);
  const Model other = LoadToy({"", "gemma"});
  const auto fits = [](const Model& model, const std::string& file,
                       const FeatureSite& site) {
    SparseAutoencoderOptions options;
    options.site = site;
    const auto autoencoder = SparseAutoencoder::Load(ScopePath(file), options);
    EXPECT_EQ(ErrorOf(autoencoder), "OK");
    return ErrorOf(CheckFits(model, *autoencoder));
  };
  EXPECT_THAT(ErrorOf(CheckFits(other, res)),
              AllOf(HasSubstr("reads 42 columns"),
                    HasSubstr("the model has 64 at layer 1")));
  EXPECT_THAT(ErrorOf(CheckFits(other, att)),
              AllOf(HasSubstr("reads 144 columns"), HasSubstr("has 128")));
  EXPECT_THAT(ErrorOf(FeatureTap(other, {.readers = {{&res}}})),
              HasSubstr("reader 0: the autoencoder reads 42 columns"));
  const Model model = LoadToy(kToy);
  using enum TapPoint;
  EXPECT_EQ(fits(model, kRes, {kBlockOutput, kBlockOutput, 2}), "OK");
  EXPECT_THAT(fits(model, kRes, {kBlockOutput, kBlockOutput, 3}),
              AllOf(HasSubstr("of layer 3"), HasSubstr("of layer 0 to 2")));
  EXPECT_EQ(fits(model, kRes, {kHeadInput, kHeadInput, 3}), "OK");
  EXPECT_THAT(fits(model, kRes, {kHeadInput, kHeadInput, 2}),
              AllOf(HasSubstr("of layer 2"), HasSubstr("of layer 3")));
  EXPECT_THAT(fits(model, kRes, {kEmbedding, kEmbedding, 1}),
              HasSubstr("of layer 0"));
  EXPECT_THAT(fits(model, kRes, {kBlockOutput, kFfwHidden, 1}),
              HasSubstr("reconstructs 42 columns, the model has 72"));
  EXPECT_THAT(fits(model, kRes, {kMixHidden, kFfwOutput, 1}),
              HasSubstr("reads 42 columns, the model has 144"));
  for (const TapPoint point :
       {kExpertInput, kExpertChoice, kExpertHidden, kPerLayerInput,
        kPerLayerHidden, kPerLayerOutput}) {
    EXPECT_THAT(fits(model, kRes, {point, kFfwOutput, 1}),
                HasSubstr("reads 42 columns, the model has 0"));
  }
}

// The tap takes no activations of other widths.
TEST(FeatureTap, FailsInOtherModel) {
  const SparseAutoencoder res = LoadToyAutoencoder(kRes);
  const Model model = LoadToy(kToy);
  const Model other = LoadToy({"", "gemma"});
  for (const FeatureTapOptions& options :
       {FeatureTapOptions{.readers = {{&res}}, .on_features = [](auto&) {}},
        FeatureTapOptions{.changes = {{&res, 3, 1.0f}}},
        FeatureTapOptions{.changes = {{&res, 3, 0.0f, true}}}}) {
    Session session = NewSession(other);
    session.SetTap(*FeatureTap(model, options));
    EXPECT_THAT(ErrorOf(session.Forward(std::vector<TokenId>{2, 5})),
                AllOf(HasSubstr("42 columns"), HasSubstr("has 64")));
  }
}

TEST(FeatureTap, RefusesAblationBeforeRead) {
  SparseAutoencoderOptions options;
  options.site = FeatureSite{TapPoint::kFfwOutput, TapPoint::kMixOutput, 1};
  const auto autoencoder = SparseAutoencoder::Load(ScopePath(kRes), options);
  ASSERT_EQ(ErrorOf(autoencoder), "OK");
  const Model model = LoadToy(kToy);
  EXPECT_THAT(
      ErrorOf(FeatureTap(model, {.changes = {{&*autoencoder, 0, 0, true}}})),
      HasSubstr("cannot ablate in the mix's output what is read from the "
                "feed-forward layer's output, later"));
  EXPECT_EQ(ErrorOf(FeatureTap(model, {.changes = {{&*autoencoder, 0, 1}}})),
            "OK");
}

}  // namespace
}  // namespace gemma::internal
