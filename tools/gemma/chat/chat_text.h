// Lines that a chat shows about its turns and its speed.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_TEXT_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_TEXT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/gemma/chat/conversation.h"

namespace gemma::tools {

// Sums over the answers of a chat.
struct ChatTotals {
  size_t answers = 0;
  GenerateStats sum;                  // stop_reason is not set
  std::optional<GenerateStats> last;  // of the last answer
};

// Adds an answer to the totals.
void AddAnswer(const GenerateStats& stats, ChatTotals* totals);

// "3 answers; prompts: 120 tokens, 110.1 tok/s; answers: ...".
std::string TotalsLine(const ChatTotals& totals);

// The text of /tokens: a line for the context, then one for each turn.
std::string UseText(const ContextUse& use, const std::vector<Turn>& turns);

// "120 of 4096 tokens (3976 left)".
std::string ContextLine(const ContextUse& use);

// The beginning of the text, on one line.
std::string Shortened(std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_TEXT_H_
