// A sequence and its state: libgemma.Session.

#include "gemma/session.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "tools/python/binding/arguments.h"
#include "tools/python/binding/arrays.h"
#include "tools/python/binding/bound.h"
#include "tools/python/binding/cache_format.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/gil.h"
#include "tools/python/binding/model.h"
#include "tools/python/binding/module.h"
#include "tools/python/binding/signals.h"
#include "tools/python/binding/tap.h"
#include "tools/python/binding/words.h"

namespace gemma::python {
namespace {

using TokenList = std::vector<TokenId>;

TokenList ReadTokens(const char* name, const nb::object& tokens) {
  return Tokens(name, tokens);
}

// Rows of logits that ForwardAll computes between looks at signals.
constexpr size_t kRowsAtOnce = 64;

// A session, the tap's error, and whether a call uses it.
class BoundSession {
 public:
  BoundSession(Session session, size_t prefill_chunk)
      : session_("the session", std::move(session)),
        prefill_chunk_(prefill_chunk) {}

  static BoundSession* Create(const BoundModel& model,
                              const SessionOptions& options) {
    const std::shared_ptr<Model> shared = model.get();
    return new BoundSession(
        Unlocked([&] { return Session::Create(*shared, options); }),
        model.prefill_chunk());
  }

  static BoundSession* Restore(const BoundModel& model,
                               const std::string& path) {
    const std::shared_ptr<Model> shared = model.get();
    return new BoundSession(
        Unlocked([&] { return Session::Restore(*shared, path); }),
        model.prefill_chunk());
  }

  FloatArray Forward(const nb::object& tokens, size_t top_k) {
    const Words all = ReadWords("tokens", tokens);
    std::vector<float> logits = Compute(
        [&](Session& session,
            SignalCheck& signals) -> absl::StatusOr<std::vector<float>> {
          if (HasRows(all)) return Copy(session.ForwardTop(all, top_k));
          const auto rest = AppendMost(session, all.tokens(), signals);
          if (!rest.ok()) return rest.status();
          return Copy(session.ForwardTop(*rest, top_k));
        });
    return Floats(std::move(logits));
  }

  FloatArray ForwardAll(const nb::object& tokens) {
    const Words all = ReadWords("tokens", tokens);
    std::vector<float> logits =
        Compute([&](Session& session, SignalCheck& signals) {
          return HasRows(all) ? LogitsOfWords(session, all)
                              : LogitsOfAll(session, all.tokens(), signals);
        });
    const size_t columns = all.empty() ? 0 : logits.size() / all.size();
    return Floats(std::move(logits), all.size(), columns);
  }

  void Append(const nb::object& tokens) {
    const Words all = ReadWords("tokens", tokens);
    Compute([&](Session& session, SignalCheck& signals) {
      return Done(
          session.Append(all, [&](size_t) { return !signals.Raised(); }));
    });
  }

  std::vector<ChoiceScore> Score(const nb::object& prompt,
                                 const std::vector<nb::object>& choices) {
    const TokenList all = ReadTokens("prompt", prompt);
    std::vector<TokenList> wanted;
    for (const nb::object& choice : choices) {
      wanted.push_back(ReadTokens("a choice", choice));
    }
    return Compute(
        [&](Session& session,
            SignalCheck& signals) -> absl::StatusOr<std::vector<ChoiceScore>> {
          const size_t begin = session.position();
          const auto rest = AppendMost(session, all, signals);
          if (!rest.ok()) return rest.status();
          auto scores = gemma::Score(session, *rest, wanted);
          if (!scores.ok()) session.Rewind(begin).IgnoreError();
          return scores;
        });
  }

  void Rewind(size_t position) {
    Compute([&](Session& session, SignalCheck&) {
      return Done(session.Rewind(position));
    });
  }

  void Checkpoint() {
    Compute([](Session& session, SignalCheck&) {
      return Done(session.Checkpoint());
    });
  }

  void Save(const std::string& path) {
    Compute([&](Session& session, SignalCheck&) {
      return Done(session.Save(path));
    });
  }

  BoundSession* Fork() {
    return new BoundSession(
        Compute([](Session& session, SignalCheck&) { return session.Fork(); }),
        prefill_chunk_);
  }

