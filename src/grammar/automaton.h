// Follows a grammar byte by byte.

#ifndef GEMMA_SRC_GRAMMAR_AUTOMATON_H_
#define GEMMA_SRC_GRAMMAR_AUTOMATON_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "src/base/hash_table.h"
#include "src/grammar/byte_grammar.h"

namespace gemma {

// A deterministic automaton whose states are made when they are first reached.
// A state is what may come next, each with all that comes after it: a stack of
// unfinished expressions. Stacks are shared, and states with the same ones are
// the same state. Whatever may come next can be completed to a whole text.
class Automaton {
 public:
  using StateId = uint32_t;
  // No text begins so.
  static constexpr StateId kDead = 0;

  struct Limits {
    // Of one state: ways to read the text so far.
    size_t ways = size_t{1} << 14;
    // Between two calls of Trim: ways and unfinished expressions that are
    // looked at; some 20 ns each.
    size_t steps = size_t{1} << 26;
    // What all states take, about.
    size_t bytes = size_t{1} << 27;
  };

  // The grammar is finished and must outlive the automaton.
  Automaton(const ByteGrammar& grammar, const Limits& limits);
  explicit Automaton(const ByteGrammar& grammar)
      : Automaton(grammar, Limits()) {}
  Automaton(const Automaton&) = delete;
  Automaton& operator=(const Automaton&) = delete;

  StateId start() const { return start_; }
  // The state after one more byte.
  StateId Step(StateId state, uint8_t byte) {
    const size_t index =
        state * grammar_.num_byte_classes() + grammar_.byte_class(byte);
    const StateId next = next_[index];
    return next != kUnknown ? next : MakeStep(state, byte);
  }

  // Whether the bytes so far are a whole text, and whether any may follow.
  bool may_end(StateId state) const { return states_[state].may_end; }
  bool must_end(StateId state) const {
    return states_[state].size == 0 && state != kDead;
  }

  // Whether a limit was passed, so that states were given up: whatever was
  // answered since the last Trim may be wrong, and so is all that follows.
  bool overflowed() const { return passed_ != Passed::kNone; }
  // ResourceExhausted that names the limit, once it was.
  absl::Status status() const;

  // To be called between two tokens, in `state`: steps are counted anew.
  // Forgets all other states if they take much memory. Returns whether it did;
  // then the start is the state, under the id that it has now.
  bool Trim(StateId& state);

  size_t steps() const { return steps_; }
  size_t bytes() const;

 private:
  static constexpr StateId kUnknown = ~StateId{0};

  // An unfinished expression and what comes after it.
  struct Frame {
    ExprId expr;
    uint32_t done;    // parts, or repetitions
    uint32_t parent;  // a frame; kRoot: nothing
    bool operator==(const Frame&) const = default;
    template <class H>
    friend H AbslHashValue(H hash, const Frame& f) {
      return H::combine(std::move(hash), f.expr, f.done, f.parent);
    }
  };
  using FrameId = uint32_t;
  static constexpr FrameId kRoot = 0;

  // Ways to read: frames of single bytes, ascending, in ways_.
  struct State {
    size_t begin = 0;
    size_t size = 0;
    bool may_end = false;
  };
  // Sets of states look at their ways.
  struct StateHash {
    using is_transparent = void;
    const Automaton* automaton;
    size_t operator()(StateId id) const;
  };
  struct StateEqual {
    const Automaton* automaton;
    bool operator()(StateId a, StateId b) const;
  };

  // Forgets all states.
  void Clear();
  StateId MakeStep(StateId state, uint8_t byte);
  FrameId FrameOf(const Frame& frame);
  // Tasks for TakeState: what may come where the expression begins, or where
  // the frame's expression has one more part or repetition.
  void Enter(ExprId expr, FrameId parent);
  void Continue(FrameId frame);
  // Another repetition, after `done` of them.
  void EnterRepeat(ExprId expr, uint32_t done, FrameId parent);
  void RunEnter(ExprId expr, FrameId parent);
  void RunContinue(FrameId frame);
  // The state of all tasks since the last call.
  StateId TakeState();

  const ByteGrammar& grammar_;
  const Limits limits_;
  std::vector<Frame> frames_;
  HashMap<Frame, FrameId> ids_of_frames_;
  std::vector<State> states_;
  std::vector<FrameId> ways_;
  std::vector<StateId> next_;  // [states, byte classes]
  HashSet<StateId, StateHash, StateEqual> ids_of_states_;
  StateId start_ = kDead;
  enum class Passed { kNone, kWays, kSteps, kBytes };
  Passed passed_ = Passed::kNone;
  size_t steps_ = 0;
  size_t trim_bytes_ = 0;  // so many are kept

  // The state that is being made.
  struct Task {
    ExprId expr;  // kContinue: none
    FrameId frame;
  };
  static constexpr ExprId kContinue = ~ExprId{0};
  std::vector<Task> tasks_;
  std::vector<uint32_t> visited_;  // of each frame: the turn it continued in
  uint32_t turn_ = 1;
  std::vector<FrameId> found_;
  bool found_end_ = false;
};

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_AUTOMATON_H_
