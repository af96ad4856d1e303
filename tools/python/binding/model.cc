// Model: loading, its numbers, its tokenizer and its turns.

#include "tools/python/binding/model.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/chat_template.h"
#include "gemma/simd.h"
#include "gemma/tool_calls.h"
#include "gemma/weight_type.h"
#include "tools/gemma/pull/resolve.h"
#include "tools/python/binding/arguments.h"
#include "tools/python/binding/bound.h"
#include "tools/python/binding/engine_options.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/gil.h"
#include "tools/python/binding/memory.h"
#include "tools/python/binding/module.h"
#include "tools/python/binding/text.h"

namespace gemma::python {
namespace {

using namespace nb::literals;

// The least time between two looks for signals while a model is loaded, and
// between two calls of a function that shows the progress.
constexpr std::chrono::milliseconds kProgressPause{50};

// Passes the progress of loading to Python. An exception there, also that of
// Ctrl-C, ends loading.
class LoadWatcher {
 public:
  explicit LoadWatcher(nb::object progress) : progress_(std::move(progress)) {}

  // Called without the GIL.
  bool operator()(const LoadProgress& at) {
    const auto now = std::chrono::steady_clock::now();
    const bool ends = at.done_bytes == at.total_bytes;
    if (!ends && now < next_) return error_ == nullptr;
    next_ = now + kProgressPause;
    const WithGil acquire;
    try {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      if (progress_.is_valid()) progress_(at.done_bytes, at.total_bytes);
    } catch (...) {
      error_ = std::current_exception();
    }
    return error_ == nullptr;
  }

