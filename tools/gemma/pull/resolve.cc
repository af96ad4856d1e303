#include "tools/gemma/pull/resolve.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/nearest.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/pull/catalogue.h"
#include "tools/gemma/pull/model_source.h"
#include "tools/gemma/pull/model_store.h"
#include "tools/gemma/pull/source_hint.h"

namespace gemma::tools {
namespace {

// The names of pulled models, of the catalogue's models and of the files in the
// current directory.
std::vector<std::string> KnownNames(const ModelStore& store) {
  std::vector<std::string> names;
  for (const StoredModel& model : store.List()) names.push_back(model.name);
  for (const CatalogueEntry& entry : Catalogue()) {
    names.emplace_back(entry.name);
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(".", error)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

// Whether two texts of sources (ModelSource::text) are the same, but for the
// case of a type: "hf://o/r:q4_0".
bool IsSameSource(std::string_view one, std::string_view other) {
  const size_t colon = one.rfind(':');
  return one == other || (absl::StartsWith(one, "hf://") &&
                          absl::EqualsIgnoreCase(one, other) &&
                          one.substr(0, colon) == other.substr(0, colon));
}

// The pulled model that came from the source that `text` names, if one did.
std::optional<StoredModel> PulledFrom(const std::string& text) {
  const absl::StatusOr<ModelSource> source = ParseSource(text);
  const absl::StatusOr<ModelStore> store = ModelStore::Open();
  if (!source.ok() || !store.ok()) return std::nullopt;
  std::optional<StoredModel> found;
  for (StoredModel& model : store->List()) {
    if (model.complete && IsSameSource(model.source, source->text) &&
        (!found.has_value() || model.name == source->name)) {
      found = std::move(model);
    }
  }
  return found;
}

// "NAME comes from the same repository; ", if a pulled model does, or "".
std::string PulledSibling(const std::string& text) {
  const absl::StatusOr<ModelSource> source = ParseSource(text);
  const absl::StatusOr<ModelStore> store = ModelStore::Open();
  if (!source.ok() || !store.ok() || source->kind != SourceKind::kHub) {
    return "";
  }
  const std::string repository = absl::StrCat("hf://", source->repository);
  for (const StoredModel& model : store->List()) {
    std::string_view rest = model.source;
    if (model.complete && absl::ConsumePrefix(&rest, repository) &&
        (rest.empty() || absl::StrContains("/:@", rest[0]))) {
      return absl::StrCat(model.name, " is pulled from the same repository; ");
    }
  }
  return "";
}

// The error for an address that nothing is pulled from.
absl::Status NotPulled(const std::string& model) {
  const std::string hint =
      ParseSource(model).ok() ? std::string() : SourceHint(model);
  return WithCure(absl::NotFoundError(absl::StrCat(model, ": not a file")),
                  hint.empty()
                      ? absl::StrCat(PulledSibling(model), "gemma pull ", model,
                                     " fetches it and gives it a name")
                      : hint);
}

// Whether the folder that a path begins with exists, as in "models/x".
bool BeginsWithFolder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path.substr(0, path.find('/')), error);
}

// The error for a name that is neither a file nor a pulled model.
absl::Status UnknownName(const std::string& model, const ModelStore& store) {
  const absl::Status status = absl::NotFoundError(
      absl::StrCat(model,
                   ": No such file or directory, and no pulled model "
                   "has this name"));
  if (model == "help") {
    return WithCure(status, "gemma COMMAND --help prints a command's help");
  }
  if (const std::string hint = AddressHint(model); !hint.empty()) {
    return WithCure(status, hint);
  }
  const std::string bare(absl::StripSuffix(model, ".gguf"));
  if (bare != model && IsModelName(bare)) {
    const auto pulled = store.Find(bare);
    const bool is_here =
        pulled.ok() && pulled->has_value() && (*pulled)->complete;
    if (is_here || FindInCatalogue(bare) != nullptr) {
      return WithCure(status,
                      absl::StrCat("a pulled model has a name: ", bare,
                                   is_here ? ""
                                           : absl::StrCat(" (gemma pull ", bare,
                                                          " fetches it)")));
    }
  }
  if (const CatalogueEntry* entry = NearestInCatalogue(model)) {
    const auto stored = store.Find(entry->name);
    const bool is_here =
        stored.ok() && stored->has_value() && (*stored)->complete;
    return WithCure(
        status, absl::StrCat("did you mean ", entry->name, "?",
                             is_here ? ""
                                     : absl::StrCat(" gemma pull ", entry->name,
                                                    " fetches it")));
  }
  return WithCure(
      status,
      absl::StrCat("gemma list --all shows the Gemma models that are here or ",
                   "can be pulled", DidYouMean(model, KnownNames(store))));
}

// Whether a directory has no file that one with a model has: the configuration
// of Hugging Face, a GGUF file, or the snapshots of Hugging Face's cache.
bool IsOtherDirectory(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return false;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (name == "config.json" || name == "snapshots" ||
        absl::EndsWith(name, ".gguf")) {
      return false;
    }
  }
  return true;
}

// Whether the text is rather a sentence than a path.
bool LooksLikePrompt(std::string_view text) {
  return text.find_first_of(" \t\n") != std::string_view::npos &&
         text.find('/') == std::string_view::npos &&
         !absl::EndsWith(text, ".gguf") && !absl::EndsWith(text, ".sbs");
}

}  // namespace

