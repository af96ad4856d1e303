// Tests what C says of models, and how it loads them.

#include "gemma/c_model.h"

#include <cstring>
#include <string>
#include <vector>

#include "gemma/c_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_toys.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// Toys whose configurations use all fields.
std::vector<std::string> ConfiguredToys() {
  return {TestFile("gguf/gemma3_mixed.gguf"),
          TestFile("gguf/gemma3n.gguf"),
          TestFile("gguf/gemma4_moe.gguf"),
          TestFile("gguf/gemma4_e2b.gguf"),
          TestFile("gguf/recurrent_gemma.gguf"),
          TestFile("gguf/gemma_embedding.gguf")};
}

TEST(CModel, ConfigEqualsModel) {
  for (const std::string& path : ConfiguredToys()) {
    SCOPED_TRACE(path);
    const CToy toy(path);
    const ModelConfig& want = toy.same.config();
    gemma_model_config config = Initialized(gemma_model_config_init);
    ASSERT_EQ(gemma_model_get_config(toy.model, &config), GEMMA_OK);
    EXPECT_EQ(config.architecture, want.architecture);
    EXPECT_EQ(config.model_dim, want.model_dim);
    EXPECT_EQ(config.num_layers, want.num_layers());
    EXPECT_EQ(config.vocab_size, want.vocab_size);
    EXPECT_EQ(config.max_context, want.max_context);
    EXPECT_EQ(config.lru_width, want.lru_width);
    EXPECT_EQ(config.conv_width, want.conv_width);
    EXPECT_EQ(config.embedding_scale, want.embedding_scale);
    EXPECT_EQ(config.query_scale, want.query_scale);
    EXPECT_EQ(config.rms_norm_eps, want.rms_norm_eps);
    EXPECT_EQ(config.attn_logits_soft_cap, want.attn_logits_soft_cap);
    EXPECT_EQ(config.final_logits_soft_cap, want.final_logits_soft_cap);
    EXPECT_EQ(config.per_layer_scale, want.per_layer_scale);
    EXPECT_EQ(config.altup_streams, want.altup_streams);
    EXPECT_EQ(config.laurel_rank, want.laurel_rank);
    EXPECT_EQ(config.per_layer_dim, want.per_layer_dim);
    EXPECT_EQ(config.per_layer_vocab, want.per_layer_vocab);
    EXPECT_EQ(config.embedding_dim, want.embedding_dim());
    EXPECT_EQ(config.pooling == GEMMA_POOLING_MEAN,
              want.pooling == Pooling::kMean);
    EXPECT_EQ(config.bos_token, want.bos_token);
    EXPECT_EQ(absl::MakeSpan(config.stop_tokens, config.num_stop_tokens),
              absl::MakeSpan(want.stop_tokens));
    EXPECT_EQ(
        absl::MakeSpan(config.suppress_tokens, config.num_suppress_tokens),
        absl::MakeSpan(want.suppress_tokens));
    EXPECT_EQ(absl::MakeSpan(config.dense_dims, config.num_dense_dims),
              absl::MakeSpan(want.dense_dims));
    EXPECT_EQ(config.post_norms, want.post_norms);
    EXPECT_EQ(config.qk_norm, want.qk_norm);
    EXPECT_EQ(config.value_norm, want.value_norm);
    EXPECT_EQ(config.layer_scales, want.layer_scales);
    EXPECT_EQ(config.biases, want.biases);
    EXPECT_EQ(config.exact_gelu, want.exact_gelu);
    EXPECT_EQ(config.bidirectional, want.bidirectional);
    EXPECT_EQ(gemma_model_num_threads(toy.model), toy.same.num_threads());
  }
}

