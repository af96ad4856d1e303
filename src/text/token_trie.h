// The bytes of all tokens, as a tree.

#ifndef GEMMA_SRC_TEXT_TOKEN_TRIE_H_
#define GEMMA_SRC_TEXT_TOKEN_TRIE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "gemma/model_config.h"
#include "src/text/vocabulary.h"

namespace gemma {

// Immutable. A token's bytes are those that StreamDecoder makes text of. Tokens
// without bytes (control tokens among them) are not in the tree.
class TokenTrie {
 public:
  explicit TokenTrie(const std::vector<Vocabulary::Piece>& pieces);

  // Empty if the token has none.
  std::string_view bytes(TokenId token) const {
    return std::string_view(bytes_).substr(begins_[token],
                                           begins_[token + 1] - begins_[token]);
  }
  size_t num_tokens() const { return begins_.size() - 1; }

  // Nodes in the order of a walk: each one's children follow it, by bytes
  // ascending. The root is not among them.
  struct Node {
    uint32_t next;         // the node after this one's children
    uint32_t first_token;  // of tokens(); they end where the next node's begin
    uint8_t byte;          // that leads here
  };
  absl::Span<const Node> nodes() const {
    return absl::MakeSpan(nodes_).first(nodes_.size() - 1);
  }
  // The tokens whose bytes end at a node.
  absl::Span<const TokenId> tokens(size_t node) const {
    return absl::MakeSpan(tokens_).subspan(
        nodes_[node].first_token,
        nodes_[node + 1].first_token - nodes_[node].first_token);
  }

 private:
  std::string bytes_;             // of all tokens
  std::vector<uint32_t> begins_;  // of each token in them, and the end
  std::vector<TokenId> tokens_;   // by bytes
  std::vector<Node> nodes_;       // and an end
};

}  // namespace gemma

#endif  // GEMMA_SRC_TEXT_TOKEN_TRIE_H_
