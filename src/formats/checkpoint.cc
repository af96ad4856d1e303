#include "src/formats/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/messages.h"
#include "src/base/part_name.h"
#include "src/base/status_macros.h"
#include "src/formats/adapter_file.h"
#include "src/formats/chat_template_files.h"
#include "src/formats/checkpoint_files.h"
#include "src/formats/directory.h"
#include "src/formats/hub_cache.h"
#include "src/formats/safetensors.h"
#include "src/formats/wrong_file.h"
#include "src/os/path.h"

namespace gemma::internal {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfig = "config.json";
constexpr std::string_view kWeights = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";

absl::Status MissingFile(std::string_view message) {
  return WithReason(absl::NotFoundError(message), ErrorReason::kMissingFile);
}

// Moves the tensors of one file into the checkpoint. `module`: the module that
// they belong to; null: the model itself.
absl::Status AddTensors(TensorTable tensors, Checkpoint& checkpoint,
                        const Module* module = nullptr) {
  for (auto& [name, tensor] : tensors) {
    const auto [it, inserted] = checkpoint.tensors.try_emplace(
        module == nullptr ? name : module->TensorName(name), std::move(tensor));
    if (!inserted) {
      return absl::InvalidArgumentError(
          absl::StrCat(tensor.file, ": tensor ", Quoted(it->first),
                       " is also in ", it->second.file));
    }
  }
  return absl::OkStatus();
}

// ---------------------------------------------------------------------------
// GGUF

// Checks that a part's metadata agrees with its name.
absl::Status CheckPart(const GgufFile& file, const PartName& name,
                       size_t part) {
  size_t number = 0;
  size_t count = 0;
  GEMMA_RETURN_IF_ERROR(file.metadata.ReadRequired("split.no", number));
  GEMMA_RETURN_IF_ERROR(file.metadata.ReadRequired("split.count", count));
  if (number != part - 1 || count != name.count) {
    return absl::InvalidArgumentError(
        FormatText("%s: split.no is %d and split.count %d, wanted %d and %d",
                   file.metadata.path(), number, count, part - 1, name.count));
  }
  return absl::OkStatus();
}

// Adds all parts to `checkpoint`, whose directory is set.
absl::Status AddParts(const PartName& name, Checkpoint& checkpoint) {
  std::optional<size_t> wanted_tensors;
  for (size_t part = 1; part <= name.count; ++part) {
    const std::string path = InDirectory(checkpoint.directory, name.Part(part));
    absl::StatusOr<MappedFile> file = OpenModelFile(path);
    if (!file.ok()) {
      // The reason of a file that is there, but not itself, stays.
      if (ReasonOf(file.status()) == ErrorReason::kLfsPointer) {
        return file.status();
      }
      return WithReason(
          absl::Status(file.status().code(),
                       FormatText("%s (part %d of %d of the model)",
                                  file.status().message(), part, name.count)),
          ErrorReason::kMissingPart);
    }
    GEMMA_ASSIGN_OR_RETURN(GgufFile gguf, ParseGguf(file->bytes(), path));
    GEMMA_RETURN_IF_ERROR(CheckPart(gguf, name, part));
    size_t tensors = wanted_tensors.value_or(0);
    GEMMA_RETURN_IF_ERROR(gguf.metadata.Read("split.tensors.count", tensors));
    if (gguf.metadata.Has("split.tensors.count")) {
      if (tensors != wanted_tensors.value_or(tensors)) {
        return absl::InvalidArgumentError(
            FormatText("%s: split.tensors.count is %d, but %d in another part",
                       path, tensors, *wanted_tensors));
      }
      wanted_tensors = tensors;
    }
    GEMMA_RETURN_IF_ERROR(AddTensors(std::move(gguf.tensors), checkpoint));
    if (part == 1) checkpoint.metadata = std::move(gguf.metadata);
    checkpoint.files.push_back(*std::move(file));
  }
  if (wanted_tensors.has_value() &&
      checkpoint.tensors.size() != *wanted_tensors) {
    return absl::InvalidArgumentError(FormatText(
        "%s: split.tensors.count is %d, but the %d parts have %d tensors",
        checkpoint.metadata->path(), *wanted_tensors, name.count,
        checkpoint.tensors.size()));
  }
  return absl::OkStatus();
}

// Opens a mapped GGUF file and, if it is a part, all other parts.
absl::StatusOr<Checkpoint> OpenGguf(std::string given, MappedFile file) {
  Checkpoint checkpoint;
  checkpoint.kind = CheckpointKind::kGguf;
  checkpoint.path = std::move(given);
  checkpoint.directory = DirectoryOf(file.path());

  GEMMA_ASSIGN_OR_RETURN(GgufFile gguf, ParseGguf(file.bytes(), file.path()));
  if (IsAdapter(gguf.metadata)) return AdapterWithoutModel(gguf.metadata);
  size_t split_count = 1;
  GEMMA_RETURN_IF_ERROR(gguf.metadata.Read("split.count", split_count));
  if (split_count <= 1) {
    checkpoint.tensors = std::move(gguf.tensors);
    checkpoint.metadata = std::move(gguf.metadata);
    checkpoint.files.push_back(std::move(file));
  } else {
    const std::string name = fs::path(file.path()).filename().string();
    const std::optional<PartName> split = ParsePartName(name);
    if (!split.has_value() || split->count != split_count) {
      return absl::InvalidArgumentError(FormatText(
          "%s: is one of %d parts (split.count), wanted a name that ends in "
          "-00001-of-%05d.gguf or the like",
          file.path(), split_count, split_count));
    }
    GEMMA_RETURN_IF_ERROR(CheckPart(gguf, *split, split->number));
    GEMMA_RETURN_IF_ERROR(AddParts(*split, checkpoint));
  }
  std::string_view chat_template;
  checkpoint.has_chat_template =
      checkpoint.metadata->Has("tokenizer.chat_template") &&
      !(checkpoint.metadata->Read("tokenizer.chat_template", chat_template)
            .ok() &&
        absl::StripAsciiWhitespace(chat_template).empty());
  return checkpoint;
}

// ---------------------------------------------------------------------------
// gemma.cpp

absl::StatusOr<Checkpoint> OpenSbs(std::string given, MappedFile file) {
  Checkpoint checkpoint;
  checkpoint.kind = CheckpointKind::kSbs;
  checkpoint.path = std::move(given);
  checkpoint.directory = DirectoryOf(file.path());
  GEMMA_ASSIGN_OR_RETURN(checkpoint.sbs, ParseSbs(file.bytes(), file.path()));
  checkpoint.has_chat_template = !checkpoint.sbs->is_pretrained;
  checkpoint.files.push_back(std::move(file));
  return checkpoint;
}

// ---------------------------------------------------------------------------
// Hugging Face directories

// Maps a safetensors file and adds its tensors. `module` is as in AddTensors.
absl::Status AddSafetensors(std::string path, Checkpoint& checkpoint,
                            const Module* module = nullptr) {
  GEMMA_ASSIGN_OR_RETURN(MappedFile file, OpenModelFile(std::move(path)));
  GEMMA_ASSIGN_OR_RETURN(SafetensorsFile parsed,
                         ParseSafetensors(file.bytes(), file.path()));
  GEMMA_RETURN_IF_ERROR(
      AddTensors(std::move(parsed.tensors), checkpoint, module));
  for (const auto& [name, type] : parsed.skipped) {
    checkpoint.unread.try_emplace(
        module == nullptr ? name : module->TensorName(name),
        UnreadTensor{file.path(), type});
  }
  checkpoint.files.push_back(std::move(file));
  return absl::OkStatus();
}

// The sorted names of the shards, each with the tensors that it must hold.
using Shards = std::map<std::string_view, std::vector<std::string_view>>;

absl::StatusOr<Shards> ReadShards(const Json& index) {
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> weight_map,
                         index.Object("weight_map"));
  if (!weight_map.has_value() || weight_map->size() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(index.Where(), ": 'weight_map' is missing or empty"));
  }
  Shards shards;
  for (const auto& [tensor, value] : weight_map->Members()) {
    std::string_view shard;
    GEMMA_RETURN_IF_ERROR(value.Get(shard));
    if (!IsPlainName(shard)) {
      return value.Unexpected("the name of a file in the same directory");
    }
    shards[shard].push_back(tensor);
  }
  return shards;
}

