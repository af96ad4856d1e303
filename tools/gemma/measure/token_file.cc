#include "tools/gemma/measure/token_file.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\v\f";
// Limit for a word in an error: a wrong file may be one long word.
constexpr size_t kMaxQuotedBytes = 20;

}  // namespace

absl::StatusOr<std::vector<TokenId>> ParseTokenIds(std::string_view text,
                                                   std::string_view separators,
                                                   std::string_view what) {
  std::vector<TokenId> tokens;
  for (std::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(separators), absl::SkipEmpty())) {
    TokenId token = 0;
    // SimpleAtoi alone would also accept signs.
    const bool digits = word.find_first_not_of("0123456789") == word.npos;
    if (!digits || !absl::SimpleAtoi(word, &token)) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, ": token ", tokens.size() + 1, " is '",
                       word.substr(0, kMaxQuotedBytes), "', not an id"));
    }
    tokens.push_back(token);
  }
  if (tokens.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": no token ids"));
  }
  return tokens;
}

absl::StatusOr<std::vector<TokenId>> ReadTokenFile(std::string_view path) {
  GEMMA_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  return ParseTokenIds(text, kBlanks, InputName(path));
}

}  // namespace gemma::tools
