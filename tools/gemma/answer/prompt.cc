#include "tools/gemma/answer/prompt.h"

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {

absl::StatusOr<std::vector<TokenId>> PromptTokens(const Model& model,
                                                  std::string_view prompt,
                                                  std::string_view system,
                                                  bool chat) {
  if (chat) {
    GEMMA_ASSIGN_OR_RETURN(const ChatTemplate turns, ChatTurns(model));
    return turns.UserTurn(prompt, system);
  }
  if (!system.empty()) {
    return OptionError({"--system"},
                       "--system needs a chat; with a base model, add --chat");
  }
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, TokenizerOf(model));
  GEMMA_ASSIGN_OR_RETURN(std::vector<TokenId> tokens,
                         tokenizer->Encode(prompt));
  tokens.insert(tokens.begin(), model.config().bos_token);
  return tokens;
}

}  // namespace gemma::tools