absl::Status AddShards(const Json& index, Checkpoint& checkpoint) {
  GEMMA_ASSIGN_OR_RETURN(const Shards shards, ReadShards(index));
  for (const auto& [shard, tensors] : shards) {
    const std::string path = InDirectory(checkpoint.directory, shard);
    const absl::Status status = AddSafetensors(path, checkpoint);
    if (absl::IsNotFound(status)) {
      return MissingFile(
          absl::StrCat(status.message(), " (wanted by ", index.Where(), ")"));
    }
    GEMMA_RETURN_IF_ERROR(status);
    for (std::string_view name : tensors) {
      const auto unread = checkpoint.unread.find(name);
      if (unread != checkpoint.unread.end() && unread->second.file == path) {
        continue;
      }
      const auto it = checkpoint.tensors.find(name);
      if (it == checkpoint.tensors.end() || it->second.file != path) {
        return MissingFile(absl::StrCat(path, ": no tensor ", Quoted(name),
                                        ", which ", index.Where(),
                                        " says it has"));
      }
    }
  }
  return absl::OkStatus();
}

// Adds the modules of the directory and the tensors in their folders.
absl::Status AddModules(Checkpoint& checkpoint) {
  GEMMA_ASSIGN_OR_RETURN(checkpoint.modules, ReadModules(checkpoint.directory));
  for (const Module& module : checkpoint.modules) {
    const std::string folder = InDirectory(checkpoint.directory, module.path);
    if (module.path.empty() || !Exists(folder, kWeights)) continue;
    GEMMA_RETURN_IF_ERROR(
        AddSafetensors(InDirectory(folder, kWeights), checkpoint, &module));
  }
  return absl::OkStatus();
}

