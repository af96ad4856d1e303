// Models: a file or a directory is loaded as users load it, and what loads
// runs.

#include <string>
#include <string_view>
#include <vector>

#include "src/base/json.h"
#include "src/formats/gguf.h"
#include "src/formats/safetensors.h"
#include "src/formats/sbs.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/targets.h"

namespace gemma::internal {
namespace {

// A parser sees the input itself first: the memory of a mapped file does not
// end with the file, so sanitizers would miss a read past its end. Loading
// begins with the same call, so an input that is refused needs no file.
template <class Parsed>
bool ParseAndRun(const Parsed& parsed, absl::Span<const uint8_t> input,
                 const char* name) {
  static InputFolder folder;
  if (!parsed.ok()) {
    RequireBlame(parsed.status(), name);
    return false;
  }
  folder.Clear();
  folder.Write(name, TextOf(input));
  return LoadAndRunModel(folder.Path(name));
}

// The files of a directory. The first is an input without names.
const std::vector<std::string>& DirectoryNames() {
  static const auto& names = *new std::vector<std::string>{
      "model.safetensors",
      "config.json",
      "generation_config.json",
      "tokenizer_config.json",
      "tokenizer.json",
      "tokenizer.model",
      "added_tokens.json",
      "model.safetensors.index.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "modules.json",
      "sentence_bert_config.json",
      "config_sentence_transformers.json",
      "1_Pooling/config.json",
      "2_Dense/config.json",
      "2_Dense/model.safetensors",
      "chat_template.jinja",
      "adapter_config.json",
      "adapter_model.safetensors",
  };
  return names;
}

}  // namespace

bool FuzzGguf(absl::Span<const uint8_t> input) {
  return ParseAndRun(ParseGguf(input, "m.gguf"), input, "m.gguf");
}

bool FuzzSbs(absl::Span<const uint8_t> input) {
  return ParseAndRun(ParseSbs(input, "m.sbs"), input, "m.sbs");
}

bool FuzzSafetensors(absl::Span<const uint8_t> input) {
  static InputFolder folder;
  const InputFiles files = SplitInput(TextOf(input), DirectoryNames());
  for (const auto& [name, contents] : files) {
    // Most inputs end here, without writing files.
    if (name == "config.json") {
      const auto json = Json::Parse(contents, name);
      if (!json.ok()) {
        RequireBlame(json.status(), name);
        return false;
      }
    }
    if (!name.ends_with(".safetensors")) continue;
    const std::vector<uint8_t> exact(contents.begin(), contents.end());
    const auto parsed = ParseSafetensors(exact, name);
    if (parsed.ok()) continue;
    RequireBlame(parsed.status(), name);
    if (name == "model.safetensors") return false;
  }
  WriteInput(files, folder);
  return LoadAndRunModel(folder.path());
}

}  // namespace gemma::internal
