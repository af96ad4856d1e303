// Compares logits with those of the references: transformers and, for
// RecurrentGemma, also DeepMind's recurrentgemma package.

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "src/session/model_impl.h"
#include "tests/support/near.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

constexpr double kTolerance = 1e-4;

class Golden : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, Golden, ::testing::ValuesIn(AllToys()),
                         [](const auto& toy) { return toy.param.name; });

// Configurations that no published model has; see
// tools/reference/toy_models.py.
INSTANTIATE_TEST_SUITE_P(
    Configs, Golden,
    ::testing::Values(Toy{"gemma2_gelu", "../configs/gemma2_gelu"},
                      Toy{"gemma3_head", "../configs/gemma3_head"},
                      Toy{"gemma4_nested", "gemma4_nested"},
                      Toy{"gemma4_unified", "gemma4_unified"},
                      Toy{"gemma4_shared", "gemma4_shared"},
                      Toy{"gemma4_unshared", "gemma4_unshared"},
                      Toy{"gemma4_narrow", "gemma4_narrow"},
                      Toy{"vaultgemma", "vaultgemma"},
                      Toy{"vaultgemma_local", "../configs/vaultgemma_local"}),
    [](const auto& toy) { return toy.param.name; });

TEST_P(Golden, LogitsEqualReference) {
  const Reference reference = ReadReference(GetParam());
  const Model model = LoadToy(GetParam());
  // Three windows long, so that windows forget positions.
  ASSERT_GE(reference.tokens.size(), 24u);
  EXPECT_LE(RelativeError(AllLogits(model, reference.tokens), reference.logits),
            kTolerance);
}

TEST_P(Golden, ResidualStreamEqualsReference) {
  const Toy& toy = GetParam();
  if (toy.logits != "out") return;  // DeepMind's reference: only logits
  const Reference reference = ReadReference(toy);
  const Model model = LoadToy(toy);
  Session session = NewSession(model);
  std::vector<std::vector<float>> blocks(model.config().num_layers());
  session.SetTap([&](const TapSite& site, absl::Span<float> x) {
    if (site.point == TapPoint::kBlockOutput) {
      blocks[site.layer].assign(x.begin(), x.end());
    }
  });
  AllLogits(session, reference.tokens);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const std::vector<float> expected = ReadFloats(
        ToyPath(toy.folder) + "/reference.npz", "block_" + std::to_string(i));
    EXPECT_LE(RelativeError(blocks[i], expected), kTolerance) << "block " << i;
  }
}

TEST_P(Golden, GreedyTokensEqualReference) {
  const Toy& toy = GetParam();
  if (toy.logits != "out") return;
  const std::string path = ToyPath(toy.folder) + "/reference.npz";
  const std::vector<TokenId> expected = ReadTokens(path, "greedy");
  ASSERT_EQ(expected.size(), 64u);
  const Model model = LoadToy(toy);
  Session session = NewSession(model);
  std::vector<TokenId> next = ReadTokens(path, "ids");
  std::vector<TokenId> actual;
  Sampler greedy({.temperature = 0.0f});
  while (actual.size() < expected.size()) {
    const absl::StatusOr<absl::Span<float>> logits = session.Forward(next);
    ASSERT_TRUE(logits.ok()) << logits.status();
    next = {greedy.Sample(*logits)};
    actual.push_back(next[0]);
  }
  EXPECT_EQ(actual, expected);
}

// The comparison must notice typical mistakes.
class NegativeControl : public Golden {
 protected:
  // The error of the toy's logits after `change`.
  double Error(const std::function<void(Model::Impl&)>& change) {
    const Reference reference = ReadReference(GetParam());
    const Model model = LoadToy(GetParam());
    change(model.impl());
    return RelativeError(AllLogits(model, reference.tokens), reference.logits);
  }
};

INSTANTIATE_TEST_SUITE_P(Toys, NegativeControl, ::testing::ValuesIn(AllToys()),
                         [](const auto& toy) { return toy.param.name; });

