// Compares the mixture of experts with a plain computation in double precision,
// and the bits of different schedules with each other.

#include "src/forward/expert_block.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "src/forward/transformer.h"
#include "tests/support/near.h"
#include "tests/support/test_matrix.h"

namespace gemma::internal {
namespace {

using Doubles = std::vector<double>;

// The sizes of a layer with experts.
struct Shape {
  size_t dim = 40;
  size_t experts = 6;
  size_t used = 2;
  size_t hidden = 24;
  Format format = Format::kF32;
};

// Wrong ways to compute the block.
enum class Mistake {
  kNone,
  kScaleBeforeNorm,  // the router's norm takes x * router_scale
  kChooseScaled,     // experts with the largest scaled weights are chosen
  kNoRoot,           // logits are not divided by sqrt(model_dim)
};

// A model of one layer: only what its experts need.
class ExpertModel {
 public:
  explicit ExpertModel(const Shape& shape) {
    config_.model_dim = shape.dim;
    config_.rms_norm_eps = 1e-3f;
    config_.layers.resize(1);
    config_.layers[0].num_experts = shape.experts;
    config_.layers[0].experts_used = shape.used;
    config_.layers[0].expert_dim = shape.hidden;
    layer_.router_scale = Around(3, shape.dim, 1);
    layer_.pre_expert_norm = Around(1, shape.dim, 2);
    layer_.post_dense_norm = Around(1, shape.dim, 3);
    layer_.post_expert_norm = Around(1, shape.dim, 4);
    layer_.expert_scale = Around(1, shape.experts, 5);
    router_ = Pack(Format::kF32, shape.experts, shape.dim, 6, layer_.router);
    for (size_t e = 0; e < shape.experts; ++e) {
      gate_.push_back(Pack(shape.format, shape.hidden, shape.dim, 10 + e,
                           layer_.expert_gate.emplace_back()));
      up_.push_back(Pack(shape.format, shape.hidden, shape.dim, 200 + e,
                         layer_.expert_up.emplace_back()));
      down_.push_back(Pack(shape.format, shape.dim, shape.hidden, 400 + e,
                           layer_.expert_down.emplace_back()));
    }
  }

  const ModelConfig& config() const { return config_; }
  const LayerConfig& shape() const { return config_.layers[0]; }
  size_t dim() const { return config_.model_dim; }
  LayerWeights& layer() { return layer_; }

  // Gives expert `to` the router's row of expert `from`.
  void TieExperts(size_t from, size_t to) {
    std::copy_n(router_.begin() + from * dim(), dim(),
                router_.begin() + to * dim());
    const WeightView view = {Format::kF32, shape().num_experts, dim(),
                             reinterpret_cast<const uint8_t*>(router_.data())};
    PackPanels(view, layer_.router.view.layout, 0,
               layer_.router.view.NumPanels(), layer_.router.memory.data());
  }

  // What ExpertBlock makes of a row of x and of the dense branch.
  Doubles Expected(const float* x, const float* dense,
                   Mistake mistake = Mistake::kNone) const {
    const Doubles logits = Logits(x, mistake);
    std::vector<double> powers;
    for (size_t e = 0; e < logits.size(); ++e) {
      powers.push_back(std::exp(logits[e]));
      if (mistake == Mistake::kChooseScaled) {
        powers[e] *= layer_.expert_scale[e];
      }
    }
    std::vector<size_t> order(logits.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return powers[a] > powers[b]; });
    order.resize(shape().experts_used);
    double total = 0;
    for (const size_t e : order) total += powers[e];
    const Doubles input = Norm(x, layer_.pre_expert_norm);
    Doubles sum(dim(), 0.0);
    for (const size_t e : order) {
      const Doubles down = Gated(e, input);
      double weight = powers[e] / total;
      if (mistake != Mistake::kChooseScaled) weight *= layer_.expert_scale[e];
      for (size_t i = 0; i < dim(); ++i) sum[i] += weight * down[i];
    }
    Doubles out = Norm(dense, layer_.post_dense_norm);
    const Doubles normed = Norm(sum.data(), layer_.post_expert_norm);
    for (size_t i = 0; i < dim(); ++i) out[i] += normed[i];
    return out;
  }

 private:
  static std::vector<float> Around(float middle, size_t size, uint64_t seed) {
    std::vector<float> out = RandomVector(size, seed);
    for (float& value : out) value = middle * (1 + 0.4f * value);
    return out;
  }

