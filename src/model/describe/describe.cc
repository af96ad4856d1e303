#include "src/model/describe/describe.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/formats/chat_template_files.h"
#include "src/formats/gguf.h"
#include "src/model/config/read_config.h"
#include "src/model/config/text_prompts.h"
#include "src/model/tensors/canonicalize.h"
#include "src/os/mapped_file.h"
#include "src/text/tokenizer/load_tokenizer.h"

namespace gemma::internal {
namespace {

// Whether a key describes the file itself, not the model.
bool IsOfTheFile(std::string_view key) {
  return key == "general.file_type" || key == "general.quantization_version" ||
         key == kGgufAlignmentKey || key == kTensorChecksumsKey ||
         key == kHeaderChecksumKey || absl::StartsWith(key, "split.");
}

// Copies keys in the order of the file.
void CopyMetadata(const GgufMetadata& metadata, GgufFileWriter& out) {
  std::vector<std::string_view> keys = metadata.Keys();
  std::sort(keys.begin(), keys.end(), [&](auto a, auto b) {
    return metadata.RawValue(a).data() < metadata.RawValue(b).data();
  });
  for (const std::string_view key : keys) {
    if (!IsOfTheFile(key)) out.Copy(metadata, key);
  }
}

}  // namespace

absl::Status Describe(const Checkpoint& checkpoint, const ModelConfig& config,
                      Format table, GgufFileWriter& out) {
  const absl::StatusOr<Tokenizer> tokenizer = LoadTokenizer(checkpoint);
  if (tokenizer.ok()) {
    GEMMA_RETURN_IF_ERROR(CheckTokenizer(*tokenizer, config, checkpoint.path));
  } else if (!absl::IsNotFound(tokenizer.status())) {
    return tokenizer.status();
  }
  if (checkpoint.kind == CheckpointKind::kGguf) {
    CopyMetadata(*checkpoint.metadata, out);
  } else {
    GEMMA_RETURN_IF_ERROR(DescribeConfig(config, out));
    DescribeTokenizer(tokenizer.ok() ? &*tokenizer : nullptr, config, out);
    GEMMA_RETURN_IF_ERROR(DescribeChatTemplate(checkpoint, out));
    GEMMA_ASSIGN_OR_RETURN(const std::optional<TextPrompts> prompts,
                           ReadTextPrompts(checkpoint));
    if (prompts.has_value() && config.pooling != Pooling::kNone) {
      DescribeTextPrompts(*prompts, out);
    }
  }
  // The model was trained with a scale rounded to the type of its original
  // table. State it if the type of the new table gives another value.
  if (config.embedding_scale != EmbeddingScale(config, table)) {
    out.SetFloat32(GgufKey(config.architecture, kEmbeddingScaleKey),
                   config.embedding_scale);
  }
  // So was the scale of per-layer embeddings.
  for (const Format format : {Format::kF32, Format::kBF16, Format::kF16}) {
    if (config.per_layer_vocab == 0 ||
        config.per_layer_scale == PerLayerScale(config, format)) {
      continue;
    }
    out.SetFloat32(GgufKey(config.architecture, kPerLayerScaleKey),
                   config.per_layer_scale);
  }
  return absl::OkStatus();
}

// Gemma's own turns, for gemma.cpp files: they say whether the model is tuned
// to chat, but hold no template.
constexpr std::string_view kTurns =
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set prefix = messages[0]['content'] + '\\n\\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set prefix = '' %}"
    "{% endif %}{% for message in messages %}{{ '<start_of_turn>' + "
    "('model' if message['role'] == 'assistant' else message['role']) + '\\n' "
    "+ "
    "(prefix if loop.first else '') + message['content'] | trim + "
    "'<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}";

absl::Status DescribeChatTemplate(const Checkpoint& checkpoint,
                                  GgufFileWriter& out) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  if (checkpoint.kind == CheckpointKind::kSbs && checkpoint.has_chat_template) {
    out.SetString(kKey, kTurns);
    return absl::OkStatus();
  }
  GEMMA_ASSIGN_OR_RETURN(const std::vector<ChatTemplateText> templates,
                         ReadChatTemplates(checkpoint));
  for (const ChatTemplateText& each : templates) {
    out.SetString(each.name == kDefaultTemplate
                      ? kKey
                      : absl::StrCat(kKey, ".", each.name),
                  each.text);
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal
