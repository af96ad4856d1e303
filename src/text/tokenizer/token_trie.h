// The bytes of all tokens, as a tree.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_TOKEN_TRIE_H_
#define GEMMA_SRC_TEXT_TOKENIZER_TOKEN_TRIE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "gemma/model_config.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {

// An immutable tree. A token's bytes are those that StreamDecoder turns into
// text. Tokens without bytes, such as control tokens, are not in the tree.
class TokenTrie {
 public:
  explicit TokenTrie(absl::Span<const Vocabulary::Piece> pieces);

  // Returns nothing if the token has no bytes.
  std::string_view bytes(TokenId token) const {
    return std::string_view(bytes_).substr(begins_[token],
                                           begins_[token + 1] - begins_[token]);
  }
  size_t num_tokens() const { return begins_.size() - 1; }

  // Nodes in depth-first order: a node's children follow it, in ascending order
  // of their bytes. The root is not in the list.
  struct Node {
    uint32_t next;         // the next node outside this one's children
    uint32_t first_token;  // index in tokens(); the next node's is the end
    uint8_t byte;          // the byte from the parent to this node
  };
  absl::Span<const Node> nodes() const {
    return absl::MakeSpan(nodes_).first(nodes_.size() - 1);
  }
  // Returns the tokens whose bytes end at this node.
  absl::Span<const TokenId> tokens(size_t node) const {
    return absl::MakeSpan(tokens_).subspan(
        nodes_[node].first_token,
        nodes_[node + 1].first_token - nodes_[node].first_token);
  }

 private:
  std::string bytes_;             // the bytes of all tokens
  std::vector<uint32_t> begins_;  // where each token begins, then the end
  std::vector<TokenId> tokens_;   // in the order of their bytes
  std::vector<Node> nodes_;       // with one node more, the end
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_TOKEN_TRIE_H_