TEST_P(NegativeControl, WrongWindowFails) {
  const auto change = [](int by) {
    return [by](Model::Impl& m) {
      for (LayerConfig& layer : m.config.layers) {
        if (layer.sliding_window != 0) layer.sliding_window += by;
      }
    };
  };
  const Model model = LoadToy(GetParam());
  if (std::none_of(
          model.config().layers.begin(), model.config().layers.end(),
          [](const LayerConfig& l) { return l.sliding_window != 0; })) {
    return;
  }
  EXPECT_GT(Error(change(+1)), kTolerance);
  EXPECT_GT(Error(change(-1)), kTolerance);
}

TEST(NegativeControlOfConfigs, FormOfGeluMatters) {
  const Toy toy = {"", "../configs/gemma2_gelu"};
  const Reference reference = ReadReference(toy);
  const Model model = LoadToy(toy);
  model.impl().config.exact_gelu = false;
  EXPECT_GT(RelativeError(AllLogits(model, reference.tokens), reference.logits),
            kTolerance);
}

TEST_P(NegativeControl, FinalSoftCapMatters) {
  if (LoadToy(GetParam()).config().final_logits_soft_cap == 0.0f) return;
  EXPECT_GT(Error([](Model::Impl& m) { m.config.final_logits_soft_cap = 0; }),
            kTolerance);
}

TEST_P(NegativeControl, AttentionSoftCapMatters) {
  if (LoadToy(GetParam()).config().attn_logits_soft_cap == 0.0f) return;
  EXPECT_GT(Error([](Model::Impl& m) { m.config.attn_logits_soft_cap = 0; }),
            kTolerance);
}

// Gemma 4's norms are plain factors; those of the others are stored minus one.
TEST_P(NegativeControl, ShiftedNormFails) {
  for (const float by : {-1.0f, 1.0f}) {
    for (auto norm :
         {&LayerWeights::pre_mix_norm, &LayerWeights::pre_ffw_norm}) {
      EXPECT_GT(Error([&](Model::Impl& m) {
                  for (float& w : m.weights.layers[0].*norm) w += by;
                }),
                kTolerance);
    }
  }
}

// Rotating as many leading values, with their own frequencies, is not the same
// as rotating the first pairs of the whole head.
TEST_P(NegativeControl, RotatedPairsMatter) {
  const Model model = LoadToy(GetParam());
  if (std::ranges::none_of(model.config().layers, [](const LayerConfig& l) {
        return l.rope.num_rotating != 0;
      })) {
    return;
  }
  EXPECT_GT(Error([](Model::Impl& m) {
              for (LayerConfig& layer : m.config.layers) {
                if (layer.rope.num_rotating == 0) continue;
                layer.rope.rotary_dim = 2 * layer.rope.num_rotating;
                layer.rope.num_rotating = 0;
              }
            }),
            kTolerance);
}

TEST(NegativeControlOfGemma4, WrongKeySourceFails) {
  const Toy toy = {"", "gemma4_e2b"};
  const Reference reference = ReadReference(toy);
  const Model model = LoadToy(toy);
  LayerConfig& layer = model.impl().config.layers[3];
  ASSERT_EQ(layer.kv_source, 1u);
  layer.kv_source = 0;
  EXPECT_GT(RelativeError(AllLogits(model, reference.tokens), reference.logits),
            kTolerance);
}

