// Options of the commands that load a model, and the model that they describe.

#ifndef GEMMA_TOOLS_GEMMA_CLI_MODEL_OPTIONS_H_
#define GEMMA_TOOLS_GEMMA_CLI_MODEL_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/gemma.h"
#include "tools/gemma/machine/memory.h"

namespace gemma::tools {

// Adds the argument MODEL, or a model argument with another name.
void AddModelPath(CLI::App& app, std::string* path,
                  const std::string& name = "MODEL");

// Options of every command that loads a model.
struct ModelOptions {
  std::string path;
  size_t threads = 0;
  size_t decode_threads = 0;
  size_t context = 0;  // 0: the command decides
  size_t chunk = LoadOptions().prefill_chunk;
  std::string recurrent_window = "deepmind";
  std::string cache_type = "auto";
  std::string activations = "int8";  // a command may choose another default
  bool deterministic = false;
  std::string quantize = "keep";  // a result of WeightTypeName
  std::string simd;               // see ApplySimd (simd_option.h)
  std::vector<Adapter> adapters;
  bool quiet = false;         // print no notes about the model
  std::string chat_template;  // see AddChatTemplate
  bool ignore_memory = false;
  // A chat that has a model loads another; see MemoryPlan.
  bool in_chat = false;
  bool embeds = false;  // the model must embed texts, not continue them
  std::optional<ThreadPool> pool = {};  // instead of `threads` of its own
  // Number of logits matrices, of --chunk rows each, that the command keeps.
  size_t logits = 0;
};

// Adds --lora, whose values are added to `adapters`.
void AddLora(CLI::App& app, std::vector<Adapter>* adapters);

// Returns MODEL and the paths of the adapters.
std::vector<std::string> ModelPaths(const ModelOptions& options);

// Adds MODEL and the options of AddModelSettings.
void AddModelOptions(CLI::App& app, ModelOptions* options,
                     const std::string& default_context,
                     std::vector<size_t>* threads = nullptr);

// Adds --threads, --decode-threads, --context, --chunk, --recurrent-window,
// --cache-type, --activations, --quantize, --lora, --deterministic, --simd and
// --ignore-memory.
// `default_context`: the default of --context as --help shows it. If `threads`
// is not null, --threads accepts several numbers and stores them there.
void AddModelSettings(CLI::App& app, ModelOptions* options,
                      const std::string& default_context,
                      std::vector<size_t>* threads = nullptr);

// Adds --chat-template: a file, kFileTemplate, kGemmaTemplate or kNoTemplate.
// If empty, the model's own choice.
void AddChatTemplate(CLI::App& app, ModelOptions* options,
                     bool needs_turns = false);
inline constexpr std::string_view kFileTemplate = "file";
inline constexpr std::string_view kGemmaTemplate = "gemma";
inline constexpr std::string_view kNoTemplate = "none";

// Returns the file that --chat-template names, or "".
std::string ChatTemplateFile(const ModelOptions& options);

// Returns the memory plan of a model with this number of sessions, each of at
// most options.context tokens (`default_context` if that is 0). See
// CheckMemory.
MemoryPlan PlanOf(const Model& model, const ModelOptions& options,
                  size_t default_context, size_t sessions = 1);

// Returns OK with --ignore-memory, else the result of the CheckMemory of
// memory.h. Prints the MappedNote of a plan that is not loaded yet, unless
// options.quiet.
absl::Status CheckMemory(const ModelOptions& options, const MemoryPlan& plan);

// Loads the model and shows a progress line; an interrupt stops it. Applies
// options.simd first. Before it loads weights, it prints Model::notes unless
// options.quiet, and refuses a model that does not suit the command
// (CheckPurpose) or does not fit in memory. Adds cures to errors.
absl::StatusOr<Model> LoadModel(const ModelOptions& options);

// Loads the model without its weights, to describe it and to plan its memory.
// Prints no notes.
absl::StatusOr<Model> ReadOutline(const ModelOptions& options);

// Returns the number of tokens of a session without --context: 4096, or the
// maximum of the model if that is less.
size_t DefaultContext(const Model& model);

// Returns the session options that CreateSession uses.
SessionOptions SessionOptionsOf(const ModelOptions& options,
                                size_t default_context);

// Creates a session of options.context positions (`default_context` if that is
// 0). Fails if it does not fit in memory.
absl::StatusOr<Session> CreateSession(const Model& model,
                                      const ModelOptions& options,
                                      size_t default_context);

// Returns a note that options.context is more than the model was trained on,
// or "".
std::string LongContextNote(const Model& model, const ModelOptions& options);

// Says so on standard error, unless options.quiet.
void NoteLongContext(const Model& model, const ModelOptions& options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_MODEL_OPTIONS_H_