// Checks the files that others read later, so that the first error names the
// cause.
absl::Status CheckTextFiles(const std::string& directory) {
  for (const char* name : {"tokenizer.model", "tokenizer.json",
                           "added_tokens.json", "special_tokens_map.json",
                           "chat_template.jinja", "chat_template.json"}) {
    if (!Exists(directory, name)) continue;
    const absl::StatusOr<MappedFile> file =
        MappedFile::Open(InDirectory(directory, name));
    // Other faults are those of the file's reader to find.
    if (file.ok()) GEMMA_RETURN_IF_ERROR(CheckIsTheFile(*file));
  }
  return absl::OkStatus();
}

absl::StatusOr<Checkpoint> OpenHuggingFace(std::string directory) {
  Checkpoint checkpoint;
  checkpoint.kind = CheckpointKind::kHuggingFace;
  checkpoint.path = directory;
  checkpoint.directory = std::move(directory);
  const std::string& where = checkpoint.directory;

  GEMMA_ASSIGN_OR_RETURN(checkpoint.config, ReadObject(where, kConfig));
  if (!checkpoint.config.has_value()) {
    return MissingFile(absl::StrCat(InDirectory(where, kConfig),
                                    ": No such file, wanted beside ",
                                    kWeights));
  }
  GEMMA_ASSIGN_OR_RETURN(checkpoint.generation_config,
                         ReadObject(where, "generation_config.json"));
  GEMMA_ASSIGN_OR_RETURN(checkpoint.tokenizer_config,
                         ReadObject(where, "tokenizer_config.json"));
  GEMMA_RETURN_IF_ERROR(CheckTextFiles(where));
  if (Exists(where, kWeights)) {
    GEMMA_RETURN_IF_ERROR(
        AddSafetensors(InDirectory(where, kWeights), checkpoint));
  } else {
    GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> index,
                           ReadObject(where, kIndex));
    if (!index.has_value()) {
      return MissingFile(
          absl::StrCat(InDirectory(where, kIndex), ": No such file"));
    }
    GEMMA_RETURN_IF_ERROR(AddShards(*index, checkpoint));
  }
  GEMMA_ASSIGN_OR_RETURN(checkpoint.sentence_config,
                         ReadObject(where, "sentence_bert_config.json"));
  GEMMA_ASSIGN_OR_RETURN(
      checkpoint.prompts_config,
      ReadObject(where, "config_sentence_transformers.json"));
  GEMMA_RETURN_IF_ERROR(AddModules(checkpoint));
  checkpoint.has_chat_template =
      HasChatTemplates(where, checkpoint.tokenizer_config);
  return checkpoint;
}

