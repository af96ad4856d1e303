#include "tools/gemma/serve/served_models.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/part_name.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/policy_options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/machine/model_error.h"
#include "tools/gemma/serve/served_autoencoders.h"

namespace gemma::tools {
namespace {

constexpr size_t kMaxName = 128;

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// The name of a file without its ending and the number of a part, or of a
// folder.
std::string NameOfPath(const std::string& path) {
  std::filesystem::path whole = std::filesystem::path(path).lexically_normal();
  if (whole.filename().empty()) whole = whole.parent_path();
  const std::string file = whole.filename().string();
  if (const auto part = ParsePartName(file)) return part->prefix;
  return std::string(
      absl::StripSuffix(absl::StripSuffix(file, ".gguf"), ".sbs"));
}

bool IsEmbedder(const Model& model) {
  return model.config().pooling != Pooling::kNone;
}

// The most tokens of a request without --context.
size_t DefaultTokens(const Model& model) {
  return IsEmbedder(model)
             ? std::min(model.config().max_context, kMaxEmbedderTokens)
             : DefaultContext(model);
}

ModelOptions OptionsOf(const ServeOptions& options, const NamedModel& model) {
  ModelOptions result = options.model;
  result.path = model.model;
  result.quiet = options.quiet;
  if (model.moderates) {  // these belong to the model that answers
    result.adapters.clear();
    result.chat_template = ModelOptions().chat_template;
  }
  return result;
}

// Reads what is known without weights.
absl::Status ReadModel(const ServeOptions& options, NamedModel* named) {
  const ModelOptions model_options = OptionsOf(options, *named);
  GEMMA_ASSIGN_OR_RETURN(Model model, ReadOutline(model_options));
  GEMMA_RETURN_IF_ERROR(TokenizerOf(model).status());
  named->embeds = IsEmbedder(model) && !named->moderates;
  const SessionOptions session =
      SessionOptionsOf(model_options, DefaultTokens(model));
  named->engine = options.engine;
  named->engine.max_tokens =
      IsEmbedder(model) ? std::min(session.max_tokens, DefaultTokens(model))
                        : session.max_tokens;
  named->engine.cache_format = session.cache_format;
  named->outline = std::move(model);
  return absl::OkStatus();
}

// An error if the model does not answer Yes or No, as a ShieldGemma does.
absl::Status CheckGuard(const ServedModel& guard) {
  ClassifierOptions options;
  options.max_tokens = guard.options.max_tokens;
  options.cache_format = guard.options.cache_format;
  GEMMA_ASSIGN_OR_RETURN(Classifier classifier,
                         NewClassifier(guard.model, std::move(options)));
  const std::vector<Policy> policies = ShieldPolicies();
  const absl::Status status =
      classifier.Classify({"Hello", std::nullopt}, {policies.data(), 1})
          .status();
  if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat("--guard: ", status.message()));
  }
  const std::string why = WhyNoShield(guard.name, classifier.stats());
  if (why.empty()) return absl::OkStatus();
  return WithCure(
      absl::FailedPreconditionError(absl::StrCat("--guard: ", why)),
      "give a model of ShieldGemma's family; its probabilities would mean "
      "nothing");
}

// Notes that a model which does not embed was not tuned to chat.
void NoteBaseModel(std::string_view name, const Model& model) {
  if (model.is_instruction_tuned() || !model.chat_template().ok() ||
      model.config().pooling != Pooling::kNone) {
    return;
  }
  Note(absl::StrCat(name,
                    ": is a base model, not tuned to chat (gemma list --all "
                    "shows tuned ones)"));
}

}  // namespace

absl::StatusOr<NamedModel> ParseNamedModel(const std::string& word) {
  const size_t at = word.find('=');
  if (at == std::string::npos || Exists(word)) {
    return NamedModel{Exists(word) ? NameOfPath(word) : word, word};
  }
  NamedModel named = {word.substr(0, at), word.substr(at + 1)};
  if (named.name.empty() || named.model.empty() ||
      named.name.size() > kMaxName || !IsPrintable(named.name)) {
    return UsageError(absl::StrCat(Quoted(word),
                                   " is not NAME=MODEL with a "
                                   "name of 1 to ",
                                   kMaxName, " printable characters"));
  }
  return named;
}

absl::StatusOr<std::vector<NamedModel>> FindServedModels(
    const ServeOptions& options) {
  std::vector<std::string> words = options.models;
  if (!options.guard.empty()) words.push_back(options.guard);
  GEMMA_ASSIGN_OR_RETURN(std::vector<NamedAutoencoder> autoencoders,
                         LoadAutoencoders(options));
  std::vector<NamedModel> models;
  for (const std::string& word : words) {
    GEMMA_ASSIGN_OR_RETURN(NamedModel model, ParseNamedModel(word));
    model.moderates = models.size() == options.models.size();
    for (const NamedModel& other : models) {
      if (other.name != model.name) continue;
      return WithCure(UsageError(absl::StrCat("two models have the name ",
                                              Quoted(model.name))),
                      "NAME=MODEL gives a model another name");
    }
    GEMMA_RETURN_IF_ERROR(ReadModel(options, &model));
    if (!model.embeds && !model.moderates) {
      model.autoencoders = FittingAutoencoders(*model.outline, &autoencoders);
    }
    models.push_back(std::move(model));
  }
  GEMMA_RETURN_IF_ERROR(
      CheckAllUsed(*models[0].outline, models[0].name, autoencoders));
  return models;
}

absl::StatusOr<std::vector<ServedModel>> LoadServedModels(
    const ServeOptions& options, std::vector<NamedModel> models) {
  GEMMA_ASSIGN_OR_RETURN(const ThreadPool pool,
                         ThreadPool::Create(options.model.threads));
  std::vector<ServedModel> served;
  for (NamedModel& named : models) {
    ModelOptions model_options = OptionsOf(options, named);
    model_options.embeds = named.embeds;
    model_options.pool = pool;
    named.outline.reset();
    GEMMA_ASSIGN_OR_RETURN(Model model, LoadModel(model_options));
    NoteLongContext(model, model_options);
    if (!named.moderates) NoteBaseModel(named.name, model);
    served.push_back({named.name, std::move(model), named.engine,
                      named.moderates, std::move(named.autoencoders)});
  }
  for (const ServedModel& model : served) {
    if (model.moderates) GEMMA_RETURN_IF_ERROR(CheckGuard(model));
  }
  return served;
}

}  // namespace gemma::tools
