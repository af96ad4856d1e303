#include "tools/gemma/cli/model_options.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/simd_option.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/machine/model_error.h"
#include "tools/gemma/machine/summary.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

LoadOptions LoadOptionsOf(const ModelOptions& options) {
  LoadOptions load;
  load.thread_pool = options.pool;
  if (!options.pool.has_value()) load.num_threads = options.threads;
  load.num_decode_threads = options.decode_threads;
  if (options.recurrent_window == "transformers") {
    load.recurrent_window = RecurrentWindow::kTransformers;
  }
  load.prefill_chunk = options.chunk;
  load.activations = options.activations == "float32" ? Activations::kFloat32
                                                      : Activations::kRounded;
  load.deterministic = options.deterministic;
  load.quantize = *ParseWeightType(options.quantize);
  load.adapters = options.adapters;
  if (options.chat_template == kFileTemplate) {
    load.turn_source = TurnSource::kFile;
  } else if (options.chat_template == kGemmaTemplate) {
    load.turn_source = TurnSource::kGemma;
  }
  load.chat_template_file = ChatTemplateFile(options);
  return load;
}

// Reads a value of --lora: a path, perhaps followed by "=" and a scale. Returns
// "", or what was wanted.
std::string ReadAdapter(const std::string& text,
                        std::vector<Adapter>* adapters) {
  Adapter adapter = {text};
  const size_t at = text.rfind('=');
  std::error_code error;
  if (at != std::string::npos && !std::filesystem::exists(text, error)) {
    adapter.path = text.substr(0, at);
    const std::string scale = text.substr(at + 1);
    CheckValue("--lora", scale, ParseReal(scale, &adapter.scale));
  }
  if (adapter.path.empty()) return "FILE or FILE=SCALE";
  adapters->push_back(adapter);
  return "";
}

absl::StatusOr<Model> Load(const ModelOptions& options,
                           const LoadOptions& load) {
  GEMMA_RETURN_IF_ERROR(ApplySimd(options.simd, options.quiet));
  GEMMA_ASSIGN_OR_RETURN(const std::string path,
                         ResolveModel(options.path, options.in_chat));
  absl::StatusOr<Model> model = Model::Load(path, load);
  if (!model.ok()) return ExplainModelError(model.status(), path);
  return model;
}

}  // namespace

