// The reason for a failure, for programs. Messages are for people and may
// change.

#ifndef GEMMA_ERROR_REASON_H_
#define GEMMA_ERROR_REASON_H_

#include "absl/status/status.h"
#include "gemma/export.h"

namespace gemma {

// Details beyond the status code. The numbers stay the same in all releases.
enum class ErrorReason {
  kNone = 0,  // only the code
  // The path is neither a file nor a directory of a known format.
  kNotAModel = 1,
  // A file is shorter than its header or its name says.
  kIncompleteFile = 2,
  // The library cannot read one file of a model in several parts.
  kMissingPart = 3,
  // A file that other files of the model refer to does not exist.
  kMissingFile = 4,
  // The architecture is not one of Gemma's.
  kOtherArchitecture = 5,
  // The file holds a vision tower (image encoder) without the language model.
  kVisionTower = 6,
  // A gemma.cpp file does not state the model's sizes.
  kUnknownSizes = 7,
  // The model's files have no tokenizer.
  kNoTokenizer = 8,
  // The failure is in the output file, not in an input.
  kOutputFile = 9,
  // A file changed after it was written: a checksum differs.
  kDamagedFile = 10,
  // The path holds an adapter (gemma/adapter.h) where a model is needed.
  kAdapter = 11,
  // A chat template cannot be used: it is wrong, or needs what the library does
  // not know.
  kChatTemplate = 12,
  // The model computed a number that is not finite.
  kNotFinite = 13,
  // The model is of the Gemma family, but this library does not read it yet.
  kUnreadGemma = 14,
  // A file of the model is a Git LFS pointer in place of the file.
  kLfsPointer = 15,
  // A file of the model is a web page or a server's answer in place of the
  // file.
  kWebPage = 16,
};

// Returns the reason that a status carries.
GEMMA_EXPORT ErrorReason ReasonOf(const absl::Status& status);

// Returns the status with this reason in place of its own. OK stays OK.
GEMMA_EXPORT absl::Status WithReason(absl::Status status, ErrorReason reason);

}  // namespace gemma

#endif  // GEMMA_ERROR_REASON_H_
