// Texts of grammars, at random, and what the validators of Python say of them.

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

namespace gemma {

// Whether the text is one of the grammar's. Fails the test where that cannot be
// found out.
bool Matches(const Grammar& grammar, std::string_view text);

// A text that is made byte by byte of those that may come next. Beyond
// `max_bytes`, bytes that mostly lead to an end are preferred; far beyond, the
// text has none. Fails the test where nothing may come next.
std::string RandomText(const Grammar& grammar, std::mt19937_64& random,
                       size_t max_bytes = 200);

// Lines for tests/support/validate_texts.py.
class Validation {
 public:
  void Add(nlohmann::ordered_json line) { lines_.push_back(std::move(line)); }

  // Fails the test for each line that the validators see otherwise.
  void Run() const;

 private:
  std::vector<nlohmann::ordered_json> lines_;
};

// The cases of tests/testdata/grammar/schemas.json.
nlohmann::ordered_json SchemaCases();

}  // namespace gemma

#endif  // GEMMA_TESTS_SUPPORT_GRAMMAR_TEXTS_H_
