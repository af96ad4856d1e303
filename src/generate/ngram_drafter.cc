#include "src/generate/ngram_drafter.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "src/session/session_impl.h"

namespace gemma::internal {
namespace {

// Slots of a table: twice the tokens, so that few n-grams share a slot, but at
// most half a megabyte.
size_t NumSlots(size_t expected_tokens) {
  return std::bit_ceil(
      2 * std::clamp<size_t>(expected_tokens, 1 << 7, size_t{1} << 16));
}

}  // namespace

NgramIndex::NgramIndex(size_t expected_tokens)
    : shift_(64 - std::countr_zero(NumSlots(expected_tokens))) {
  for (auto& table : tables_) table.resize(NumSlots(expected_tokens));
}

void NgramIndex::Append(TokenId token) {
  // Enters the last n-grams, because `token` now follows them.
  for (size_t t = 0; t < kSizes.size(); ++t) {
    if (tokens_.size() < kSizes[t]) continue;
    tables_[t][Slot(kSizes[t])] = static_cast<uint32_t>(tokens_.size());
  }
  tokens_.push_back(token);
}

NgramIndex::Match NgramIndex::FindEnd() const {
  for (size_t t = 0; t < kSizes.size(); ++t) {
    if (tokens_.size() <= kSizes[t]) continue;
    const size_t next = tables_[t][Slot(kSizes[t])];
    if (next == 0) continue;
    const size_t length = LengthOfMatch(next);
    if (length >= kSizes[t]) return {length, next};
  }
  return {};
}

size_t NgramIndex::Slot(size_t n) const {
  // Multiplication mixes bits upwards, so the slot is made of the high bits.
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio
  uint64_t hash = 0;
  for (size_t i = tokens_.size() - n; i < tokens_.size(); ++i) {
    hash = (hash ^ static_cast<uint32_t>(tokens_[i])) * kOdd;
    hash ^= hash >> 32;
  }
  return hash * kOdd >> shift_;
}

size_t NgramIndex::LengthOfMatch(size_t next) const {
  const size_t most = std::min(next, kMaxMatch);
  const size_t end = tokens_.size();
  size_t length = 0;
  while (length < most &&
         tokens_[next - 1 - length] == tokens_[end - 1 - length]) {
    ++length;
  }
  return length;
}

NgramDrafter::NgramDrafter(Session& session, std::vector<TokenId> stop_tokens)
    : stop_tokens_(std::move(stop_tokens)),
      policy_(session.impl().draft_policy()),
      index_(session.position() + session.remaining()) {}

void NgramDrafter::Begin(absl::Span<const TokenId> tokens) {
  // Rows must never match, even if their hashes are equal: each is indexed as a
  // different negative number.
  TokenId row = kRowToken;
  for (const TokenId token : tokens) {
    index_.Append(token == kRowToken ? row-- : token);
  }
  match_ = index_.FindEnd();
}

void NgramDrafter::Append(TokenId token) {
  policy_.TokenCame(match_.length,
                    match_.length != 0 && index_.Foretold(match_) == token);
  index_.Append(token);
  match_ = index_.FindEnd();
}

absl::Span<const TokenId> NgramDrafter::Draft(size_t most) {
  draft_.clear();
  const size_t length = policy_.DraftLength(match_.length, most);
  while (draft_.size() < length) {
    const TokenId token = index_.Foretold(match_, draft_.size());
    if (token < 0) break;  // a row
    // The answer ends at a stop token, so the logits after it have no use.
    if (std::binary_search(stop_tokens_.begin(), stop_tokens_.end(), token)) {
      break;
    }
    draft_.push_back(token);
  }
  return draft_;
}

}  // namespace gemma::internal
