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

namespace gemma::internal {

// A deterministic automaton that makes a state when it is first reached. A
// state is a set of ways to go on. Each way is a stack of unfinished
// expressions. Stacks share their frames, and states with the same ways are the
// same state. Every way can be completed to a whole text.
class Automaton {
 public:
  using StateId = uint32_t;
  // The state of bytes that begin no text.
  static constexpr StateId kDead = 0;

  struct Limits {
    // Ways to read the text so far, in one state.
    size_t ways = size_t{1} << 14;
    // Ways and unfinished expressions that are visited between two calls of
    // Trim. Each costs about 20 ns.
    size_t steps = size_t{1} << 26;
    // The approximate memory of all states.
    size_t bytes = size_t{1} << 27;
  };

  // The grammar must be finished and outlive the automaton.
  Automaton(const ByteGrammar& grammar, const Limits& limits);
  explicit Automaton(const ByteGrammar& grammar)
      : Automaton(grammar, Limits()) {}
  Automaton(const Automaton&) = delete;
  Automaton& operator=(const Automaton&) = delete;

  StateId start() const { return start_; }
  // Returns the state after one more byte.
  StateId Step(StateId state, uint8_t byte) {
    const size_t index =
        state * grammar_.num_byte_classes() + grammar_.byte_class(byte);
    const StateId next = next_[index];
    return next != kUnknown ? next : MakeStep(state, byte);
  }

  // Whether the bytes so far are a whole text, and whether no byte may follow.
  bool may_end(StateId state) const { return states_[state].may_end; }
  bool must_end(StateId state) const {
    return states_[state].size == 0 && state != kDead;
  }

  // Whether a limit was exceeded. Results since the last Trim may then be
  // wrong, and so are all later ones.
  bool overflowed() const { return passed_ != Passed::kNone; }
  // ResourceExhausted, naming the limit, if one was exceeded.
  absl::Status status() const;

  // Call this between two tokens, with the current state. Resets the count of
  // steps. If states take much memory, forgets all but `state`, makes it the
  // start, sets `state` to its new id, and returns true.
  bool Trim(StateId& state);

  size_t steps() const { return steps_; }
  size_t bytes() const;

 private:
  static constexpr StateId kUnknown = ~StateId{0};

  // An unfinished expression and the frame that continues after it.
  struct Frame {
    ExprId expr;
    uint32_t done;    // parts or repetitions read
    uint32_t parent;  // a frame; kRoot: the text ends
    bool operator==(const Frame&) const = default;
    template <class H>
    friend H AbslHashValue(H hash, const Frame& f) {
      return H::combine(std::move(hash), f.expr, f.done, f.parent);
    }
  };
  using FrameId = uint32_t;
  static constexpr FrameId kRoot = 0;

  // The ways of a state: frames of single bytes, ascending, in ways_.
  struct State {
    size_t begin = 0;
    size_t size = 0;
    bool may_end = false;
  };
  // Hash and equality of states compare their ways.
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
  // Adds a task for TakeState: enter the expression, or continue the frame
  // after one more part or repetition of its expression.
  void Enter(ExprId expr, FrameId parent);
  void Continue(FrameId frame);
  // Enters one more repetition after `done` of them.
  void EnterRepeat(ExprId expr, uint32_t done, FrameId parent);
  void RunEnter(ExprId expr, FrameId parent);
  void RunContinue(FrameId frame);
  // Runs all tasks since the last call and returns the state that they reach.
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
  size_t trim_bytes_ = 0;  // Trim keeps states up to this

  // The state that is being made.
  struct Task {
    ExprId expr;  // kContinue: continue `frame`
    FrameId frame;
  };
  static constexpr ExprId kContinue = ~ExprId{0};
  std::vector<Task> tasks_;
  std::vector<uint32_t> visited_;  // by frame: the turn it continued in
  uint32_t turn_ = 1;
  std::vector<FrameId> found_;
  bool found_end_ = false;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_AUTOMATON_H_
