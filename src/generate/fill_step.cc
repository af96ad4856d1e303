#include "src/generate/fill_step.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "src/text/tokenizer/tokenizer_impl.h"

namespace gemma::internal {
namespace {

// The constants of llama.cpp.
constexpr double kStopFactor = 3;
constexpr double kLeastProbability = 0.2;

std::string_view BytesOf(const TokenTrie& trie, TokenId token) {
  const auto i = static_cast<size_t>(token);
  return i < trie.num_tokens() ? trie.bytes(token) : std::string_view();
}

}  // namespace

void FillStep::operator()(std::vector<TokenLogit>& candidates,
                          std::vector<double>& weights) const {
  double sum = 0;
  for (const double weight : weights) sum += weight;
  std::vector<Fate> fates;
  double stop_sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const bool is_stop =
        std::ranges::binary_search(stops_, candidates[i].token);
    fates.push_back({weights[i] / sum, is_stop});
    if (is_stop) stop_sum += weights[i] / sum;
  }
  const auto keep_texts_above = [&fates](double least) {
    size_t kept = 0;
    for (Fate& fate : fates) {
      if (fate.is_stop) continue;
      fate.is_kept = fate.is_kept && fate.probability >= least;
      if (fate.is_kept) ++kept;
    }
    return kept;
  };
  const double n = static_cast<double>(fates.size());
  if (kStopFactor * stop_sum * n > 1 - stop_sum) {
    keep_texts_above(2);  // none
  } else {
    Merge(candidates, fates);
    const size_t kept = keep_texts_above(kLeastProbability);
    if (kept > 0) {
      double left = 0;
      for (const Fate& fate : fates) {
        if (fate.is_kept) left += fate.probability;
      }
      keep_texts_above(left / static_cast<double>(kept + 1));
    } else if (!stops_.empty()) {
      candidates = {{stops_.front(), 0.0f}};
      weights = {1};
      return;
    } else {
      fates.front().is_kept = true;
    }
  }
  size_t size = 0;
  for (size_t i = 0; i < fates.size(); ++i) {
    if (!fates[i].is_kept) continue;
    candidates[size] = candidates[i];
    weights[size++] = weights[i];
  }
  candidates.resize(size);
  weights.resize(size);
}

void FillStep::Merge(const std::vector<TokenLogit>& candidates,
                     std::vector<Fate>& fates) const {
  const TokenTrie& trie = tokenizer_.impl().trie();
  for (size_t i = 0; i < fates.size(); ++i) {
    const std::string_view beginning = BytesOf(trie, candidates[i].token);
    if (beginning.empty()) continue;
    for (size_t j = 0; j < fates.size() && fates[i].is_kept; ++j) {
      if (i == j || !fates[j].is_kept ||
          !BytesOf(trie, candidates[j].token).starts_with(beginning)) {
        continue;
      }
      Fate* to = &fates[i];
      Fate* from = &fates[j];
      if (from->probability > to->probability) std::swap(to, from);
      to->probability += from->probability;
      from->probability = 0;
      from->is_kept = false;
    }
  }
}

}  // namespace gemma::internal
