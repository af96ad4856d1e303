// What was typed before, in memory and in a file.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_INPUT_HISTORY_H_
#define GEMMA_TOOLS_GEMMA_CHAT_INPUT_HISTORY_H_

#include <string>

#include "absl/status/status.h"

struct history;  // libedit's

namespace gemma::tools {

// $GEMMA_HISTORY, by default gemma/history in $XDG_STATE_HOME or else in
// ~/.local/state. Empty if no file shall be kept: GEMMA_HISTORY is set to
// nothing, or there is no home.
std::string HistoryPath();

// The last kMaxEntries entries. An entry may have several lines.
class InputHistory {
 public:
  static constexpr int kMaxEntries = 1000;
  static constexpr size_t kMaxEntryBytes = 64
                                           << 10;  // longer ones are not kept

  InputHistory();
  ~InputHistory();
  InputHistory(const InputHistory&) = delete;
  InputHistory& operator=(const InputHistory&) = delete;

  // Reads the file and keeps it up to date from now on. A file that does not
  // exist is made, with its folders, for the user alone. FailedPrecondition if
  // there is something else of that name; it is then left alone.
  absl::Status Open(const std::string& path);

  // Adds an entry unless it equals the last. In the file it comes behind those
  // that other processes have added. An error is one of the file, which is not
  // used any more.
  absl::Status Add(const std::string& text);

  // For libedit, as long as this lives.
  struct history* get() const {
    return history_;
  }

 private:
  struct history* history_;
  std::string path_;  // empty: none
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_INPUT_HISTORY_H_
