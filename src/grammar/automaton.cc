#include "src/grammar/automaton.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/types/span.h"
#include "src/base/format_text.h"

namespace gemma::internal {
namespace {

// How many tasks may run to make a state, for each way that it may have.
constexpr size_t kTasksPerWay = 32;

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

Automaton::Automaton(const ByteGrammar& grammar, const Limits& limits)
    : grammar_(grammar),
      limits_(limits),
      ids_of_states_(0, StateHash{this}, StateEqual{this}) {
  Clear();
  Enter(grammar.root(), kRoot);
  start_ = TakeState();
}

size_t Automaton::bytes() const {
  // Vectors and tables hold spare capacity: half of their size on average.
  constexpr size_t kFrameBytes =
      2 * (sizeof(Frame) + sizeof(uint32_t) + sizeof(Frame) + sizeof(FrameId));
  constexpr size_t kStateBytes = 2 * (sizeof(State) + sizeof(StateId));
  return frames_.size() * kFrameBytes + states_.size() * kStateBytes +
         ways_.size() * sizeof(FrameId) + next_.size() * sizeof(StateId);
}

absl::Status Automaton::status() const {
  const std::string_view why = "the grammar is too ambiguous: ";
  switch (passed_) {
    case Passed::kNone:
      return absl::OkStatus();
    case Passed::kWays:
      return absl::ResourceExhaustedError(FormatText(
          "%sthere are more than %u ways to read the text", why, limits_.ways));
    case Passed::kSteps:
      return absl::ResourceExhaustedError(FormatText(
          "%sthe next token takes more than %u steps", why, limits_.steps));
    case Passed::kBytes:
      return absl::ResourceExhaustedError(FormatText(
          "%sits states take more than %u bytes", why, limits_.bytes));
  }
  return absl::OkStatus();
}

void Automaton::Clear() {
  frames_.assign(1, {});  // kRoot
  visited_.assign(1, 0);
  ids_of_frames_.clear();
  ids_of_states_.clear();
  states_.clear();
  ways_.clear();
  next_.clear();
  // kDead has no ways, so every byte leads back to it.
  TakeState();
  std::fill(next_.begin(), next_.end(), kDead);
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
  if (overflowed()) return kDead;
  const State from = states_[state];
  steps_ += from.size;
  for (size_t i = 0; i < from.size; ++i) {
    const Frame& way = frames_[ways_[from.begin + i]];
    if (grammar_.set(grammar_.expr(way.expr))[byte]) Continue(way.parent);
  }
  const StateId next = TakeState();
  next_[state * grammar_.num_byte_classes() + grammar_.byte_class(byte)] = next;
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
  // Without an upper limit, only the required repetitions are counted.
  if (expr.most != kNoLimit || done < expr.least) ++done;
  // After the last repetition comes what follows the whole expression.
  Enter(expr.index, done == expr.most ? parent : FrameOf({id, done, parent}));
}

void Automaton::RunEnter(ExprId id, FrameId parent) {
  const ByteGrammar::Expr& expr = grammar_.expr(id);
  switch (expr.kind) {
    case ByteGrammar::Kind::kNothing:
      return;
    case ByteGrammar::Kind::kEmpty:
      return Continue(parent);
    case ByteGrammar::Kind::kBytes:
      found_.push_back(FrameOf({id, 0, parent}));
      return;
    case ByteGrammar::Kind::kSequence:
      return Enter(grammar_.parts(expr)[0], FrameOf({id, 1, parent}));
    case ByteGrammar::Kind::kChoice:
      for (const ExprId part : grammar_.parts(expr)) Enter(part, parent);
      return;
    case ByteGrammar::Kind::kRepeat:
      return EnterRepeat(id, 0, parent);
    case ByteGrammar::Kind::kRule:
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
  if (expr.kind == ByteGrammar::Kind::kRepeat) {
    return EnterRepeat(frame.expr, frame.done, frame.parent);
  }
  // A sequence. After its last part comes what follows the sequence.
  const ExprId part = grammar_.parts(expr)[frame.done];
  const bool last = frame.done + 1 == expr.count;
  Enter(part, last ? frame.parent
                   : FrameOf({frame.expr, frame.done + 1, frame.parent}));
}

Automaton::StateId Automaton::TakeState() {
  const size_t max_tasks = kTasksPerWay * limits_.ways;
  for (size_t count = 0; !tasks_.empty(); ++count) {
    ++steps_;
    if (count == max_tasks || tasks_.size() > max_tasks ||
        found_.size() > 4 * limits_.ways) {
      passed_ = Passed::kWays;
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
  if (found_.size() > limits_.ways) passed_ = Passed::kWays;
  if (steps_ > limits_.steps) passed_ = Passed::kSteps;
  if (bytes() > limits_.bytes) passed_ = Passed::kBytes;
  StateId id = kDead;
  if (!overflowed()) {
    id = static_cast<StateId>(states_.size());
    states_.push_back({ways_.size(), found_.size(), found_end_});
    ways_.insert(ways_.end(), found_.begin(), found_.end());
    const auto [it, inserted] = ids_of_states_.insert(id);
    if (inserted) {
      next_.resize(next_.size() + grammar_.num_byte_classes(), kUnknown);
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
  if (overflowed()) return false;
  steps_ = 0;
  if (bytes() < std::max(trim_bytes_, limits_.bytes / 4)) return false;
  // Mark the frames of the state's ways and all their ancestors. A parent has a
  // lower id than its children.
  const State kept = states_[state];
  std::vector<bool> needed(frames_.size());
  for (size_t i = 0; i < kept.size; ++i) needed[ways_[kept.begin + i]] = true;
  for (size_t id = frames_.size(); --id > kRoot;) {
    if (needed[id]) needed[frames_[id].parent] = true;
  }
  const std::vector<FrameId> ways(ways_.begin() + kept.begin,
                                  ways_.begin() + kept.begin + kept.size);
  const std::vector<Frame> frames = std::move(frames_);
  Clear();
  std::vector<FrameId> moved(frames.size(), kRoot);
  for (size_t id = kRoot + 1; id < frames.size(); ++id) {
    if (!needed[id]) continue;
    const Frame& frame = frames[id];
    moved[id] = FrameOf({frame.expr, frame.done, moved[frame.parent]});
  }
  for (const FrameId way : ways) found_.push_back(moved[way]);
  found_end_ = kept.may_end;
  state = start_ = TakeState();
  // The kept state may itself be large, so the next Trim waits until memory
  // grows.
  trim_bytes_ = (bytes() + std::min(3 * bytes(), limits_.bytes)) / 2;
  return true;
}

}  // namespace gemma::internal