TEST(CModel, LayersEqualModel) {
  constexpr gemma_block_type kTypes[] = {GEMMA_BLOCK_GLOBAL_ATTENTION,
                                         GEMMA_BLOCK_LOCAL_ATTENTION,
                                         GEMMA_BLOCK_RECURRENT};
  for (const std::string& path : ConfiguredToys()) {
    SCOPED_TRACE(path);
    const CToy toy(path);
    const auto& layers = toy.same.config().layers;
    gemma_layer_config layer = Initialized(gemma_layer_config_init);
    for (size_t i = 0; i < layers.size(); ++i) {
      const LayerConfig& want = layers[i];
      ASSERT_EQ(gemma_model_layer(toy.model, i, &layer), GEMMA_OK);
      EXPECT_EQ(layer.type, kTypes[static_cast<int>(want.type)]);
      EXPECT_EQ(layer.k_eq_v, want.k_eq_v);
      EXPECT_EQ(layer.has_kv_source, want.kv_source.has_value());
      EXPECT_EQ(layer.has_gate_cutoff, want.gate_cutoff.has_value());
      EXPECT_EQ(layer.num_heads, want.num_heads);
      EXPECT_EQ(layer.num_kv_heads, want.num_kv_heads);
      EXPECT_EQ(layer.head_dim, want.head_dim);
      EXPECT_EQ(layer.sliding_window, want.sliding_window);
      EXPECT_EQ(layer.rotary_dim, want.rope.rotary_dim);
      EXPECT_EQ(layer.num_rotating, want.rope.num_rotating);
      EXPECT_EQ(layer.rope_base, want.rope.base);
      EXPECT_EQ(layer.rope_factor, want.rope.factor);
      EXPECT_EQ(layer.ffw_dim, want.ffw_dim);
      EXPECT_EQ(layer.num_experts, want.num_experts);
      EXPECT_EQ(layer.experts_used, want.experts_used);
      EXPECT_EQ(layer.expert_dim, want.expert_dim);
      EXPECT_EQ(layer.kv_source, want.kv_source.value_or(0));
      EXPECT_EQ(layer.gate_cutoff, want.gate_cutoff.value_or(0));
    }
    EXPECT_EQ(gemma_model_layer(toy.model, layers.size(), &layer),
              GEMMA_OUT_OF_RANGE);
    EXPECT_THAT(gemma_last_error(), HasSubstr("but the model has"));
  }
}

TEST(CModel, TensorsEqualModel) {
  for (const std::string& path : {TestFile("gguf/gemma3_mixed.gguf"),
                                  TestFile("models/gemma4_unified")}) {
    SCOPED_TRACE(path);
    const CToy toy(path);
    const auto& tensors = toy.same.tensors();
    ASSERT_EQ(gemma_model_num_tensors(toy.model), tensors.size());
    gemma_tensor tensor = Initialized(gemma_tensor_init);
    for (size_t i = 0; i < tensors.size(); ++i) {
      ASSERT_EQ(gemma_model_tensor(toy.model, i, &tensor), GEMMA_OK);
      EXPECT_EQ(tensor.name, tensors[i].name);
      EXPECT_EQ(tensor.format, tensors[i].format);
      EXPECT_EQ(absl::MakeSpan(tensor.shape, tensor.num_dims),
                absl::MakeSpan(tensors[i].shape));
      EXPECT_EQ(tensor.bytes, tensors[i].bytes);
    }
    EXPECT_EQ(gemma_model_tensor(toy.model, tensors.size(), &tensor),
              GEMMA_OUT_OF_RANGE);
    const auto& notes = toy.same.notes();
    ASSERT_EQ(gemma_model_num_notes(toy.model), notes.size());
    for (size_t i = 0; i < notes.size(); ++i) {
      EXPECT_EQ(gemma_model_note(toy.model, i), notes[i]);
    }
    EXPECT_STREQ(gemma_model_note(toy.model, notes.size()), "");
  }
}

std::vector<float> LogitsOf(const std::string& path,
                            const gemma_load_options& options) {
  gemma_model* model = nullptr;
  EXPECT_EQ(gemma_model_load(path.c_str(), &options, &model), GEMMA_OK)
      << gemma_last_error();
  gemma_session* session = nullptr;
  EXPECT_EQ(gemma_session_create(model, nullptr, &session), GEMMA_OK);
  const int32_t tokens[] = {2, 17, 4, 9, 2, 17, 4, 9, 11, 5};
  const float* logits = nullptr;
  EXPECT_EQ(gemma_session_forward(session, tokens, 10, &logits), GEMMA_OK);
  const std::vector<float> copy(logits, logits + gemma_model_vocab_size(model));
  gemma_session_free(session);
  gemma_model_free(model);
  return copy;
}

std::vector<float> LogitsOf(const std::string& path,
                            const LoadOptions& options) {
  Session session = NewSession(LoadOrDie(path, options));
  const std::vector<TokenId> tokens = {2, 17, 4, 9, 2, 17, 4, 9, 11, 5};
  const auto logits = session.Forward(tokens);
  EXPECT_TRUE(logits.ok());
  return {logits->begin(), logits->end()};
}

