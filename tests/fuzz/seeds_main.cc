// Writes the first inputs of each fuzz target: small valid files of each form.
//
//   fuzz_seeds FOLDER   writes FOLDER/TARGET/NAME

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gemma/gemma.h"
#include "nlohmann/json.hpp"
#include "src/os/mapped_file.h"
#include "src/text/tokenizer/vocabulary.h"
#include "tests/fuzz/harness.h"
#include "tests/support/autoencoder_files.h"
#include "tests/support/grammar_texts.h"
#include "tests/support/hostile_model.h"
#include "tests/support/sbs_files.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"
#include "tests/support/toy_vocab.h"
#include "tests/support/zip_writer.h"

namespace gemma::internal {
namespace {

// Writes the inputs of one target.
class Corpus {
 public:
  Corpus(const std::string& folder, const char* target)
      : folder_(absl::StrCat(folder, "/", target)) {
    std::filesystem::create_directories(folder_);
  }
  void Add(std::string_view name, std::string_view input) const {
    WriteFile(absl::StrCat(folder_, "/", name), input);
  }
  void Add(std::string_view name, const Bytes& input) const {
    Add(name, TextOf(input));
  }

 private:
  std::string folder_;
};

// Joins files to one input; see SplitInput.
class Files {
 public:
  Files& Add(std::string_view name, std::string_view contents) {
    absl::StrAppend(&input_, input_.empty() ? "" : "\n", "=== ", name, "\n",
                    contents);
    return *this;
  }
  const std::string& input() const { return input_; }

