// Small models in files, for operations that run thousands of times.

#ifndef GEMMA_TESTS_FAULT_FAULT_TOYS_H_
#define GEMMA_TESTS_FAULT_FAULT_TOYS_H_

#include <string>
#include <vector>

#include "gemma/gemma.h"

namespace gemma::internal {

inline const std::vector<TokenId> kFaultTokens = {2, 104, 105, 7, 260, 4};

// Writes the smallest model of the architecture as GGUF and returns the path.
// The tokenizer has the bytes and the pieces "ab" and "cd".
std::string WriteFaultGguf(const std::string& directory,
                           const std::string& architecture);

// Writes the same model as a packed file with Q4 weights. Returns the path.
std::string WriteFaultPacked(const std::string& directory,
                             const std::string& architecture);

// Writes a Hugging Face directory whose tokenizer.json has some tokens of each
// kind. Returns the path.
std::string WriteFaultDirectory(const std::string& directory);

// Writes a file of gemma.cpp that includes a tokenizer. Returns the path.
std::string WriteFaultSbs(const std::string& directory);

// Returns options for one thread, and for chunks so small that kFaultTokens
// need several passes.
LoadOptions FaultOptions();

// Returns the logits after kFaultTokens in a new session.
std::vector<float> FaultLogits(const Model& model);

// Returns the bytes of a file, or an empty string if it cannot be read.
std::string ContentsOf(const std::string& path);

// Returns the file names in a directory, sorted.
std::vector<std::string> FileNames(const std::string& directory);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_FAULT_FAULT_TOYS_H_
