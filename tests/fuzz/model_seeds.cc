// Models: GGUF files, directories with safetensors, and files of gemma.cpp.

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gemma/gemma.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/seeds.h"
#include "tests/support/block_model.h"
#include "tests/support/hostile_gemma4.h"
#include "tests/support/hostile_model.h"
#include "tests/support/sbs_files.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

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

// A tokenizer as Gemma 4's files have it: merges in place of scores, and
// suppressed tokens.
Bytes GgufWithMerges() {
  std::vector<std::string> pieces = {
      "<pad>",      "<eos>",      "<bos>",        "<unk>",
      "<|turn>",    "<turn|>",    "<|think|>",    "<|\"|>",
      "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>"};
  std::vector<int32_t> types(pieces.size(), 3);
  types[3] = 2;
  const std::string blank = "\xE2\x96\x81";
  for (const std::string& piece : {blank, std::string("a"), std::string("b"),
                                   std::string("ab"), blank + "ab"}) {
    pieces.push_back(piece);
    types.push_back(1);
  }
  for (int byte = 0; byte < 256; ++byte) {
    pieces.push_back(absl::StrFormat("<0x%02X>", byte));
    types.push_back(6);
  }
  GgufWriter gguf = Gemma4GgufKeys("gemma4_moe");
  gguf.String("tokenizer.ggml.model", "gemma4")
      .Strings("tokenizer.ggml.tokens", pieces)
      .Array<int32_t>("tokenizer.ggml.token_type", 5, types)
      .Strings("tokenizer.ggml.merges", {"a b", blank + " ab"})
      .Uint32("tokenizer.ggml.bos_token_id", 2)
      .Uint32("tokenizer.ggml.eos_token_id", 5)
      .Uint32("tokenizer.ggml.mask_token_id", 4)
      .Bool("tokenizer.ggml.add_bos_token", true)
      .Array<int32_t>("tokenizer.ggml.suppress_tokens", 5, {6, 8});
  TinyTensors tensors = Gemma4GgufTensors("gemma4_moe");
  Find(tensors, "token_embd.weight") =
      MakeTensor("token_embd.weight", {pieces.size(), 8});
  AddTensors(tensors, gguf);
  return gguf.Finish();
}

void WriteGguf(const std::string& folder) {
  const Corpus corpus(folder, "gguf");
  for (const char* architecture : kArchitectures) {
    corpus.Add(architecture, TinyGgufModel(architecture));
  }
  for (const char* form : kGemma4Forms) {
    corpus.Add(form, Gemma4GgufModel(form));
  }
  corpus.Add("merges", GgufWithMerges());
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

  // Types of all sizes of blocks, and our own packed types.
  corpus.Add("blocks", BlockModel(32, 32, kTypesOf32));
  corpus.Add("blocks_64", BlockModel(64, 2, kTypesOf64));
  corpus.Add("wide_grids", BlockModel(256, 2, kGridTypes));
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
  const auto add = [&](const char* type, const nlohmann::json& config,
                       const TinyTensors& tensors) {
    corpus.Add(type, Files()
                         .Add("config.json", config.dump())
                         .Add("model.safetensors", WeightsOf(tensors))
                         .input());
  };
  for (const char* type : kModelTypes) {
    add(type, TinyConfig(type), TinyHfTensors(type));
  }
  add("vaultgemma", TinyConfig("vaultgemma"), TinyHfTensors("vaultgemma"));
  for (const char* form : kGemma4Forms) {
    add(form, Gemma4Config(form), Gemma4HfTensors(form));
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

}  // namespace

void WriteModelSeeds(const std::string& folder) {
  WriteGguf(folder);
  WriteSafetensors(folder);
  WriteSbs(folder);
}

}  // namespace gemma::internal
