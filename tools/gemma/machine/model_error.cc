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

constexpr std::string_view kCutCure =
    "the file was not downloaded or copied to its end: fetch it again (gemma "
    "pull checks what it fetches)";
constexpr std::string_view kTokenizerCure =
    "put tokenizer.model or tokenizer.json of the model's repository next to "
    "the weights; if the model is a GGUF file, use one with a tokenizer";

// The first bytes, from `offset` on, of a file that is not a model, and the
// cure.
struct Beginning {
  size_t offset;
  std::string_view bytes;
  std::string_view cure;
};

constexpr Beginning kBeginnings[] = {
    {0, "version https://git-lfs.github.com/",
     "it is a Git LFS pointer, not the file: git lfs pull or gemma pull "
     "hf://OWNER/REPO fetches the file"},
    {0, "<",
     "it is a web page, not the file: the link to the file has /resolve/ "
     "instead of /blob/ (or use gemma pull hf://OWNER/REPO/FILE)"},
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
    {4, "TFL3",
     "it is a TensorFlow Lite model: use the model's safetensors or "
     "GGUF files (gemma pull hf://OWNER/REPO)"},
    {0, "\x1f\x8b", "it is compressed: unpack it first"},
    {0,
     "\xfd"
     "7zXZ",
     "it is compressed: unpack it first"},
    {0, "\x28\xb5\x2f\xfd", "it is compressed: unpack it first"},
};

// The end of a file name, and the cure. For formats without first bytes of
// their own.
struct Ending {
  std::string_view suffix;
  std::string_view cure;
};

constexpr Ending kEndings[] = {
    {".sbs", kCutCure},
    {".bin", kPickleCure},
    {".pt", kPickleCure},
    {".pth", kPickleCure},
    {".ckpt", kPickleCure},
    {PartialFile::kSuffix,
     "it is a download that has not finished: gemma pull continues it"},
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

// Returns the cure for a file that is not a model.
std::string CureOfFile(const std::string& path) {
  const std::string bytes = FirstBytes(path);
  if (absl::StartsWith("GGUF", bytes)) return std::string(kCutCure);
  const std::string_view text = absl::StripLeadingAsciiWhitespace(bytes);
  for (const Beginning& beginning : kBeginnings) {
    const std::string_view found = beginning.offset == 0 ? text : bytes;
    if (found.size() > beginning.offset &&
        absl::StartsWith(found.substr(beginning.offset), beginning.bytes)) {
      return std::string(beginning.cure);
    }
  }
  for (const Ending& ending : kEndings) {
    if (absl::EndsWith(path, ending.suffix)) return std::string(ending.cure);
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

// Returns the cure for a directory that is not a model.
std::string CureOfDirectory(const std::string& path) {
  for (const std::string& name : NamesIn(path)) {
    for (std::string_view suffix : {".bin", ".pt", ".pth"}) {
      if (absl::EndsWith(name, suffix)) return std::string(kPickleCure);
    }
    if (absl::EndsWith(name, ".safetensors")) {
      return "config.json, and model.safetensors.index.json if there are "
             "several .safetensors, must be next to the weights: gemma pull "
             "hf://OWNER/REPO fetches all files";
    }
  }
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
    case ErrorReason::kVisionTower:
      return "it is only the vision part of a model: use the file of the "
             "language model, whose name has no mmproj";
    case ErrorReason::kUnknownSizes:
      return "gemma.cpp's migrate_weights converts it to a file that states "
             "the model's sizes";
    case ErrorReason::kNoTokenizer:
      return std::string(kTokenizerCure);
    case ErrorReason::kNone:
    case ErrorReason::kOutputFile:
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
  if (!turns.ok()) {
    return WithCure(turns.status(),
                    "gemma run --raw completes texts, without chat turns");
  }
  return turns;
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
