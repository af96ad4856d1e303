// Engine: requests and grammars.

#include "gemma/engine.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/grammar.h"
#include "tools/python/binding/answer.h"
#include "tools/python/binding/arguments.h"
#include "tools/python/binding/bound.h"
#include "tools/python/binding/engine_options.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/gil.h"
#include "tools/python/binding/inbox.h"
#include "tools/python/binding/model.h"
#include "tools/python/binding/module.h"
#include "tools/python/binding/tap.h"
#include "tools/python/binding/text.h"
#include "tools/python/binding/words.h"

namespace gemma::python {
namespace {

using namespace nb::literals;

constexpr std::string_view kDialects[] = {"none", "json", "functiongemma",
                                          "gemma4"};

Bound<Engine> Create(const BoundModel& model, const nb::dict& options) {
  Arguments arguments(options);
  const EngineOptions engine = ReadEngineOptions(arguments);
  arguments.RefuseOthers();
  const std::shared_ptr<Model> held = model.get();
  std::optional<absl::StatusOr<Engine>> made;
  {
    const WithoutGil release;
    made = Engine::Create(*held, engine);
  }
  return Bound<Engine>("the engine", ValueOrThrow(*std::move(made)));
}

// The tokens of a piece, which vocabularies spell with U+2581 for each blank.
std::optional<TokenId> FindPiece(const Tokenizer& tokenizer,
                                 const std::string& piece) {
  if (const auto token = tokenizer.Find(piece)) return token;
  std::string spelled;
  for (const char c : piece) {
    if (c == ' ') {
      spelled += "\u2581";
    } else {
      spelled += c;
    }
  }
  return tokenizer.Find(spelled);
}

// Reads a dictionary from tokens or pieces to numbers.
std::vector<LogitBias> ReadLogitBias(const Model& model, Arguments& arguments) {
  std::vector<LogitBias> biases;
  const nb::object given = arguments.Take("logit_bias");
  if (!given.is_valid()) return biases;
  if (!nb::isinstance<nb::dict>(given)) {
    Refuse("logit_bias", given, "a dictionary from tokens to numbers");
  }
  for (const auto [key, value] : nb::borrow<nb::dict>(given)) {
    LogitBias bias;
    if (nb::isinstance<nb::str>(key)) {
      const auto token = FindPiece(*ValueOrThrow(model.tokenizer()), Utf8(key));
      if (!token)
        Refuse("a key of logit_bias", key, "a piece of the vocabulary");
      bias.token = *token;
    } else if (PyBool_Check(key.ptr()) != 0 || !nb::try_cast(key, bias.token) ||
               !model.config().has_token(bias.token)) {
      Refuse("a key of logit_bias", key,
             absl::StrCat("a token from 0 to ", model.config().vocab_size - 1,
                          ", or a piece"));
    }
    if (PyBool_Check(value.ptr()) != 0 || !nb::try_cast(value, bias.bias)) {
      Refuse("a value of logit_bias", value, "a number");
    }
    biases.push_back(bias);
  }
  return biases;
}

void ReadSampling(const Model& model, Arguments& arguments,
                  SamplingOptions* sampling) {
  arguments.Read("temperature", &sampling->temperature);
  arguments.Read("top_k", &sampling->top_k);
  arguments.Read("top_p", &sampling->top_p);
  arguments.Read("min_p", &sampling->min_p);
  arguments.Read("typical_p", &sampling->typical_p);
  arguments.Read("repetition_penalty", &sampling->repetition_penalty);
  arguments.Read("frequency_penalty", &sampling->frequency_penalty);
  arguments.Read("presence_penalty", &sampling->presence_penalty);
  arguments.Read("penalty_window", &sampling->penalty_window);
  arguments.Read("seed", &sampling->seed);
  sampling->logit_bias = ReadLogitBias(model, arguments);
}

// Reads "timeout", in seconds from now.
std::optional<std::chrono::steady_clock::time_point> ReadDeadline(
    Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  constexpr double kMaxSeconds = 1e9;
  const nb::object given = arguments.Take("timeout");
  double seconds = 0;
  arguments.Read("timeout", &seconds);
  if (!given.is_valid()) return std::nullopt;
  if (!(seconds >= 0 && seconds <= kMaxSeconds)) {
    Refuse("timeout", given, "a number of seconds from 0 to 1e9");
  }
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(seconds));
}

GenerateOptions ReadOptions(const Model& model, Arguments& arguments) {
  GenerateOptions options;
  ReadSampling(model, arguments, &options.sampling);
  if (const nb::object most = arguments.Take("max_tokens"); most.is_valid()) {
    arguments.Read("max_tokens", &options.max_new_tokens);
    if (options.max_new_tokens == 0) {
      Refuse("max_tokens", most, "1 or more, or None");
    }
  }
  arguments.Read("min_tokens", &options.min_new_tokens);
  arguments.Read("stop", &options.stop_strings);
  for (const std::string& stop : options.stop_strings) {
    if (stop.empty()) {
      throw StatusError(absl::InvalidArgumentError("stop has an empty text"));
    }
  }
  arguments.Read("stop_tokens", &options.stop_tokens);
  options.deadline = ReadDeadline(arguments);
  return options;
}

AnswerWish ReadWish(Arguments& arguments, GenerateOptions* options) {
  AnswerWish wish;
  arguments.Read("pieces", &wish.pieces);
  arguments.Read("parse", &wish.parse);
  if (const auto dialect = arguments.Choose("dialect", kDialects)) {
    wish.dialect = static_cast<ToolDialect>(*dialect);
  }
  if (const nb::object logprobs = arguments.Take("logprobs");
      logprobs.is_valid()) {
    wish.logprobs = true;
    arguments.Read("logprobs", &options->num_alternatives);
  }
  return wish;
}

Answer Submit(const Bound<Engine>& self, const BoundModel& model,
              const Inbox& inbox, uint64_t tag, const nb::object& prompt,
              const nb::dict& options, const Grammar* grammar, const Tap* tap) {
  const std::shared_ptr<Engine> engine = self.get();
  const std::shared_ptr<Model> held = model.get();
  Arguments arguments(options);
  Request request;
  Words words = ReadWords("the prompt", prompt);
  if (HasRows(words)) {
    request.words = std::move(words);
  } else {
    request.prompt.assign(words.tokens().begin(), words.tokens().end());
  }
  request.options = ReadOptions(*held, arguments);
  arguments.Read("client", &request.client);
  AnswerWish wish = ReadWish(arguments, &request.options);
  arguments.RefuseOthers();
  if (tap != nullptr) {
    ActiveTap active = tap->Activate(*held);
    request.tap = std::move(active.function);
    wish.before_error = [error = active.error] { ThrowTapError(error); };
  }
  request.options.grammar = grammar;
  const auto state = std::make_shared<AnswerState>(wish, inbox, tag);
  {
    const WithoutGil release;
    ThrowIfError(state->Start(*engine, *ValueOrThrow(held->tokenizer()),
                              std::move(request)));
  }
  return Answer(state);
}

// Returns the source of a grammar; see GrammarSource.
GrammarSource ReadSource(Arguments& arguments) {
  GrammarSource source;
  if (const auto kind = arguments.Choose(
          "kind", {"json", "schema", "regex", "choices", "tools"})) {
    source.kind = static_cast<GrammarSource::Kind>(*kind);
  }
  arguments.Read("text", &source.text);
  arguments.Read("choices", &source.choices);
  if (const auto dialect = arguments.Choose("dialect", kDialects)) {
    source.rules.dialect = static_cast<ToolDialect>(*dialect);
  }
  if (const auto choice =
          arguments.Choose("tool_choice", {"auto", "none", "required"})) {
    source.rules.choice = static_cast<ToolChoice>(*choice);
  }
  arguments.Read("tool_names", &source.rules.names);
  arguments.Read("parallel", &source.rules.parallel);
  arguments.Read("thinking", &source.rules.thinking);
  arguments.RefuseOthers();
  return source;
}

Grammar Compile(const Bound<Engine>& self, const nb::dict& options) {
  const std::shared_ptr<Engine> engine = self.get();
  Arguments arguments(options);
  const GrammarSource source = ReadSource(arguments);
  const WithoutGil release;
  return ValueOrThrow(engine->Compile(source));
}

nb::dict Snapshot(const Bound<Engine>& self) {
  const EngineSnapshot now = self.get()->Snapshot();
  nb::dict ended;
  for (size_t i = 0; i < kNumStopReasons; ++i) {
    ended[Text(StopReasonName(static_cast<StopReason>(i)))] = now.ended[i];
  }
  nb::dict state;
  state["submitted"] = now.submitted;
  state["queued"] = now.queued;
  state["queued_tokens"] = now.queued_tokens;
  state["running"] = now.running;
  state["max_sequences"] = now.max_sequences;
  state["ended"] = ended;
  state["failed"] = now.failed;
  state["refused"] = now.refused;
  state["passes"] = now.passes;
  state["rows"] = now.rows;
  state["last_rows"] = now.last_rows;
  state["pass_seconds"] = now.pass_seconds;
  state["computed_tokens"] = now.computed_tokens;
  state["reused_tokens"] = now.reused_tokens;
  state["new_tokens"] = now.new_tokens;
  state["running_tokens"] = now.running_tokens;
  state["kept_sequences"] = now.kept_sequences;
  state["kept_tokens"] = now.kept_tokens;
  state["grammars"] = now.grammars;
  state["reuse_bytes"] = now.reuse_bytes;
  state["bytes"] = now.bytes;
  return state;
}

}  // namespace