TEST(CModel, LoadOptionsAreHonoured) {
  const std::string recurrent = TestFile("gguf/recurrent_gemma.gguf");
  gemma_load_options options = Initialized(gemma_load_options_init);
  const std::vector<float> plain = LogitsOf(recurrent, options);
  options.recurrent_window = GEMMA_WINDOW_TRANSFORMERS;
  LoadOptions same;
  same.recurrent_window = RecurrentWindow::kTransformers;
  EXPECT_EQ(LogitsOf(recurrent, options), LogitsOf(recurrent, same));
  EXPECT_NE(LogitsOf(recurrent, options), plain);

  const std::string path = TestFile("models/gemma2");
  options = Initialized(gemma_load_options_init);
  const std::vector<float> kept = LogitsOf(path, options);
  options.quantize = GEMMA_WEIGHTS_Q4;
  same = {};
  same.quantize = WeightType::kQ4;
  EXPECT_EQ(LogitsOf(path, options), LogitsOf(path, same));
  EXPECT_NE(LogitsOf(path, options), kept);
  options.float32_activations = true;
  same.activations = Activations::kFloat32;
  EXPECT_EQ(LogitsOf(path, options), LogitsOf(path, same));

  gemma_model* model = nullptr;
  options.quantize = static_cast<gemma_weight_type>(8);
  EXPECT_EQ(gemma_model_load(path.c_str(), &options, &model),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "quantize is 8, wanted 0 to 7");
  options.quantize = GEMMA_WEIGHTS_KEEP;
  options.recurrent_window = static_cast<gemma_recurrent_window>(2);
  EXPECT_EQ(gemma_model_load(path.c_str(), &options, &model),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "recurrent_window is 2, wanted 0 to 1");
}

TEST(CModel, ThreadsAreShared) {
  gemma_thread_pool* pool = nullptr;
  ASSERT_EQ(gemma_thread_pool_create(3, &pool), GEMMA_OK);
  EXPECT_EQ(gemma_thread_pool_num_threads(pool), 3u);
  gemma_load_options options = Initialized(gemma_load_options_init);
  options.thread_pool = pool;
  gemma_model* model = nullptr;
  const std::string path = TestFile("gguf/gemma3_mixed.gguf");
  ASSERT_EQ(gemma_model_load(path.c_str(), &options, &model), GEMMA_OK);
  EXPECT_EQ(gemma_model_num_threads(model), 3u);
  gemma_thread_pool_free(pool);
  gemma_session* session = nullptr;
  ASSERT_EQ(gemma_session_create(model, nullptr, &session), GEMMA_OK);
  const int32_t token = 2;
  EXPECT_EQ(gemma_session_forward(session, &token, 1, nullptr), GEMMA_OK);
  gemma_session_free(session);
  gemma_model_free(model);
  EXPECT_EQ(gemma_thread_pool_create(1 << 20, &pool), GEMMA_INVALID_ARGUMENT);
}

bool AskBeforeWeights(const gemma_model* model, void* user) {
  gemma_memory_use use = Initialized(gemma_memory_use_init);
  EXPECT_EQ(gemma_session_memory(model, nullptr, 1, &use), GEMMA_OK);
  EXPECT_GT(use.weights, 0u);
  return *static_cast<bool*>(user);
}

TEST(CModel, QuestionsBeforeWeights) {
  const std::string path = TestFile("gguf/gemma3_mixed.gguf");
  gemma_load_options options = Initialized(gemma_load_options_init);
  bool goes_on = false;
  options.before_weights = AskBeforeWeights;
  options.user = &goes_on;
  gemma_model* model = nullptr;
  EXPECT_EQ(gemma_model_load(path.c_str(), &options, &model), GEMMA_CANCELLED);
  EXPECT_EQ(model, nullptr);
  goes_on = true;
  options.skip_weights = true;
  ASSERT_EQ(gemma_model_load(path.c_str(), &options, &model), GEMMA_OK);
  gemma_session* session = nullptr;
  EXPECT_EQ(gemma_session_create(model, nullptr, &session),
            GEMMA_FAILED_PRECONDITION);
  gemma_model_free(model);
}

