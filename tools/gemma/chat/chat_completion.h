// Completes a line of a chat when the user presses Tab.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMPLETION_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMPLETION_H_

#include <string>
#include <string_view>
#include <vector>

namespace gemma::tools {

struct Completion {
  std::string insert;                // text to add, common to all choices
  std::vector<std::string> choices;  // sorted names, if there are several
};

// Completes the line that ends at the cursor: names of commands, of settings
// after /set, of pulled models after /model, and of files after /read, /save
// and /load. Offers hidden files only if the typed name begins with a dot.
Completion Complete(std::string_view line);

// Replaces the tilde of "~" and "~/..." by $HOME. Other paths stay unchanged.
std::string ExpandHome(std::string_view path);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMPLETION_H_
