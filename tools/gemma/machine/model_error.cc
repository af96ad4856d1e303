#include "tools/gemma/machine/model_error.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/nearest.h"
#include "tools/gemma/machine/path_finding.h"
#include "tools/gemma/pull/catalogue.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPointerCure =
    "git lfs pull, in the folder that was cloned, replaces pointers by their "
    "files; so does gemma pull hf://OWNER/REPO";
constexpr std::string_view kTokenizerCure =
    "put tokenizer.model or tokenizer.json of the model's repository next to "
    "the weights; if the model is a GGUF file, use one with a tokenizer";
constexpr std::string_view kOtherTemplateCure =
    "--chat-template FILE uses the turns of another template; gemma run --raw "
    "needs none";
constexpr std::string_view kTemplateCure =
    "--chat-template gemma uses Gemma's own turns, --chat-template FILE those "
    "of another template; gemma run --raw needs none";

// Returns the cure for a path that does not exist.
std::string CureOfNothing(const fs::path& path) {
  const fs::path folder = path.parent_path();
  const std::string near = DidYouMean(path.filename().string(),
                                      NamesIn(folder.empty() ? "." : folder));
  return absl::StrCat("gemma list shows the pulled models", near);
}

std::string FindCure(const absl::Status& status, const std::string& path) {
  std::error_code error;
  const fs::file_status file = fs::status(path, error);
  if (!fs::exists(file)) return CureOfNothing(path);
  switch (ReasonOf(status)) {
    case ErrorReason::kIncompleteFile:
      return std::string(kCutCure);
    case ErrorReason::kDamagedFile:
      return "the file is damaged: fetch it again (gemma pull checks what it "
             "fetches)";
    case ErrorReason::kMissingPart:
      return "all parts of the model must be in one directory, under the names "
             "that they were published with";
    case ErrorReason::kMissingFile:
      return "the model has more files: gemma pull hf://OWNER/REPO fetches all";
    case ErrorReason::kOtherArchitecture:
      return "only Gemma models run here (gemma list --all)";
    case ErrorReason::kUnreadGemma:
      return "Gemma 1 to 4, RecurrentGemma, CodeGemma, ShieldGemma, VaultGemma "
             "and EmbeddingGemma run here (gemma list --all)";
    case ErrorReason::kLfsPointer:
      return std::string(kPointerCure);
    case ErrorReason::kWebPage:
      return std::string(kWebPageCure);
    case ErrorReason::kVisionTower:
      return "it is only the vision part of a model: use the file of the "
             "language model, whose name has no mmproj";
    case ErrorReason::kUnknownSizes:
      return "gemma.cpp's migrate_weights converts it to a file that states "
             "the model's sizes";
    case ErrorReason::kNoTokenizer:
      return std::string(kTokenizerCure);
    case ErrorReason::kAdapter:
      return "give the base model, and the adapter with --lora";
    case ErrorReason::kChatTemplate:
      return std::string(kTemplateCure);
    case ErrorReason::kNone:
    case ErrorReason::kNotAModel:  // see NotAModel
    case ErrorReason::kOutputFile:
    case ErrorReason::kNotFinite:
      break;
  }
  return "";
}

// Returns the error that says in its first line why the path is not a model.
absl::Status WithFinding(const std::string& path, ErrorReason reason,
                         const PathFinding& finding) {
  return WithCure(WithReason(absl::InvalidArgumentError(
                                 absl::StrCat(path, ": ", finding.cause)),
                             reason),
                  finding.cure);
}

// Whether the file is an adapter of PEFT.
bool IsAdapterFile(const std::string& path) {
  return absl::StrContains(fs::path(path).filename().string(),
                           "adapter_model.safetensors");
}

}  // namespace

absl::Status ExplainModelError(absl::Status status, const std::string& path) {
  std::error_code error;
  if (ReasonOf(status) == ErrorReason::kNotAModel) {
    return WithFinding(path, ErrorReason::kNotAModel, FindingOf(path));
  }
  if (ReasonOf(status) == ErrorReason::kNone && IsAdapterFile(path) &&
      fs::exists(path, error)) {
    return WithFinding(path, ErrorReason::kAdapter,
                       {"is an adapter, not a model",
                        "give the base model, and the adapter with --lora"});
  }
  const std::string cure = FindCure(status, path);
  return cure.empty() ? status : WithCure(std::move(status), cure);
}

absl::StatusOr<const Tokenizer*> TokenizerOf(const Model& model) {
  absl::StatusOr<const Tokenizer*> tokenizer = model.tokenizer();
  if (!tokenizer.ok()) return WithCure(tokenizer.status(), kTokenizerCure);
  return tokenizer;
}

absl::StatusOr<ChatTemplate> ChatTurns(const Model& model) {
  GEMMA_RETURN_IF_ERROR(TokenizerOf(model).status());
  absl::StatusOr<ChatTemplate> turns = model.chat_template();
  if (turns.ok()) return turns;
  switch (ReasonOf(turns.status())) {
    case ErrorReason::kLfsPointer:
      return WithCure(turns.status(), kPointerCure);
    case ErrorReason::kWebPage:
      return WithCure(turns.status(), kWebPageCure);
    case ErrorReason::kChatTemplate:
      return WithCure(turns.status(), HasGemmaTurns(model)
                                          ? kTemplateCure
                                          : kOtherTemplateCure);
    default:
      return WithCure(turns.status(),
                      "gemma run --raw completes texts, without chat turns");
  }
}

bool HasGemmaTurns(const Model& model) {
  const absl::StatusOr<const Tokenizer*> tokenizer = model.tokenizer();
  return tokenizer.ok() && ChatTemplate::Create(**tokenizer).ok();
}

absl::StatusOr<Classifier> NewClassifier(const Model& model,
                                         ClassifierOptions options) {
  GEMMA_RETURN_IF_ERROR(TokenizerOf(model).status());
  absl::StatusOr<Classifier> classifier =
      Classifier::Create(model, std::move(options));
  if (absl::IsFailedPrecondition(classifier.status())) {
    return WithCure(classifier.status(),
                    "gemma pull hf://google/shieldgemma-2b fetches a "
                    "ShieldGemma");
  }
  return classifier;
}

absl::Status CheckPurpose(const Model& model, bool embeds,
                          std::string_view name) {
  if (embeds == (model.config().pooling != Pooling::kNone)) {
    return absl::OkStatus();
  }
  if (embeds) {
    return WithCure(
        absl::FailedPreconditionError(absl::StrCat(
            name,
            ": is a model that continues texts, wanted one that embeds them")),
        "gemma pull embeddinggemma-300m fetches a model that embeds them; "
        "gemma run continues texts");
  }
  return WithCure(absl::FailedPreconditionError(absl::StrCat(
                      name, ": embeds texts, and does not continue them")),
                  "gemma embed writes embeddings");
}

absl::Status NotTunedToChat(std::string_view model, bool in_chat) {
  const absl::Status status = absl::FailedPreconditionError(
      absl::StrCat(model, ": is a base model, not tuned to chat"));
  if (in_chat) {
    return WithCure(status,
                    "the chat goes on with its model; /model NAME changes to "
                    "an instruction-tuned one");
  }
  const CatalogueEntry* tuned = TunedSibling(model);
  return WithCure(
      status,
      absl::StrCat(
          tuned == nullptr
              ? std::string("use an instruction-tuned model (gemma list --all)")
              : absl::StrCat("gemma pull ", tuned->name,
                             ", and chat with that"),
          "; gemma run completes texts, --chat tries anyway"));
}

}  // namespace gemma::tools