// A program compiled with a shorter struct has other variables after it.
TEST(CModel, InitKeepsOlderStructs) {
  struct {
    gemma_load_options options;
    uint64_t next;
  } memory;
  std::memset(&memory, 0xAA, sizeof(memory));
  const size_t old = offsetof(gemma_load_options, adapters);
  gemma_load_options_init(&memory.options, old);
  EXPECT_EQ(memory.options.struct_size, old);
  EXPECT_EQ(memory.options.prefill_chunk, LoadOptions().prefill_chunk);
  EXPECT_EQ(memory.options.progress, nullptr);
  const auto* bytes = reinterpret_cast<const unsigned char*>(&memory);
  for (size_t i = old; i < sizeof(memory); ++i) EXPECT_EQ(bytes[i], 0xAA);
  // A newer one gets zeros for what this version lacks.
  gemma_load_options_init(&memory.options, sizeof(memory));
  EXPECT_EQ(memory.options.struct_size, sizeof(memory));
  EXPECT_EQ(memory.next, 0u);
}

TEST(CModel, NullPointersAreRefused) {
  const CToy& toy = Gemma3Toy();
  gemma_model_config config = Initialized(gemma_model_config_init);
  gemma_layer_config layer = Initialized(gemma_layer_config_init);
  gemma_tensor tensor = Initialized(gemma_tensor_init);
  ExpectRefused(gemma_cap_simd(nullptr), "name is null");
  ExpectRefused(gemma_thread_pool_create(1, nullptr), "pool is null");
  ExpectRefused(gemma_model_get_config(nullptr, &config), "model is null");
  ExpectRefused(gemma_model_get_config(toy.model, nullptr), "config is null");
  ExpectRefused(gemma_model_layer(nullptr, 0, &layer), "model is null");
  ExpectRefused(gemma_model_layer(toy.model, 0, nullptr), "layer is null");
  ExpectRefused(gemma_model_tensor(nullptr, 0, &tensor), "model is null");
  ExpectRefused(gemma_model_tensor(toy.model, 0, nullptr), "tensor is null");
  config.struct_size = layer.struct_size = tensor.struct_size = 0;
  EXPECT_EQ(gemma_model_get_config(toy.model, &config), GEMMA_INVALID_ARGUMENT);
  EXPECT_EQ(gemma_model_layer(toy.model, 0, &layer), GEMMA_INVALID_ARGUMENT);
  EXPECT_EQ(gemma_model_tensor(toy.model, 0, &tensor), GEMMA_INVALID_ARGUMENT);
  EXPECT_EQ(gemma_model_num_threads(nullptr), 0u);
  EXPECT_EQ(gemma_model_num_notes(nullptr), 0u);
  EXPECT_STREQ(gemma_model_note(nullptr, 0), "");
  EXPECT_EQ(gemma_model_num_tensors(nullptr), 0u);
  EXPECT_EQ(gemma_thread_pool_num_threads(nullptr), 0u);
  gemma_thread_pool_free(nullptr);
  gemma_model_config_init(nullptr, 8);
  gemma_tensor_init(nullptr, 8);
  EXPECT_EQ(gemma_eos_token(nullptr), -1);
  EXPECT_FALSE(gemma_is_control_token(nullptr, 2));
  size_t size = 0;
  ExpectRefused(gemma_token_piece(nullptr, 2, nullptr, 0, &size),
                "model is null");
  ExpectRefused(gemma_token_piece(toy.model, 2, nullptr, 0, nullptr),
                "size is null");
}

TEST(CModel, PiecesEqualTokenizer) {
  const CToy& toy = Gemma3Toy();
  const Tokenizer& tokenizer = **toy.same.tokenizer();
  EXPECT_EQ(gemma_eos_token(toy.model), tokenizer.eos());
  const auto count = static_cast<int32_t>(tokenizer.vocab_size());
  for (int32_t token = -1; token <= count; ++token) {
    std::string piece(200, ' ');
    size_t size = 0;
    ASSERT_EQ(
        gemma_token_piece(toy.model, token, piece.data(), piece.size(), &size),
        GEMMA_OK);
    EXPECT_EQ(piece.substr(0, size), tokenizer.Piece(token));
    EXPECT_EQ(gemma_is_control_token(toy.model, token),
              tokenizer.IsControl(token));
  }
}

}  // namespace
}  // namespace gemma::internal