 private:
  std::string input_;
};

std::string ReadText(const std::string& path) {
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) std::exit(1);
  return std::string(file->text());
}

// A type of matrices in GGUF files.
struct MatrixType {
  uint32_t number = 0;
  size_t values = 0;  // of a block
  size_t bytes = 0;   // of a block
};
constexpr MatrixType kF32 = {0, 1, 4};
constexpr MatrixType kTypesOf32[] = {{2, 32, 18}, {3, 32, 20}, {6, 32, 22},
                                     {7, 32, 24}, {8, 32, 34}, {20, 32, 18},
                                     {30, 1, 2},  {1, 1, 2}};
constexpr MatrixType kTypesOf256[] = {{10, 256, 84},  {11, 256, 110},
                                      {12, 256, 144}, {13, 256, 176},
                                      {14, 256, 210}, {23, 256, 136}};

// Returns a model of one layer, with zeros and a type of the list for each
// matrix whose rows have `width` values.
Bytes BlockModel(size_t width, size_t inner,
                 absl::Span<const MatrixType> types) {
  GgufWriter gguf;
  gguf.String("general.architecture", "gemma")
      .Uint32("gemma.embedding_length", static_cast<uint32_t>(width))
      .Uint32("gemma.block_count", 1)
      .Uint32("gemma.feed_forward_length", static_cast<uint32_t>(inner))
      .Uint32("gemma.attention.head_count", 1)
      .Uint32("gemma.attention.key_length", static_cast<uint32_t>(inner));
  size_t number = 0;
  const auto matrix = [&](const char* name, size_t rows, size_t cols) {
    const bool fits = cols % types[0].values == 0;
    const MatrixType& type = fits ? types[number++ % types.size()] : kF32;
    const Bytes zeros(rows * cols / type.values * type.bytes);
    gguf.Tensor(name, {cols, rows}, type.number, zeros);
  };
  const auto norm = [&](const char* name) {
    gguf.Tensor(name, {width}, kF32.number, Bytes(width * kF32.bytes));
  };
  matrix("token_embd.weight", 8, width);
  matrix("blk.0.attn_q.weight", inner, width);
  matrix("blk.0.attn_k.weight", inner, width);
  matrix("blk.0.attn_v.weight", inner, width);
  matrix("blk.0.attn_output.weight", width, inner);
  matrix("blk.0.ffn_gate.weight", inner, width);
  matrix("blk.0.ffn_up.weight", inner, width);
  matrix("blk.0.ffn_down.weight", width, inner);
  norm("blk.0.attn_norm.weight");
  norm("blk.0.ffn_norm.weight");
  norm("output_norm.weight");
  return gguf.Finish();
}

GgufWriter GgufWithTokenizer(const TinyTensors& tensors) {
  GgufWriter gguf = TinyGgufKeys("gemma");
  AddTokenizer({"ab",
                "\xE2\x96\x81"
                "c",
                "<start_of_turn>", "<end_of_turn>"},
               gguf);
  gguf.String("tokenizer.chat_template", "{{ bos_token }}");
  AddTensors(tensors, gguf);
  return gguf;
}

void WriteGguf(const std::string& folder) {
  const Corpus corpus(folder, "gguf");
  for (const char* architecture : kArchitectures) {
    corpus.Add(architecture, TinyGgufModel(architecture));
  }
  TinyTensors tensors = TinyGgufTensors("gemma");
  Find(tensors, "token_embd.weight") =
      MakeTensor("token_embd.weight", {264, 8});
  corpus.Add("tokenizer", GgufWithTokenizer(tensors).Finish());
  corpus.Add("types", TinyGguf());

  GgufWriter rope = TinyGgufKeys("gemma3");
  rope.Float32("gemma3.rope.freq_base", 10000.0f)
      .String("gemma3.rope.scaling.type", "linear")
      .Float32("gemma3.rope.scaling.factor", 8.0f)
      .Float32("gemma3.attention.layer_norm_rms_epsilon", 1e-6f)
      .Uint32("gemma3.context_length", 64);
  AddTensors(TinyGgufTensors("gemma3"), rope);
  corpus.Add("rope", rope.Finish());

  // Messages must escape the texts of files.
  for (const bool scaling : {false, true}) {
    GgufWriter unprintable = TinyGgufKeys(scaling ? "gemma3" : "a\n\xFF");
    if (scaling) unprintable.String("gemma3.rope.scaling.type", "a\n\xFF");
    corpus.Add(scaling ? "unprintable_scaling" : "unprintable_architecture",
               unprintable.Finish());
  }

  // Types whose blocks have 32 values, 256 values, and our own packed types.
  corpus.Add("blocks", BlockModel(32, 32, kTypesOf32));
  const Bytes wide = BlockModel(256, 2, kTypesOf256);
  corpus.Add("wide_blocks", wide);
  InputFolder files;
  files.Write("m.gguf", TextOf(wide));
  const std::string packed = files.Path("packed.gguf");
  if (!Quantize(files.Path("m.gguf"), packed, {}).ok()) std::exit(1);
  corpus.Add("packed", ReadText(packed));
}

std::string WeightsOf(const TinyTensors& tensors) {
  SafetensorsWriter weights;
  for (const TinyTensor& tensor : tensors) {
    weights.Tensor(tensor.name, "F32", tensor.shape, tensor.bytes());
  }
  return std::string(TextOf(weights.Finish()));
}

void WriteSafetensors(const std::string& folder) {
  const Corpus corpus(folder, "safetensors");
  for (const char* type : kModelTypes) {
    corpus.Add(type,
               Files()
                   .Add("config.json", TinyConfig(type).dump())
                   .Add("model.safetensors", WeightsOf(TinyHfTensors(type)))
                   .input());
  }
  corpus.Add("weights", TinySafetensors());
  const auto add_unprintable = [&](const char* type, const char* key,
                                   const nlohmann::json& value) {
    nlohmann::json config = TinyConfig(type);
    config[key] = value;
    corpus.Add(absl::StrCat("unprintable_", key),
               Files()
                   .Add("config.json", config.dump())
                   .Add("model.safetensors", WeightsOf({}))
                   .input());
  };
  add_unprintable("gemma2", "rope_scaling", {{"type", "a\nb"}, {"factor", 2}});
  add_unprintable("gemma3_text", "layer_types", {"a\nb", "a\nb"});
  add_unprintable("recurrent_gemma", "block_types", {"a\nb"});
  add_unprintable("a\nb", "model_type", "a\nb");
  const TinyTensors all = TinyHfTensors("gemma");
  const TinyTensors first(all.begin(), all.begin() + 5);
  const TinyTensors second(all.begin() + 5, all.end());
  nlohmann::json index;
  for (const TinyTensor& tensor : first) {
    index["weight_map"][tensor.name] = "model-00001-of-00002.safetensors";
  }
  for (const TinyTensor& tensor : second) {
    index["weight_map"][tensor.name] = "model-00002-of-00002.safetensors";
  }
  corpus.Add("shards",
             Files()
                 .Add("config.json", TinyConfig("gemma").dump())
                 .Add("generation_config.json", R"({"eos_token_id": [1, 7]})")
                 .Add("model.safetensors.index.json", index.dump())
                 .Add("model-00001-of-00002.safetensors", WeightsOf(first))
                 .Add("model-00002-of-00002.safetensors", WeightsOf(second))
                 .input());
}

void WriteSbs(const std::string& folder) {
  const Corpus corpus(folder, "sbs");
  const SbsForm forms[] = {
      {.name = "f32"},
      {.name = "sfp", .type = SbsType::kSfp, .scale = 2.0f},
      {.name = "letters", .type = SbsType::kBF16, .has_toc = false},
      {.name = "split", .directory_at_end = true, .split = true},
      {.name = "nuq", .type = SbsType::kNuq},
  };
  for (const char* type : kModelTypes) {
    InputFolder files;
    WriteTinyDirectory(files.path(), TinyConfig(type), TinyHfTensors(type));
    LoadOptions options;
    options.skip_weights = true;
    options.recurrent_window = RecurrentWindow::kTransformers;
    const ModelConfig config = LoadOrDie(files.path(), options).config();
    for (const SbsForm& form : forms) {
      corpus.Add(
          absl::StrCat(type, "_", form.name),
          SbsModel(config, RoundedTensors(TinyHfTensors(type), form), form));
    }
  }
}

void WriteTokenizers(const std::string& folder) {
  const VocabularyForms forms = ToyVocabulary();
  Corpus(folder, "tokenizer_model").Add("toy", forms.model_proto);

  nlohmann::ordered_json json;
  for (const auto& token : forms.hf.added) {
    json["added_tokens"].push_back({{"id", token.id},
                                    {"content", token.content},
                                    {"special", token.special}});
  }
  json["normalizer"] = {{"type", "Replace"},
                        {"pattern", {{"String", " "}}},
                        {"content", "\u2581"}};
  json["pre_tokenizer"] = nullptr;
  nlohmann::ordered_json& model = json["model"];
  model = {{"type", "BPE"}, {"unk_token", "<unk>"}, {"byte_fallback", true}};
  for (const auto& [piece, id] : forms.hf.vocab) model["vocab"][piece] = id;
  for (const auto& [left, right] : forms.hf.merges) {
    model["merges"].push_back({left, right});
  }
  const Corpus corpus(folder, "tokenizer_json");
  corpus.Add("toy", json.dump());
  corpus.Add("config",
             Files()
                 .Add("tokenizer.json", json.dump())
                 .Add("tokenizer_config.json",
                      R"({"bos_token": {"content": "<bos>"},)"
                      R"( "added_tokens_decoder": {"6": {"content": "<a>"}}})")
                 .input());
}

void WriteNpz(const std::string& folder) {
  const Corpus corpus(folder, "npz");
  for (const bool affine : {false, true}) {
    const FileArrays arrays = RandomArrays(5, 18, affine ? 4 : 5, 1, affine);
    const std::string name = affine ? "affine" : "plain";
    corpus.Add(name, NpzOf(arrays));
    Files files;
    for (const auto& [key, array] : arrays) {
      const std::string shape =
          array.shape.size() == 1
              ? absl::StrCat("(", array.shape[0], ",)")
              : absl::StrCat("(", array.shape[0], ", ", array.shape[1], ")");
      files.Add(key + ".npy",
                Npy(NpyDictionary("<f4", shape), BytesOf(array.values)));
    }
    corpus.Add(name + "_arrays", files.input());
  }
}

void WriteSessions(const std::string& folder) {
  const Corpus corpus(folder, "session");
  InputFolder files;
  const std::string saved = files.Path("s.session");
  char number = 0;
  for (const char* architecture : kArchitectures) {
    const std::string path = files.Path("m.gguf");
    files.Write("m.gguf", TextOf(TinyGgufModel(architecture)));
    Session session = NewSession(
        LoadOrDie(path, {.num_threads = 1, .prefill_chunk = 4}),
        {.max_tokens = 16, .max_rollback = 2, .checkpoint_interval = 4});
    Words words(std::vector<TokenId>{1, 2, 3});
    const absl::StatusOr<InputRows> rows =
        InputRows::Create(std::vector<float>(16, 0.25f), 8);
    words.Append(*rows);
    if (!session.Append(words).ok() || !session.Save(saved).ok()) std::exit(1);
    std::string input = ReadText(saved);
    input.resize(input.size() - 4);  // the checksum
    corpus.Add(architecture, number + input);
    ++number;
  }
}

void WriteGrammars(const std::string& folder) {
  const Corpus schemas(folder, "json_schema");
  size_t number = 0;
  for (const auto& test : SchemaCases()) {
    schemas.Add(absl::StrCat(number++), test["schema"].dump());
  }
  const Corpus regexes(folder, "regex");
  const std::string_view expressions[] = {
      "(yes|no)?",
      R"([a-z_]\w{2,5}(-\d+)*)",
      R"([^"\\\x00-\x1f]{1,20}\.)",
      R"(\u{1F600}|\u00e9[à-ÿ]+?)",
      R"(^\d{3}-?\d{4}$)",
      R"((a|b(c|d){2})*\s\S)",
      R"((?:https?://)[^\s/]+(/.*)?)",
      "((a{0,9}){0,9}){0,9}",
      "[^a",
  };
  number = 0;
  for (const std::string_view expression : expressions) {
    regexes.Add(absl::StrCat(number++), expression);
  }
}