  void SetTap(const Tap* tap) {
    const Use use(this);
    if (tap == nullptr) {
      use.session().SetTap(nullptr);
      tap_error_ = nullptr;
      return;
    }
    ActiveTap active = tap->Activate(use.session().model());
    use.session().SetTap(std::move(active.function));
    tap_error_ = std::move(active.error);
  }

  // Calls function(session) for a question that computes nothing.
  template <class Function>
  auto Ask(Function function) {
    const Use use(this);
    return function(use.session());
  }

  void Close() {
    const Use use(this);
    session_.Close();
  }

  // As Session::ForwardBatch. The batch keeps its sessions, which nothing else
  // may hold.
  static FloatArray ForwardBatch(
      const std::vector<std::pair<nb::object, nb::object>>& batch) {
    std::vector<BoundSession*> sessions;
    std::vector<std::unique_ptr<Use>> uses;
    std::vector<TokenList> tokens;
    for (const auto& [object, given] : batch) {
      BoundSession* session = nullptr;
      if (!nb::try_cast(object, session) || session == nullptr) {
        throw nb::type_error("batch: wanted pairs of a Session and tokens");
      }
      sessions.push_back(session);
      uses.push_back(std::make_unique<Use>(session));
      tokens.push_back(ReadTokens("tokens", given));
    }
    std::vector<Session::Continuation> continuations;
    for (size_t i = 0; i < batch.size(); ++i) {
      continuations.push_back({&uses[i]->session(), tokens[i]});
    }
    const size_t vocab_size =
        uses.empty() ? 0 : uses[0]->session().model().config().vocab_size;
    std::vector<float> logits(batch.size() * vocab_size);
    absl::Status status;
    {
      const WithoutGil release;
      status = Session::ForwardBatch(continuations, absl::MakeSpan(logits));
    }
    for (BoundSession* session : sessions) {
      ThrowTapError(session->tap_error_);
    }
    ThrowIfError(std::move(status));
    return Floats(std::move(logits), batch.size(), vocab_size);
  }

 private:
  // Marks the session as in use, and throws if it is in use already: by a
  // different thread, or by the call whose tap asks.
  class Use {
   public:
    explicit Use(BoundSession* bound)
        : bound_(bound), session_(bound->session_.get()) {
      if (!bound->in_use_.exchange(true)) return;
      throw StatusError(absl::FailedPreconditionError(
          "the session is in use: a different thread computes with it, or "
          "this is its tap"));
    }
    ~Use() { bound_->in_use_ = false; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    Session& session() const { return *session_; }

   private:
    BoundSession* bound_;
    std::shared_ptr<Session> session_;
  };

  // Calls a function without the GIL. Throws its error.
  template <class Function>
  static typename std::invoke_result_t<Function>::value_type Unlocked(
      Function function) {
    auto result = [&] {
      const WithoutGil release;
      return function();
    }();
    return ValueOrThrow(std::move(result));
  }

  // Calls function(session, signals) without the GIL. Throws what a handler of
  // a signal or a tap raised, or else the function's error.
  template <class Function>
  typename std::invoke_result_t<Function, Session&, SignalCheck&>::value_type
  Compute(Function function) {
    const Use use(this);
    SignalCheck signals;
    auto result = [&] {
      const WithoutGil release;
      return function(use.session(), signals);
    }();
    signals.Throw();
    ThrowTapError(tap_error_);
    return ValueOrThrow(std::move(result));
  }

  // For functions without a value.
  static absl::StatusOr<bool> Done(absl::Status status) {
    if (!status.ok()) return status;
    return true;
  }

  static absl::Status CheckAppends(const Session& session,
                                   absl::Span<const TokenId> tokens) {
    if (tokens.empty()) {
      return absl::InvalidArgumentError("no tokens, wanted at least one");
    }
    const absl::Status known =
        CheckTokens(tokens, session.model().config(), "tokens");
    if (!known.ok() || tokens.size() <= session.remaining()) return known;
    return TooMany(session, tokens.size());
  }

  static absl::Status TooMany(const Session& session, size_t size) {
    return absl::OutOfRangeError(absl::StrCat(
        size, " tokens do not fit: the session has ", session.position(),
        " of at most ", session.options().max_tokens));
  }

