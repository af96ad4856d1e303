#include "tools/python/binding/answer.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <new>

#include "tools/python/binding/errors.h"
#include "tools/python/binding/module.h"
#include "tools/python/binding/text.h"

namespace gemma::python {

absl::Status AnswerState::Start(Engine& engine, const Tokenizer& tokenizer,
                                Request request) {
  // The engine keeps the functions, and so this object, until the end.
  const auto self = shared_from_this();
  if (wish_.parse) {
    // With the function, a call that is cut short does not become text, which
    // would come after its pieces.
    AnswerParser::CallFunction on_call;
    if (wish_.dialect != ToolDialect::kNone) {
      on_call = [this](const ToolCallPiece& piece) {
        Add(Piece::Kind::kCall, piece.arguments, piece.index, piece.name);
      };
    }
    parser_.emplace(
        tokenizer,
        [this](std::string_view text) { Add(Piece::Kind::kText, text); },
        [this](std::string_view text) { Add(Piece::Kind::kThoughts, text); },
        on_call, wish_.dialect);
    request.on_text = [self](std::string_view text) {
      self->parser_->Text(text);
      return true;
    };
    request.options.on_control = [self](TokenId token) {
      self->parser_->Control(token);
    };
  } else if (wish_.pieces) {
    request.on_text = [self](std::string_view text) {
      self->Add(Piece::Kind::kText, text);
      return true;
    };
  }
  if (wish_.logprobs) {
    request.options.on_token = [self](const ScoredToken& token) {
      self->tokens_.push_back(token);
    };
  }
  request.on_done = [self](const absl::StatusOr<Completion>& answer) {
    self->Finish(answer);
  };
  absl::StatusOr<Ticket> ticket = engine.Submit(std::move(request));
  if (!ticket.ok()) return ticket.status();
  const std::lock_guard lock(mutex_);
  if (!result_.has_value()) ticket_.emplace(*std::move(ticket));
  return absl::OkStatus();
}

void AnswerState::Cancel() {
  const std::lock_guard lock(mutex_);
  if (ticket_.has_value()) ticket_->Cancel();
}

void AnswerState::Add(Piece::Kind kind, std::string_view text, size_t call,
                      std::string_view name) {
  if (!wish_.pieces || (text.empty() && name.empty())) return;
  const std::lock_guard lock(mutex_);
  const bool joins = !pieces_.empty() && pieces_.back().kind == kind &&
                     pieces_.back().call == call && name.empty();
  if (joins) {
    pieces_.back().text.append(text);
  } else {
    pieces_.push_back({kind, std::string(text), call, std::string(name)});
  }
  Announce();
}

void AnswerState::Announce() {
  if (announced_) return;
  inbox_.Put(tag_);
  announced_ = true;
}

void AnswerState::Finish(const absl::StatusOr<Completion>& answer) {
  absl::StatusOr<Completion> result;
  try {
    if (parser_.has_value()) parser_->Finish();
    result = answer;
  } catch (const std::bad_alloc&) {
    result = absl::ResourceExhaustedError("memory ran out");
  }
  std::optional<Ticket> ended;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  ended = std::exchange(ticket_, std::nullopt);
  result_ = std::move(result);
  Announce();
}

std::vector<Piece> AnswerState::Take() {
  const std::lock_guard lock(mutex_);
  announced_ = false;
  return std::exchange(pieces_, {});
}

bool AnswerState::done() const {
  const std::lock_guard lock(mutex_);
  return result_.has_value();
}

Answer::~Answer() {
  if (state_ == nullptr) return;
  if (!birth_.forked()) {
    state_->Cancel();
  } else {
    // Its ticket would wait for the engine's thread, which is not here.
    (void)new std::shared_ptr<AnswerState>(std::move(state_));
  }
}

namespace {

const char* KindName(Piece::Kind kind) {
  switch (kind) {
    case Piece::Kind::kText:
      return "text";
    case Piece::Kind::kThoughts:
      return "thoughts";
    case Piece::Kind::kCall:
      return "call";
  }
  return "";
}

// (kind, text, index of the call, name) of each piece.
nb::list TakePieces(const Answer& answer) {
  nb::list pieces;
  for (const Piece& piece : answer.state().Take()) {
    pieces.append(nb::make_tuple(KindName(piece.kind), Text(piece.text),
                                 piece.call, Text(piece.name)));
  }
  return pieces;
}

// (token, piece, log-probability or None, alternatives as triples without
// these) of each token.
nb::list Scored(const std::vector<ScoredToken>& tokens) {
  nb::list list;
  for (const ScoredToken& token : tokens) {
    nb::list alternatives;
    for (const TokenProbability& other : token.alternatives) {
      alternatives.append(nb::make_tuple(other.token, Text(other.piece),
                                         other.log_probability));
    }
    list.append(nb::make_tuple(token.token, Text(token.piece),
                               token.log_probability, alternatives));
  }
  return list;
}

nb::list Calls(const ParsedAnswer& parts) {
  nb::list calls;
  for (const ToolCall& call : parts.tool_calls) {
    calls.append(nb::make_tuple(Text(call.name), Text(call.arguments)));
  }
  return calls;
}

// The answer; throws its error. Call it when the answer is complete.
nb::dict Result(const Answer& answer) {
  const AnswerState& state = answer.state();
  if (!state.done()) {
    throw StatusError(
        absl::FailedPreconditionError("the answer is not complete"));
  }
  if (!state.result().ok() && state.wish().before_error) {
    state.wish().before_error();
  }
  ThrowIfError(state.result().status());
  const Completion& completion = *state.result();
  const GenerateStats& stats = completion.stats;
  const ParsedAnswer* parts = state.parts();
  nb::dict result;
  result["text"] = Text(parts == nullptr ? completion.text : parts->text);
  result["thoughts"] = Text(parts == nullptr ? "" : parts->thoughts);
  result["tool_calls"] = parts == nullptr ? nb::list() : Calls(*parts);
  result["tokens"] = completion.tokens;
  result["stop_reason"] = Text(StopReasonName(stats.stop_reason));
  result["prompt_tokens"] = stats.prompt_tokens;
  result["cached_tokens"] = stats.reused_tokens;
  result["queued_seconds"] = completion.queued_seconds;
  result["prompt_seconds"] = stats.prefill_seconds;
  result["answer_seconds"] = stats.decode_seconds;
  result["token_seconds"] = completion.token_seconds;
  result["logprobs"] =
      state.wish().logprobs ? nb::object(Scored(state.tokens())) : nb::none();
  return result;
}

}  // namespace

void AddAnswer(nb::module_& m) {
  nb::class_<Inbox>(m, "Inbox", "Tags of requests that have something to take.")
      .def(nb::init<bool>(), nb::arg("with_descriptor"))
      .def("take", &Inbox::Take, "Takes all tags; does not wait.")
      .def("wait", &Inbox::Wait, nb::arg("seconds").none() = nb::none(),
           "Waits for a tag, at most so long, and takes all. Signals end it.")
      .def("fileno", &Inbox::descriptor,
           "Returns a descriptor that can be read while tags are there.");
  nb::class_<Answer>(m, "Answer", "A running request.")
      .def("take", TakePieces, "Takes the pieces so far.")
      .def("result", Result,
           "Returns the complete answer, or raises its error.")
      .def(
          "cancel", [](const Answer& self) { self.state().Cancel(); },
          "Ends the request soon; does not wait.")
      .def_prop_ro(
          "done", [](const Answer& self) { return self.state().done(); },
          "Whether the answer is complete.");
}

}  // namespace gemma::python