void WriteTemplates(const std::string& folder) {
  const Corpus corpus(folder, "chat_template");
  for (const auto& entry : std::filesystem::directory_iterator(
           GEMMA_TESTDATA_DIR "/jinja/templates")) {
    corpus.Add(entry.path().filename().string(), ReadText(entry.path()));
  }
}

void WriteAdapters(const std::string& folder) {
  const Corpus corpus(folder, "adapter");
  const TinyTensor a = MakeTensor("a", {2, 8});
  const TinyTensor b = MakeTensor("b", {8, 2});
  SafetensorsWriter weights;
  for (const char* module : {"self_attn.q_proj", "self_attn.o_proj"}) {
    const std::string name =
        absl::StrCat("base_model.model.model.layers.1.", module, ".lora_");
    weights.Tensor(name + "A.weight", "F32", a.shape, a.bytes());
    weights.Tensor(name + "B.weight", "F32", b.shape, b.bytes());
  }
  corpus.Add("peft",
             Files()
                 .Add("adapter_config.json",
                      R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, )"
                      R"("target_modules": ["q_proj", "o_proj"], )"
                      R"("rank_pattern": {".*q_proj": 2}})")
                 .Add("adapter_model.safetensors", TextOf(weights.Finish()))
                 .input());
  GgufWriter gguf;
  gguf.String("general.architecture", "gemma3")
      .String("general.type", "adapter")
      .String("adapter.type", "lora")
      .Float32("adapter.lora.alpha", 4.0f)
      .Tensor("blk.0.attn_q.weight.lora_a", {8, 2}, 0, a.bytes())
      .Tensor("blk.0.attn_q.weight.lora_b", {2, 8}, 0, b.bytes());
  corpus.Add("gguf", gguf.Finish());
}

}  // namespace
}  // namespace gemma::internal

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: fuzz_seeds FOLDER\n", stderr);
    return 2;
  }
  const std::string folder = argv[1];
  gemma::internal::WriteGguf(folder);
  gemma::internal::WriteSafetensors(folder);
  gemma::internal::WriteSbs(folder);
  gemma::internal::WriteTokenizers(folder);
  gemma::internal::WriteNpz(folder);
  gemma::internal::WriteSessions(folder);
  gemma::internal::WriteGrammars(folder);
  gemma::internal::WriteTemplates(folder);
  gemma::internal::WriteAdapters(folder);
}
