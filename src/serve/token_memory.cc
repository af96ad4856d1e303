#include "src/serve/token_memory.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "src/base/no_throw.h"
#include "src/serve/answer/token_text.h"

namespace gemma::internal {
namespace {

// A text in UTF-8 has no such byte. It begins a mark of five bytes: four of the
// number of a control token, or four more of these for the byte itself.
constexpr char kMark = '\xFF';

// What a chat takes beside its text and tokens: nodes of two containers.
constexpr uint64_t kOverhead = 192;

size_t SharedBytes(std::string_view a, std::string_view b) {
  const size_t most = std::min(a.size(), b.size());
  return static_cast<size_t>(
      std::mismatch(a.begin(), a.begin() + most, b.begin()).first - a.begin());
}

}  // namespace

uint64_t TokenMemory::Chat::bytes() const {
  return text.size() + tokens.size() * sizeof(TokenId) + kOverhead;
}

void TokenMemory::AppendText(TokenId token, std::string& text) const {
  const std::optional<std::string> bytes = TokenBytes(tokenizer_, token);
  if (!bytes.has_value()) {
    text += kMark;
    for (int shift = 24; shift >= 0; shift -= 8) {
      text += static_cast<char>(static_cast<uint32_t>(token) >> shift & 0xFF);
    }
    return;
  }
  for (const char byte : *bytes) text.append(byte == kMark ? 5 : 1, byte);
}

TokenMemory::Prompt TokenMemory::Recall(std::vector<TokenId> tokens,
                                        size_t most) {
  Prompt prompt = {std::move(tokens), ""};
  if (max_bytes_ == 0) return prompt;
  for (const TokenId token : prompt.tokens) AppendText(token, prompt.text);
  size_t shared = 0;
  const std::vector<TokenId> kept = Nearest(prompt.text, shared);
  std::vector<TokenId> joined = Join(kept, prompt.tokens, shared);
  if (joined.size() <= most) prompt.tokens = std::move(joined);
  return prompt;
}

std::vector<TokenId> TokenMemory::Nearest(std::string_view text,
                                          size_t& shared) {
  const std::lock_guard lock(mutex_);
  if (index_.empty()) return {};
  // In the order of texts, the nearest one is a neighbour.
  auto best = index_.lower_bound(text);
  if (best == index_.end()) best = std::prev(best);
  shared = SharedBytes(best->first, text);
  if (best != index_.begin()) {
    const auto before = std::prev(best);
    const size_t shared_before = SharedBytes(before->first, text);
    if (shared_before > shared) {
      best = before;
      shared = shared_before;
    }
  }
  chats_.splice(chats_.begin(), chats_, best->second);
  return best->second->tokens;
}

std::vector<TokenId> TokenMemory::Join(absl::Span<const TokenId> kept,
                                       absl::Span<const TokenId> tokens,
                                       size_t shared) const {
  size_t of_kept = 0, of_tokens = 0;  // where tokens of both end
  size_t i = 0, j = 0;
  std::string kept_text, text;  // of the first i and j tokens
  while (kept_text.size() <= shared) {
    if (kept_text.size() == text.size()) {
      of_kept = i;
      of_tokens = j;
    }
    if (text.size() < kept_text.size()) {
      AppendText(tokens[j++], text);
    } else if (i < kept.size()) {
      AppendText(kept[i++], kept_text);
    } else {
      break;
    }
  }
  std::vector<TokenId> joined(kept.begin(),
                              kept.begin() + static_cast<ptrdiff_t>(of_kept));
  joined.insert(joined.end(),
                tokens.begin() + static_cast<ptrdiff_t>(of_tokens),
                tokens.end());
  return joined;
}

void TokenMemory::Remember(absl::Span<const TokenId> prompt,
                           std::string_view text,
                           absl::Span<const TokenId> answer) noexcept {
  if (max_bytes_ == 0 || answer.empty()) return;
  NoThrow([&] {
    Chat chat;
    chat.tokens.reserve(prompt.size() + answer.size());
    chat.tokens.assign(prompt.begin(), prompt.end());
    chat.tokens.insert(chat.tokens.end(), answer.begin(), answer.end());
    chat.text = text;
    for (const TokenId token : answer) AppendText(token, chat.text);
    chat.text.shrink_to_fit();
    Add(std::move(chat));
    return absl::OkStatus();
  }).IgnoreError();
}

void TokenMemory::Add(Chat chat) {
  const uint64_t bytes = chat.bytes();
  if (bytes > max_bytes_) return;
  Chats added;
  added.push_back(std::move(chat));
  const std::string_view text = added.front().text;
  const std::lock_guard lock(mutex_);
  if (const auto same = index_.find(text); same != index_.end()) Drop(same);
  const auto at = index_.emplace(text, added.begin()).first;
  chats_.splice(chats_.begin(), added);
  bytes_ += bytes;
  // The chat up to an earlier answer is the beginning of this one.
  if (at != index_.begin()) {
    const auto before = std::prev(at);
    const std::vector<TokenId>& tokens = before->second->tokens;
    const std::vector<TokenId>& all = chats_.front().tokens;
    if (tokens.size() <= all.size() &&
        std::equal(tokens.begin(), tokens.end(), all.begin())) {
      Drop(before);
    }
  }
  while (bytes_ > max_bytes_) Drop(index_.find(chats_.back().text));
}

void TokenMemory::Drop(Index::iterator which) {
  const Chats::iterator chat = which->second;
  bytes_ -= chat->bytes();
  index_.erase(which);
  chats_.erase(chat);
}

uint64_t TokenMemory::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace gemma::internal
