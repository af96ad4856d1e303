#include "src/engine/drafter.h"

#include <algorithm>
#include <utility>

#include "src/engine/session_impl.h"

namespace gemma {

NgramDrafter::NgramDrafter(Session& session, std::vector<TokenId> stop_tokens)
    : stop_tokens_(std::move(stop_tokens)),
      policy_(session.impl().draft_policy()),
      index_(session.position() + session.remaining()) {}

void NgramDrafter::Begin(absl::Span<const TokenId> tokens) {
  // No row is found again, whatever its hash: each gets a name of its own,
  // which is not in the vocabulary.
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
    // Nothing follows a stop token, so that its logits are of no use.
    if (std::binary_search(stop_tokens_.begin(), stop_tokens_.end(), token)) {
      break;
    }
    draft_.push_back(token);
  }
  return draft_;
}

}  // namespace gemma