absl::StatusOr<std::string> ResolveModel(const std::string& model,
                                         bool in_chat) {
  if (model.empty()) {  // gemma run "$MODEL", without the variable
    return WithCure(UsageError("the model's name is empty"), ModelsAtHand());
  }
  if (access(model.c_str(), F_OK) == 0) return model;
  if (const std::optional<StoredModel> pulled = PulledFrom(model)) {
    GEMMA_ASSIGN_OR_RETURN(const ModelStore store, ModelStore::Open());
    return store.PathOf(*pulled);
  }
  if (LooksLikeSource(model)) return NotPulled(model);
  std::error_code error;
  // The link leads nowhere, and loading says so.
  if (std::filesystem::is_symlink(model, error)) return model;
  if (LooksLikeRepository(model) && !BeginsWithFolder(model)) {
    return WithCure(
        absl::NotFoundError(absl::StrCat(model, ": No such file or directory")),
        absl::StrCat(PulledSibling(model), "gemma pull ", model,
                     " fetches it, if it is a repository "
                     "of Hugging Face; gemma list shows the models that are "
                     "here"));
  }
  if (!in_chat && LooksLikePrompt(model)) {
    return WithCure(
        absl::NotFoundError(
            absl::StrCat(Quoted(model), ": No such file or directory")),
        "the model comes first (gemma run MODEL \"PROMPT\"); gemma list shows "
        "the models that are here");
  }
  if (!IsModelName(model)) {
    if (NearestInCatalogue(model) == nullptr && AddressHint(model).empty()) {
      return model;
    }
    GEMMA_ASSIGN_OR_RETURN(const ModelStore store, ModelStore::Open());
    return UnknownName(model, store);
  }
  GEMMA_ASSIGN_OR_RETURN(const ModelStore store, ModelStore::Open());
  GEMMA_ASSIGN_OR_RETURN(const std::optional<StoredModel> stored,
                         store.Find(model));
  if (stored.has_value() && stored->complete) return store.PathOf(*stored);
  if (stored.has_value()) {
    return WithCure(absl::FailedPreconditionError(
                        absl::StrCat(model, ": the download is incomplete")),
                    absl::StrCat("gemma pull ", model, " fetches the rest"));
  }
  if (FindInCatalogue(model) != nullptr) {
    return WithCure(absl::NotFoundError(absl::StrCat(
                        model, ": No such file or directory, and not pulled")),
                    absl::StrCat("gemma pull ", model, " fetches it"));
  }
  return UnknownName(model, store);
}

absl::Status NotInCatalogue(const std::string& model) {
  const absl::Status status = UsageError(absl::StrCat(
      "'", model,
      "' is not in the catalogue; wanted a name from gemma list --all, "
      "hf://OWNER/REPO or the URL of a GGUF file"));
  const CatalogueEntry* nearest = NearestInCatalogue(model);
  if (nearest != nullptr) {
    return WithCure(status, absl::StrCat("did you mean ", nearest->name, " (",
                                         nearest->description, ")?"));
  }
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : Catalogue()) {
    names.emplace_back(entry.name);
  }
  const std::string near = DidYouMean(absl::AsciiStrToLower(model), names);
  if (near.empty()) {
    return WithCure(
        status, "gemma runs only Gemma models; gemma list --all shows them");
  }
  return WithCure(status, absl::StripPrefix(near, "; "));
}

bool NamesModel(const std::string& text) {
  if (access(text.c_str(), F_OK) == 0 || LooksLikeSource(text) ||
      absl::EndsWith(text, ".gguf") || absl::EndsWith(text, ".sbs") ||
      FindInCatalogue(text) != nullptr) {
    return true;
  }
  const absl::StatusOr<ModelStore> store = ModelStore::Open();
  if (!store.ok()) return false;
  // A model with a broken record counts, too.
  const absl::StatusOr<std::optional<StoredModel>> stored = store->Find(text);
  return !stored.ok() || stored->has_value();
}

bool LooksLikeModel(const std::string& text) {
  return NamesModel(text) && !IsOtherFile(text) && !IsOtherDirectory(text);
}

bool IsOtherFile(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         !absl::EndsWith(path, ".gguf") && !absl::EndsWith(path, ".sbs");
}

std::vector<std::string> ModelNames() {
  std::vector<std::string> names;
  const absl::StatusOr<ModelStore> store = ModelStore::Open();
  if (!store.ok()) return names;
  for (const StoredModel& model : store->List()) {
    if (model.complete) names.push_back(model.name);
  }
  return names;
}

std::string ModelsAtHand() {
  std::vector<std::string> names = ModelNames();
  if (names.empty()) {
    const CatalogueEntry& chats = SmallestChatModel();
    return absl::StrCat("no model is pulled: gemma pull ", DefaultModel().name,
                        " fetches one that completes texts (",
                        Bytes(DefaultModel().bytes), "), gemma pull ",
                        chats.name, " one that chats (about ",
                        Bytes(chats.bytes), ")");
  }
  constexpr size_t kMost = 5;
  if (names.size() > kMost) {
    names.resize(kMost);
    names.push_back("...");
  }
  return absl::StrCat("pulled models: ", absl::StrJoin(names, ", "));
}

}  // namespace gemma::tools
