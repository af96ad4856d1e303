// The history of typed lines, in memory and in a file.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_INPUT_HISTORY_H_
#define GEMMA_TOOLS_GEMMA_CHAT_INPUT_HISTORY_H_

#include <string>

#include "absl/status/status.h"

struct history;  // libedit's

namespace gemma::tools {

// The path of the file: $GEMMA_HISTORY, by default gemma/history in
// $XDG_STATE_HOME or else in ~/.local/state. Empty if nothing is to be saved:
// GEMMA_HISTORY is set but empty, or there is no home directory.
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

  // Reads the file and updates it from now on. Creates a missing file and its
  // folders, for the user alone. FailedPrecondition if `path` is not a history
  // file; the file is then left unchanged.
  absl::Status Open(const std::string& path);

  // Adds an entry unless it equals the last one. In the file, it comes after
  // entries that other processes have added. An error concerns only the file,
  // which is not used after that.
  absl::Status Add(const std::string& text);

  // For libedit. Valid as long as this object.
  struct history* get() const {
    return history_;
  }

 private:
  struct history* history_;
  std::string path_;  // empty: no file
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_INPUT_HISTORY_H_
