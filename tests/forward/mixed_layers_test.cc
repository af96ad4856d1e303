// Compares models whose layers differ in all fields of LayerConfig with a plain
// computation in double precision.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "src/session/model_impl.h"
#include "tests/support/error_of.h"
#include "tests/support/near.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

constexpr size_t kDim = 24;
constexpr size_t kVocab = 40;
constexpr double kMixedTolerance = 2e-5;

using Doubles = std::vector<double>;

// A tensor's values: around 1 for a norm, around 0 for others. They depend on
// its name.
std::vector<float> ValuesOf(const std::string& name, size_t size) {
  uint32_t state = 2166136261u;
  for (const char c : name) {
    state = (state ^ static_cast<uint8_t>(c)) * 16777619u;
  }
  const bool is_norm = name.find("norm") != std::string::npos;
  std::vector<float> out(size);
  for (float& value : out) {
    state = state * 1664525u + 1013904223u;
    const float u = static_cast<float>(state >> 8) / (1 << 23) - 1.0f;
    value = is_norm ? 1.0f + 0.3f * u : 0.4f * u;
  }
  return out;
}

// Six layers of two kinds. The file contains the differences that GGUF can
// describe; ChangeRest adds the others.
constexpr size_t kNumLayers = 6;
const std::vector<uint8_t> kIsLocal = {1, 1, 0, 1, 0, 1};
const std::vector<uint32_t> kHeads = {4, 4, 2, 6, 4, 4};
const std::vector<uint32_t> kKvHeads = {2, 1, 2, 3, 4, 1};
const std::vector<uint32_t> kFfw = {32, 20, 48, 32, 7, 33};
constexpr uint32_t kLocalHead = 8;
constexpr uint32_t kGlobalHead = 20;

std::string WriteModel(const std::string& architecture) {
  GgufWriter gguf;
  const auto key = [&](const char* name) {
    return absl::StrCat(architecture, ".", name);
  };
  gguf.String("general.architecture", architecture)
      .Uint32(key("context_length"), 128)
      .Uint32(key("embedding_length"), kDim)
      .Uint32(key("block_count"), kNumLayers)
      .Array(key("feed_forward_length"), 4, kFfw)
      .Array(key("attention.head_count"), 4, kHeads)
      .Array(key("attention.head_count_kv"), 4, kKvHeads)
      .Uint32(key("attention.key_length"), kGlobalHead)
      .Uint32(key("attention.value_length"), kGlobalHead)
      .Uint32(key("attention.key_length_swa"), kLocalHead)
      .Uint32(key("attention.value_length_swa"), kLocalHead)
      .Uint32(key("attention.sliding_window"), 8)
      .Array(key("attention.sliding_window_pattern"), 7, kIsLocal);
  const auto add = [&](const std::string& name,
                       const std::vector<uint64_t>& sizes) {
    uint64_t size = 1;
    for (const uint64_t s : sizes) size *= s;
    ByteWriter bytes;
    for (const float value : ValuesOf(name, size)) bytes.Number(value);
    gguf.Tensor(name, sizes, /*type=*/0, bytes.bytes());
  };
  add("token_embd.weight", {kDim, kVocab});
  add("output_norm.weight", {kDim});
  for (size_t l = 0; l < kNumLayers; ++l) {
    const auto layer = [&](const char* name) {
      return absl::StrCat("blk.", l, ".", name, ".weight");
    };
    const uint64_t head = kIsLocal[l] != 0 ? kLocalHead : kGlobalHead;
    add(layer("attn_norm"), {kDim});
    add(layer("post_attention_norm"), {kDim});
    add(layer("ffn_norm"), {kDim});
    add(layer("post_ffw_norm"), {kDim});
    add(layer("attn_q"), {kDim, kHeads[l] * head});
    add(layer("attn_k"), {kDim, kKvHeads[l] * head});
    add(layer("attn_v"), {kDim, kKvHeads[l] * head});
    add(layer("attn_output"), {kHeads[l] * head, kDim});
    add(layer("attn_q_norm"), {head});
    add(layer("attn_k_norm"), {head});
    add(layer("ffn_gate"), {kDim, kFfw[l]});
    add(layer("ffn_up"), {kDim, kFfw[l]});
    add(layer("ffn_down"), {kFfw[l], kDim});
  }
  const std::string path = TestDirectory() + "/mixed.gguf";
  WriteFile(path, gguf.Finish());
  return path;
}

