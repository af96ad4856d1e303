// Follows a grammar byte by byte.

#ifndef GEMMA_SRC_GRAMMAR_AUTOMATON_H_
#define GEMMA_SRC_GRAMMAR_AUTOMATON_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
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

  // The grammar is finished and must outlive the automaton.
  explicit Automaton(const ByteGrammar& grammar);
  Automaton(const Automaton&) = delete;
  Automaton& operator=(const Automaton&) = delete;

  StateId start() const { return start_; }
  // The state after one more byte.
  StateId Step(StateId state, uint8_t byte) {
    const size_t index =
        state * grammar_.num_byte_classes() + grammar_.byte_class(byte);
    const StateId next = steps_[index];
    return next != kUnknown ? next : MakeStep(state, byte);
  }

  // Whether the bytes so far are a whole text, and whether any may follow.
  bool may_end(StateId state) const { return states_[state].may_end; }
  bool must_end(StateId state) const {
    return states_[state].size == 0 && state != kDead;
  }

  // Whether there were so many ways to read a text, or so many states, that
  // some were given up: what is allowed is not known any more.
  bool overflowed() const { return overflowed_; }

  // Forgets all other states if they take much memory. Returns whether it did;
  // then the start is the state, under the id that it has now.
  bool Trim(StateId& state);

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

  // What the states take, as a number of frames, ways to read and next states.
  size_t size() const { return frames_.size() + ways_.size() + steps_.size(); }
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
  std::vector<Frame> frames_;
  absl::flat_hash_map<Frame, FrameId> ids_of_frames_;
  std::vector<State> states_;
  std::vector<FrameId> ways_;
  std::vector<StateId> steps_;  // [states, byte classes]
  absl::flat_hash_set<StateId, StateHash, StateEqual> ids_of_states_;
  StateId start_ = kDead;
  bool overflowed_ = false;

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
