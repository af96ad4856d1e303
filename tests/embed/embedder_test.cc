// Compares embeddings with those of transformers and PyTorch, for toys of
// EmbeddingGemma.

#include "gemma/embedder.h"

#include <fstream>
#include <functional>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/forward/executor.h"
#include "src/forward/scratch.h"
#include "src/session/model_impl.h"
#include "tests/support/error_of.h"
#include "tests/support/near.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kTolerance = 1e-5;

struct EmbeddingToy {
  const char* name;
  std::string path;
  std::string reference;  // .npz

  friend void PrintTo(const EmbeddingToy& toy, std::ostream* out) {
    *out << toy.name;
  }
};

std::vector<EmbeddingToy> Toys() {
  const std::string directory = ToyPath("embedding_gemma");
  const std::string gguf = std::string(GEMMA_TESTDATA_DIR) + "/gguf/";
  return {
      {"directory", directory, directory + "/embeddings.npz"},
      {"gguf", gguf + "gemma_embedding.gguf", gguf + "gemma_embedding.npz"},
      {"gguf_bare", gguf + "gemma_embedding_bare.gguf",
       gguf + "gemma_embedding_bare.npz"},
      {"directory2", directory + "2", directory + "2/embeddings.npz"},
      {"gguf2", gguf + "gemma_embedding2.gguf", directory + "2/embeddings.npz"},
  };
}

std::vector<std::string> Texts(const std::string& folder = "embedding_gemma") {
  std::ifstream file(ToyPath(folder) + "/texts.txt");
  std::vector<std::string> texts;
  for (std::string line; std::getline(file, line);) texts.push_back(line);
  return texts;
}

Embeddings Embed(const Model& model, const std::vector<std::string>& texts,
                 const EmbedOptions& options = {},
                 EmbedderOptions embedder_options = {}) {
  const absl::StatusOr<Embedder> embedder =
      Embedder::Create(model, embedder_options);
  EXPECT_TRUE(embedder.ok()) << embedder.status();
  absl::StatusOr<Embeddings> result = embedder->Embed(texts, options);
  EXPECT_TRUE(result.ok()) << result.status();
  return *std::move(result);
}

const EmbedOptions kRaw = {.normalize = false};

class EmbedderTest : public ::testing::TestWithParam<EmbeddingToy> {
 protected:
  std::vector<float> Reference(const std::string& name) const {
    return ReadFloats(GetParam().reference, name);
  }
  std::vector<TokenId> Ids(size_t text) const {
    return ReadTokens(GetParam().reference, "ids_" + std::to_string(text));
  }

  const std::vector<std::string> texts_ = Texts(
      std::string_view(GetParam().name).ends_with('2') ? "embedding_gemma2"
                                                       : "embedding_gemma");
};

INSTANTIATE_TEST_SUITE_P(Toys, EmbedderTest, ::testing::ValuesIn(Toys()),
                         [](const auto& toy) { return toy.param.name; });

TEST_P(EmbedderTest, EmbeddingsEqualTheReference) {
  const Model model = LoadExact(GetParam().path);
  const Embeddings result = Embed(model, texts_, kRaw);
  EXPECT_EQ(result.dimensions, model.config().embedding_dim());
  EXPECT_LE(RelativeError(result.values, Reference("embedding")), kTolerance);
  EXPECT_THAT(result.truncated, IsEmpty());
  ASSERT_EQ(result.num_tokens.size(), texts_.size());
  for (size_t i = 0; i < texts_.size(); ++i) {
    EXPECT_EQ(result.num_tokens[i], Ids(i).size()) << texts_[i];
  }
}

TEST_P(EmbedderTest, MatryoshkaSizesEqualReference) {
  const Model model = LoadExact(GetParam().path);
  const size_t whole = model.config().embedding_dim();
  for (const size_t size : {whole, size_t{32}, size_t{16}, size_t{1}}) {
    const Embeddings result = Embed(model, texts_, {.dimensions = size});
    EXPECT_EQ(result.dimensions, size);
    EXPECT_LE(
        RelativeError(result.values, Reference("unit_" + std::to_string(size))),
        kTolerance)
        << size;
  }
}