EngineOptions ReadEngineOptions(Arguments& arguments) {
  EngineOptions engine;
  engine.between_passes = Inbox::WakeAll;
  arguments.Read("context", &engine.max_tokens);
  if (const auto format =
          arguments.Choose("cache", {"auto", "float32", "bfloat16", "int8"})) {
    engine.cache_format = static_cast<CacheFormat>(*format);
  }
  arguments.Read("sequences", &engine.max_sequences);
  arguments.Read("max_queued", &engine.max_queued);
  arguments.Read("max_queued_per_client", &engine.max_queued_per_client);
  arguments.Read("reuse_bytes", &engine.reuse_bytes);
  engine.grammar_bytes = std::min(engine.grammar_bytes, engine.reuse_bytes);
  arguments.Read("memory", &engine.max_bytes);
  if (const nb::object budget = arguments.Take("budget"); budget.is_valid()) {
    engine.budget = nb::cast<MemoryBudget>(budget);
  }
  return engine;
}

void AddEngine(nb::module_& m) {
  nb::class_<Grammar>(m, "Grammar", "A set of texts.")
      .def(
          "matches",
          [](const Grammar& self, const nb::str& text) {
            const std::string utf8 = Utf8(text);
            const WithoutGil release;
            return ValueOrThrow(self.Matches(utf8));
          },
          "text"_a, "Returns whether the set contains the text.")
      .def_prop_ro("bytes", &Grammar::bytes,
                   "The bytes of memory that the set takes.");
  nb::class_<MemoryBudget>(m, "MemoryBudget",
                           "A limit of memory that engines share.")
      .def_static(
          "create",
          [](uint64_t max_bytes) {
            return ValueOrThrow(MemoryBudget::Create(max_bytes));
          },
          "max_bytes"_a, "Returns a limit; 0: only counts.")
      .def_prop_ro("bytes", &MemoryBudget::bytes,
                   "The bytes that the engines hold.");
  nb::class_<Bound<Engine>>(m, "Engine", "Computes requests together.")
      .def_static("create", Create, "model"_a, "options"_a,
                  "Creates an engine, which shares the model.")
      .def("submit", Submit, "model"_a, "inbox"_a, "tag"_a, "prompt"_a,
           "options"_a, "grammar"_a.none() = nb::none(),
           "tap"_a.none() = nb::none(),
           "Queues a request, which announces itself in the inbox.")
      .def("compile", Compile, "options"_a,
           "Returns the grammar of a source. The engine keeps grammars.")
      .def("snapshot", Snapshot,
           "Returns counts of requests, passes, tokens and bytes.")
      .def("close", &Bound<Engine>::Close,
           "Cancels all requests, and waits until they have ended.")
      .def_prop_ro("closed", &Bound<Engine>::closed);
}

}  // namespace gemma::python
