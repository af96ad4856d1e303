#include "tools/gemma/machine/model_error.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/nearest.h"
#include "tools/gemma/pull/catalogue.h"
#include "tools/gemma/pull/partial_file.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPullCure =
    "gemma pull fetches models that gemma can read; gemma list --all shows "
    "some of them";
// The cure for weights in a format that gemma does not read.
constexpr std::string_view kOtherFormatCure =
    "use the model's safetensors or GGUF files (gemma pull hf://OWNER/REPO)";
constexpr std::string_view kPickle =
    "has PyTorch weights, which gemma does not read, because reading them may "
    "run "
    "code";
constexpr std::string_view kOnnx =
    "has ONNX weights, which gemma does not read";
constexpr std::string_view kMobile =
    "has weights for LiteRT and MediaPipe, which gemma does not read";
constexpr std::string_view kOtherTool =
    "has weights of Flax or Keras, which gemma does not read";
constexpr std::string_view kOldGgml =
    "has a format that llama.cpp used before GGUF";
constexpr std::string_view kOldGgmlCure = "use a GGUF file of the model";
constexpr std::string_view kWebPageCure =
    "a server answered with a text in place of the file: the link to the file "
    "has /resolve/ instead of /blob/ (or use gemma pull hf://OWNER/REPO/FILE)";
constexpr std::string_view kPointerCure =
    "git lfs pull, in the folder that was cloned, replaces pointers by their "
    "files; so does gemma pull hf://OWNER/REPO";

constexpr std::string_view kCutCure =
    "the file was not downloaded or copied to its end: fetch it again (gemma "
    "pull checks what it fetches)";
constexpr std::string_view kTokenizerCure =
    "put tokenizer.model or tokenizer.json of the model's repository next to "
    "the weights; if the model is a GGUF file, use one with a tokenizer";

constexpr std::string_view kOtherTemplateCure =
    "--chat-template FILE uses the turns of another template; gemma run --raw "
    "needs none";
constexpr std::string_view kTemplateCure =
    "--chat-template gemma uses Gemma's own turns, --chat-template FILE those "
    "of another template; gemma run --raw needs none";

// Why a path is not a model, and what to do.
struct Finding {
  std::string cause;  // "is compressed", after the path
  std::string cure;
};

// The first bytes, from `offset` on, of a file that is not a model.
struct Beginning {
  size_t offset;
  std::string_view bytes;
  std::string_view cause;
  std::string_view cure;
};

constexpr Beginning kBeginnings[] = {
    {0, "<", "is a web page, not the file itself", kWebPageCure},
    {0, "\x80\x02", kPickle, kOtherFormatCure},
    {0, "PK\x03\x04", kPickle, kOtherFormatCure},
    {0, "ggml", kOldGgml, kOldGgmlCure},
    {0, "lmgg", kOldGgml, kOldGgmlCure},
    {0, "tjgg", kOldGgml, kOldGgmlCure},
    {4, "TFL3", kMobile, kOtherFormatCure},
    {0, "LITERTLM", kMobile, kOtherFormatCure},
    {0, "\x1f\x8b", "is compressed", "unpack it first"},
    {0,
     "\xfd"
     "7zXZ",
     "is compressed", "unpack it first"},
    {0, "\x28\xb5\x2f\xfd", "is compressed", "unpack it first"},
};

// The end of a file name. For formats without first bytes of their own, or
// with those of archives.
struct Ending {
  std::string_view suffix;
  std::string_view cause;
  std::string_view cure;
  bool in_directories;  // also names the weights that a directory holds
};

constexpr Ending kEndings[] = {
    {".sbs", "does not begin as files of gemma.cpp do", kCutCure, false},
    {".bin", kPickle, kOtherFormatCure, true},
    {".pt", kPickle, kOtherFormatCure, true},
    {".pth", kPickle, kOtherFormatCure, true},
    {".ckpt", kPickle, kOtherFormatCure, true},
    {".onnx", kOnnx, kOtherFormatCure, true},
    {".onnx_data", kOnnx, kOtherFormatCure, true},
    {".task", kMobile, kOtherFormatCure, true},
    {".litertlm", kMobile, kOtherFormatCure, true},
    {".tflite", kMobile, kOtherFormatCure, true},
    {".msgpack", kOtherTool, kOtherFormatCure, true},
    {".h5", kOtherTool, kOtherFormatCure, true},
    {PartialFile::kSuffix, "is a download that has not finished",
     "gemma pull continues it", false},
};

