// The tokens of chats, by what they say: prompts and the answers to them.

#ifndef GEMMA_SRC_SERVE_TOKEN_MEMORY_H_
#define GEMMA_SRC_SERVE_TOKEN_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "gemma/tokenizer.h"

namespace gemma::internal {

// A client sends an answer back as a text, and the tokens of the text may be
// others than those that the model chose. Their states would then be computed
// again in each turn, and so would all that follows. The memory finds the
// chosen tokens.
//
// Any thread may call its functions.
class TokenMemory {
 public:
  // Keeps at most so many bytes. The least recently used are dropped first.
  TokenMemory(const Tokenizer& tokenizer, uint64_t max_bytes)
      : tokenizer_(tokenizer), max_bytes_(max_bytes) {}

  // A prompt and what it says. Tokens that say the same have the same text: the
  // bytes of their texts, and a mark for each control token.
  struct Prompt {
    std::vector<TokenId> tokens;
    std::string text;
  };

  // Returns a prompt that says what `tokens` say. It begins with remembered
  // tokens, as far as they say the same; the others are those that are given.
  // If there would be more than `most`, all are those that are given.
  Prompt Recall(std::vector<TokenId> tokens, size_t most);

  // Keeps the tokens of a prompt, whose text Recall returned, and of an answer
  // to it, which may be incomplete. Does nothing if memory runs out.
  void Remember(absl::Span<const TokenId> prompt, std::string_view text,
                absl::Span<const TokenId> answer) noexcept;

  // The bytes of all that is kept.
  uint64_t bytes() const;

 private:
  struct Chat {
    std::string text;
    std::vector<TokenId> tokens;
    uint64_t bytes() const;
  };
  using Chats = std::list<Chat>;
  using Index = std::map<std::string_view, Chats::iterator>;

  // Adds the text of a token.
  void AppendText(TokenId token, std::string& text) const;
  // Returns the tokens of the kept chat whose text begins as `text` for the
  // most bytes, and sets `shared` to their number. Empty if nothing is kept.
  std::vector<TokenId> Nearest(std::string_view text, size_t& shared);
  // Returns the beginning of `kept` and the rest of `tokens`: it changes from
  // one to the other at the last place before `shared` bytes of text where
  // tokens of both end.
  std::vector<TokenId> Join(absl::Span<const TokenId> kept,
                            absl::Span<const TokenId> tokens,
                            size_t shared) const;
  void Add(Chat chat);
  void Drop(Index::iterator which);  // needs the lock

  const Tokenizer tokenizer_;
  const uint64_t max_bytes_;
  mutable std::mutex mutex_;  // guards what follows
  Chats chats_;               // most recently used first
  Index index_;               // by text, whose bytes belong to chats_
  uint64_t bytes_ = 0;        // of chats_
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_TOKEN_MEMORY_H_