// The states of one text in all blocks, and after the last norm.
TEST_P(EmbedderTest, HiddenStatesEqualReference) {
  constexpr size_t kProbed = 4;  // of tools/reference/embedding_toys.py
  const std::vector<TokenId> ids = Ids(kProbed);
  const Model model = LoadExact(GetParam().path);
  const absl::StatusOr<Executor*> executor = model.impl().executor();
  ASSERT_TRUE(executor.ok()) << executor.status();
  absl::StatusOr<SequenceState> state = SequenceState::Create(
      model.config(), {ids.size(), 0, ids.size(), CacheType::kF32});
  ASSERT_TRUE(state.ok()) << state.status();
  size_t num_seen = 0;
  const TapFunction tap = [&](const TapSite& site, absl::Span<float> x) {
    std::string name = "states";
    if (site.point == TapPoint::kBlockOutput) {
      name = "block_" + std::to_string(site.layer);
    } else if (site.point != TapPoint::kHeadInput) {
      return;
    }
    ++num_seen;
    EXPECT_LE(RelativeError(x, Reference(name)), kTolerance) << name;
  };
  const Segment segment = {&*state, ids, 0, WantedLogits::kNone, &tap};
  std::vector<float> out(model.config().embedding_dim());
  ASSERT_TRUE(
      (*executor)->Embed({&segment, 1}, {out.data(), 1, out.size()}).ok());
  EXPECT_EQ(num_seen, model.config().num_layers() + 1);
}

TEST_P(EmbedderTest, CutTextsEqualReference) {
  const Model model = LoadExact(GetParam().path);
  const Embeddings result = Embed(model, texts_, kRaw, {.max_tokens = 12});
  EXPECT_LE(RelativeError(result.values, Reference("cut")), kTolerance);
  std::vector<size_t> longer;
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (Ids(i).size() > 12) longer.push_back(i);
  }
  EXPECT_GT(longer.size(), 1u);
  EXPECT_EQ(result.truncated, longer);
}

TEST_P(EmbedderTest, VectorsAreIndependent) {
  std::vector<float> expected;
  {
    const Model model = LoadExact(GetParam().path);
    for (const std::string& text : texts_) {
      const Embeddings alone = Embed(model, {text});
      expected.insert(expected.end(), alone.values.begin(), alone.values.end());
    }
  }
  for (const size_t chunk : {1, 20, 64, 4096}) {
    for (const size_t threads : {1, 2, 3}) {
      LoadOptions options;
      options.activations = Activations::kFloat32;
      options.prefill_chunk = chunk;
      options.num_threads = threads;
      const Model model = LoadOrDie(GetParam().path, options);
      EXPECT_EQ(Embed(model, texts_).values, expected)
          << "chunk " << chunk << ", threads " << threads;
    }
  }
}

TEST_P(EmbedderTest, ThreadsMayShareOne) {
  const Model model = LoadExact(GetParam().path);
  const std::vector<float> expected = Embed(model, texts_).values;
  const absl::StatusOr<Embedder> embedder = Embedder::Create(model);
  std::vector<std::vector<float>> found(3);
  std::vector<std::thread> threads;
  for (auto& values : found) {
    threads.emplace_back([&] { values = embedder->Embed(texts_)->values; });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& values : found) EXPECT_EQ(values, expected);
}

// The comparison must notice typical mistakes.
TEST_P(EmbedderTest, WrongModelsAreSeen) {
  const std::function<void(Model::Impl&)> changes[] = {
      [](Model::Impl& m) {
        for (LayerConfig& layer : m.config.layers) ++layer.sliding_window;
      },
      [](Model::Impl& m) {
        for (LayerConfig& layer : m.config.layers) --layer.sliding_window;
      },
      [](Model::Impl& m) { m.config.bidirectional = false; },
      [](Model::Impl& m) { m.config.bos_token = 5; },
      [](Model::Impl& m) {
        for (float& w : m.weights.final_norm) w -= 1.0f;
      },
  };
  for (const auto& change : changes) {
    const Model model = LoadExact(GetParam().path);
    change(model.impl());
    EXPECT_GT(RelativeError(Embed(model, texts_, kRaw).values,
                            Reference("embedding")),
              10 * kTolerance)
        << &change - changes;
  }
}

