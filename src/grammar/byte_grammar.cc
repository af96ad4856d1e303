#include "src/grammar/byte_grammar.h"

#include <algorithm>
#include <array>

namespace gemma::internal {
namespace {

// The memory of an expression and a part until the grammar is finished.
constexpr size_t kExprBytes =
    sizeof(ByteGrammar::Expr) + sizeof(std::vector<ExprId>) + 16;
constexpr size_t kPartBytes = 2 * sizeof(ExprId);
constexpr size_t kSetBytes = 3 * sizeof(ByteSet);

}  // namespace

ByteGrammar::ByteGrammar(const Budget::Limits& limits) : budget_(limits) {
  exprs_.push_back({Kind::kNothing});
  exprs_.push_back({Kind::kEmpty, /*nullable=*/true});
}

ExprId ByteGrammar::Add(const Expr& expr) {
  if (!budget_.Spend(1, kExprBytes)) return kNothingId;
  exprs_.push_back(expr);
  return static_cast<ExprId>(exprs_.size() - 1);
}

ExprId ByteGrammar::AddParts(Kind kind, bool nullable,
                             absl::Span<const ExprId> parts) {
  if (!budget_.Spend(0, parts.size() * kPartBytes)) return kNothingId;
  const auto first = static_cast<uint32_t>(parts_.size());
  parts_.insert(parts_.end(), parts.begin(), parts.end());
  return Add({kind, nullable, first, static_cast<uint32_t>(parts.size())});
}

ExprId ByteGrammar::Bytes(const ByteSet& set) {
  if (set.none() || !budget_.Spend(1)) return kNothingId;
  const auto [it, inserted] = ids_of_sets_.try_emplace(set);
  if (inserted && budget_.Spend(1, kSetBytes)) {
    const auto index = static_cast<uint32_t>(sets_.size());
    sets_.push_back(set);
    it->second = Add({Kind::kBytes, /*nullable=*/false, index});
  }
  return it->second;
}

ExprId ByteGrammar::Byte(uint8_t first, uint8_t last) {
  ByteSet set;
  for (size_t byte = first; byte <= last; ++byte) set.set(byte);
  return Bytes(set);
}

ExprId ByteGrammar::Text(std::string_view bytes) {
  if (!budget_.Spend(bytes.size())) return kNothingId;
  std::vector<ExprId> parts;
  for (const char c : bytes) {
    parts.push_back(Byte(static_cast<uint8_t>(c), static_cast<uint8_t>(c)));
  }
  return Sequence(parts);
}

ExprId ByteGrammar::Sequence(absl::Span<const ExprId> parts) {
  if (!budget_.Spend(parts.size())) return kNothingId;
  std::vector<ExprId> kept;
  bool nullable = true;
  for (const ExprId part : parts) {
    if (part == kNothingId) return kNothingId;
    if (part == kEmptyId) continue;
    nullable &= exprs_[part].nullable;
    kept.push_back(part);
  }
  if (kept.empty()) return kEmptyId;
  if (kept.size() == 1) return kept[0];
  return AddParts(Kind::kSequence, nullable, kept);
}

ExprId ByteGrammar::Choice(absl::Span<const ExprId> parts) {
  if (!budget_.Spend(parts.size())) return kNothingId;
  std::vector<ExprId> kept;
  ByteSet set;  // single-byte parts are merged into this set
  bool nullable = false;
  for (const ExprId part : parts) {
    const Expr& expr = exprs_[part];
    nullable |= expr.nullable;
    if (expr.kind == Kind::kBytes) {
      set |= sets_[expr.index];
    } else if (part != kNothingId) {
      kept.push_back(part);
    }
  }
  if (set.any()) kept.push_back(Bytes(set));
  std::sort(kept.begin(), kept.end());
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
  if (kept.empty()) return kNothingId;
  if (kept.size() == 1) return kept[0];
  return AddParts(Kind::kChoice, nullable, kept);
}

ExprId ByteGrammar::Repeat(ExprId body, uint32_t least, uint32_t most) {
  if (exprs_[body].nullable) {
    // A repetition may match the empty text, so the minimum does not matter.
    least = 0;
    body = NonEmpty(body);
  }
  if (least > most) return kNothingId;
  if (most == 0) return kEmptyId;
  if (body == kNothingId) return least == 0 ? kEmptyId : kNothingId;
  if (least == 1 && most == 1) return body;
  // (x{1,m}){n,p} is x{n,m*p}: one count instead of many combinations.
  if (const Expr& expr = exprs_[body];
      expr.kind == Kind::kRepeat && expr.least == 1) {
    const uint64_t product = uint64_t{expr.most} * most;
    if (expr.most == kNoLimit || most == kNoLimit) {
      return Repeat(expr.index, least, kNoLimit);
    }
    if (product < kNoLimit) {
      return Repeat(expr.index, least, static_cast<uint32_t>(product));
    }
  }
  return Add({Kind::kRepeat, least == 0, body, 0, least, most});
}

uint32_t ByteGrammar::NewRule() {
  budget_.Spend(1, sizeof(ExprId));
  rules_.push_back(kNothingId);
  return static_cast<uint32_t>(rules_.size() - 1);
}

ExprId ByteGrammar::Rule(uint32_t rule) {
  return Add({Kind::kRule, /*nullable=*/false, rule});
}

ExprId ByteGrammar::NonEmpty(ExprId id) {
  const Expr expr = exprs_[id];
  if (!expr.nullable) return id;
  if (const auto it = non_empty_.find(id); it != non_empty_.end()) {
    return it->second;
  }
  // A copy, because the calls below add parts.
  std::vector<ExprId> old;
  if (expr.count > 0) old.assign(parts(expr).begin(), parts(expr).end());
  ExprId result = kNothingId;
  std::vector<ExprId> alternatives;
  if (expr.kind == Kind::kRepeat) {
    result = Repeat(expr.index, 1, expr.most);
  } else if (expr.kind == Kind::kChoice) {
    for (const ExprId part : old) alternatives.push_back(NonEmpty(part));
    result = Choice(alternatives);
  } else if (expr.kind == Kind::kSequence) {
    // One alternative for each part that may be the first non-empty one.
    for (size_t i = 0; i < old.size() && !budget_.exhausted(); ++i) {
      std::vector<ExprId> rest(old.begin() + i, old.end());
      rest[0] = NonEmpty(rest[0]);
      alternatives.push_back(Sequence(rest));
    }
    result = Choice(alternatives);
  }
  non_empty_[id] = result;
  return result;
}

absl::Status ByteGrammar::Finish(ExprId root) {
  if (budget_.exhausted()) {
    return absl::InvalidArgumentError(budget_.Excess());
  }
  root_ = root;
  ids_of_sets_.clear();
  non_empty_.clear();
  FindProductive();
  if (!productive_[root]) {
    return absl::InvalidArgumentError(
        "no text is allowed: the required parts exclude each other or never "
        "end");
  }
  FindByteClasses();
  return absl::OkStatus();
}

size_t ByteGrammar::bytes() const {
  return exprs_.capacity() * sizeof(Expr) + parts_.capacity() * sizeof(ExprId) +
         sets_.capacity() * sizeof(ByteSet) +
         rules_.capacity() * sizeof(ExprId) + productive_.capacity() / 8 +
         byte_classes_.capacity();
}

// Works up from expressions with texts to the expressions that contain them.
void ByteGrammar::FindProductive() {
  std::vector<std::vector<ExprId>> users(exprs_.size());
  std::vector<uint32_t> missing(exprs_.size());  // parts not yet productive
  std::vector<ExprId> found;
  productive_.assign(exprs_.size(), false);
  const auto add = [&](ExprId id) {
    if (productive_[id]) return;
    productive_[id] = true;
    found.push_back(id);
  };
  for (ExprId id = 0; id < exprs_.size(); ++id) {
    const Expr& e = exprs_[id];
    if (e.kind == Kind::kEmpty || e.kind == Kind::kBytes) add(id);
    if (e.kind == Kind::kSequence || e.kind == Kind::kChoice) {
      missing[id] = e.kind == Kind::kSequence ? e.count : 1;
      for (const ExprId part : parts(e)) users[part].push_back(id);
    }
    if (e.kind == Kind::kRepeat && e.least == 0) add(id);
    if (e.kind == Kind::kRepeat || e.kind == Kind::kRule) {
      missing[id] = 1;
      users[e.kind == Kind::kRule ? rules_[e.index] : e.index].push_back(id);
    }
  }
  while (!found.empty()) {
    const ExprId id = found.back();
    found.pop_back();
    for (const ExprId user : users[id]) {
      if (missing[user] > 0 && --missing[user] == 0) add(user);
    }
  }
}

void ByteGrammar::FindByteClasses() {
  byte_classes_.assign(256, 0);
  num_byte_classes_ = 1;
  for (const ByteSet& set : sets_) {
    // Splits each class into the bytes inside and outside the set. -1: the new
    // class has no bytes yet.
    std::array<int, 512> classes;
    classes.fill(-1);
    int count = 0;
    for (size_t byte = 0; byte < 256; ++byte) {
      int& id = classes[byte_classes_[byte] * size_t{2} + (set[byte] ? 1 : 0)];
      if (id < 0) id = count++;
      byte_classes_[byte] = static_cast<uint8_t>(id);
    }
    num_byte_classes_ = static_cast<size_t>(count);
  }
}

}  // namespace gemma::internal
