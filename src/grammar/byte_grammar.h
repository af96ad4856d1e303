// The intermediate form of every grammar: expressions over bytes.

#ifndef GEMMA_SRC_GRAMMAR_BYTE_GRAMMAR_H_
#define GEMMA_SRC_GRAMMAR_BYTE_GRAMMAR_H_

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/base/hash_table.h"
#include "src/grammar/budget.h"

namespace gemma::internal {

using ByteSet = std::bitset<256>;

// An expression of a ByteGrammar.
using ExprId = uint32_t;

// A repetition without an upper limit.
inline constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();

// A set of texts, built from smaller expressions. Expressions may share parts.
// A rule may contain itself.
class ByteGrammar {
 public:
  enum class Kind : uint8_t {
    kNothing,   // no text
    kEmpty,     // the empty text
    kBytes,     // one byte of a set
    kSequence,  // parts, one after the other; at least two
    kChoice,    // one of the parts; at least two
    kRepeat,    // `body`, `least` to `most` times; the body is not nullable
    kRule,      // the body of a rule
  };

  struct Expr {
    Kind kind = Kind::kNothing;
    bool nullable = false;  // whether it matches the empty text
    uint32_t index = 0;     // of the set, the first part, the body, or the rule
    uint32_t count = 0;     // of parts
    uint32_t least = 0;
    uint32_t most = 0;
  };

  explicit ByteGrammar(const Budget::Limits& limits = {});

  // The cost of compiling. Check it in a loop that makes expressions: once it
  // is exhausted, the functions below do nothing and return Nothing().
  Budget& budget() { return budget_; }
  const Budget& budget() const { return budget_; }

  // These functions simplify: for example, a choice drops parts without texts.
  ExprId Nothing() const { return kNothingId; }
  ExprId Empty() const { return kEmptyId; }
  ExprId Bytes(const ByteSet& set);
  ExprId Byte(uint8_t first, uint8_t last);
  ExprId Text(std::string_view bytes);
  ExprId Sequence(absl::Span<const ExprId> parts);
  ExprId Choice(absl::Span<const ExprId> parts);
  ExprId Repeat(ExprId body, uint32_t least, uint32_t most);
  ExprId Optional(ExprId body) { return Repeat(body, 0, 1); }

  // A rule never matches the empty text. It matches nothing until it is set.
  uint32_t NewRule();
  ExprId Rule(uint32_t rule);
  void SetRule(uint32_t rule, ExprId body) { rules_[rule] = body; }

  // Completes the grammar with `root` as its start. InvalidArgument if the
  // budget is exhausted, or if no text is finite.
  absl::Status Finish(ExprId root);

  // The functions below are valid after Finish.

  ExprId root() const { return root_; }
  const Expr& expr(ExprId id) const { return exprs_[id]; }
  absl::Span<const ExprId> parts(const Expr& expr) const {
    return absl::MakeSpan(parts_).subspan(expr.index, expr.count);
  }
  const ByteSet& set(const Expr& expr) const { return sets_[expr.index]; }
  ExprId rule(const Expr& expr) const { return rules_[expr.index]; }
  // Whether the expression matches any text.
  bool productive(ExprId id) const { return productive_[id]; }
  // Bytes of one class belong to the same sets.
  size_t byte_class(uint8_t byte) const { return byte_classes_[byte]; }
  size_t num_byte_classes() const { return num_byte_classes_; }
  // The memory that the grammar has allocated.
  size_t bytes() const;

 private:
  static constexpr ExprId kNothingId = 0;
  static constexpr ExprId kEmptyId = 1;

  ExprId Add(const Expr& expr);
  ExprId AddParts(Kind kind, bool nullable, absl::Span<const ExprId> parts);
  // The expression's texts except the empty one.
  ExprId NonEmpty(ExprId id);
  void FindProductive();
  void FindByteClasses();

  Budget budget_;
  std::vector<Expr> exprs_;
  std::vector<ExprId> parts_;
  std::vector<ByteSet> sets_;
  std::vector<ExprId> rules_;  // bodies
  HashMap<ByteSet, ExprId, std::hash<ByteSet>> ids_of_sets_;
  HashMap<ExprId, ExprId> non_empty_;
  ExprId root_ = kNothingId;
  std::vector<bool> productive_;
  std::vector<uint8_t> byte_classes_;
  size_t num_byte_classes_ = 0;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_BYTE_GRAMMAR_H_