Model LoadToyEmbedder() { return LoadExact(ToyPath("embedding_gemma")); }

// Vectors of a layer without a table are computed when the layer needs them, so
// more layers need no more memory for a text.
TEST(Embedder, LayersShareScratch) {
  const Model model = LoadOrDie(ToyPath("embedding_gemma2"), {});
  const ModelConfig& config = model.config();
  ASSERT_NE(config.per_layer_dim, 0u);
  ModelConfig twice = config;
  twice.layers.insert(twice.layers.end(), config.layers.begin(),
                      config.layers.end());
  EXPECT_EQ(Scratch::Bytes(twice, 100, 1), Scratch::Bytes(config, 100, 1));
}

TEST(Embedder, PromptsPrecedeTexts) {
  const Model model = LoadToyEmbedder();
  EXPECT_EQ(Embed(model, {"x"}, {.prompt = "query"}).values,
            Embed(model, {"task: search result | query: x"}).values);
  EXPECT_EQ(Embed(model, {"x"}, {.prompt = "document"}).values,
            Embed(model, {"title: none | text: x"}).values);
  EXPECT_EQ(
      Embed(model, {"x"}, {.prompt = "document", .title = "{title}"}).values,
      Embed(model, {"title: {title} | text: x"}).values);
}

TEST(Embedder, PromptsEndInBlank) {
  EXPECT_EQ(EmbedPrompts().size(), 16u);
  for (const EmbedPrompt& prompt : EmbedPrompts()) {
    const absl::StatusOr<std::string> prefix = EmbedPrefix(prompt.name);
    ASSERT_TRUE(prefix.ok()) << prefix.status();
    EXPECT_TRUE(prefix->ends_with(": ")) << prompt.name;
    EXPECT_EQ(prefix->find('{'), std::string::npos) << prompt.name;
  }
  EXPECT_THAT(ErrorOf(EmbedPrefix("Query")),
              HasSubstr("no prompt 'Query', wanted one of query, document"));
  EXPECT_THAT(ErrorOf(EmbedPrefix("query", "A title")),
              HasSubstr("'query' has no place for a title"));
}

TEST(Embedder, ControlTokensStayText) {
  const Model model = LoadToyEmbedder();
  const Tokenizer* tokenizer = *model.tokenizer();
  for (const char* text : {"<eos>", "<bos>", "<start_of_turn>", "<pad>"}) {
    ASSERT_TRUE(tokenizer->Find(text).has_value()) << text;
    EXPECT_GT(Embed(model, {text}).num_tokens[0], 3u) << text;
  }
}

TEST(Embedder, NoTextsNoVectors) {
  const Embeddings none = Embed(LoadToyEmbedder(), {});
  EXPECT_EQ(none.dimensions, 40u);
  EXPECT_THAT(none.values, IsEmpty());
  EXPECT_THAT(none.num_tokens, IsEmpty());
}

TEST(Embedder, DenseLayersAndSizes) {
  const Model model = LoadToyEmbedder();
  const absl::StatusOr<Embedder> embedder = Embedder::Create(model);
  EXPECT_TRUE(embedder->has_dense_layers());
  EXPECT_EQ(embedder->dimensions(), 40u);
  EXPECT_EQ(embedder->max_tokens(), 256u);
  const Model bare = LoadExact(Toys()[2].path);
  EXPECT_FALSE(Embedder::Create(bare)->has_dense_layers());
  EXPECT_EQ(Embedder::Create(bare)->dimensions(), 32u);
}

