// Small models in files, for operations that run thousands of times.

#ifndef GEMMA_TESTS_FAULT_FAULT_TOYS_H_
#define GEMMA_TESTS_FAULT_FAULT_TOYS_H_

#include <string>
#include <vector>

#include "gemma/gemma.h"

namespace gemma {

inline const std::vector<TokenId> kFaultTokens = {2, 104, 105, 7, 260, 4};

// Writes the smallest model of the architecture, with a tokenizer of bytes and
// of the pieces "ab" and "cd". Returns the path.
std::string WriteFaultGguf(const std::string& directory,
                           const std::string& architecture);

// Writes it packed, with weights in Q4.
std::string WriteFaultPacked(const std::string& directory,
                             const std::string& architecture);

// Writes a file of gemma.cpp with a tokenizer.
std::string WriteFaultSbs(const std::string& directory);

// One thread, and as small chunks as make several passes.
LoadOptions FaultOptions();

// Of kFaultTokens, in a new session.
std::vector<float> FaultLogits(const Model& model);

// The bytes of a file, or none.
std::string ContentsOf(const std::string& path);

// The names in a directory, sorted.
std::vector<std::string> FileNames(const std::string& directory);

}  // namespace gemma

#endif  // GEMMA_TESTS_FAULT_FAULT_TOYS_H_
