#include "tools/gemma/io/nearest.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace gemma::tools {
namespace {

// A word with more differences is not taken for a mistyped candidate.
constexpr size_t kMaxDistance = 2;
// A word of no more letters may have one difference only, or two letters that
// changed places: "--check" is not "--chunk".
constexpr size_t kShortWord = 5;

bool IsNear(std::string_view word, std::string_view candidate,
            size_t distance) {
  const size_t letters = std::min(word.find_first_not_of('-'), word.size());
  return distance <= 1 || word.size() - letters > kShortWord ||
         std::is_permutation(word.begin(), word.end(), candidate.begin(),
                             candidate.end());
}

}  // namespace

size_t EditDistance(std::string_view a, std::string_view b) {
  // row[j]: the distance between the bytes of `a` so far and the first j bytes
  // of `b`.
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string DidYouMean(std::string_view word,
                       const std::vector<std::string>& candidates) {
  const std::string* nearest = nullptr;
  size_t least = kMaxDistance + 1;
  for (const std::string& candidate : candidates) {
    // Save time: a word that is much longer cannot be near.
    if (word.size() > candidate.size() + kMaxDistance) continue;
    const bool is_prefix = word.size() > 1 && absl::StartsWith(candidate, word);
    const size_t distance = is_prefix ? 0 : EditDistance(word, candidate);
    if (distance >= least || distance >= word.size() ||
        !IsNear(word, candidate, distance)) {
      continue;
    }
    least = distance;
    nearest = &candidate;
  }
  return nearest == nullptr ? ""
                            : absl::StrCat("; did you mean ", *nearest, "?");
}

}  // namespace gemma::tools
