#include "tests/fault/fault_toys.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_format.h"
#include "gemma/quantize.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/hostile_model.h"
#include "tests/support/sbs_files.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"
#include "tests/support/toy_vocab.h"

namespace gemma::internal {

std::string WriteFaultGguf(const std::string& directory,
                           const std::string& architecture) {
  const std::vector<std::string> pieces = {"ab", "cd"};
  GgufWriter gguf = TinyGgufKeys(architecture);
  AddTokenizer(pieces, gguf);
  TinyTensors tensors = TinyGgufTensors(architecture);
  Find(tensors, "token_embd.weight") =
      MakeTensor("token_embd.weight", {kFirstPiece + pieces.size(), 8});
  AddTensors(tensors, gguf);
  const std::string path = directory + "/" + architecture + ".gguf";
  WriteFile(path, gguf.Finish());
  return path;
}

std::string WriteFaultPacked(const std::string& directory,
                             const std::string& architecture) {
  const std::string source = WriteFaultGguf(directory, architecture);
  const std::string path = directory + "/packed.gguf";
  QuantizeOptions options;
  options.type = WeightType::kQ4;
  options.num_threads = 1;
  options.overwrite = true;
  EXPECT_TRUE(Quantize(source, path, options).ok());
  return path;
}

std::string WriteFaultDirectory(const std::string& directory) {
  using nlohmann::json;
  const std::vector<std::string> special = {
      "<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"};
  json added, vocab;
  const auto add = [&](const std::string& piece) {
    vocab[piece] = vocab.size();
  };
  for (const std::string& name : special) {
    added.push_back({{"id", vocab.size()},
                     {"content", name},
                     {"special", true},
                     {"normalized", false}});
    add(name);
  }
  for (int byte = 0; byte < 256; ++byte) add(absl::StrFormat("<0x%02X>", byte));
  for (const char* piece : {"\u2581", "h", "e", "l", "o", "t", "c", "a", "he",
                            "ll", "hell", "\u2581t", "at"}) {
    add(piece);
  }
  json merges;
  for (const auto& [left, right] : std::vector<std::array<const char*, 2>>{
           {"h", "e"}, {"l", "l"}, {"he", "ll"}, {"\u2581", "t"}, {"a", "t"}}) {
    merges.push_back(json::array({left, right}));
  }
  const json tokenizer = {{"added_tokens", added},
                          {"normalizer",
                           {{"type", "Replace"},
                            {"pattern", {{"String", " "}}},
                            {"content", "\u2581"}}},
                          {"model",
                           {{"type", "BPE"},
                            {"unk_token", "<unk>"},
                            {"fuse_unk", true},
                            {"byte_fallback", true},
                            {"vocab", vocab},
                            {"merges", merges}}}};
  const uint64_t size = vocab.size();
  json config = TinyConfig("gemma");
  config["vocab_size"] = size;
  TinyTensors tensors = TinyHfTensors("gemma");
  Find(tensors, "model.embed_tokens.weight") =
      MakeTensor("model.embed_tokens.weight", {size, 8});
  const std::string path = directory + "/source";
  WriteTinyDirectory(path, config, tensors);
  WriteFile(path + "/tokenizer.json", tokenizer.dump());
  WriteFile(path + "/tokenizer_config.json",
            R"({"bos_token": "<bos>", "eos_token": "<eos>"})");
  return path;
}

std::string WriteFaultSbs(const std::string& directory) {
  const VocabularyForms vocabulary = ToyVocabulary();
  const uint64_t size = vocabulary.tokens.size();
  nlohmann::json json = TinyConfig("gemma3_text");
  json["vocab_size"] = size;
  TinyTensors tensors = TinyHfTensors("gemma3_text");
  Find(tensors, "model.embed_tokens.weight") =
      MakeTensor("model.embed_tokens.weight", {size, 8});
  const std::string folder = directory + "/source";
  WriteTinyDirectory(folder, json, tensors);
  LoadOptions outline;
  outline.skip_weights = true;
  const ModelConfig config = LoadOrDie(folder, outline).config();
  SbsForm form;
  form.type = SbsType::kSfp;
  form.tokenizer = vocabulary.model_proto;
  const std::string path = directory + "/m.sbs";
  WriteFile(path, SbsModel(config, RoundedTensors(tensors, form), form));
  return path;
}

LoadOptions FaultOptions() {
  LoadOptions options;
  options.num_threads = 1;
  options.prefill_chunk = 4;
  return options;
}

std::vector<float> FaultLogits(const Model& model) {
  Session session = NewSession(model, {.max_tokens = 16});
  const auto logits = session.Forward(kFaultTokens);
  EXPECT_TRUE(logits.ok()) << logits.status();
  if (!logits.ok()) return {};
  return {logits->begin(), logits->end()};
}

std::string ContentsOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

std::vector<std::string> FileNames(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace gemma::internal
