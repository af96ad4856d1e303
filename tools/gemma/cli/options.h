// Options of the command line. Values out of range are usage errors that name
// the option, what was found and what was wanted.

#ifndef GEMMA_TOOLS_GEMMA_CLI_OPTIONS_H_
#define GEMMA_TOOLS_GEMMA_CLI_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/gemma.h"
#include "tools/gemma/machine/memory.h"

namespace gemma::tools {

// Set `value` and return "", or return what was wanted: "a number". Numbers are
// decimal, so that "010" is ten.
std::string ParseCount(std::string_view text, size_t least, size_t most,
                       size_t* value);
std::string ParseReal(std::string_view text, float* value);
std::string ParseChoice(std::string_view text,
                        const std::vector<std::string>& choices,
                        std::string* value);

// Numbers, as ParseCount and ParseReal read them. `default_text`: what --help
// says of the default; empty: the value that `value` has now.
CLI::Option* AddNumber(CLI::App& app, const std::string& names, size_t* value,
                       size_t least, size_t most,
                       const std::string& description,
                       const std::string& default_text = "");
CLI::Option* AddNumber(CLI::App& app, const std::string& names, float* value,
                       const std::string& description);

// One or more numbers with commas between.
CLI::Option* AddNumbers(CLI::App& app, const std::string& names,
                        std::vector<size_t>* values, size_t least, size_t most,
                        const std::string& description);

// A text as it is, with whatever brackets and dashes it has. Shells complete
// file names where `type_name` begins with FILE.
CLI::Option* AddText(CLI::App& app, const std::string& names,
                     const std::string& type_name, std::string* value,
                     const std::string& description);

// Any number of such texts, each with its own option.
CLI::Option* AddTexts(CLI::App& app, const std::string& names,
                      const std::string& type_name,
                      std::vector<std::string>* values,
                      const std::string& description);

// The same for an argument: the words that no option takes.
CLI::Option* AddTextArguments(CLI::App& app, const std::string& name,
                              std::vector<std::string>* values,
                              const std::string& description);

// One of several words.
CLI::Option* AddChoice(CLI::App& app, const std::string& names,
                       std::string* value, std::vector<std::string> choices,
                       const std::string& description);

// The names of all types of weights.
std::vector<std::string> WeightTypeNames();

// Adds MODEL, or an argument of another name that is a model.
void AddModelPath(CLI::App& app, std::string* path,
                  const std::string& name = "MODEL");

// What every command needs that loads a model.
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
  std::string quantize = "keep";  // as WeightTypeName has it
  bool ignore_memory = false;
  bool embeds = false;  // what the model is for: to embed texts, not go on
  // Matrices of logits, of --chunk rows each, that the command keeps.
  size_t logits = 0;
};

// Adds MODEL and the options of AddModelSettings.
void AddModelOptions(CLI::App& app, ModelOptions* options,
                     const std::string& default_context,
                     std::vector<size_t>* threads = nullptr);

// Adds --threads, --decode-threads, --context, --chunk, --recurrent-window,
// --cache-type, --activations, --quantize, --deterministic and --ignore-memory.
// `default_context`: what --help says. With `threads`, --threads takes several
// numbers, for that.
void AddModelSettings(CLI::App& app, ModelOptions* options,
                      const std::string& default_context,
                      std::vector<size_t>* threads = nullptr);

// What the model takes, with so many sessions of at most options.context
// tokens, or `default_context`; see CheckMemory.
MemoryPlan PlanOf(const Model& model, const ModelOptions& options,
                  size_t default_context, size_t sessions = 1);

// OK, also with --ignore-memory, or as the other CheckMemory.
absl::Status CheckMemory(const ModelOptions& options, const MemoryPlan& plan);

// Loads the model with a progress line; an interrupt stops it. One that is for
// something else or does not fit in memory is refused before, and failures have
// a cure.
absl::StatusOr<Model> LoadModel(const ModelOptions& options);

// The same without the weights: what the model is and would take.
absl::StatusOr<Model> ReadOutline(const ModelOptions& options);

// Tokens that a session holds unless --context says otherwise: 4096, or what
// the model was made for if that is less.
size_t DefaultContext(const Model& model);

// What CreateSession gives to a session.
SessionOptions SessionOptionsOf(const ModelOptions& options,
                                size_t default_context);

// A session of options.context positions, or of `default_context`. One that
// does not fit in memory is refused.
absl::StatusOr<Session> CreateSession(const Model& model,
                                      const ModelOptions& options,
                                      size_t default_context);

// Adds -o text|json.
CLI::Option* AddFormat(CLI::App& app, std::string* format);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_OPTIONS_H_