// ---------------------------------------------------------------------------
// Kinds of paths

absl::Status NotAModel(const std::string& path, std::string_view found) {
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat(
          path,
          ": not a GGUF or gemma.cpp file or a Hugging Face directory (found ",
          found, ", wanted a .gguf or .sbs file, or a directory with ", kConfig,
          " and ", kWeights, " or ", kIndex, ")")),
      ErrorReason::kNotAModel);
}

// Opens a file by its first bytes.
absl::StatusOr<Checkpoint> OpenFile(std::string given, MappedFile file) {
  if (IsGguf(file.bytes())) return OpenGguf(std::move(given), std::move(file));
  if (IsSbs(file.bytes())) return OpenSbs(std::move(given), std::move(file));
  if (absl::EndsWith(given, ".safetensors")) {
    return absl::InvalidArgumentError(absl::StrCat(
        given, ": is a safetensors file, wanted the directory with its ",
        kConfig, ": give ", DirectoryOf(given)));
  }
  return NotAModel(file.path(), absl::StrCat("a file that begins with ",
                                             Quoted(file.text().substr(0, 4))));
}

// Whether the names are parts of one model.
bool AreOneModel(const std::vector<std::string>& names) {
  if (names.size() == 1) return true;
  std::set<std::pair<std::string, size_t>> models;
  for (const std::string& name : names) {
    const std::optional<PartName> split = ParsePartName(name);
    if (!split.has_value()) return false;
    models.emplace(split->prefix, split->count);
  }
  return models.size() == 1;
}

absl::StatusOr<Checkpoint> OpenDirectory(std::string path) {
  GEMMA_ASSIGN_OR_RETURN(path, SnapshotOf(std::move(path)));
  GEMMA_RETURN_IF_ERROR(CheckLinks(path));
  if (HasSafetensors(path)) return OpenHuggingFace(std::move(path));
  GEMMA_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         ModelFileNames(path));
  if (names.empty() && Exists(path, kAdapterConfig)) {
    return AdapterWithoutModel(path);
  }
  if (names.empty()) {
    return NotAModel(path, Exists(path, kConfig) ? "config.json without weights"
                                                 : "a directory with neither");
  }
  if (!AreOneModel(names)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": has ", names.size(), " model files (", Printable(names[0]),
        ", ", Printable(names[1]), names.size() > 2 ? ", ..." : "",
        "), wanted one model: give the path of the file"));
  }
  GEMMA_ASSIGN_OR_RETURN(MappedFile file,
                         OpenModelFile(InDirectory(path, names[0])));
  return OpenFile(std::move(path), std::move(file));
}

}  // namespace

void Checkpoint::Release(const Tensor& tensor) const {
  for (const MappedFile& file : files) {
    if (file.path() == tensor.file) {
      file.Release(absl::MakeConstSpan(tensor.data, tensor.bytes));
    }
  }
}

void Checkpoint::ExpectRandomReads(const Tensor& tensor) const {
  for (const MappedFile& file : files) {
    if (file.path() == tensor.file) {
      file.ExpectRandomReads(absl::MakeConstSpan(tensor.data, tensor.bytes));
    }
  }
}

absl::StatusOr<Checkpoint> OpenCheckpoint(std::string path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return OpenDirectory(std::move(path));
  GEMMA_ASSIGN_OR_RETURN(MappedFile file, OpenModelFile(path));
  return OpenFile(std::move(path), std::move(file));
}

}  // namespace gemma::internal
