#include "src/grammar/automaton.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/types/span.h"

namespace gemma {
namespace {

using Kind = ByteGrammar::Kind;

// Ways to read one text so far, and what may be tried to find them.
constexpr size_t kMaxWays = size_t{1} << 14;
constexpr size_t kMaxTasks = size_t{1} << 19;
// Of all states together; some 100 MB at worst.
constexpr size_t kMaxSize = size_t{1} << 22;
// So many are kept, between two tokens.
constexpr size_t kTrimSize = size_t{1} << 20;

}  // namespace

size_t Automaton::StateHash::operator()(StateId id) const {
  const State& state = automaton->states_[id];
  return absl::HashOf(
      absl::MakeSpan(automaton->ways_).subspan(state.begin, state.size),
      state.may_end);
}

bool Automaton::StateEqual::operator()(StateId a, StateId b) const {
  const State& x = automaton->states_[a];
  const State& y = automaton->states_[b];
  const auto ways = absl::MakeSpan(automaton->ways_);
  return x.may_end == y.may_end &&
         ways.subspan(x.begin, x.size) == ways.subspan(y.begin, y.size);
}

Automaton::Automaton(const ByteGrammar& grammar)
    : grammar_(grammar), ids_of_states_(0, StateHash{this}, StateEqual{this}) {
  Clear();
  Enter(grammar.root(), kRoot);
  start_ = TakeState();
}

void Automaton::Clear() {
  frames_.assign(1, {});  // kRoot
  visited_.assign(1, 0);
  ids_of_frames_.clear();
  ids_of_states_.clear();
  states_.clear();
  ways_.clear();
  steps_.clear();
  // kDead: nothing may come. It has no next state but itself.
  TakeState();
  std::fill(steps_.begin(), steps_.end(), kDead);
}

Automaton::FrameId Automaton::FrameOf(const Frame& frame) {
  const auto [it, inserted] =
      ids_of_frames_.try_emplace(frame, static_cast<FrameId>(frames_.size()));
  if (inserted) {
    frames_.push_back(frame);
    visited_.push_back(0);
  }
  return it->second;
}

Automaton::StateId Automaton::MakeStep(StateId state, uint8_t byte) {
  const State& from = states_[state];
  for (size_t i = 0; i < from.size; ++i) {
    const Frame& way = frames_[ways_[from.begin + i]];
    if (grammar_.set(grammar_.expr(way.expr))[byte]) Continue(way.parent);
  }
  const StateId next = TakeState();
  steps_[state * grammar_.num_byte_classes() + grammar_.byte_class(byte)] =
      next;
  return next;
}

void Automaton::Enter(ExprId expr, FrameId parent) {
  if (grammar_.productive(expr)) tasks_.push_back({expr, parent});
}

void Automaton::Continue(FrameId frame) {
  if (visited_[frame] == turn_) return;
  visited_[frame] = turn_;
  tasks_.push_back({kContinue, frame});
}

void Automaton::EnterRepeat(ExprId id, uint32_t done, FrameId parent) {
  const ByteGrammar::Expr& expr = grammar_.expr(id);
  if (done >= expr.least) Continue(parent);
  // Without a limit, only those that must be are counted.
  if (expr.most != kNoLimit || done < expr.least) ++done;
  // Behind the last one comes what comes behind all.
  Enter(expr.index, done == expr.most ? parent : FrameOf({id, done, parent}));
}

void Automaton::RunEnter(ExprId id, FrameId parent) {
  const ByteGrammar::Expr& expr = grammar_.expr(id);
  switch (expr.kind) {
    case Kind::kNothing:
      return;
    case Kind::kEmpty:
      return Continue(parent);
    case Kind::kBytes:
      found_.push_back(FrameOf({id, 0, parent}));
      return;
    case Kind::kSequence:
      return Enter(grammar_.parts(expr)[0], FrameOf({id, 1, parent}));
    case Kind::kChoice:
      for (const ExprId part : grammar_.parts(expr)) Enter(part, parent);
      return;
    case Kind::kRepeat:
      return EnterRepeat(id, 0, parent);
    case Kind::kRule:
      return Enter(grammar_.rule(expr), parent);
  }
}

void Automaton::RunContinue(FrameId id) {
  if (id == kRoot) {
    found_end_ = true;
    return;
  }
  const Frame frame = frames_[id];
  const ByteGrammar::Expr& expr = grammar_.expr(frame.expr);
  if (expr.kind == Kind::kRepeat) {
    return EnterRepeat(frame.expr, frame.done, frame.parent);
  }
  // A sequence. Behind its last part comes what comes behind it.
  const ExprId part = grammar_.parts(expr)[frame.done];
  const bool last = frame.done + 1 == expr.count;
  Enter(part, last ? frame.parent
                   : FrameOf({frame.expr, frame.done + 1, frame.parent}));
}

Automaton::StateId Automaton::TakeState() {
  for (size_t count = 0; !tasks_.empty(); ++count) {
    if (count == kMaxTasks || found_.size() > 4 * kMaxWays) {
      overflowed_ = true;
      tasks_.clear();
      break;
    }
    const Task task = tasks_.back();
    tasks_.pop_back();
    if (task.expr == kContinue) {
      RunContinue(task.frame);
    } else {
      RunEnter(task.expr, task.frame);
    }
  }
  ++turn_;
  std::sort(found_.begin(), found_.end());
  found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
  if (found_.size() > kMaxWays || size() > kMaxSize) overflowed_ = true;
  StateId id = kDead;
  if (!overflowed_) {
    id = static_cast<StateId>(states_.size());
    states_.push_back({ways_.size(), found_.size(), found_end_});
    ways_.insert(ways_.end(), found_.begin(), found_.end());
    const auto [it, inserted] = ids_of_states_.insert(id);
    if (inserted) {
      steps_.resize(steps_.size() + grammar_.num_byte_classes(), kUnknown);
    } else {
      ways_.resize(states_.back().begin);
      states_.pop_back();
      id = *it;
    }
  }
  found_.clear();
  found_end_ = false;
  return id;
}

bool Automaton::Trim(StateId& state) {
  if (size() < kTrimSize || overflowed_) return false;
  // The stack of each way, from its top down.
  std::vector<std::vector<Frame>> stacks;
  const State kept = states_[state];
  for (size_t i = 0; i < kept.size; ++i) {
    std::vector<Frame>& stack = stacks.emplace_back();
    for (FrameId id = ways_[kept.begin + i]; id != kRoot;
         id = frames_[id].parent) {
      stack.push_back(frames_[id]);
    }
  }
  Clear();
  for (const std::vector<Frame>& stack : stacks) {
    FrameId id = kRoot;
    for (auto frame = stack.rbegin(); frame != stack.rend(); ++frame) {
      id = FrameOf({frame->expr, frame->done, id});
    }
    found_.push_back(id);
  }
  found_end_ = kept.may_end;
  state = start_ = TakeState();
  return true;
}

}  // namespace gemma
