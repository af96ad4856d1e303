// The activations that taps see, and the effects of changing them.

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "src/session/model_impl.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

constexpr TapPoint kAllPoints[] = {
    TapPoint::kEmbedding,      TapPoint::kMixInput,
    TapPoint::kMixHidden,      TapPoint::kMixOutput,
    TapPoint::kMixedStream,    TapPoint::kFfwInput,
    TapPoint::kFfwHidden,      TapPoint::kExpertInput,
    TapPoint::kExpertChoice,   TapPoint::kExpertHidden,
    TapPoint::kFfwOutput,      TapPoint::kPerLayerInput,
    TapPoint::kPerLayerHidden, TapPoint::kPerLayerOutput,
    TapPoint::kBlockOutput,    TapPoint::kHeadInput};

// The only layer of points that belong to one layer; otherwise any layer.
size_t LayerOf(const ModelConfig& config, TapPoint point) {
  if (point == TapPoint::kEmbedding) return 0;
  return point == TapPoint::kHeadInput ? config.num_layers() : 1;
}

std::vector<TokenId> Prompt(size_t size) {
  std::vector<TokenId> tokens = {2};
  for (size_t i = 1; i < size; ++i) {
    tokens.push_back(static_cast<TokenId>(3 + (37 * i * i + 11 * i) % 250));
  }
  return tokens;
}

// As documented in taps.h; 0 if the model lacks the point.
size_t Columns(const ModelConfig& config, TapPoint point, size_t layer) {
  if (point == TapPoint::kHeadInput) return config.model_dim;
  const LayerConfig& l = config.layers[layer];
  switch (point) {
    case TapPoint::kMixHidden:
      return l.type == BlockType::kRecurrent ? config.lru_width : l.q_dim();
    case TapPoint::kFfwHidden:
      return l.ffw_dim;
    case TapPoint::kExpertInput:
      return l.num_experts == 0 ? 0 : config.model_dim;
    case TapPoint::kExpertChoice:
      return 2 * l.experts_used;
    case TapPoint::kExpertHidden:
      return l.experts_used * l.expert_dim;
    case TapPoint::kPerLayerHidden:
      return config.per_layer_dim;
    case TapPoint::kPerLayerInput:
    case TapPoint::kPerLayerOutput:
      return config.per_layer_dim == 0 ? 0 : config.model_dim;
    default:
      return config.model_dim;
  }
}

// The points of all layers, each layer's counted.
size_t NumPoints(const ModelConfig& config) {
  size_t count = 2;  // kEmbedding and kHeadInput
  for (size_t layer = 0; layer < config.num_layers(); ++layer) {
    for (const TapPoint point : kAllPoints) {
      if (point == TapPoint::kEmbedding || point == TapPoint::kHeadInput) {
        continue;
      }
      if (Columns(config, point, layer) != 0) ++count;
    }
  }
  return count;
}

class Taps : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, Taps, ::testing::ValuesIn(AllToys()),
                         [](const auto& toy) { return toy.param.name; });

TEST_P(Taps, SeeRowsInOrder) {
  const std::vector<TokenId> tokens = Prompt(30);
  for (const size_t chunk : {1, 7, 256}) {
    const Model model = LoadToy(GetParam(), 2, chunk);
    const ModelConfig& config = model.config();
    Session session = NewSession(model);
    std::map<std::pair<size_t, TapPoint>, size_t> rows;
    session.SetTap([&](const TapSite& site, absl::Span<float> x) {
      size_t& seen = rows[{site.layer, site.point}];
      EXPECT_EQ(site.position, seen);
      EXPECT_EQ(x.size(),
                site.num_rows * Columns(config, site.point, site.layer));
      seen += site.num_rows;
    });
    const absl::Span<const TokenId> all = tokens;
    // With no logits, those of the last token, and all.
    ASSERT_TRUE(session.Append(all.first(20)).ok());
    ASSERT_TRUE(session.Forward(all.subspan(20, 4)).ok());
    AllLogits(session, {tokens.begin() + 24, tokens.end()});
    EXPECT_EQ(rows.size(), NumPoints(config));
    for (const auto& [where, count] : rows) {
      const auto [layer, point] = where;
      EXPECT_EQ(count, tokens.size());
      EXPECT_EQ(point == TapPoint::kHeadInput, layer == config.num_layers());
      EXPECT_TRUE(point != TapPoint::kEmbedding || layer == 0);
    }
  }
}