// Typical mistakes in what only Gemma 3n has.
TEST(NegativeControlOfGemma3n, EachPartMatters) {
  const Toy toy = {"", "gemma3n"};
  const Reference reference = ReadReference(toy);
  const auto error = [&](const std::function<void(Model::Impl&)>& change) {
    const Model model = LoadToy(toy);
    change(model.impl());
    return RelativeError(AllLogits(model, reference.tokens), reference.logits);
  };
  EXPECT_LE(error([](Model::Impl&) {}), kTolerance);
  const std::pair<const char*, std::function<void(Model::Impl&)>> mistakes[] = {
      {"gates stay",
       [](Model::Impl& m) { m.config.layers[1].gate_cutoff.reset(); }},
      {"the deviation of a sample, as in llama.cpp",
       [](Model::Impl& m) {
         *m.config.layers[0].gate_cutoff *= std::sqrt(128.0f / 127.0f);
       }},
      {"keys of another layer",
       [](Model::Impl& m) { m.config.layers[3].kv_source = 0; }},
      {"values without a norm",
       [](Model::Impl& m) { m.config.value_norm = false; }},
      {"corrections without the 1",
       [](Model::Impl& m) {
         for (size_t i = 0; i < 4; ++i) {
           // m has values of both signs, so no constant stands for the 1.
           m.weights.layers[2].altup_correct[i * 4 + i] -= 1.0f;
         }
       }},
      {"predictions by the transposed coefficients",
       [](Model::Impl& m) {
         std::vector<float>& c = m.weights.layers[1].altup_predict;
         for (size_t i = 0; i < 4; ++i) {
           for (size_t k = 0; k < i; ++k) {
             std::swap_ranges(c.begin() + 4 * (4 * i + k),
                              c.begin() + 4 * (4 * i + k) + 4,
                              c.begin() + 4 * (4 * k + i));
           }
         }
       }},
      {"streams in another order",
       [](Model::Impl& m) {
         std::swap(m.weights.altup_proj[0], m.weights.altup_proj[1]);
       }},
      {"results of streams in another order",
       [](Model::Impl& m) {
         std::swap(m.weights.altup_unembed[0], m.weights.altup_unembed[2]);
       }},
      {"an unscaled input of per-layer embeddings",
       [](Model::Impl& m) {
         auto& scale = m.weights.layers[0].altup_output_scale;
         std::fill(scale.begin(), scale.end(), 1.0f);
       }},
      {"LAuReL without its norm",
       [](Model::Impl& m) {
         auto& norm = m.weights.layers[4].post_laurel_norm;
         std::fill(norm.begin(), norm.end(), 1.0f);
       }},
  };
  for (const auto& [name, change] : mistakes) {
    EXPECT_GT(error(change), kTolerance) << name;
  }
}

TEST_P(NegativeControl, SwappedGateUpFails) {
  EXPECT_GT(Error([](Model::Impl& m) {
              std::swap(m.weights.layers[0].gate_proj,
                        m.weights.layers[0].up_proj);
            }),
            kTolerance);
}

TEST_P(NegativeControl, WrongQueryScaleFails) {
  EXPECT_GT(Error([](Model::Impl& m) { m.config.query_scale *= 1.05f; }),
            kTolerance);
}

// Equivalent files: older keys, several shards.
TEST(GoldenForms, ShardsSameBits) {
  const Reference reference = ReadReference({"", "gemma2"});
  const Model whole = LoadOrDie(ToyPath("gemma2"), {});
  const Model shards = LoadOrDie(ToyPath("gemma2_sharded"), {});
  EXPECT_EQ(AllLogits(shards, reference.tokens),
            AllLogits(whole, reference.tokens));
}

TEST(GoldenForms, GgufEqualsSafetensors) {
  const std::string gguf = std::string(GEMMA_TESTDATA_DIR) + "/gguf/";
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"gemma", "gemma.gguf"},
      {"gemma2", "gemma2.gguf"},
      {"gemma3", "gemma3.gguf"},
      {"gemma3n", "gemma3n.gguf"},
      {"gemma4_e2b", "gemma4_e2b.gguf"},
      {"gemma4_31b", "gemma4_31b.gguf"},
      {"gemma4_moe", "gemma4_moe.gguf"},
      {"recurrent_gemma", "recurrent_gemma.gguf"},
      {"gemma_mha", "gemma_mha-v2.gguf"},
      {"gemma_mha", "gemma_mha-00001-of-00003.gguf"},
  };
  for (const auto& [folder, file] : pairs) {
    const Reference reference = ReadReference({"", folder});
    EXPECT_EQ(AllLogits(LoadOrDie(gguf + file, {}), reference.tokens),
              AllLogits(LoadOrDie(ToyPath(folder), {}), reference.tokens))
        << file;
  }
}

// All of GGUF's types in one model, compared with transformers on the
// dequantized weights.
TEST(GoldenForms, MixedGgufEqualsReference) {
  const std::string base =
      std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed";
  const std::vector<TokenId> tokens = ReadTokens(base + ".npz", "ids");
  const std::vector<float> expected = ReadFloats(base + ".npz", "out");
  const Model model = LoadExact(base + ".gguf");
  Session exact = NewSession(model, {.cache_format = CacheFormat::kFloat32});
  EXPECT_LE(RelativeError(AllLogits(exact, tokens), expected), kTolerance);
  // With the default cache format, which is bfloat16 here.
  EXPECT_LE(RelativeError(AllLogits(model, tokens), expected), 5e-3);
}

