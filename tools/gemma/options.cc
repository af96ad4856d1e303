#include "tools/gemma/options.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "src/base/status_macros.h"
#include "tools/gemma/errors.h"
#include "tools/gemma/logit_bias.h"
#include "tools/gemma/memory.h"
#include "tools/gemma/model_error.h"
#include "tools/gemma/progress.h"
#include "tools/gemma/resolve.h"
#include "tools/gemma/signals.h"

namespace gemma::tools {
namespace {

constexpr size_t kMaxThreads = 1024;
constexpr size_t kMaxChunk = 8192;  // of LoadOptions
// What a session accepts.
constexpr size_t kMaxPositions = size_t{1} << 24;

constexpr size_t kDefaultContext = 4096;

constexpr float kMaxTimeout = 1e9f;  // seconds

[[noreturn]] void Refuse(const std::string& names, std::string_view found,
                         std::string_view wanted) {
  // The long name: the last of "-t,--threads".
  const size_t comma = names.rfind(',');
  throw CLI::ValidationError(
      comma == std::string::npos ? names : names.substr(comma + 1),
      absl::StrCat("'", found, "' is not ", wanted));
}

size_t ParseNumber(const std::string& names, const std::string& text,
                   size_t least, size_t most) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number < least || number > most) {
    Refuse(names, text,
           absl::StrCat("a whole number from ", least, " to ", most));
  }
  return number;
}

// CLI11's own conversions split texts in brackets and read "010" as octal, so
// every option gets its words as they are.
CLI::Option* AddRaw(CLI::App& app, const std::string& names,
                    const std::string& type_name,
                    const std::string& description,
                    std::function<void(const std::string&)> set) {
  return app
      .add_option(
          names,
          [set = std::move(set)](const CLI::results_t& results) {
            for (const std::string& result : results) set(result);
            return true;
          },
          description)
      ->type_name(type_name);
}

LoadOptions LoadOptionsOf(const ModelOptions& options) {
  LoadOptions load;
  load.num_threads = options.threads;
  load.num_decode_threads = options.decode_threads;
  if (options.recurrent_window == "transformers") {
    load.recurrent_window = RecurrentWindow::kTransformers;
  }
  load.prefill_chunk = options.chunk;
  load.activations = options.activations == "float32" ? Activations::kFloat32
                                                      : Activations::kRounded;
  load.deterministic = options.deterministic;
  load.quantize = *ParseWeightType(options.quantize);
  return load;
}

absl::StatusOr<Model> Load(const ModelOptions& options,
                           const LoadOptions& load) {
  GEMMA_ASSIGN_OR_RETURN(const std::string path, ResolveModel(options.path));
  absl::StatusOr<Model> model = Model::Load(path, load);
  if (!model.ok()) return ExplainModelError(model.status(), path);
  return model;
}

}  // namespace

CLI::Option* AddNumber(CLI::App& app, const std::string& names, size_t* value,
                       size_t least, size_t most,
                       const std::string& description,
                       const std::string& default_text) {
  return AddRaw(app, names, "N", description,
                [=](const std::string& text) {
                  *value = ParseNumber(names, text, least, most);
                })
      ->default_str(default_text.empty() ? absl::StrCat(*value) : default_text);
}

CLI::Option* AddNumber(CLI::App& app, const std::string& names, float* value,
                       const std::string& description) {
  return AddRaw(
             app, names, "X", description,
             [=](const std::string& text) {
               if (!absl::SimpleAtof(text, value) || !std::isfinite(*value)) {
                 Refuse(names, text, "a number");
               }
             })
      ->default_str(absl::StrCat(*value));
}

CLI::Option* AddSeed(CLI::App& app, const std::string& names, uint64_t* value,
                     const std::string& description) {
  return AddRaw(app, names, "N", description,
                [=](const std::string& text) {
                  *value = ParseNumber(names, text, 0, SIZE_MAX);
                })
      ->default_str(absl::StrCat(*value));
}

