#include "src/grammar/allowed_tokens.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "src/grammar/marks.h"

namespace gemma::internal {
namespace {

// Up to this many tokens, computing only their logits is faster than finding
// the largest of all logits.
constexpr size_t kFew = 1024;
// The nodes of the tree that Few visits at most: some tens of microseconds.
constexpr size_t kMaxNodes = size_t{1} << 13;

// The limit for all lists of Few together.
constexpr size_t kMaxListBytes = size_t{1} << 22;
constexpr size_t kListBytes = 64;  // of an empty list

}  // namespace

AllowedTokens::AllowedTokens(const ByteGrammar& grammar, const TokenTrie& trie,
                             absl::Span<const TokenId> stops,
                             std::vector<MarkToken> marks)
    : trie_(trie),
      stops_(stops),
      marks_(std::move(marks)),
      automaton_(grammar),
      state_(automaton_.start()) {}

bool AllowedTokens::IsStop(TokenId token) const {
  return std::binary_search(stops_.begin(), stops_.end(), token);
}

Automaton::StateId AllowedTokens::After(Automaton::StateId state,
                                        TokenId token) {
  for (const MarkToken& mark : marks_) {
    if (mark.token == token) return automaton_.Step(state, mark.byte);
  }
  if (static_cast<size_t>(token) >= trie_.num_tokens()) return Automaton::kDead;
  const std::string_view bytes = trie_.bytes(token);
  if (bytes.empty()) return Automaton::kDead;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= kFirstMarkByte) return Automaton::kDead;
    state = automaton_.Step(state, byte);
    if (state == Automaton::kDead) break;
  }
  return state;
}

template <class Visit>
void AllowedTokens::VisitMarks(Visit visit) {
  for (const MarkToken& mark : marks_) {
    if (automaton_.Step(state_, mark.byte) != Automaton::kDead) {
      visit(mark.token);
    }
  }
}

bool AllowedTokens::Contains(TokenId token) {
  if (IsStop(token)) return automaton_.may_end(state_);
  return After(state_, token) != Automaton::kDead;
}

template <class Visit>
bool AllowedTokens::Walk(size_t max_nodes, Visit visit) {
  struct Level {
    size_t end;  // the node after the children
    Automaton::StateId state;
  };
  const absl::Span<const TokenTrie::Node> nodes = trie_.nodes();
  std::vector<Level> levels = {{nodes.size(), state_}};
  for (size_t node = 0; node < nodes.size();) {
    if (max_nodes-- == 0) return false;
    while (node >= levels.back().end) levels.pop_back();
    const Automaton::StateId state =
        nodes[node].byte >= kFirstMarkByte
            ? Automaton::kDead
            : automaton_.Step(levels.back().state, nodes[node].byte);
    if (state == Automaton::kDead) {
      node = nodes[node].next;
      continue;
    }
    for (const TokenId token : trie_.tokens(node)) {
      if (!IsStop(token) && !visit(token)) return false;
    }
    levels.push_back({nodes[node].next, state});
    ++node;
  }
  return true;
}

const std::vector<TokenId>* AllowedTokens::Few() {
  const auto known = few_.find(state_);
  if (known != few_.end()) return known->second ? &*known->second : nullptr;
  if (few_bytes_ > kMaxListBytes) ForgetFew();
  std::optional<std::vector<TokenId>>& few = few_[state_];
  few_bytes_ += kListBytes;
  std::vector<TokenId> tokens;
  const bool all = Walk(kMaxNodes, [&](TokenId token) {
    tokens.push_back(token);
    return tokens.size() < kFew;
  });
  if (!all) return nullptr;
  VisitMarks([&](TokenId token) { tokens.push_back(token); });
  if (automaton_.may_end(state_)) {
    tokens.insert(tokens.end(), stops_.begin(), stops_.end());
  }
  std::sort(tokens.begin(), tokens.end());
  few_bytes_ += tokens.capacity() * sizeof(TokenId);
  few = std::move(tokens);
  return &*few;
}

void AllowedTokens::ForgetFew() {
  few_.clear();
  few_bytes_ = 0;
}

const std::vector<bool>& AllowedTokens::All() {
  if (state_of_all_ == state_) return all_;
  const size_t end_of_stops = stops_.empty() ? 0 : stops_.back() + size_t{1};
  all_.assign(std::max(trie_.num_tokens(), end_of_stops), false);
  Walk(std::numeric_limits<size_t>::max(), [&](TokenId token) {
    all_[static_cast<size_t>(token)] = true;
    return true;
  });
  VisitMarks([&](TokenId token) { all_[static_cast<size_t>(token)] = true; });
  for (const TokenId stop : stops_) {
    all_[static_cast<size_t>(stop)] = automaton_.may_end(state_);
  }
  state_of_all_ = state_;
  return all_;
}

void AllowedTokens::Accept(TokenId token) {
  state_ = After(state_, token);
  if (!automaton_.Trim(state_)) return;
  ForgetFew();
  state_of_all_.reset();
}

}  // namespace gemma::internal