  // Packs a random matrix and returns its values.
  static std::vector<float> Pack(Format format, size_t rows, size_t cols,
                                 uint64_t seed, Matrix& out) {
    TestMatrix matrix(format, rows, cols, seed);
    out.memory = std::move(matrix.memory);
    out.view = matrix.packed;
    return matrix.values;
  }

  // What the softmax takes.
  Doubles Logits(const float* x, Mistake mistake) const {
    Doubles input = Norm(x, layer_.router_scale);
    if (mistake == Mistake::kScaleBeforeNorm) {
      for (size_t i = 0; i < dim(); ++i) {
        input[i] = double{x[i]} * double{layer_.router_scale[i]};
      }
      input = Norm(input.data(), std::vector<float>(dim(), 1.0f));
    }
    Doubles logits = Product(router_, input, shape().num_experts);
    if (mistake == Mistake::kNoRoot) return logits;
    for (double& l : logits) l /= std::sqrt(static_cast<double>(dim()));
    return logits;
  }

  // The result of one expert.
  Doubles Gated(size_t e, const Doubles& input) const {
    Doubles gate = Product(gate_[e], input, shape().expert_dim);
    const Doubles up = Product(up_[e], input, shape().expert_dim);
    for (size_t i = 0; i < gate.size(); ++i) {
      const double z = gate[i];
      gate[i] =
          0.5 * z * up[i] *
          (1 + std::tanh(std::sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
    }
    return Product(down_[e], gate, dim());
  }

  template <class T>
  Doubles Norm(const T* x, const std::vector<float>& weight) const {
    double squares = 0;
    for (size_t i = 0; i < dim(); ++i) squares += double{x[i]} * double{x[i]};
    const double scale =
        1 / std::sqrt(squares / static_cast<double>(dim()) +
                      static_cast<double>(config_.rms_norm_eps));
    Doubles out(dim());
    for (size_t i = 0; i < dim(); ++i) out[i] = x[i] * scale * weight[i];
    return out;
  }

  static Doubles Product(const std::vector<float>& w, const Doubles& x,
                         size_t rows) {
    Doubles out(rows, 0.0);
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < x.size(); ++c)
        out[r] += w[r * x.size() + c] * x[c];
    }
    return out;
  }

