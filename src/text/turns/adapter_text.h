// The tokenizer and the chat template in an adapter's folder.

#ifndef GEMMA_SRC_TEXT_TURNS_ADAPTER_TEXT_H_
#define GEMMA_SRC_TEXT_TURNS_ADAPTER_TEXT_H_

#include <cstddef>
#include <string>
#include <vector>

#include "gemma/tokenizer.h"
#include "src/formats/checkpoint.h"

namespace gemma::internal {

// Adds a note for what the adapter's folder has and the model does not follow:
// a tokenizer with other tokens than the model's, and another chat template.
// `adapter`: its path; a file has neither. `num_rows` is as in MakeTokenizer.
void NoteAdapterText(const std::string& adapter, const Checkpoint& model,
                     const Tokenizer& tokenizer, size_t num_rows,
                     std::vector<std::string>& notes);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_ADAPTER_TEXT_H_
