#include "tools/gemma/machine/model_error.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
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
constexpr std::string_view kPickleCure =
    "gemma does not read PyTorch weights, because reading them may run code: "
    "use the model's safetensors or GGUF files (gemma pull hf://OWNER/REPO)";

constexpr std::string_view kOnnxCure =
    "gemma does not read ONNX: use the model's safetensors or GGUF files "
    "(gemma "
    "pull hf://OWNER/REPO)";
constexpr std::string_view kMobileCure =
    "gemma does not read models for LiteRT and MediaPipe: use the model's "
    "safetensors or GGUF files (gemma pull hf://OWNER/REPO)";
constexpr std::string_view kOtherToolCure =
    "gemma does not read weights of Flax and Keras: use the model's "
    "safetensors "
    "or GGUF files (gemma pull hf://OWNER/REPO)";
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

// The first bytes, from `offset` on, of a file that is not a model, and the
// cure.
struct Beginning {
  size_t offset;
  std::string_view bytes;
  std::string_view cure;
};

constexpr Beginning kBeginnings[] = {
    {0, "<", kWebPageCure},
    {0, "\x80\x02", kPickleCure},
    {0, "PK\x03\x04", kPickleCure},
    {0, "ggml",
     "it has a format that llama.cpp used before GGUF: use a GGUF file of "
     "the model"},
    {0, "lmgg",
     "it has a format that llama.cpp used before GGUF: use a GGUF file of "
     "the model"},
    {0, "tjgg",
     "it has a format that llama.cpp used before GGUF: use a GGUF file of "
     "the model"},
    {4, "TFL3", kMobileCure},
    {0, "LITERTLM", kMobileCure},
    {0, "\x1f\x8b", "it is compressed: unpack it first"},
    {0,
     "\xfd"
     "7zXZ",
     "it is compressed: unpack it first"},
    {0, "\x28\xb5\x2f\xfd", "it is compressed: unpack it first"},
};

// The end of a file name, and the cure. For formats without first bytes of
// their own, or with those of archives.
struct Ending {
  std::string_view suffix;
  std::string_view cure;
  bool in_directories;  // also names the weights that a directory holds
};

constexpr Ending kEndings[] = {
    {".sbs", kCutCure, false},
    {".bin", kPickleCure, true},
    {".pt", kPickleCure, true},
    {".pth", kPickleCure, true},
    {".ckpt", kPickleCure, true},
    {".onnx", kOnnxCure, true},
    {".onnx_data", kOnnxCure, true},
    {".task", kMobileCure, true},
    {".litertlm", kMobileCure, true},
    {".tflite", kMobileCure, true},
    {".msgpack", kOtherToolCure, true},
    {".h5", kOtherToolCure, true},
    {PartialFile::kSuffix,
     "it is a download that has not finished: gemma pull continues it", false},
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

// Returns the cure for a file that is not a model.
std::string CureOfFile(const std::string& path) {
  const std::string bytes = FirstBytes(path);
  if (absl::StartsWith("GGUF", bytes)) return std::string(kCutCure);
  const std::string_view text = absl::StripLeadingAsciiWhitespace(bytes);
  const Ending* ending = EndingOf(path);
  for (const Beginning& beginning : kBeginnings) {
    const std::string_view found = beginning.offset == 0 ? text : bytes;
    if (found.size() > beginning.offset &&
        absl::StartsWith(found.substr(beginning.offset), beginning.bytes)) {
      // PyTorch's files are not the only archives.
      const bool is_archive = beginning.cure == kPickleCure;
      return std::string(is_archive && ending != nullptr ? ending->cure
                                                         : beginning.cure);
    }
  }
  if (ending != nullptr) return std::string(ending->cure);
  if (IsText(bytes) && absl::EndsWith(path, ".gguf")) {
    return std::string(kWebPageCure);
  }
  if (IsText(bytes)) {
    return absl::StrCat("it is a text, but the first argument is the model; ",
                        kPullCure);
  }
  return std::string(kPullCure);
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

// Returns the cure for a directory that is not a model. Some repositories have
// their weights in a folder of their own, such as onnx.
std::string CureOfDirectory(const fs::path& path, bool is_outer = true) {
  std::string inner;
  for (const std::string& name : NamesIn(path)) {
    const Ending* ending = EndingOf(name);
    if (ending != nullptr && ending->in_directories) {
      return std::string(ending->cure);
    }
    if (absl::EndsWith(name, ".safetensors") && is_outer) {
      return "config.json, and model.safetensors.index.json if there are "
             "several .safetensors, must be next to the weights: gemma pull "
             "hf://OWNER/REPO fetches all files";
    }
    std::error_code error;
    if (is_outer && inner.empty() && fs::is_directory(path / name, error)) {
      inner = CureOfDirectory(path / name, /*is_outer=*/false);
    }
  }
  if (!inner.empty() || !is_outer) return inner;
  return std::string(kPullCure);
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
    case ErrorReason::kNotAModel:
      return fs::is_directory(file) ? CureOfDirectory(path) : CureOfFile(path);
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
    case ErrorReason::kOutputFile:
    case ErrorReason::kNotFinite:
      break;
  }
  return "";
}

}  // namespace

absl::Status ExplainModelError(absl::Status status, const std::string& path) {
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

absl::Status NotTunedToChat(std::string_view model) {
  const CatalogueEntry* tuned = TunedSibling(model);
  return WithCure(
      absl::FailedPreconditionError(
          absl::StrCat(model, ": is a base model, not tuned to chat")),
      absl::StrCat(
          tuned == nullptr
              ? std::string("use an instruction-tuned model (gemma list --all)")
              : absl::StrCat("gemma pull ", tuned->name,
                             ", and chat with that"),
          "; gemma run completes texts, --chat tries anyway"));
}

}  // namespace gemma::tools
