// Why something failed, for programs: messages are for people, and may change.

#ifndef GEMMA_ERROR_REASON_H_
#define GEMMA_ERROR_REASON_H_

#include "absl/status/status.h"
#include "gemma/export.h"

namespace gemma {

// What a caller may want to know beyond the status code. Numbers stay as they
// are from release to release.
enum class ErrorReason {
  kNone = 0,  // no more than the code says
  // The path is neither a file nor a directory of a known format.
  kNotAModel = 1,
  // A file ends before what its header or its name says that it holds.
  kIncompleteFile = 2,
  // One of the files of a model in several parts cannot be read.
  kMissingPart = 3,
  // A file is not there that others of the model ask for.
  kMissingFile = 4,
  // A model of another architecture than Gemma's.
  kOtherArchitecture = 5,
  // The part of a model that sees, without the language model.
  kVisionTower = 6,
  // A file of gemma.cpp that does not say what its sizes are.
  kUnknownSizes = 7,
  // The model's files have no tokenizer.
  kNoTokenizer = 8,
  // The file that was to be written, not what was to be read.
  kOutputFile = 9,
  // A file is not as it was written: a checksum differs.
  kDamagedFile = 10,
};

// The reason that a status carries.
GEMMA_EXPORT ErrorReason ReasonOf(const absl::Status& status);

// The same status with a reason in place of the one that it has. OK stays OK.
GEMMA_EXPORT absl::Status WithReason(absl::Status status, ErrorReason reason);

}  // namespace gemma

#endif  // GEMMA_ERROR_REASON_H_
