// Writes sessions to files, and reads them.

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

// The saved data of a session, without its state.
struct SavedSession {
  SessionOptions options;
  Words words;
  size_t floor = 0;  // first position that the state can go back to
};

// Writes a file; all numbers are little-endian:
//   "GEMMASES", uint32 version (2), uint32 cache_format
//   uint64 fingerprint of the model
//   uint64 max_tokens, max_rollback, checkpoint_interval, max_checkpoints
//   uint64 floor, uint64 number of words
//   int32 tokens, kRowToken in place of each row
//   uint64 number of PlacedRows, then for each, in order:
//     uint64 begin, uint64 number of rows, uint32 mask
//     float32 values [rows, model_dim]
//   the pieces of SequenceState::ForEachPiece
//   uint32 CRC-32C of all bytes before it
// Error messages begin with `path`.
absl::Status WriteSession(const std::string& path, uint64_t fingerprint,
                          const SavedSession& session,
                          const SequenceState& state);

// Untrusted input. Every field is validated, except the values of the state,
// which are taken as they are.
class SessionFile {
 public:
  // `fingerprint`: the one that the file must have.
  static absl::StatusOr<SessionFile> Open(const std::string& path,
                                          uint64_t fingerprint,
                                          const ModelConfig& config);

  const SavedSession& session() const { return session_; }
  const std::string& path() const { return file_.path(); }

  // Fills a state made for session().options. If the file has more or fewer
  // bytes of state, fails and changes nothing.
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
