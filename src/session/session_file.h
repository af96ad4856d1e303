// Sessions in files.

#ifndef GEMMA_SRC_SESSION_SESSION_FILE_H_
#define GEMMA_SRC_SESSION_SESSION_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/session.h"
#include "gemma/words.h"
#include "src/forward/sequence_state.h"
#include "src/os/mapped_file.h"

namespace gemma::internal {

// What is saved of a session besides its state.
struct SavedSession {
  SessionOptions options;
  Words words;
  size_t floor = 0;  // first position that the state can go back to
};

// The file, all numbers little-endian:
//   "GEMMASES", uint32 version (2), uint32 cache_format
//   uint64 fingerprint of the model
//   uint64 max_tokens, max_rollback, checkpoint_interval, max_checkpoints
//   uint64 floor, uint64 number of words
//   int32 tokens, kRowToken where a row is
//   uint64 number of PlacedRows, and of each, in order:
//     uint64 begin, uint64 number of rows, uint32 mask
//     float32 values [rows, model_dim]
//   the pieces of SequenceState::ForEachPiece
//   uint32 CRC-32C of all before
// Messages begin with `path`.
absl::Status WriteSession(const std::string& path, uint64_t fingerprint,
                          const SavedSession& session,
                          const SequenceState& state);

// A file that may be hostile: all numbers are checked, but the state's.
class SessionFile {
 public:
  // `fingerprint`: what the file must have.
  static absl::StatusOr<SessionFile> Open(const std::string& path,
                                          uint64_t fingerprint,
                                          const ModelConfig& config);

  const SavedSession& session() const { return session_; }
  const std::string& path() const { return file_.path(); }

  // Fills a state made for session().options. Fails, and has
  // changed nothing, if the file holds more or less.
  absl::Status ReadState(const SequenceState& state) const;

 private:
  SessionFile(MappedFile file, SavedSession session, size_t state_begin)
      : file_(std::move(file)),
        session_(std::move(session)),
        state_begin_(state_begin) {}

  MappedFile file_;
  SavedSession session_;
  size_t state_begin_;  // position in the file
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SESSION_SESSION_FILE_H_
