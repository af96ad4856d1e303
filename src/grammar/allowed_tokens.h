// Which tokens may come next.

#ifndef GEMMA_SRC_GRAMMAR_ALLOWED_TOKENS_H_
#define GEMMA_SRC_GRAMMAR_ALLOWED_TOKENS_H_

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/model_config.h"
#include "src/base/hash_table.h"
#include "src/grammar/automaton.h"
#include "src/text/token_trie.h"

namespace gemma {

// Follows an answer token by token. Tokens with text are allowed where their
// bytes go on with a text of the grammar; those that end an answer, where one
// may end; no others.
class AllowedTokens {
 public:
  // All must outlive this. `stops`: tokens that end an answer, ascending.
  AllowedTokens(const ByteGrammar& grammar, const TokenTrie& trie,
                absl::Span<const TokenId> stops);

  // Whether nothing may follow.
  bool must_end() const { return automaton_.must_end(state_); }

  bool Contains(TokenId token);

  // All of them in ascending order, or null if they are many: finding out
  // takes less time than a token does. Valid until the next Accept.
  const std::vector<TokenId>* Few();

  // All of them, one for each of the vocabulary. Valid until the next call.
  const std::vector<bool>& All();

  // A token that is allowed comes next, and does not end the answer.
  void Accept(TokenId token);

  // ResourceExhausted if the grammar is too ambiguous to be followed: names the
  // limit that was passed. All answers since the last Accept may then be wrong.
  absl::Status status() const { return automaton_.status(); }

  // What the lists of Few take, about.
  size_t list_bytes() const { return few_bytes_; }

 private:
  bool IsStop(TokenId token) const;
  Automaton::StateId After(Automaton::StateId state, std::string_view bytes);
  // Calls visit(token) for each token with text that is allowed, in the order
  // of their bytes, as long as it says true. Passes at most max_nodes nodes of
  // the tree, and returns whether that was all.
  template <class Visit>
  bool Walk(size_t max_nodes, Visit visit);
  void ForgetFew();

  const TokenTrie& trie_;
  absl::Span<const TokenId> stops_;
  Automaton automaton_;
  Automaton::StateId state_;
  // What Few found, by state; nothing: many.
  HashMap<Automaton::StateId, std::optional<std::vector<TokenId>>> few_;
  size_t few_bytes_ = 0;  // about
  std::vector<bool> all_;
  std::optional<Automaton::StateId> state_of_all_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_ALLOWED_TOKENS_H_