  // Goes back after a failure.
  static absl::Status Undo(Session& session, size_t position,
                           const absl::Status& failure) {
    session.Rewind(position).IgnoreError();
    return failure.ok() ? absl::CancelledError("a signal came") : failure;
  }

  // Appends as many whole passes of `tokens` as leave at least one token, looks
  // at signals after each, and returns the rest, which then has the same passes
  // as together with them. If it fails, nothing has changed.
  absl::StatusOr<absl::Span<const TokenId>> AppendMost(
      Session& session, absl::Span<const TokenId> tokens,
      SignalCheck& signals) const {
    if (tokens.size() <= prefill_chunk_) return tokens;
    const absl::Status fits = CheckAppends(session, tokens);
    if (!fits.ok()) return fits;
    const size_t most = (tokens.size() - 1) / prefill_chunk_ * prefill_chunk_;
    const size_t begin = session.position();
    const absl::Status status = session.Append(
        tokens.first(most), [&](size_t) { return !signals.Raised(); });
    if (status.ok() && !signals.Raised()) return tokens.subspan(most);
    return Undo(session, begin, status);
  }

  static absl::StatusOr<std::vector<float>> Copy(
      const absl::StatusOr<absl::Span<float>>& logits) {
    if (!logits.ok()) return logits.status();
    return std::vector<float>(logits->begin(), logits->end());
  }

  // As LogitsOfAll, but signals wait: rows may have to stay in one pass.
  static absl::StatusOr<std::vector<float>> LogitsOfWords(Session& session,
                                                          const Words& words) {
    if (words.size() > session.remaining())
      return TooMany(session, words.size());
    std::vector<float> logits(words.size() *
                              session.model().config().vocab_size);
    const absl::Status status =
        session.ForwardAll(words, absl::MakeSpan(logits));
    if (!status.ok()) return status;
    return logits;
  }

  // Returns the logits [tokens, vocab_size]. If it fails, nothing has changed.
  static absl::StatusOr<std::vector<float>> LogitsOfAll(
      Session& session, absl::Span<const TokenId> tokens,
      SignalCheck& signals) {
    const absl::Status fits = CheckAppends(session, tokens);
    if (!fits.ok()) return fits;
    const size_t vocab_size = session.model().config().vocab_size;
    const size_t begin = session.position();
    std::vector<float> logits(tokens.size() * vocab_size);
    for (size_t done = 0; done < tokens.size(); done += kRowsAtOnce) {
      const absl::Span<const TokenId> piece = tokens.subspan(done, kRowsAtOnce);
      const absl::Status status = session.ForwardAll(
          piece, absl::MakeSpan(logits).subspan(done * vocab_size,
                                                piece.size() * vocab_size));
      if (!status.ok() || signals.Raised()) return Undo(session, begin, status);
    }
    return logits;
  }

