// What Tab adds to a line of a chat.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMPLETION_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMPLETION_H_

#include <string>
#include <string_view>
#include <vector>

namespace gemma::tools {

struct Completion {
  std::string insert;                // what all choices go on with
  std::vector<std::string> choices;  // names, sorted, if there are several
};

// Completes the line that ends at the cursor: names of commands, of settings
// after /set, and of files after /read, /save and /load. Hidden files are
// offered to those who typed the dot.
Completion Complete(std::string_view line);

// "~" and "~/..." with $HOME in place of the tilde, others as they are.
std::string ExpandHome(std::string_view path);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMPLETION_H_
