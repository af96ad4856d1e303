// The tokens that a grammar allows next.

#ifndef GEMMA_SRC_GRAMMAR_ALLOWED_TOKENS_H_
#define GEMMA_SRC_GRAMMAR_ALLOWED_TOKENS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/model_config.h"
#include "src/base/hash_table.h"
#include "src/grammar/automaton.h"
#include "src/text/tokenizer/token_trie.h"

namespace gemma::internal {

// A control token that is a mark of the grammar.
struct MarkToken {
  uint8_t byte = 0;  // of the mark; see marks.h
  TokenId token = 0;
};

// Follows an answer token by token. A token with text is allowed if the answer
// with its bytes still begins a text of the grammar, and a mark likewise. A
// token that ends an answer is allowed if the answer so far is a whole text. No
// other token is allowed.
class AllowedTokens {
 public:
  // All arguments must outlive this object. `stops`: the tokens that end an
  // answer, ascending. None of the marks is one of them.
  AllowedTokens(const ByteGrammar& grammar, const TokenTrie& trie,
                absl::Span<const TokenId> stops,
                std::vector<MarkToken> marks = {});

  // Returns whether the answer must end here.
  bool must_end() const { return automaton_.must_end(state_); }

  bool Contains(TokenId token);

  // Returns all allowed tokens in ascending order, or null if there are many.
  // Costs less time than computing a token. Valid until the next Accept.
  const std::vector<TokenId>* Few();

  // Returns one flag for each token of the vocabulary. Valid until the next
  // call.
  const std::vector<bool>& All();

  // Appends `token` to the answer. It must be allowed and must not end the
  // answer.
  void Accept(TokenId token);

  // ResourceExhausted, naming the limit, if the grammar is too ambiguous to
  // follow. Results since the last Accept may then be wrong.
  absl::Status status() const { return automaton_.status(); }

  // The approximate memory of the lists that Few has made.
  size_t list_bytes() const { return few_bytes_; }

 private:
  bool IsStop(TokenId token) const;
  // The state after a token that is not a stop.
  Automaton::StateId After(Automaton::StateId state, TokenId token);
  // Calls visit(token) for each mark that is allowed.
  template <class Visit>
  void VisitMarks(Visit visit);
  // Calls visit(token) for each allowed token with text, in the order of the
  // tokens' bytes, until it returns false. Stops after max_nodes nodes of the
  // tree. Returns whether the walk is complete.
  template <class Visit>
  bool Walk(size_t max_nodes, Visit visit);
  void ForgetFew();

  const TokenTrie& trie_;
  absl::Span<const TokenId> stops_;
  const std::vector<MarkToken> marks_;
  Automaton automaton_;
  Automaton::StateId state_;
  // The results of Few, by state; nullopt if it gave up.
  HashMap<Automaton::StateId, std::optional<std::vector<TokenId>>> few_;
  size_t few_bytes_ = 0;  // about
  std::vector<bool> all_;
  std::optional<Automaton::StateId> state_of_all_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_ALLOWED_TOKENS_H_
