#include "tools/gemma/machine/path_finding.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
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
    "run code";
constexpr std::string_view kZip = "is a ZIP archive, not a model";
constexpr std::string_view kOnnx =
    "has ONNX weights, which gemma does not read";
constexpr std::string_view kMobile =
    "has weights for LiteRT and MediaPipe, which gemma does not read";
constexpr std::string_view kOtherTool =
    "has weights of Flax or Keras, which gemma does not read";
constexpr std::string_view kOldGgml =
    "has a format that llama.cpp used before GGUF";
constexpr std::string_view kOldGgmlCure = "use a GGUF file of the model";

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
    {0, "PK\x03\x04", kZip, "unpack it first"},
    {0, "%PDF", "is a PDF document, not a model", kPullCure},
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

// Whether a ZIP archive lists the file with the pickled part of PyTorch's. The
// list is at the end of the archive.
bool ListsPickle(const std::string& path) {
  constexpr std::streamoff kMost = 1 << 20;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  if (size <= 0) return false;
  std::string bytes(static_cast<size_t>(std::min(size, kMost)), '\0');
  file.seekg(-static_cast<std::streamoff>(bytes.size()), std::ios::end);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes.find("data.pkl") != std::string::npos;
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
PathFinding FindingOfFile(const std::string& path) {
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
      const bool is_archive =
          beginning.cause == kPickle || beginning.cause == kZip;
      if (is_archive && ending != nullptr) break;
      if (beginning.cause == kZip && ListsPickle(path)) {
        return {std::string(kPickle), std::string(kOtherFormatCure)};
      }
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

// Returns why a directory is not a model. Some repositories have their weights
// in a folder of their own, such as onnx: the cause is empty if such an inner
// folder has none.
PathFinding FindingOfDirectory(const fs::path& path, bool is_outer) {
  std::error_code error;
  PathFinding inner;
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

}  // namespace

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

PathFinding FindingOf(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error)
             ? FindingOfDirectory(path, /*is_outer=*/true)
             : FindingOfFile(path);
}

}  // namespace gemma::tools