// Windows, RoPE and its extent differ too: layer 2 rotates three pairs of ten,
// layer 4 the first 12 values of its heads.
void ChangeRest(ModelConfig& config) {
  std::vector<LayerConfig>& layers = config.layers;
  layers[1].sliding_window = 3;
  layers[3].sliding_window = 21;
  layers[5].sliding_window = 2;
  layers[0].rope = {.rotary_dim = 4, .base = 100.0f, .factor = 2.0f};
  layers[2].rope.num_rotating = 3;
  layers[4].rope = {.rotary_dim = 12, .base = 500.0f, .factor = 8.0f};
  layers[5].rope.rotary_dim = 0;
}

Model LoadMixed(const std::string& architecture, size_t num_threads,
                size_t chunk) {
  LoadOptions options;
  options.num_threads = num_threads;
  options.prefill_chunk = chunk;
  options.activations = Activations::kFloat32;
  Model model = LoadOrDie(WriteModel(architecture), options);
  ChangeRest(model.impl().config);
  EXPECT_EQ(ErrorOf(Validate(model.config())), "OK");
  return model;
}

std::vector<TokenId> Tokens(size_t size) {
  std::vector<TokenId> tokens;
  for (size_t i = 0; i < size; ++i) {
    tokens.push_back(static_cast<TokenId>((5 * i * i + 7 * i + 2) % kVocab));
  }
  return tokens;
}

// The plain computation of a whole text at once.
class Plain {
 public:
  explicit Plain(const ModelConfig& config) : c_(config) {}

  // The normalized states, [tokens][kDim].
  std::vector<Doubles> States(const std::vector<TokenId>& tokens) {
    std::vector<Doubles> x;
    for (const TokenId token : tokens) {
      x.push_back(Row("token_embd", kDim, static_cast<size_t>(token)));
      for (double& value : x.back()) value *= c_.embedding_scale;
    }
    for (size_t l = 0; l < c_.num_layers(); ++l) {
      layer_ = absl::StrCat("blk.", l, ".");
      const LayerConfig& layer = c_.layers[l];
      AddTo(Attention(layer, Normed(x, "attn_norm")), "post_attention_norm", x);
      AddTo(Ffw(layer, Normed(x, "ffn_norm")), "post_ffw_norm", x);
    }
    layer_.clear();
    return Normed(x, "output_norm");
  }

  // [tokens, kVocab].
  std::vector<float> Logits(const std::vector<TokenId>& tokens) {
    std::vector<float> out;
    for (const Doubles& state : States(tokens)) {
      for (const double y : Product("token_embd", kVocab, state)) {
        out.push_back(static_cast<float>(y));
      }
    }
    return out;
  }

  std::vector<float> Mean(const std::vector<TokenId>& tokens) {
    const std::vector<Doubles> states = States(tokens);
    std::vector<float> out;
    for (size_t i = 0; i < kDim; ++i) {
      double sum = 0;
      for (const Doubles& state : states) sum += state[i];
      out.push_back(static_cast<float>(sum / states.size()));
    }
    return out;
  }

 private:
  const std::vector<float>& Tensor(const std::string& name, size_t size) {
    const std::string full = layer_ + name + ".weight";
    std::vector<float>& values = tensors_[full];
    if (values.empty()) values = ValuesOf(full, size);
    return values;
  }

  Doubles Row(const std::string& name, size_t cols, size_t row) {
    const auto& values = Tensor(name, kVocab * cols);
    const auto begin = values.begin() + static_cast<ptrdiff_t>(row * cols);
    return {begin, begin + static_cast<ptrdiff_t>(cols)};
  }

  Doubles Product(const std::string& name, size_t rows, const Doubles& x) {
    const std::vector<float>& w = Tensor(name, rows * x.size());
    Doubles out(rows);
    for (size_t r = 0; r < rows; ++r) {
      for (size_t i = 0; i < x.size(); ++i) {
        out[r] += double{w[r * x.size() + i]} * x[i];
      }
    }
    return out;
  }