  ModelConfig config_;
  LayerWeights layer_;
  std::vector<float> router_;
  std::vector<std::vector<float>> gate_, up_, down_;
};

// Returns the block's result for rows of x and the dense branch's.
std::vector<float> RunBlock(const ExpertModel& model,
                            const LayerWeights& weights,
                            const std::vector<float>& x,
                            std::vector<float> dense, Arithmetic arithmetic,
                            size_t pass_rows, Workers& workers,
                            const TapFunction& tap = {}) {
  const size_t rows = x.size() / model.dim();
  const std::vector<TokenId> tokens(rows, 0);
  Segment segment;
  segment.words = WordView(tokens);
  segment.tap = &tap;
  ExpertScratch scratch(model.config(), rows);
  MatMulContext context(
      arithmetic, ExpertScratch::ContextBytes(model.config(), rows), workers);
  context.SetPassRows(pass_rows);
  ExpertBlock(model.config(), weights, /*layer=*/0, {&segment, 1},
              {x.data(), rows, model.dim()}, scratch,
              {dense.data(), rows, model.dim()}, context);
  return dense;
}

// The rows of a test: three of each four differ, the others are equal and so
// choose the same experts.
std::vector<float> RowsOf(const ExpertModel& model, size_t rows) {
  std::vector<float> x = RandomVector(rows * model.dim(), 8);
  for (size_t r = 4; r < rows; r += 4) {
    std::copy_n(x.begin(), model.dim(), x.begin() + r * model.dim());
  }
  return x;
}

Doubles ExpectedRows(const ExpertModel& model, const std::vector<float>& x,
                     const std::vector<float>& dense,
                     Mistake mistake = Mistake::kNone) {
  Doubles out;
  for (size_t at = 0; at < x.size(); at += model.dim()) {
    const Doubles row =
        model.Expected(x.data() + at, dense.data() + at, mistake);
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

TEST(ExpertBlock, MatchesDoublePrecision) {
  Workers workers(2);
  for (const Shape& shape :
       {Shape{}, Shape{.used = 1}, Shape{.experts = 5, .used = 5},
        Shape{.experts = 1, .used = 1}, Shape{.experts = 40, .used = 3},
        Shape{.dim = 64, .hidden = 32, .format = Format::kQ8_0}}) {
    ExpertModel model(shape);
    const std::vector<float> x = RowsOf(model, 13);
    const std::vector<float> dense = RandomVector(x.size(), 9);
    EXPECT_LT(RelativeError(RunBlock(model, model.layer(), x, dense,
                                     Arithmetic::kFloat32, 0, workers),
                            ExpectedRows(model, x, dense)),
              2e-5)
        << shape.experts << " experts, " << shape.used << " used";
  }
}

TEST(ExpertBlock, TiesTakeLowerIndex) {
  Workers workers(1);
  ExpertModel model(Shape{.experts = 6, .used = 2});
  for (const size_t e : {1, 2, 4, 5}) model.TieExperts(0, e);
  const std::vector<float> x = RowsOf(model, 9);
  const std::vector<float> dense = RandomVector(x.size(), 9);
  EXPECT_LT(RelativeError(RunBlock(model, model.layer(), x, dense,
                                   Arithmetic::kFloat32, 0, workers),
                          ExpectedRows(model, x, dense)),
            2e-5);
}

TEST(ExpertBlock, MistakesShow) {
  Workers workers(1);
  ExpertModel model(Shape{.used = 3});
  const std::vector<float> x = RowsOf(model, 9);
  const std::vector<float> dense = RandomVector(x.size(), 9);
  const std::vector<float> out = RunBlock(model, model.layer(), x, dense,
                                          Arithmetic::kFloat32, 0, workers);
  for (const Mistake mistake :
       {Mistake::kScaleBeforeNorm, Mistake::kChooseScaled, Mistake::kNoRoot}) {
    EXPECT_GT(RelativeError(out, ExpectedRows(model, x, dense, mistake)), 1e-3)
        << static_cast<int>(mistake);
  }
}

// A row has the same bits alone and among others, for any threads; with many
// rows, those of a pass with many rows.
TEST(SameBitsExperts, AnyRowsAndThreads) {
  Workers one(1);
  Workers three(3);
  for (const Format format : {Format::kF32, Format::kBF16, Format::kQ4_0}) {
    ExpertModel model(
        {.dim = 64, .experts = 8, .hidden = 96, .format = format});
    for (const size_t rows : {size_t{7}, kMinTileRows + 2}) {
      const std::vector<float> x = RowsOf(model, rows);
      const std::vector<float> dense = RandomVector(x.size(), 9);
      for (const Arithmetic arithmetic :
           {Arithmetic::kFloat32, Arithmetic::kInt8, Arithmetic::kFastest}) {
        const std::vector<float> all =
            RunBlock(model, model.layer(), x, dense, arithmetic, rows, three);
        const auto part = [&](const std::vector<float>& of, size_t row,
                              size_t count) {
          const auto begin = of.begin() + row * model.dim();
          return std::vector<float>(begin, begin + count * model.dim());
        };
        for (const auto& [row, count] : std::vector<std::pair<size_t, size_t>>{
                 {0, 1}, {5, 1}, {2, 4}, {0, rows - 1}}) {
          EXPECT_EQ(RunBlock(model, model.layer(), part(x, row, count),
                             part(dense, row, count), arithmetic, rows, one),
                    part(all, row, count))
              << FormatName(format) << " " << count << " of " << rows;
        }
      }
    }
  }
}

TEST(ExpertBlock, TapsSeeChosenExperts) {
  Workers workers(2);
  const Shape shape = {.used = 3};
  ExpertModel model(shape);
  const std::vector<float> x = RowsOf(model, 5);
  const std::vector<float> dense = RandomVector(x.size(), 9);
  std::map<TapPoint, std::vector<float>> seen;
  const TapFunction look = [&](const TapSite& site, absl::Span<float> values) {
    EXPECT_EQ(site.num_rows, 5u);
    seen[site.point].assign(values.begin(), values.end());
  };
  const auto run = [&](const TapFunction& tap) {
    return RunBlock(model, model.layer(), x, dense, Arithmetic::kFloat32, 0,
                    workers, tap);
  };
  const std::vector<float> expected = run(look);
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[TapPoint::kExpertInput].size(), 5 * shape.dim);
  EXPECT_EQ(seen[TapPoint::kExpertChoice].size(), 5 * 2 * 3);
  const std::vector<float>& choices = seen[TapPoint::kExpertChoice];
  const std::vector<float>& hidden = seen[TapPoint::kExpertHidden];
  ASSERT_EQ(hidden.size(), 5 * 3 * shape.hidden);
  for (size_t slot = 0; slot < 5 * 3; ++slot) {
    if (slot % 3 != 0) {
      EXPECT_GT(choices[2 * slot], choices[2 * slot - 2]);
    }
    // The hidden values are those of the expert that the choice names.
    const auto e = static_cast<size_t>(choices[2 * slot]);
    std::vector<float> gated(shape.hidden), scratch(shape.hidden);
    MatMulContext context(Arithmetic::kFloat32, 1, shape.dim, workers);
    GatedMatMul({{seen[TapPoint::kExpertInput].data() + slot / 3 * shape.dim, 1,
                  shape.dim},
                 model.layer().expert_gate[e].view,
                 model.layer().expert_up[e].view,
                 {},
                 {},
                 {scratch.data(), 1, shape.hidden},
                 {gated.data(), 1, shape.hidden}},
                context);
    EXPECT_EQ(gated,
              std::vector<float>(hidden.begin() + slot * shape.hidden,
                                 hidden.begin() + (slot + 1) * shape.hidden));
  }
}

// All other values can be changed.
TEST(ExpertBlock, TapsCannotChangeIndices) {
  Workers workers(2);
  ExpertModel model(Shape{.used = 3});
  const std::vector<float> x = RowsOf(model, 5);
  const std::vector<float> dense = RandomVector(x.size(), 9);
  const auto run = [&](TapPoint point, size_t begin, size_t step) {
    return RunBlock(model, model.layer(), x, dense, Arithmetic::kFloat32, 0,
                    workers,
                    [&](const TapSite& site, absl::Span<float> values) {
                      if (site.point != point) return;
                      for (size_t i = begin; i < values.size(); i += step) {
                        values[i] += 0.5f;
                      }
                    });
  };
  const std::vector<float> plain = run(TapPoint::kEmbedding, 0, 1);
  EXPECT_NE(run(TapPoint::kExpertInput, 0, 1), plain);
  EXPECT_EQ(run(TapPoint::kExpertChoice, 0, 2), plain);
  EXPECT_NE(run(TapPoint::kExpertChoice, 1, 2), plain);
  EXPECT_NE(run(TapPoint::kExpertHidden, 0, 1), plain);
}

// Experts whose arithmetic depends on the rows of a pass divide passes into
// those of few rows and of many. A router's never does.
TEST(ExpertBlock, CountsInFewRows) {
  Workers workers(1);
  constexpr size_t kMaxRows = 64;
  const auto few_rows = [&](Format experts, Format router) {
    ExpertModel model(Shape{.dim = 64, .hidden = 32, .format = experts});
    ModelConfig config = model.config();
    config.vocab_size = 16;
    config.layers[0].num_heads = config.layers[0].num_kv_heads = 1;
    config.layers[0].head_dim = 8;
    config.layers[0].ffw_dim = 32;
    TestMatrix embedding(Format::kF32, config.vocab_size, 64, 1);
    TestMatrix routes(router, config.layers[0].num_experts, 64, 2);
    Weights weights;
    weights.embedding.view = embedding.packed;
    weights.layers.push_back(std::move(model.layer()));
    weights.layers[0].router.view = routes.packed;
    return Transformer::Create(config, weights, Arithmetic::kFastest, kMaxRows,
                               workers)
        ->few_rows();
  };
  const TestMatrix tiles(Format::kBF16, 16, 64, 1);
  const bool matter = RowsMatter(tiles.packed, Arithmetic::kFastest);
  EXPECT_EQ(few_rows(Format::kBF16, Format::kF32),
            matter ? kMinTileRows - 1 : kMaxRows);
  EXPECT_EQ(few_rows(Format::kF32, Format::kBF16), kMaxRows);
}

// Models without experts pay nothing.
TEST(ExpertScratch, CountsItsBytes) {
  EXPECT_EQ(ExpertScratch::Bytes(ModelConfig(), 512), 0u);
  const Shape shape;
  const ExpertModel model(shape);
  const size_t floats = 2 * shape.dim + shape.experts + 2 * shape.used +
                        shape.used * shape.hidden;
  EXPECT_EQ(ExpertScratch::Bytes(model.config(), 16),
            16 * (4 * floats + 12 * shape.used));
}

}  // namespace
}  // namespace gemma::internal