TEST_P(Taps, ChangesTakeEffect) {
  const std::vector<TokenId> tokens = Prompt(12);
  const Model model = LoadToy(GetParam());
  const std::vector<float> expected = AllLogits(model, tokens);
  for (const TapPoint point : kAllPoints) {
    const size_t layer = LayerOf(model.config(), point);
    if (Columns(model.config(), point, layer) == 0) continue;
    Session session = NewSession(model);
    session.SetTap([&](const TapSite& site, absl::Span<float> x) {
      if (site.point != point || site.layer != layer) return;
      for (float& v : x) v += 0.5f;
    });
    EXPECT_NE(AllLogits(session, tokens), expected);
    // Without the tap, results are as before.
    session.SetTap({});
    ASSERT_TRUE(session.Rewind(0).ok());
    EXPECT_EQ(AllLogits(session, tokens), expected);
  }
}

TEST_P(Taps, SameBitsWhenTapped) {
  const std::vector<TokenId> tokens = Prompt(30);
  const Model model = LoadToy(GetParam(), 2, 7);
  const size_t vocab_size = model.config().vocab_size;
  std::vector<Session> sessions;
  for (size_t i = 0; i < 3; ++i) sessions.push_back(NewSession(model));
  sessions[1].SetTap([](const TapSite&, absl::Span<float>) {});
  // A tapped prompt between two sequences that want one row each.
  std::vector<float> logits(3 * vocab_size);
  const std::vector<Session::Continuation> batch = {
      {&sessions[0], {tokens.data(), 1}},
      {&sessions[1], tokens},
      {&sessions[2], {tokens.data(), 2}}};
  ASSERT_TRUE(Session::ForwardBatch(batch, absl::MakeSpan(logits)).ok());
  for (size_t i = 0; i < batch.size(); ++i) {
    Session alone = NewSession(model);
    const absl::StatusOr<absl::Span<float>> expected =
        alone.Forward(batch[i].tokens);
    ASSERT_TRUE(expected.ok());
    EXPECT_EQ(absl::MakeSpan(logits).subspan(i * vocab_size, vocab_size),
              *expected);
  }
}

// The computation uses the values that a tap leaves: zeros give zeros.
TEST(TapsTest, ZerosGiveZeros) {
  const std::pair<TapPoint, TapPoint> points[] = {
      {TapPoint::kMixHidden, TapPoint::kMixOutput},
      {TapPoint::kFfwInput, TapPoint::kFfwHidden},
      {TapPoint::kFfwHidden, TapPoint::kFfwOutput}};
  const Model model = LoadToy({"", "gemma3"});
  for (const auto& [from, to] : points) {
    Session session = NewSession(model);
    size_t zeros = 0;
    session.SetTap([&](const TapSite& site, absl::Span<float> x) {
      if (site.point == from) std::fill(x.begin(), x.end(), 0.0f);
      if (site.point == to) zeros += std::count(x.begin(), x.end(), 0.0f);
    });
    ASSERT_TRUE(session.Append(Prompt(12)).ok());
    EXPECT_EQ(zeros, 12 * model.config().num_layers() *
                         Columns(model.config(), to, 0));
  }
  Session session = NewSession(model);
  session.SetTap([&](const TapSite& site, absl::Span<float> x) {
    if (site.point == TapPoint::kHeadInput) std::fill(x.begin(), x.end(), 0.0f);
  });
  EXPECT_EQ(AllLogits(session, Prompt(12)),
            std::vector<float>(12 * model.config().vocab_size));
}

