// Models that call tools, and a check of their calls.

#ifndef GEMMA_TESTS_SERVE_TOOL_TOYS_H_
#define GEMMA_TESTS_SERVE_TOOL_TOYS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "gemma/model.h"
#include "tests/serve/serve_client.h"

namespace gemma::internal {

// Loads the toy with Gemma 4's tools, with the names of FunctionGemma's tokens.
Model LoadFunctionGemmaToy(const LoadOptions& options);

// A model of a dialect, with random weights.
struct Dialect {
  const char* name;  // as in /v1/models
  Model model;
  TokenId call = -1;  // the token that begins a call
};
std::vector<Dialect> Dialects();

// A chat of one message.
ServeJson UserAsks(const std::string& text);

// Two tools whose arguments use most kinds of schemas. All values are short.
ServeJson Tools();

// Checks that the calls of a choice are valid by Tools and that their ids
// differ, and returns how many there are.
size_t CheckCalls(const ServeJson& choice);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SERVE_TOOL_TOYS_H_