  // Throws what the function threw.
  void Rethrow() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  nb::object progress_;
  std::chrono::steady_clock::time_point next_;
  std::exception_ptr error_;
};

std::vector<Adapter> ReadAdapters(Arguments& options) {
  std::vector<Adapter> adapters;
  const nb::object given = options.Take("adapters");
  if (!given.is_valid()) return adapters;
  for (const nb::handle element : given) {
    std::pair<std::string, float> adapter;
    if (!nb::try_cast(element, adapter)) {
      Refuse("adapters", given, "a list of pairs of a path and a scale");
    }
    adapters.push_back({adapter.first, adapter.second});
  }
  return adapters;
}

LoadOptions ReadLoadOptions(Arguments& options) {
  LoadOptions load;
  options.Read("threads", &load.num_threads);
  options.Read("decode_threads", &load.num_decode_threads);
  options.Read("prefill_chunk", &load.prefill_chunk);
  options.Read("deterministic", &load.deterministic);
  options.Read("outline", &load.skip_weights);
  load.adapters = ReadAdapters(options);
  if (options.Choose("activations", {"int8", "float32"}) == 1) {
    load.activations = Activations::kFloat32;
  }
  if (options.Choose("recurrent_window", {"deepmind", "transformers"}) == 1) {
    load.recurrent_window = RecurrentWindow::kTransformers;
  }
  if (const nb::object type = options.Take("quantize"); type.is_valid()) {
    const std::optional<WeightType> found = nb::isinstance<nb::str>(type)
                                                ? ParseWeightType(Utf8(type))
                                                : std::nullopt;
    if (!found)
      Refuse("quantize", type,
             "keep, bf16, q8, q6, q5, q4, q4s or "
             "q4_0");
    load.quantize = *found;
  }
  std::string turns;
  options.Read("chat_template", &turns);
  if (turns == "file") {
    load.turn_source = TurnSource::kFile;
  } else if (turns == "gemma") {
    load.turn_source = TurnSource::kGemma;
  } else if (turns != "none") {
    load.chat_template_file = turns;
  }
  return load;
}

// Makes loading stop if the model, and an engine with these options, do not fit
// in memory.
void CheckBeforeWeights(const std::string& name, const nb::dict& options,
                        LoadOptions* load, MemoryLeft* left) {
  Arguments arguments(options);
  const EngineOptions engine = ReadEngineOptions(arguments);
  const bool has_context = arguments.Take("context").is_valid();
  arguments.RefuseOthers();
  load->before_weights = [=](const Model& model) {
    EngineOptions chosen = engine;
    if (!has_context) chosen.max_tokens = DefaultContext(model);
    return CheckMemory({{.model = &model, .name = name, .options = chosen}},
                       /*max_bytes=*/0, left);
  };
}

BoundModel Load(const nb::bytes& path, const nb::dict& options,
                const nb::object& progress, const nb::object& engine) {
  const std::string name(path.c_str(), path.size());
  Arguments arguments(options);
  LoadOptions load = ReadLoadOptions(arguments);
  arguments.RefuseOthers();
  MemoryLeft left;
  if (!engine.is_none()) {
    CheckBeforeWeights(name, nb::cast<nb::dict>(engine), &load, &left);
  }
  const size_t prefill_chunk = load.prefill_chunk;
  LoadWatcher watcher(progress.is_none() ? nb::object() : progress);
  load.progress = [&watcher](const LoadProgress& at) { return watcher(at); };
  std::optional<absl::StatusOr<Model>> model;
  {
    const WithoutGil release;
    model = Model::Load(name, std::move(load));
  }
  watcher.Rethrow();
  return BoundModel(ValueOrThrow(*std::move(model)), prefill_chunk,
                    std::move(left));
}

nb::bytes Resolve(const nb::bytes& model) {
  // In a chat: the path of a file that does not exist may have blanks.
  const std::string path = ValueOrThrow(tools::ResolveModel(
      std::string(model.c_str(), model.size()), /*in_chat=*/true));
  return nb::bytes(path.data(), path.size());
}

// The tokenizer, valid as long as the model.
const Tokenizer& TokenizerOf(const Model& model) {
  return *ValueOrThrow(model.tokenizer());
}

std::vector<TokenId> Tokenize(const BoundModel& self, const nb::str& text,
                              bool parse_control, bool bos) {
  const std::shared_ptr<Model> model = self.get();
  const std::string utf8 = Utf8(text);
  const WithoutGil release;
  std::vector<TokenId> tokens = ValueOrThrow(TokenizerOf(*model).Encode(
      utf8, parse_control ? ControlTokens::kParse : ControlTokens::kAsText));
  // A text may write BOS itself, as those of templates do.
  const TokenId begin = model->config().bos_token;
  const bool has_bos =
      parse_control && !tokens.empty() && tokens.front() == begin;
  if (bos && !has_bos) tokens.insert(tokens.begin(), begin);
  return tokens;
}

nb::object Detokenize(const BoundModel& self, const nb::object& tokens) {
  const std::vector<TokenId> ids = Tokens("tokens", tokens);
  const std::shared_ptr<Model> model = self.get();
  return Text(TokenizerOf(*model).Decode(ids));
}

std::vector<TokenId> ChatTokens(const BoundModel& self,
                                const std::vector<Message>& messages,
                                const std::string& tools,
                                std::optional<bool> thinking) {
  const std::shared_ptr<Model> model = self.get();
  const WithoutGil release;
  const ChatTemplate turns = ValueOrThrow(model->chat_template());
  return ValueOrThrow(turns.Render(messages, {tools, thinking}));
}

// How the model calls tools; "none" if it has no turns.
std::string_view DialectOf(const BoundModel& self) {
  const absl::StatusOr<ChatTemplate> turns = self.get()->chat_template();
  return ToolDialectName(turns.ok() ? turns->tool_dialect()
                                    : ToolDialect::kNone);
}

Role ReadRole(std::string_view name) {
  if (name == "system") return Role::kSystem;
  if (name == "developer") return Role::kDeveloper;
  if (name == "user") return Role::kUser;
  if (name == "assistant" || name == "model") return Role::kModel;
  if (name == "tool") return Role::kTool;
  throw StatusError(absl::InvalidArgumentError(
      absl::StrCat("role is '", name,
                   "', wanted system, developer, user, assistant or tool")));
}

// The numbers of the model that Python asks for.
void AddConfig(nb::class_<BoundModel>& model) {
  const auto add = [&model]<typename T>(const char* name,
                                        T (*read)(const Model&),
                                        const char* doc) {
    model.def_prop_ro(
        name, [read](const BoundModel& self) { return read(*self.get()); },
        doc);
  };
  add(
      "architecture", +[](const Model& m) { return m.config().architecture; },
      "The architecture, such as 'gemma3'.");
  add(
      "vocab_size", +[](const Model& m) { return m.config().vocab_size; },
      "The number of tokens: the width of logits.");
  add(
      "model_dim", +[](const Model& m) { return m.config().model_dim; },
      "The width of the residual stream.");
  add(
      "num_layers", +[](const Model& m) { return m.config().num_layers(); },
      "The number of layers.");
  add(
      "max_context", +[](const Model& m) { return m.config().max_context; },
      "The tokens of a sequence that the model was made for; 0: unknown.");
  add("default_context", DefaultContext,
      "The most tokens of a sequence if nobody chooses them.");
  add(
      "bos_token", +[](const Model& m) { return m.config().bos_token; },
      "The token that begins a text.");
  add(
      "stop_tokens", +[](const Model& m) { return m.config().stop_tokens; },
      "The tokens that end an answer.");
  add(
      "embeds",
      +[](const Model& m) { return m.config().pooling != Pooling::kNone; },
      "Whether the model turns texts into vectors instead of continuing them.");
  add(
      "embedding_dim",
      +[](const Model& m) { return m.config().embedding_dim(); },
      "The width of a text's vector, for a model that embeds.");
  add(
      "is_instruction_tuned",
      +[](const Model& m) { return m.is_instruction_tuned(); },
      "Whether the model was tuned to chat.");
  add(
      "num_threads", +[](const Model& m) { return m.num_threads(); },
      "The number of threads that compute.");
  add(
      "notes", +[](const Model& m) { return m.notes(); },
      "A line for each thing in the files that the model does not follow.");
}

void AddTokenizer(nb::class_<BoundModel>& bound) {
  bound
      .def("tokenize", Tokenize, "text"_a, nb::kw_only(),
           "parse_control"_a = false, "bos"_a = false,
           "Returns the tokens of a text.")
      .def("detokenize", Detokenize, "tokens"_a, "Returns the text of tokens.")
      .def(
          "piece",
          [](const BoundModel& self, TokenId token) {
            const std::shared_ptr<Model> model = self.get();
            return Text(TokenizerOf(*model).Piece(token));
          },
          "token"_a,
          "Returns a token as the vocabulary spells it, or '' if the token "
          "does not exist.")
      .def(
          "find",
          [](const BoundModel& self, const nb::str& piece) {
            const std::shared_ptr<Model> model = self.get();
            return TokenizerOf(*model).Find(Utf8(piece));
          },
          "piece"_a, "Returns the token of a piece, or None.")
      .def(
          "is_control",
          [](const BoundModel& self, TokenId token) {
            const std::shared_ptr<Model> model = self.get();
            return TokenizerOf(*model).IsControl(token);
          },
          "token"_a, "Returns whether text never becomes this token.")
      .def_prop_ro(
          "eos_token",
          [](const BoundModel& self) {
            const std::shared_ptr<Model> model = self.get();
            return TokenizerOf(*model).eos();
          },
          "The token that ends a text.");
}

void AddMessages(nb::module_& m) {
  nb::class_<ToolCall>(m, "ToolCall", "A model's request to run a tool.")
      .def(
          "__init__",
          [](ToolCall* self, const nb::str& name, const nb::str& arguments,
             const nb::str& id) {
            new (self) ToolCall{Utf8(name), Utf8(arguments), Utf8(id)};
          },
          "name"_a, "arguments"_a, "id"_a);
  nb::class_<Message>(m, "Message", "A message of a chat.")
      .def(
          "__init__",
          [](Message* self, const nb::str& role, const nb::str& text,
             const nb::str& content_json, const nb::str& thoughts,
             std::vector<ToolCall> tool_calls, const nb::str& tool_name,
             const nb::str& call_id) {
            new (self) Message{ReadRole(Utf8(role)),  Utf8(text),
                               Utf8(content_json),    Utf8(thoughts),
                               std::move(tool_calls), Utf8(tool_name),
                               Utf8(call_id)};
          },
          "role"_a, nb::kw_only(), "text"_a = "", "content_json"_a = "",
          "thoughts"_a = "", "tool_calls"_a = std::vector<ToolCall>(),
          "tool_name"_a = "", "call_id"_a = "");
}

}  // namespace

void AddModel(nb::module_& m) {
  AddMessages(m);
  nb::class_<BoundModel> model(m, "Model", "A loaded model.");
  model.def_static("load", Load, "path"_a, "options"_a, "progress"_a.none(),
                   "engine"_a.none() = nb::none(),
                   "Loads a model; calls progress(done_bytes, total_bytes). "
                   "With the options of an engine, an error if the model and "
                   "the engine do not fit in memory.");
  AddConfig(model);
  AddTokenizer(model);
  model
      .def("chat_tokens", ChatTokens, "messages"_a, "tools"_a, "thinking"_a,
           "Returns what the model reads to answer the last message.")
      .def_prop_ro("tool_dialect", DialectOf,
                   "How the model calls tools: 'none', 'json', "
                   "'functiongemma' or 'gemma4'.")
      .def("close", &BoundModel::Close, "Lets the model go.")
      .def_prop_ro("closed", &BoundModel::closed)
      .def_prop_ro("prefill_chunk", &BoundModel::prefill_chunk,
                   "The most tokens of a sequence in one pass.")
      .def_prop_ro(
          "bytes_left",
          [](const BoundModel& self) { return self.left().bytes; },
          "The bytes of memory that the model and its engine leave, or 2**64 - "
          "1 if that is unknown.")
      .def_prop_ro(
          "memory_note",
          [](const BoundModel& self) { return Text(self.left().note); },
          "What is slow because memory is short, or ''.");
  m.def("resolve_model", Resolve, "model"_a,
        "Returns the path that a path or the name or source of a pulled model "
        "means.");
  m.def(
      "cap_simd", [](const std::string& name) { ThrowIfError(CapSimd(name)); },
      "name"_a,
      "Makes the process compute as on a CPU with fewer instructions.");
}

}  // namespace gemma::python
