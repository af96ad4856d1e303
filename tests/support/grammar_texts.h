// Makes random texts that grammars allow, and checks them with Python's
// validators.

#ifndef GEMMA_TESTS_SUPPORT_GRAMMAR_TEXTS_H_
#define GEMMA_TESTS_SUPPORT_GRAMMAR_TEXTS_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/grammar.h"
#include "nlohmann/json.hpp"

namespace gemma::internal {

// Returns whether the grammar accepts the text. Fails the test if this cannot
// be determined.
bool Matches(const Grammar& grammar, std::string_view text);

// Returns a text of random bytes, each of which the grammar allows. Beyond
// `max_bytes`, prefers bytes that mostly lead to an end; far beyond, returns
// the unfinished text. Fails the test if no byte is allowed.
std::string RandomText(const Grammar& grammar, std::mt19937_64& random,
                       size_t max_bytes = 200);

// Collects lines for tests/support/validate_texts.py.
class Validation {
 public:
  void Add(nlohmann::ordered_json line) { lines_.push_back(std::move(line)); }

  // Runs the script. Fails the test for each line where Python disagrees.
  void Run() const;

 private:
  std::vector<nlohmann::ordered_json> lines_;
};

// Returns the cases of tests/testdata/grammar/schemas.json.
nlohmann::ordered_json SchemaCases();

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_GRAMMAR_TEXTS_H_