// KL(reference || actual) in nats, mean over positions.
double MeanKl(const std::vector<float>& reference,
              const std::vector<float>& actual, size_t vocab_size) {
  double sum = 0;
  const size_t rows = reference.size() / vocab_size;
  const auto log_sum = [&](const float* x) {
    const double largest = *std::max_element(x, x + vocab_size);
    double total = 0;
    for (size_t i = 0; i < vocab_size; ++i) total += std::exp(x[i] - largest);
    return largest + std::log(total);
  };
  for (size_t row = 0; row < rows; ++row) {
    const float* p = reference.data() + row * vocab_size;
    const float* q = actual.data() + row * vocab_size;
    const double log_p = log_sum(p);
    const double log_q = log_sum(q);
    for (size_t i = 0; i < vocab_size; ++i) {
      sum += std::exp(p[i] - log_p) * ((p[i] - log_p) - (q[i] - log_q));
    }
  }
  return sum / static_cast<double>(rows);
}

// Rounded activations: int8 where weights are quantized, bfloat16 where the CPU
// has tiles for it.
TEST(GoldenForms, RoundedActivationsStayClose) {
  const std::string mixed =
      std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed";
  const struct {
    std::string path, reference;
    double most;
  } cases[] = {
      {mixed + ".gguf", mixed + ".npz", 3.5e-3},
      {ToyPath("gemma2_bf16"), ToyPath("gemma2_bf16") + "/reference.npz", 2e-4},
      {ToyPath("gemma3_bf16"), ToyPath("gemma3_bf16") + "/reference.npz",
       2e-4}};
  for (const auto& [path, reference, most] : cases) {
    const std::vector<TokenId> tokens = ReadTokens(reference, "ids");
    for (const bool deterministic : {false, true}) {
      LoadOptions options;
      options.deterministic = deterministic;
      const Model model = LoadOrDie(path, options);
      const double kl =
          MeanKl(ReadFloats(reference, "out"), AllLogits(model, tokens),
                 model.config().vocab_size);
      EXPECT_LE(kl, most) << path;
      EXPECT_GT(kl, 0) << path;
    }
  }
}

TEST(GoldenForms, Bfloat16StaysClose) {
  // Gemma 4's toy has larger logits.
  const std::pair<const char*, double> toys[] = {
      {"gemma2_bf16", 1e-4}, {"gemma3_bf16", 1e-4}, {"gemma4_bf16", 4e-4}};
  for (const auto& [folder, most] : toys) {
    const Reference reference = ReadReference({"", folder});
    const Model model = LoadExact(ToyPath(folder));
    const double kl =
        MeanKl(reference.logits, AllLogits(model, reference.tokens),
               model.config().vocab_size);
    EXPECT_LE(kl, most) << folder;
    EXPECT_GT(kl, 0) << folder;
    // With a cache in float32, bfloat16 changes only the scale of the
    // embeddings.
    Session exact = NewSession(model, {.cache_format = CacheFormat::kFloat32});
    EXPECT_LE(RelativeError(AllLogits(exact, reference.tokens),
                            ReadFloats(ToyPath(folder) + "/reference.npz",
                                       "out_rounded_scale")),
              kTolerance)
        << folder;
  }
}

// As in transformers, the scale of embeddings is rounded to the checkpoint's
// type. A width of 48 shows it: sqrt(48) is 6.9282, in bfloat16 6.9375.
TEST(GoldenForms, EmbeddingScaleIsRounded) {
  const float root = std::sqrt(48.0f);
  EXPECT_EQ(LoadOrDie(ToyPath("gemma_mha"), {}).config().embedding_scale, root);
  EXPECT_EQ(LoadOrDie(ToyPath("gemma3_bf16"), {}).config().embedding_scale,
            6.9375f);
  // sqrt(24) is 4.8990.
  EXPECT_EQ(LoadOrDie(ToyPath("gemma4_bf16"), {}).config().embedding_scale,
            4.90625f);
  EXPECT_EQ(
      LoadOrDie(ToyPath("recurrent_gemma_48"), {}).config().embedding_scale,
      6.9375f);
}

}  // namespace
}  // namespace gemma::internal