CLI::Option* AddNumbers(CLI::App& app, const std::string& names,
                        std::vector<size_t>* values, size_t least, size_t most,
                        const std::string& description) {
  return AddRaw(app, names, "N[,N...]", description,
                [=](const std::string& text) {
                  values->clear();
                  for (std::string_view part : absl::StrSplit(text, ',')) {
                    values->push_back(
                        ParseNumber(names, std::string(part), least, most));
                  }
                })
      ->default_str(absl::StrJoin(*values, ","));
}

CLI::Option* AddText(CLI::App& app, const std::string& names,
                     const std::string& type_name, std::string* value,
                     const std::string& description) {
  return AddRaw(app, names, type_name, description,
                [value](const std::string& text) { *value = text; });
}

CLI::Option* AddTexts(CLI::App& app, const std::string& names,
                      const std::string& type_name,
                      std::vector<std::string>* values,
                      const std::string& description) {
  return AddRaw(app, names, type_name, description,
                [values](const std::string& text) { values->push_back(text); })
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

CLI::Option* AddTextArguments(CLI::App& app, const std::string& name,
                              std::vector<std::string>* values,
                              const std::string& description) {
  return AddTexts(app, name, "", values, description)
      ->expected(-1)
      ->allow_extra_args();
}

CLI::Option* AddChoice(CLI::App& app, const std::string& names,
                       std::string* value, std::vector<std::string> choices,
                       const std::string& description) {
  const std::string joined = absl::StrJoin(choices, "|");
  return AddRaw(app, names, joined, description,
                [=](const std::string& text) {
                  if (std::find(choices.begin(), choices.end(), text) ==
                      choices.end()) {
                    Refuse(names, text, absl::StrCat("one of ", joined));
                  }
                  *value = text;
                })
      ->default_str(*value);
}

std::vector<std::string> WeightTypeNames() {
  std::vector<std::string> names;
  for (const WeightType type :
       {WeightType::kKeep, WeightType::kBF16, WeightType::kQ8, WeightType::kQ6,
        WeightType::kQ5, WeightType::kQ4, WeightType::kQ4S,
        WeightType::kQ4_0}) {
    names.emplace_back(WeightTypeName(type));
  }
  return names;
}

void AddModelPath(CLI::App& app, std::string* path, const std::string& name) {
  AddText(app, name, "", path,
          "A GGUF file (of several: the first), a Hugging Face directory,\n"
          "a .sbs file of gemma.cpp, or the name of a pulled model (gemma\n"
          "list)")
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
  constexpr char kThreadsHelp[] = "Threads; 0: one per core that may be used";
  if (threads != nullptr) {
    AddNumbers(app, "-t,--threads", threads, 0, kMaxThreads, kThreadsHelp);
  } else {
    AddNumber(app, "-t,--threads", &options->threads, 0, kMaxThreads,
              kThreadsHelp);
  }
  AddNumber(app, "--decode-threads", &options->decode_threads, 0, kMaxThreads,
            "Of them, for one token at a time; 0: all");
  AddNumber(app, "-c,--context", &options->context, 1, kMaxPositions,
            "Tokens that fit in memory", default_context);
  AddNumber(app, "--chunk", &options->chunk, 1, kMaxChunk,
            "Tokens computed at once, at most");
  AddChoice(app, "--recurrent-window", &options->recurrent_window,
            {"deepmind", "transformers"},
            "Whose attention window RecurrentGemma follows");
  AddChoice(app, "--cache-type", &options->cache_type,
            {"auto", "float32", "bfloat16", "int8"},
            "How keys and values are kept; auto: float32\nfor float32 weights, "
            "else bfloat16");
  AddChoice(app, "--activations", &options->activations, {"float32", "int8"},
            "What multiplies quantized weights: int8 is\nfast, float32 exact");
  AddChoice(app, "--quantize", &options->quantize, WeightTypeNames(),
            "Turn weights into this type while loading");
  app.add_flag("--deterministic", options->deterministic,
               "The same bits for any --chunk, on every CPU");
  app.add_flag("--ignore-memory", options->ignore_memory,
               "Go on where the model does not fit in memory");
}

absl::StatusOr<Model> LoadModel(const ModelOptions& options) {
  LoadOptions load = LoadOptionsOf(options);
  load.before_weights = [&options](const Model& model) {
    GEMMA_RETURN_IF_ERROR(CheckPurpose(model, options.embeds, options.path));
    if (options.ignore_memory) return absl::OkStatus();
    // Without --context, CreateSession knows how many tokens.
    return CheckMemory(model, SessionOptionsOf(options, 1), /*loaded=*/false,
                       options.path, ReadMemory());
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
  return std::min(kDefaultContext, model.config().max_context);
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
  const SessionOptions session = SessionOptionsOf(options, default_context);
  if (!options.ignore_memory) {
    GEMMA_RETURN_IF_ERROR(CheckMemory(model, session, /*loaded=*/true,
                                      options.path, ReadMemory()));
  }
  return Session::Create(model, session);
}

void AddAnswerOptions(CLI::App& app, AnswerOptions* options,
                      const std::string& default_max_tokens) {
  SamplingOptions& sampling = options->sampling;
  AddNumber(app, "--temperature", &sampling.temperature,
            "0: always the most probable token");
  AddNumber(app, "--top-k", &sampling.top_k, 0, kMaxPositions,
            "Choose among the N most probable; 0: all");
  AddNumber(app, "--top-p", &sampling.top_p,
            "Choose among the fewest whose probability\nreaches X; 1: all");
  AddNumber(app, "--min-p", &sampling.min_p,
            "Choose among those above X times the highest");
  AddNumber(app, "--typical-p", &sampling.typical_p,
            "Choose among those of about average surprise, the\nfewest whose "
            "probability reaches X; 1: all");
  AddNumber(app, "--repetition-penalty", &sampling.repetition_penalty,
            "Divides positive logits of tokens that occurred,\n"
            "multiplies negative ones; 1: off");
  AddNumber(app, "--frequency-penalty", &sampling.frequency_penalty,
            "Is subtracted for each time a token occurred; 0: off");
  AddNumber(app, "--presence-penalty", &sampling.presence_penalty,
            "Is subtracted once if a token occurred; 0: off");
  AddNumber(app, "--penalty-window", &sampling.penalty_window, 0, kMaxPositions,
            "Penalties count the last N tokens, the prompt's too;\n0: all");
  AddTexts(app, "--logit-bias", "TOKEN=BIAS", &options->logit_bias,
           "Add BIAS to the logit of TOKEN, an id or a piece in\n"
           "double quotes; -inf: never choose it; may be repeated");
  AddSeed(app, "--seed", &sampling.seed, "The same seed gives the same answer");
  AddNumber(app, "-n,--max-tokens", &options->max_tokens, 1, kMaxPositions,
            "Tokens of an answer, at most", default_max_tokens);
  AddTexts(app, "--stop", "TEXT", &options->stop,
           "End the answer before TEXT; may be repeated");
  AddChoice(app, "--speculate", &options->speculate, {"off", "auto"},
            "Guess tokens from what the text repeats, and check\n"
            "several at once where that is measured to be\n"
            "faster; the answer is the same");
  AddNumber(app, "--timeout", &options->timeout,
            "Seconds that an answer may take, its prompt included;\n0: any");
}

absl::Status Validate(const AnswerOptions& options) {
  if (options.timeout < 0 || options.timeout > kMaxTimeout) {
    return UsageError(absl::StrCat("--timeout: ", options.timeout,
                                   " is not a number from 0 to ", kMaxTimeout));
  }
  for (const std::string& stop : options.stop) {
    if (stop.empty()) return UsageError("--stop: the text is empty");
  }
  for (const std::string& bias : options.logit_bias) {
    GEMMA_RETURN_IF_ERROR(ParseLogitBias(bias).status());
  }
  return AsUsageError(gemma::Validate(options.sampling));
}

absl::Status FindTokens(const Model& model, AnswerOptions* options) {
  GEMMA_ASSIGN_OR_RETURN(options->sampling.logit_bias,
                         FindLogitBiases(options->logit_bias, model));
  // A token may be named twice, by its id and by its piece.
  return AsUsageError(gemma::Validate(options->sampling));
}

CLI::Option* AddFormat(CLI::App& app, std::string* format) {
  return AddChoice(app, "-o,--output-format", format, {"text", "json"},
                   "Form of the result");
}

}  // namespace gemma::tools