  Bound<Session> session_;
  size_t prefill_chunk_;
  std::shared_ptr<TapError> tap_error_;
  std::atomic<bool> in_use_ = false;
};

SessionOptions SizeOf(size_t max_tokens, const std::string& cache,
                      size_t max_rollback, size_t checkpoint_interval,
                      size_t max_checkpoints) {
  SessionOptions options;
  options.max_tokens = max_tokens;
  options.max_rollback = max_rollback;
  options.checkpoint_interval = checkpoint_interval;
  options.max_checkpoints = max_checkpoints;
  options.cache_format = ParseCacheFormat(cache);
  return options;
}

}  // namespace

void AddSession(nb::module_& m) {
  nb::class_<ChoiceScore>(m, "ChoiceScore", "The score of a choice, in nats.")
      .def_ro("log_probability", &ChoiceScore::log_probability,
              "Of the whole choice: the sum over its tokens.")
      .def_ro("token_log_probabilities", &ChoiceScore::token_log_probabilities,
              "One for each token.")
      .def("__repr__", [](const ChoiceScore& score) {
        return absl::StrCat("<ChoiceScore ", score.log_probability, ">");
      });

  nb::class_<BoundSession>(
      m, "Session",
      "One sequence of tokens: its caches and its position.\n\n"
      "Use it from one thread at a time. A call that fails leaves the sequence "
      "as it\nwas. What forward, forward_top, forward_all and append take as "
      "tokens may have\nInputRows among them.")
      .def(nb::new_([](const BoundModel& model, size_t max_tokens,
                       const std::string& cache, size_t max_rollback,
                       size_t checkpoint_interval, size_t max_checkpoints) {
             return BoundSession::Create(
                 model, SizeOf(max_tokens, cache, max_rollback,
                               checkpoint_interval, max_checkpoints));
           }),
           nb::arg("model"), nb::kw_only(), nb::arg("max_tokens") = 4096,
           nb::arg("cache") = "auto", nb::arg("max_rollback") = 16,
           nb::arg("checkpoint_interval") = 0, nb::arg("max_checkpoints") = 8,
           "Creates an empty sequence of at most `max_tokens` tokens.")
      .def_static(
          "restore", &BoundSession::Restore, nb::arg("model"), nb::arg("path"),
          nb::rv_policy::take_ownership,
          "Returns the session that `save` wrote, which continues exactly.")
      .def(
          "forward",
          [](BoundSession& self, const nb::object& tokens) {
            return self.Forward(tokens, 0);
          },
          nb::arg("tokens"),
          "Appends tokens; returns the logits of the next token, float32 "
          "[vocab_size].")
      .def("forward_top", &BoundSession::Forward, nb::arg("tokens"),
           nb::arg("top_k"),
           "As forward, but only the `top_k` largest logits are needed: others "
           "may be\n-inf.")
      .def("forward_all", &BoundSession::ForwardAll, nb::arg("tokens"),
           "Appends tokens; returns the logits after each, float32 [tokens, "
           "vocab_size].")
      .def("append", &BoundSession::Append, nb::arg("tokens"),
           "Appends tokens and computes no logits. After a signal such as that "
           "of Ctrl-C,\na part of the tokens may be appended.")
      .def("score", &BoundSession::Score, nb::arg("prompt"), nb::arg("choices"),
           "Appends `prompt`; returns the ChoiceScore of each list of tokens "
           "after it.\nAfterwards the session holds the prompt, but no choice.")
      .def("rewind", &BoundSession::Rewind, nb::arg("position"),
           "Keeps only the first `position` tokens.")
      .def("checkpoint", &BoundSession::Checkpoint,
           "Saves the state here, so that a later rewind to it is cheap.")
      .def("fork", &BoundSession::Fork, nb::rv_policy::take_ownership,
           "Returns an independent session that continues from here, without a "
           "tap.")
      .def("save", &BoundSession::Save, nb::arg("path"),
           "Writes options, tokens and caches to a file.")
      .def("close", &BoundSession::Close, "Frees the session's memory.")
      .def("set_tap", &BoundSession::SetTap, nb::arg("tap").none(),
           "Calls the Tap in every pass from now on; None removes it.")
      .def_prop_ro(
          "has_tap",
          [](BoundSession& self) {
            return self.Ask([](Session& s) { return s.has_tap(); });
          },
          "Whether a tap is set.")
      .def_prop_ro(
          "tokens",
          [](BoundSession& self) {
            return self.Ask([](Session& s) {
              return TokenList(s.tokens().begin(), s.tokens().end());
            });
          },
          "The tokens so far, a list; -1 for each row.")
      .def_prop_ro(
          "position",
          [](BoundSession& self) {
            return self.Ask([](Session& s) { return s.position(); });
          },
          "The number of tokens so far.")
      .def_prop_ro(
          "remaining",
          [](BoundSession& self) {
            return self.Ask([](Session& s) { return s.remaining(); });
          },
          "The number of tokens that still fit.")
      .def_prop_ro(
          "max_tokens",
          [](BoundSession& self) {
            return self.Ask([](Session& s) { return s.options().max_tokens; });
          },
          "The most tokens of the sequence.");

  m.def("forward_batch", &BoundSession::ForwardBatch, nb::arg("batch"),
        "Appends tokens to several sessions of a model at once.\n\n"
        "batch: pairs of a session and tokens. Returns the logits of each next "
        "token,\nfloat32 [batch, vocab_size].");
}

}  // namespace gemma::python
