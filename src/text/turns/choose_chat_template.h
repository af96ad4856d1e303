// Which turns a model uses.

#ifndef GEMMA_SRC_TEXT_TURNS_CHOOSE_CHAT_TEMPLATE_H_
#define GEMMA_SRC_TEXT_TURNS_CHOOSE_CHAT_TEMPLATE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/chat_template.h"
#include "gemma/tokenizer.h"
#include "src/formats/checkpoint.h"

namespace gemma::internal {

// Where the turns come from; see LoadOptions.
struct WantedTurns {
  bool of_file = false;   // those of the files' template, whatever it makes
  bool of_gemma = false;  // Gemma's own
  // Without a template in the files: whether Gemma 4 puts an empty thought
  // before an answer without thinking, as all its models but E2B and E4B do.
  bool empty_thought = true;
  // Whether a model without control tokens for tools calls them in JSON.
  bool calls_in_json = false;
  std::string path;  // a file with a template; empty: none
};

// Returns the wanted turns. If none are wanted: those of the files' template,
// but Gemma's own if they have none, or if both make the same tokens of a few
// chats. A chat that the files' template refuses makes no difference. The
// files' template also decides if Gemma's own turns have an empty thought.
// Adds to `notes`, unless null, that a template of the files is empty, and
// which markers a template writes that the vocabulary lacks.
absl::StatusOr<ChatTemplate> ChooseChatTemplate(
    const Checkpoint& checkpoint, const Tokenizer& tokenizer,
    const WantedTurns& wanted, std::vector<std::string>* notes = nullptr);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_CHOOSE_CHAT_TEMPLATE_H_