  void Norm(const std::string& name, double* x, size_t size) {
    const std::vector<float>& w = Tensor(name, size);
    double squares = 0;
    for (size_t i = 0; i < size; ++i) squares += x[i] * x[i];
    const double scale =
        1 / std::sqrt(squares / static_cast<double>(size) + c_.rms_norm_eps);
    for (size_t i = 0; i < size; ++i) x[i] *= scale * double{w[i]};
  }

  std::vector<Doubles> Normed(std::vector<Doubles> x, const std::string& name) {
    for (Doubles& row : x) Norm(name, row.data(), row.size());
    return x;
  }

  void AddTo(const std::vector<Doubles>& update, const std::string& norm,
             std::vector<Doubles>& x) {
    const std::vector<Doubles> normed = Normed(update, norm);
    for (size_t r = 0; r < x.size(); ++r) {
      for (size_t i = 0; i < kDim; ++i) x[r][i] += normed[r][i];
    }
  }

  // The heads of a row at a position, normalized and rotated.
  Doubles Heads(const LayerConfig& layer, const std::string& name,
                size_t num_heads, const Doubles& x, size_t position) {
    Doubles heads = Product(name, num_heads * layer.head_dim, x);
    const RopeConfig& rope = layer.rope;
    const size_t half = rope.rotary_dim / 2;
    const size_t turning = rope.num_rotating != 0 ? rope.num_rotating : half;
    for (size_t h = 0; h < num_heads; ++h) {
      double* head = heads.data() + h * layer.head_dim;
      Norm(name + "_norm", head, layer.head_dim);
      for (size_t i = 0; i < turning; ++i) {
        const double angle =
            static_cast<double>(position) *
            std::pow(double{rope.base},
                     -2.0 * static_cast<double>(i) /
                         static_cast<double>(rope.rotary_dim)) /
            double{rope.factor};
        const double a = head[i];
        const double b = head[i + half];
        head[i] = a * std::cos(angle) - b * std::sin(angle);
        head[i + half] = b * std::cos(angle) + a * std::sin(angle);
      }
    }
    return heads;
  }

  bool Sees(const LayerConfig& layer, size_t from, size_t to) const {
    if (to > from && !c_.bidirectional) return false;
    const size_t distance = from > to ? from - to : to - from;
    return layer.type == BlockType::kGlobalAttention ||
           distance < layer.sliding_window;
  }

  std::vector<Doubles> Attention(const LayerConfig& layer,
                                 const std::vector<Doubles>& x) {
    std::vector<Doubles> q, k, v, out;
    for (size_t p = 0; p < x.size(); ++p) {
      q.push_back(Heads(layer, "attn_q", layer.num_heads, x[p], p));
      k.push_back(Heads(layer, "attn_k", layer.num_kv_heads, x[p], p));
      v.push_back(Product("attn_v", layer.kv_dim(), x[p]));
    }
    const size_t group = layer.num_heads / layer.num_kv_heads;
    for (size_t p = 0; p < x.size(); ++p) {
      Doubles heads(layer.q_dim());
      for (size_t h = 0; h < layer.num_heads; ++h) {
        Attend(layer, p, &q[p][h * layer.head_dim], k, v,
               h / group * layer.head_dim, &heads[h * layer.head_dim]);
      }
      out.push_back(Product("attn_output", kDim, heads));
    }
    return out;
  }

  void Attend(const LayerConfig& layer, size_t from, const double* q,
              const std::vector<Doubles>& k, const std::vector<Doubles>& v,
              size_t kv_begin, double* out) const {
    double sum = 0;
    for (size_t to = 0; to < k.size(); ++to) {
      if (!Sees(layer, from, to)) continue;
      double score = 0;
      for (size_t i = 0; i < layer.head_dim; ++i) {
        score += q[i] * k[to][kv_begin + i];
      }
      const double weight = std::exp(score * c_.query_scale);
      sum += weight;
      for (size_t i = 0; i < layer.head_dim; ++i) {
        out[i] += weight * v[to][kv_begin + i];
      }
    }
    for (size_t i = 0; i < layer.head_dim; ++i) out[i] /= sum;
  }