void AddLora(CLI::App& app, std::vector<Adapter>* adapters) {
  AddParsed(app, "--lora", "FILE[=SCALE]",
            "Merge a LoRA adapter, scaled, into the weights: a\n"
            "PEFT directory or a GGUF file; may be repeated",
            [adapters](const std::string& text) -> std::string {
              return ReadAdapter(text, adapters);
            })
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

std::vector<std::string> ModelPaths(const ModelOptions& options) {
  std::vector<std::string> paths = {options.path};
  for (const Adapter& adapter : options.adapters) paths.push_back(adapter.path);
  return paths;
}

void AddModelPath(CLI::App& app, std::string* path, const std::string& name) {
  AddText(app, name, "", path,
          "A GGUF file (of a split model: any part), a Hugging\n"
          "Face directory, a .sbs file of gemma.cpp, or the name of a\n"
          "pulled model (see gemma list)")
      ->option_text(name)
      ->required();
}

void AddModelOptions(CLI::App& app, ModelOptions* options,
                     const std::string& default_context,
                     std::vector<size_t>* threads) {
  AddModelPath(app, &options->path);
  AddModelSettings(app, options, default_context, threads);
}

void AddModelSettings(CLI::App& app, ModelOptions* options,
                      const std::string& default_context,
                      std::vector<size_t>* threads) {
  constexpr char kThreadsHelp[] =
      "Number of threads; 0: one per available core";
  if (threads != nullptr) {
    AddNumbers(app, "-t,--threads", threads, 0, kMaxThreads, kThreadsHelp);
  } else {
    AddNumber(app, "-t,--threads", &options->threads, 0, kMaxThreads,
              kThreadsHelp);
  }
  AddNumber(app, "--decode-threads", &options->decode_threads, 0, kMaxThreads,
            "How many of these threads compute passes of up\n"
            "to 16 tokens, such as decoding; 0: all");
  AddParsed(app, "-c,--context", "N",
            "Context length: the most tokens that one sequence\n"
            "may have; 8k is 8192",
            [options](const std::string& text) {
              return ParseTokens(text, 1, kMaxSessionTokens, &options->context);
            })
      ->default_str(default_context);
  AddNumber(app, "--chunk", &options->chunk, 1, kMaxPrefillChunk,
            "The most tokens of a sequence in one pass");
  AddChoice(app, "--recurrent-window", &options->recurrent_window,
            {"deepmind", "transformers"},
            "Attention window of RecurrentGemma: as in\n"
            "DeepMind's code, or one key less, as in\ntransformers");
  AddChoice(app, "--cache-type", &options->cache_type,
            {"auto", "float32", "bfloat16", "int8"},
            "Type of the KV cache; auto: float32 for float32\nweights, else "
            "bfloat16");
  AddChoice(app, "--activations", &options->activations, {"float32", "int8"},
            "Type of activations that are multiplied with\nquantized weights: "
            "int8 is fast, float32 exact");
  AddChoice(app, "--quantize", &options->quantize, WeightTypeNames(),
            "Convert weights to this type while loading");
  AddLora(app, &options->adapters);
  app.add_flag("--deterministic", options->deterministic,
               "Compute the same bits for any --chunk, on every\nCPU");
  AddSimd(app, &options->simd);
  app.add_flag("--ignore-memory", options->ignore_memory,
               "Continue even if the model does not fit in\nmemory");
}

void AddChatTemplate(CLI::App& app, ModelOptions* options, bool needs_turns) {
  AddParsed(
      app, "--chat-template",
      needs_turns ? "FILE|file|gemma" : "FILE|file|gemma|none",
      needs_turns ? "Turns of a chat: a template in FILE, that of the model's\n"
                    "files, or Gemma's own"
                  : "Turns of a chat: a template in FILE, that of the model's\n"
                    "files, Gemma's own, or no turns",
      [options](const std::string& text) -> std::string {
        if (text.empty()) return "a file, or one of file|gemma|none";
        std::error_code error;
        const std::string lower = absl::AsciiStrToLower(text);
        const bool is_word = lower == kFileTemplate ||
                             lower == kGemmaTemplate || lower == kNoTemplate;
        const bool is_file = std::filesystem::exists(text, error);
        options->chat_template = is_word && !is_file ? lower : text;
        return "";
      })
      ->default_str("file, or gemma if it makes the same");
}

std::string ChatTemplateFile(const ModelOptions& options) {
  for (std::string_view word : {kFileTemplate, kGemmaTemplate, kNoTemplate}) {
    if (options.chat_template == word) return "";
  }
  return options.chat_template;
}

MemoryPlan PlanOf(const Model& model, const ModelOptions& options,
                  size_t default_context, size_t sessions) {
  MemoryPlan plan;
  plan.name = options.path;
  plan.loaded = true;
  plan.in_chat = options.in_chat;
  plan.bits_per_weight = Summarize(model.tensors()).all.bits_per_weight();
  if (model.config().pooling != Pooling::kNone) {
    plan.amounts.context =
        options.context != 0
            ? options.context
            : std::min(model.config().max_context, kMaxEmbedderTokens);
    plan.use = [&model](const Amounts& amounts) {
      return Embedder::MemoryFor(model, {.max_tokens = amounts.context});
    };
    return plan;
  }
  const SessionOptions session = SessionOptionsOf(options, default_context);
  plan.amounts = {session.max_tokens, sessions,
                  std::min(options.chunk, session.max_tokens)};
  plan.use = UseOfSessions({&model}, session, options.logits);
  return plan;
}

absl::Status CheckMemory(const ModelOptions& options, const MemoryPlan& plan) {
  if (options.ignore_memory) return absl::OkStatus();
  const Memory memory = ReadMemory();
  GEMMA_RETURN_IF_ERROR(CheckMemory(plan, memory));
  if (plan.loaded || options.quiet) return absl::OkStatus();
  const std::string note = MappedNote(plan, memory);
  if (!note.empty()) Note(note);
  return absl::OkStatus();
}

absl::StatusOr<Model> LoadModel(const ModelOptions& options) {
  LoadOptions load = LoadOptionsOf(options);
  load.before_weights = [&options](const Model& model) {
    if (!options.quiet) {
      for (const std::string& note : model.notes()) Note(note);
    }
    GEMMA_RETURN_IF_ERROR(CheckPurpose(model, options.embeds, options.path));
    // Without --context, plan for one token: CreateSession checks again with
    // the real number.
    MemoryPlan plan = PlanOf(model, options, /*default_context=*/1);
    plan.loaded = false;
    return CheckMemory(options, plan);
  };
  Progress progress("loading");
  load.progress = [&progress](const LoadProgress& at) {
    progress.Update(at.done_bytes, at.total_bytes);
    return !Interrupted();
  };
  absl::StatusOr<Model> model = Load(options, load);
  if (Interrupted()) return InterruptedError();
  return model;
}

absl::StatusOr<Model> ReadOutline(const ModelOptions& options) {
  LoadOptions load = LoadOptionsOf(options);
  load.skip_weights = true;
  return Load(options, load);
}

size_t DefaultContext(const Model& model) {
  return std::min(SessionOptions().max_tokens, model.config().max_context);
}

SessionOptions SessionOptionsOf(const ModelOptions& options,
                                size_t default_context) {
  SessionOptions session;
  session.max_tokens = options.context != 0 ? options.context : default_context;
  if (options.cache_type == "float32") {
    session.cache_format = CacheFormat::kFloat32;
  } else if (options.cache_type == "bfloat16") {
    session.cache_format = CacheFormat::kBFloat16;
  } else if (options.cache_type == "int8") {
    session.cache_format = CacheFormat::kInt8;
  }
  return session;
}

absl::StatusOr<Session> CreateSession(const Model& model,
                                      const ModelOptions& options,
                                      size_t default_context) {
  GEMMA_RETURN_IF_ERROR(
      CheckMemory(options, PlanOf(model, options, default_context)));
  return Session::Create(model, SessionOptionsOf(options, default_context));
}

std::string LongContextNote(const Model& model, const ModelOptions& options) {
  const size_t trained = model.config().max_context;
  if (trained == 0 || options.context <= trained) return "";
  return absl::StrCat("the model was trained on ", trained,
                      " tokens: in the context of ", options.context,
                      ", answers get worse beyond them");
}

void NoteLongContext(const Model& model, const ModelOptions& options) {
  const std::string note = LongContextNote(model, options);
  if (!options.quiet && !note.empty()) Note(note);
}

}  // namespace gemma::tools