// Files of a model's directory that people take for the model.
constexpr std::string_view kDirectoryFiles[] = {
    "config.json",     "generation_config.json", "tokenizer.json",
    "tokenizer.model", "tokenizer_config.json",  "model.safetensors.index.json",
};

std::string FirstBytes(const std::string& path) {
  std::string bytes(64, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

bool IsText(std::string_view bytes) {
  return !bytes.empty() && std::all_of(bytes.begin(), bytes.end(), [](char c) {
    return absl::ascii_isprint(c) || absl::ascii_isspace(c) ||
           static_cast<uint8_t>(c) >= 0x80;
  });
}

// Returns the entry for the name, or null.
const Ending* EndingOf(std::string_view name) {
  for (const Ending& ending : kEndings) {
    if (absl::EndsWith(name, ending.suffix)) return &ending;
  }
  return nullptr;
}

// Returns why a file is not a model.
Finding FindingOfFile(const std::string& path) {
  const fs::path file(path);
  const fs::path folder =
      file.has_parent_path() ? file.parent_path() : fs::path(".");
  std::error_code error;
  if (std::find(std::begin(kDirectoryFiles), std::end(kDirectoryFiles),
                file.filename().string()) != std::end(kDirectoryFiles) &&
      fs::exists(folder / "config.json", error)) {
    return {"is one file of a model's directory",
            absl::StrCat("give the directory: ", folder.string())};
  }
  const std::string bytes = FirstBytes(path);
  if (absl::StartsWith("GGUF", bytes)) {
    return {"ends before the first four bytes of a GGUF file",
            std::string(kCutCure)};
  }
  const std::string_view text = absl::StripLeadingAsciiWhitespace(bytes);
  const Ending* ending = EndingOf(path);
  for (const Beginning& beginning : kBeginnings) {
    const std::string_view found = beginning.offset == 0 ? text : bytes;
    if (found.size() > beginning.offset &&
        absl::StartsWith(found.substr(beginning.offset), beginning.bytes)) {
      // PyTorch's files are not the only archives.
      if (beginning.cause == kPickle && ending != nullptr) break;
      return {std::string(beginning.cause), std::string(beginning.cure)};
    }
  }
  if (ending != nullptr) {
    return {std::string(ending->cause), std::string(ending->cure)};
  }
  if (IsText(bytes) && absl::EndsWith(path, ".gguf")) {
    return {"is a text, not the file itself", std::string(kWebPageCure)};
  }
  if (IsText(bytes)) {
    return {"is a text, not a model",
            absl::StrCat("the first argument is the model; ", kPullCure)};
  }
  return {absl::StrCat("is not a model: it begins with ",
                       Quoted(std::string_view(bytes).substr(0, 4)),
                       ", wanted a GGUF file or one of gemma.cpp"),
          std::string(kPullCure)};
}

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Returns why a directory is not a model. Some repositories have their weights
// in a folder of their own, such as onnx: the cause is empty if such an inner
// folder has none.
Finding FindingOfDirectory(const fs::path& path, bool is_outer = true) {
  std::error_code error;
  Finding inner;
  for (const std::string& name : NamesIn(path)) {
    const Ending* ending = EndingOf(name);
    if (ending != nullptr && ending->in_directories) {
      return {absl::StrCat(ending->cause, " (", Printable(name), ")"),
              std::string(ending->cure)};
    }
    if (absl::EndsWith(name, ".safetensors") && is_outer) {
      return {"has .safetensors that no file lists",
              "config.json, and model.safetensors.index.json if there are "
              "several .safetensors, must be next to the weights: gemma pull "
              "hf://OWNER/REPO fetches all files"};
    }
    if (is_outer && inner.cause.empty() &&
        fs::is_directory(path / name, error)) {
      inner = FindingOfDirectory(path / name, /*is_outer=*/false);
    }
  }
  if (!inner.cause.empty() || !is_outer) return inner;
  return {fs::exists(path / "config.json", error)
              ? "has config.json without weights"
              : "is a directory without a model",
          std::string(kPullCure)};
}

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
                         const Finding& finding) {
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
    return WithFinding(path, ErrorReason::kNotAModel,
                       fs::is_directory(path, error) ? FindingOfDirectory(path)
                                                     : FindingOfFile(path));
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
