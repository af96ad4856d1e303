// Adapters: a PEFT directory or a GGUF file, merged into tiny models.

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "src/formats/adapter_file.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/targets.h"
#include "tests/support/hostile_gemma4.h"
#include "tests/support/hostile_model.h"

namespace gemma::internal {
namespace {

// The tiny models whose weights the adapters change.
class Bases {
 public:
  Bases() {
    folder_.Write("gemma3", TextOf(TinyGgufModel("gemma3")));
    for (const char* form : {"gemma4", "gemma4_moe"}) {
      folder_.Write(form, TextOf(Gemma4GgufModel(form)));
    }
  }

  // Loads the model that the adapter's files name, as published files name the
  // model that they were trained with.
  absl::StatusOr<Model> Load(const std::string& adapter,
                             std::string_view input) const {
    const char* base = absl::StrContains(input, "gemma4_moe") ? "gemma4_moe"
                       : absl::StrContains(input, "gemma4")   ? "gemma4"
                                                              : "gemma3";
    LoadOptions options = {.num_threads = 1, .prefill_chunk = 4};
    options.adapters = {{.path = adapter, .scale = 0.5f}};
    return Model::Load(folder_.Path(base), options);
  }

 private:
  InputFolder folder_;
};

}  // namespace

bool FuzzAdapter(absl::Span<const uint8_t> input) {
  static const Bases bases;
  static InputFolder folder;
  const bool is_gguf = TextOf(input).starts_with("GGUF");
  if (is_gguf) {
    folder.Clear();
    folder.Write("adapter.gguf", TextOf(input));
  } else {
    WriteInput(SplitInput(TextOf(input),
                          {"adapter_config.json", "adapter_model.safetensors"}),
               folder);
  }
  const std::string path =
      is_gguf ? folder.Path("adapter.gguf") : folder.path();
  // Most inputs end here, without a model.
  const absl::StatusOr<AdapterFile> adapter = OpenAdapter(path);
  if (!adapter.ok()) {
    RequireBlame(adapter.status(), path);
    return false;
  }
  const absl::StatusOr<Model> model = bases.Load(path, TextOf(input));
  if (!model.ok()) {
    RequireBlame(model.status(), path);
    return false;
  }
  absl::StatusOr<Session> session = Session::Create(*model, {.max_tokens = 4});
  Require(session.ok(), "a session");
  const std::vector<TokenId> tokens = {1, 2};
  const auto logits = session->Forward(tokens);
  if (!logits.ok()) RequireBlame(logits.status());
  return true;
}

}  // namespace gemma::internal
