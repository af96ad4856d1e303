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

namespace gemma {

using ByteSet = std::bitset<256>;

// An expression of a ByteGrammar.
using ExprId = uint32_t;

// A repetition without an upper limit.
inline constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();

// A set of texts, as expressions that are made from smaller ones. They may be
// shared, and rules let them contain themselves.
class ByteGrammar {
 public:
  enum class Kind : uint8_t {
    kNothing,   // no text
    kEmpty,     // the empty text
    kBytes,     // one byte of a set
    kSequence,  // parts, one after the other; at least two
    kChoice,    // one of the parts; at least two
    kRepeat,    // `body`, `least` to `most` times; the body is not nullable
    kRule,      // what the rule stands for
  };

  struct Expr {
    Kind kind = Kind::kNothing;
    bool nullable = false;  // the empty text is among its texts
    uint32_t index = 0;     // of the set, the first part, the body, or the rule
    uint32_t count = 0;     // of parts
    uint32_t least = 0;
    uint32_t most = 0;
  };

  explicit ByteGrammar(const Budget::Limits& limits = {});

  // What compiling costs. Who makes expressions in a loop looks at it: once it
  // is exhausted, makers do nothing and return Nothing().
  Budget& budget() { return budget_; }
  const Budget& budget() const { return budget_; }

  // Makers simplify: what has no text vanishes from choices, and so on.
  ExprId Nothing() const { return kNothingId; }
  ExprId Empty() const { return kEmptyId; }
  ExprId Bytes(const ByteSet& set);
  ExprId Byte(uint8_t first, uint8_t last);
  ExprId Text(std::string_view bytes);
  ExprId Sequence(absl::Span<const ExprId> parts);
  ExprId Choice(absl::Span<const ExprId> parts);
  ExprId Repeat(ExprId body, uint32_t least, uint32_t most);
  ExprId Optional(ExprId body) { return Repeat(body, 0, 1); }

  // A rule's texts are never empty. It has none until it is set.
  uint32_t NewRule();
  ExprId Rule(uint32_t rule);
  void SetRule(uint32_t rule, ExprId body) { rules_[rule] = body; }

  // Completes the grammar of what `root` stands for. InvalidArgument if the
  // budget is exhausted, or if there is no text: every one would go on forever.
  absl::Status Finish(ExprId root);

  // The rest is valid after Finish.

  ExprId root() const { return root_; }
  const Expr& expr(ExprId id) const { return exprs_[id]; }
  absl::Span<const ExprId> parts(const Expr& expr) const {
    return absl::MakeSpan(parts_).subspan(expr.index, expr.count);
  }
  const ByteSet& set(const Expr& expr) const { return sets_[expr.index]; }
  ExprId rule(const Expr& expr) const { return rules_[expr.index]; }
  // Whether the expression has a text at all.
  bool productive(ExprId id) const { return productive_[id]; }
  // Bytes of one class are in the same sets.
  size_t byte_class(uint8_t byte) const { return byte_classes_[byte]; }
  size_t num_byte_classes() const { return num_byte_classes_; }

 private:
  static constexpr ExprId kNothingId = 0;
  static constexpr ExprId kEmptyId = 1;

  ExprId Add(const Expr& expr);
  ExprId AddParts(Kind kind, bool nullable, absl::Span<const ExprId> parts);
  // The texts of the expression but for the empty one.
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

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_BYTE_GRAMMAR_H_