TEST(Embedder, RefusesBadOptions) {
  const Model model = LoadToyEmbedder();
  for (const size_t max_tokens : {1, 257}) {
    EXPECT_THAT(ErrorOf(Embedder::Create(model, {.max_tokens = max_tokens})),
                HasSubstr("wanted 2 to 256"));
  }
  const absl::StatusOr<Embedder> embedder = Embedder::Create(model);
  const std::vector<std::string> texts = {"x"};
  EXPECT_THAT(ErrorOf(embedder->Embed(texts, {.dimensions = 41})),
              HasSubstr("dimensions is 41, the model has 40"));
  EXPECT_THAT(ErrorOf(embedder->Embed(texts, {.prompt = "no such"})),
              HasSubstr("no prompt 'no such'"));
  EXPECT_THAT(ErrorOf(embedder->Embed(texts, {.title = "t"})),
              HasSubstr("a title needs a prompt"));
}

TEST(Embedder, NeedsEmbeddingModel) {
  const Model text = LoadExact(ToyPath("gemma3"));
  const absl::Status refused = Embedder::Create(text).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("the model continues texts"));
}

TEST(Embedder, ModelHasNoSessions) {
  const Model model = LoadToyEmbedder();
  const absl::Status session = Session::Create(model).status();
  EXPECT_EQ(session.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(session.message(), HasSubstr("the model embeds texts"));
  absl::StatusOr<Engine> engine = Engine::Create(model);
  ASSERT_EQ(ErrorOf(engine.status()), "OK");
  Request request;
  request.prompt = {2, 3};
  EXPECT_THAT(ErrorOf(engine->Submit(request).status()),
              HasSubstr("the model embeds texts"));
}

TEST(Embedder, NeedsWeightsAndTokenizer) {
  const std::string path = ToyPath("embedding_gemma");
  const Model outline = LoadOrDie(path, {.skip_weights = true});
  EXPECT_THAT(ErrorOf(Embedder::Create(outline)),
              HasSubstr("without its weights"));
  const Model model = LoadToyEmbedder();
  model.impl().tokenizer = absl::NotFoundError("no tokenizer.json");
  const absl::Status refused = Embedder::Create(model).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("tokenizer.json"));
}

// BOS and EOS would not fit.
TEST(Embedder, NeedsRoomForEnds) {
  const Model model = LoadToyEmbedder();
  model.impl().config.max_context = 1;
  const absl::Status refused = Embedder::Create(model).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("of 1 tokens, wanted 2"));
  model.impl().config.max_context = 2;
  EXPECT_THAT(Embed(model, {"the model"}).truncated, ElementsAre(0));
}

TEST(Embedder, ReportsNonFiniteVectors) {
  const Model model = LoadToyEmbedder();
  model.impl().weights.final_norm[3] = std::numeric_limits<float>::infinity();
  const absl::StatusOr<Embedder> embedder = Embedder::Create(model);
  const absl::Status broken =
      embedder->Embed(std::vector<std::string>{"x"}).status();
  EXPECT_EQ(broken.code(), absl::StatusCode::kDataLoss);
}

TEST(Embedder, TellsProgressAndStops) {
  LoadOptions load;
  load.prefill_chunk = 1;  // a pass for each text
  const Model model = LoadOrDie(ToyPath("embedding_gemma"), load);
  const std::vector<std::string> texts = {"a", "b", "c"};
  std::vector<size_t> seen;
  EmbedOptions options;
  options.progress = [&](size_t done) {
    seen.push_back(done);
    return true;
  };
  Embed(model, texts, options);
  EXPECT_THAT(seen, ElementsAre(1, 2, 3));
  options.progress = [](size_t) { return false; };
  EXPECT_EQ(Embedder::Create(model)->Embed(texts, options).status().code(),
            absl::StatusCode::kCancelled);
}

// With rounded activations, the default.
TEST(Embedder, RoundedActivationsStayClose) {
  LoadOptions options;
  options.quantize = WeightType::kQ8;
  const Model model = LoadOrDie(ToyPath("embedding_gemma"), options);
  const std::vector<std::string> texts = Texts();
  const std::vector<float> rounded = Embed(model, texts).values;
  const std::vector<float> exact = Embed(LoadToyEmbedder(), texts).values;
  const double error = RelativeError(rounded, exact);
  EXPECT_LE(error, 0.05);
  EXPECT_GT(error, 0.0);
}

}  // namespace
}  // namespace gemma::internal
