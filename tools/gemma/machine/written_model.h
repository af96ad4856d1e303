// Checks of the GGUF files that commands write, before they write them.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_WRITTEN_MODEL_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_WRITTEN_MODEL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace gemma::tools {

// OK if a model may be written to `target`, which is neither a file of the
// input, a directory, a special file, a file that exists (unless `force`), nor
// named as a file of another format. Advice to use --force is given only where
// that helps. `models`: what commands take as MODEL; `importance`: a file, or
// "".
absl::Status CheckWrittenModel(const std::string& target,
                               const std::vector<std::string>& models,
                               const std::string& importance, bool force);

// Notes a name by which other programs would not know a GGUF file.
void NoteGgufName(const std::string& path);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_WRITTEN_MODEL_H_