  std::vector<Doubles> Ffw(const LayerConfig& layer,
                           const std::vector<Doubles>& x) {
    std::vector<Doubles> out;
    for (const Doubles& row : x) {
      Doubles gate = Product("ffn_gate", layer.ffw_dim, row);
      const Doubles up = Product("ffn_up", layer.ffw_dim, row);
      for (size_t i = 0; i < gate.size(); ++i) {
        const double g = gate[i];
        const double inner = std::sqrt(2 / M_PI) * (g + 0.044715 * g * g * g);
        gate[i] = 0.5 * g * (1 + std::tanh(inner)) * up[i];
      }
      out.push_back(Product("ffn_down", kDim, gate));
    }
    return out;
  }

  const ModelConfig& c_;
  std::string layer_;  // "blk.N." or nothing
  std::map<std::string, std::vector<float>> tensors_;
};

std::vector<float> Decoded(Session session, const std::vector<TokenId>& tokens,
                           size_t step) {
  std::vector<float> out;
  for (size_t i = 0; i < tokens.size(); i += step) {
    const auto begin = tokens.begin() + static_cast<ptrdiff_t>(i);
    const std::vector<float> logits =
        AllLogits(session, {begin, begin + static_cast<ptrdiff_t>(std::min(
                                               step, tokens.size() - i))});
    out.insert(out.end(), logits.begin(), logits.end());
  }
  return out;
}

TEST(MixedLayers, FileSaysWhatDiffers) {
  const Model model = LoadOrDie(WriteModel("gemma3"), {});
  ASSERT_EQ(model.config().num_layers(), kNumLayers);
  for (size_t l = 0; l < kNumLayers; ++l) {
    const LayerConfig& layer = model.config().layers[l];
    EXPECT_EQ(layer.num_heads, kHeads[l]);
    EXPECT_EQ(layer.num_kv_heads, kKvHeads[l]);
    EXPECT_EQ(layer.ffw_dim, kFfw[l]);
    EXPECT_EQ(layer.head_dim, kIsLocal[l] != 0 ? kLocalHead : kGlobalHead);
    EXPECT_EQ(layer.rope.rotary_dim, layer.head_dim);
  }
}

// For any division of a text into passes, and any number of threads.
TEST(MixedLayers, LogitsAreReference) {
  const std::vector<TokenId> tokens = Tokens(70);
  for (const size_t num_threads : {1, 3}) {
    for (const size_t chunk : {256, 33, 7}) {
      const Model model = LoadMixed("gemma3", num_threads, chunk);
      const std::vector<float> expected = Plain(model.config()).Logits(tokens);
      for (const size_t step : {70, 1, 9}) {
        EXPECT_LE(
            RelativeError(Decoded(NewSession(model), tokens, step), expected),
            kMixedTolerance)
            << num_threads << " " << chunk << " " << step;
      }
    }
  }
}

// Every difference between the layers counts.
TEST(MixedLayers, WrongLayersAreSeen) {
  const std::vector<TokenId> tokens = Tokens(40);
  const Model model = LoadMixed("gemma3", 1, 256);
  const std::vector<float> logits = AllLogits(model, tokens);
  const auto error = [&](auto change) {
    ModelConfig config = model.config();
    change(config.layers);
    return RelativeError(logits, Plain(config).Logits(tokens));
  };
  const auto bound = [](double e) { return e > 10 * kMixedTolerance; };
  EXPECT_PRED1(bound, error([](auto& l) { ++l[1].sliding_window; }));
  EXPECT_PRED1(bound, error([](auto& l) { --l[3].sliding_window; }));
  EXPECT_PRED1(bound, error([](auto& l) { l[0].rope = l[1].rope; }));
  EXPECT_PRED1(bound, error([](auto& l) { l[2].rope.num_rotating = 0; }));
  EXPECT_PRED1(bound, error([](auto& l) { l[4].rope.rotary_dim = 20; }));
  EXPECT_PRED1(bound, error([](auto& l) { l[4].rope.factor = 1.0f; }));
  EXPECT_PRED1(bound, error([](auto& l) { l[5].rope.rotary_dim = 8; }));
}

