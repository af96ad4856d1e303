// A running request.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_ANSWER_H_
#define GEMMA_TOOLS_PYTHON_BINDING_ANSWER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/answer_parser.h"
#include "gemma/engine.h"
#include "tools/python/binding/bound.h"
#include "tools/python/binding/inbox.h"

namespace gemma::python {

// A part of an answer that Python has not taken yet.
struct Piece {
  enum class Kind { kText, kThoughts, kCall };
  Kind kind = Kind::kText;
  std::string text;  // of kCall: the next bytes of the arguments
  size_t call = 0;   // index of the call
  std::string name;  // of the call's tool, in its first piece
};

// What Python wants of an answer besides its text.
struct AnswerWish {
  bool pieces = false;  // keep pieces for Python to take
  bool parse = false;   // look for thoughts and calls
  ToolDialect dialect = ToolDialect::kNone;
  bool logprobs = false;  // keep the scored tokens
  // Called with the GIL before the error of the answer is thrown; may throw one
  // of its own. May be empty. The engine's thread never copies it.
  std::function<void()> before_error;
};

// What the engine's thread has made of a request. Shared by that thread, which
// needs no GIL, and by Python.
class AnswerState : public std::enable_shared_from_this<AnswerState> {
 public:
  AnswerState(AnswerWish wish, Inbox inbox, uint64_t tag)
      : wish_(std::move(wish)), inbox_(std::move(inbox)), tag_(tag) {}

  // Adds its functions to the request and submits it.
  absl::Status Start(Engine& engine, const Tokenizer& tokenizer,
                     Request request);

  // Ends the request soon. Does not wait.
  void Cancel();

  // Takes the pieces so far.
  std::vector<Piece> Take();

  // Returns whether the answer is complete. Then the functions below may be
  // called.
  bool done() const;
  const absl::StatusOr<Completion>& result() const { return *result_; }
  // The parts of the answer; null if it was not parsed.
  const ParsedAnswer* parts() const {
    return parser_.has_value() ? &parser_->answer() : nullptr;
  }
  const std::vector<ScoredToken>& tokens() const { return tokens_; }
  const AnswerWish& wish() const { return wish_; }

 private:
  void Add(Piece::Kind kind, std::string_view text, size_t call = 0,
           std::string_view name = "");
  // Puts the tag into the inbox if it is not there already. `lock` is held.
  void Announce();
  void Finish(const absl::StatusOr<Completion>& answer);

  const AnswerWish wish_;
  const Inbox inbox_;
  const uint64_t tag_;

  // Used by the engine's thread until the answer is complete.
  std::optional<AnswerParser> parser_;
  std::vector<ScoredToken> tokens_;

  mutable std::mutex mutex_;  // guards what follows
  std::vector<Piece> pieces_;
  bool announced_ = false;
  std::optional<Ticket>
      ticket_;  // none before Submit returns and after the end
  std::optional<absl::StatusOr<Completion>> result_;
};

// Python's handle of a request, which ends with it.
class Answer {
 public:
  explicit Answer(std::shared_ptr<AnswerState> state)
      : state_(std::move(state)) {}
  Answer(Answer&&) = default;
  ~Answer();

  // FailedPrecondition in a forked process.
  AnswerState& state() const {
    birth_.Check("the engine");
    return *state_;
  }

 private:
  Birth birth_;
  std::shared_ptr<AnswerState> state_;
};

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_ANSWER_H_
