// The chat templates in a model's files.

#ifndef GEMMA_SRC_FORMATS_CHAT_TEMPLATE_FILES_H_
#define GEMMA_SRC_FORMATS_CHAT_TEMPLATE_FILES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/base/json.h"
#include "src/formats/checkpoint.h"

namespace gemma::internal {

// The name of the template that chats use.
inline constexpr std::string_view kDefaultTemplate = "default";

// A chat template in Jinja.
struct ChatTemplateText {
  std::string name;  // kDefaultTemplate, or for example "tool_use"
  std::string text;
  std::string where;  // for messages: "dir/chat_template.jinja"
};

// Whether a Hugging Face directory has chat templates. `tokenizer_config` is
// its tokenizer_config.json, if it exists.
bool HasChatTemplates(const std::string& directory,
                      const std::optional<Json>& tokenizer_config);

// Returns the templates in Jinja, the default one first; none if the files have
// none, as those of gemma.cpp. A directory's templates are, as transformers
// reads them:
// - chat_template.jinja and additional_chat_templates/NAME.jinja, if one of
//   them exists;
// - else chat_template in tokenizer_config.json, a text or several named ones;
// - else chat_template in chat_template.json, which older processors wrote.
// For a GGUF file, returns only the default one.
absl::StatusOr<std::vector<ChatTemplateText>> ReadChatTemplates(
    const Checkpoint& checkpoint);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_CHAT_TEMPLATE_FILES_H_