// The input of Gemma 3n's per-layer embeddings is the block's output, scaled.
TEST(TapsOfGemma3n, ScaledPerLayerInput) {
  const Model model = LoadExact(ToyPath("gemma3n"));
  Session session = NewSession(model);
  std::vector<float> scaled;
  size_t compared = 0;
  session.SetTap([&](const TapSite& site, absl::Span<float> x) {
    if (site.point == TapPoint::kPerLayerInput) {
      scaled.assign(x.begin(), x.end());
    } else if (site.point == TapPoint::kBlockOutput) {
      const std::vector<float>& scale =
          model.impl().weights.layers[site.layer].altup_output_scale;
      ASSERT_EQ(x.size(), scaled.size());
      for (size_t i = 0; i < x.size(); ++i) {
        EXPECT_EQ(scaled[i], x[i] * scale[i % scale.size()]);
      }
      ++compared;
    }
  });
  AllLogits(session, Prompt(12));
  EXPECT_EQ(compared, model.config().num_layers());
}

// The residual stream begins as the embeddings, and gains in a block what its
// parts add. Some models scale the result; AltUp mixes it with other streams.
TEST_P(Taps, ResidualStreamSumsOutputs) {
  const Model model = LoadToy(GetParam());
  if (model.config().altup_streams != 0) return;
  Session session = NewSession(model);
  std::vector<float> stream;
  size_t compared = 0;
  session.SetTap([&](const TapSite& site, absl::Span<float> x) {
    switch (site.point) {
      case TapPoint::kEmbedding:
        stream.assign(x.begin(), x.end());
        break;
      case TapPoint::kMixOutput:
      case TapPoint::kFfwOutput:
      case TapPoint::kPerLayerOutput:
        ASSERT_EQ(x.size(), stream.size());
        for (size_t i = 0; i < x.size(); ++i) stream[i] += x[i];
        break;
      case TapPoint::kBlockOutput:
        for (const float scale :
             model.impl().weights.layers[site.layer].layer_scale) {
          for (float& value : stream) value *= scale;
        }
        [[fallthrough]];
      case TapPoint::kMixedStream:
      case TapPoint::kPerLayerInput:
        EXPECT_EQ(std::vector<float>(x.begin(), x.end()), stream);
        ++compared;
        break;
      default:
        break;
    }
  });
  AllLogits(session, Prompt(12));
  const size_t per_layer = model.config().per_layer_dim == 0 ? 2 : 3;
  EXPECT_EQ(compared, per_layer * model.config().num_layers());
}

// The embedding of a token is its row of the table, times the scale.
TEST(TapsTest, EmbeddingsAreScaled) {
  const Model model = LoadToy({"", "gemma3"});
  Session session = NewSession(model);
  std::vector<float> rows;
  session.SetTap([&](const TapSite& site, absl::Span<float> x) {
    if (site.point != TapPoint::kEmbedding) return;
    rows.insert(rows.end(), x.begin(), x.end());
  });
  ASSERT_TRUE(session.Append(std::vector<TokenId>{2, 7, 2}).ok());
  const size_t dim = model.config().model_dim;
  ASSERT_EQ(rows.size(), 3 * dim);
  EXPECT_TRUE(
      std::equal(rows.begin(), rows.begin() + dim, rows.begin() + 2 * dim));
  const std::vector<float> first(rows.begin(), rows.begin() + dim);
  model.impl().config.embedding_scale *= 2;
  rows.clear();
  ASSERT_TRUE(session.Append(std::vector<TokenId>{2}).ok());
  ASSERT_EQ(rows.size(), dim);
  for (size_t i = 0; i < dim; ++i) EXPECT_EQ(rows[i], 2 * first[i]);
}

}  // namespace
}  // namespace gemma::internal