TEST(MixedLayers, StatesRewindAndFork) {
  const std::vector<TokenId> tokens = Tokens(60);
  const Model model = LoadMixed("gemma3", 2, 16);
  const std::vector<float> expected = Plain(model.config()).Logits(tokens);
  const auto from = [&](size_t position) {
    return std::vector<float>(
        expected.begin() + static_cast<ptrdiff_t>(position * kVocab),
        expected.end());
  };
  const auto rest = [&](size_t position) {
    return std::vector<TokenId>(
        tokens.begin() + static_cast<ptrdiff_t>(position), tokens.end());
  };
  for (const CacheFormat format :
       {CacheFormat::kFloat32, CacheFormat::kBFloat16}) {
    SessionOptions options;
    options.max_tokens = 64;
    options.cache_format = format;
    const double tolerance =
        format == CacheFormat::kFloat32 ? kMixedTolerance : 0.05;
    Session session = NewSession(model, options);
    AllLogits(session, Tokens(50));
    ASSERT_EQ(ErrorOf(session.Rewind(41)), "OK");
    absl::StatusOr<Session> fork = session.Fork();
    ASSERT_TRUE(fork.ok()) << fork.status();
    const std::string path = TestDirectory() + "/session";
    ASSERT_EQ(ErrorOf(session.Save(path)), "OK");
    absl::StatusOr<Session> restored = Session::Restore(model, path);
    ASSERT_TRUE(restored.ok()) << restored.status();
    const std::vector<float> logits = AllLogits(session, rest(41));
    EXPECT_LE(RelativeError(logits, from(41)), tolerance);
    EXPECT_EQ(AllLogits(*fork, rest(41)), logits);
    EXPECT_EQ(AllLogits(*restored, rest(41)), logits);
  }
}

// Each layer's cache has its own heads, window and size.
TEST(MixedLayers, MemorySumsLayers) {
  const Model model = LoadMixed("gemma3", 1, 16);
  SessionOptions options;
  options.max_tokens = 1024;
  options.max_rollback = 8;
  options.cache_format = CacheFormat::kFloat32;
  uint64_t expected = 0;
  for (const LayerConfig& layer : model.config().layers) {
    const bool local = layer.type == BlockType::kLocalAttention;
    const size_t rows = std::max<size_t>(16, 2 * kCacheBlock);
    const size_t slots = local ? layer.sliding_window - 1 + 8 + rows : 1024;
    const size_t whole = (slots + kCacheTile - 1) / kCacheTile * kCacheTile;
    expected += 2 * whole * layer.num_kv_heads *
                CacheRowBytes(CacheType::kF32, layer.head_dim);
  }
  EXPECT_EQ(model.MemoryFor(options).cache, expected);
  // Weights of each layer's sizes.
  uint64_t values = kVocab * kDim + kDim;
  for (const LayerConfig& l : model.config().layers) {
    values += 4 * kDim + 2 * l.head_dim + 3 * l.ffw_dim * kDim +
              2 * (l.q_dim() + l.kv_dim()) * kDim;
  }
  EXPECT_GE(model.MemoryFor(options).weights, values * sizeof(float));
}

// A bidirectional model keeps one cache for each shape of heads.
TEST(MixedLayers, EmbeddingsAreReference) {
  const std::vector<TokenId> tokens = Tokens(50);
  for (const size_t num_threads : {1, 3}) {
    const Model model = LoadMixed("gemma-embedding", num_threads, 256);
    ASSERT_TRUE(model.config().bidirectional);
    absl::StatusOr<Executor*> executor = model.impl().executor();
    ASSERT_TRUE(executor.ok()) << executor.status();
    absl::StatusOr<SequenceState> state =
        SequenceState::Create(model.config(), {.max_tokens = tokens.size(),
                                               .max_rollback = 0,
                                               .max_rows = tokens.size(),
                                               .cache_type = CacheType::kF32});
    ASSERT_TRUE(state.ok()) << state.status();
    Segment segment;
    segment.state = &*state;
    segment.words = tokens;
    std::vector<float> found(kDim);
    ASSERT_TRUE(
        (*executor)->Embed({&segment, 1}, {found.data(), 1, kDim}).ok());
    EXPECT_LE(RelativeError(found, Plain(model.config()).Mean(tokens)),
              kMixedTolerance);
  }
}

}  // namespace
}  // namespace gemma::internal
