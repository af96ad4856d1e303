// Adapters: a PEFT directory or a GGUF file, merged into a tiny model.

#include <string>
#include <vector>

#include "tests/fuzz/harness.h"
#include "tests/fuzz/targets.h"
#include "tests/support/hostile_model.h"

namespace gemma::internal {
namespace {

// The tiny model whose weights the adapters change.
class Base {
 public:
  Base() { folder_.Write("m.gguf", TextOf(TinyGgufModel("gemma3"))); }

  absl::StatusOr<Model> Load(const std::string& adapter) const {
    LoadOptions options = {.num_threads = 1, .prefill_chunk = 4};
    options.adapters = {{.path = adapter, .scale = 0.5f}};
    return Model::Load(folder_.Path("m.gguf"), options);
  }

 private:
  InputFolder folder_;
};

}  // namespace

bool FuzzAdapter(absl::Span<const uint8_t> input) {
  static const Base base;
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
  const absl::StatusOr<Model> model = base.Load(path);
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
