#include "tools/gemma/io/output_file.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

OutputFile* current_output = nullptr;

}  // namespace

absl::Status CheckReplaces(const std::string& path, bool force) {
  if (path == kStdinArgument) {
    return WithCure(
        absl::InvalidArgumentError("-: standard output, wanted a file"),
        "./- names a file");
  }
  std::error_code error;
  const std::filesystem::file_status status =
      std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is a directory, wanted a file"));
  }
  if (force || !std::filesystem::is_regular_file(status)) {
    return absl::OkStatus();
  }
  return WithCure(
      absl::AlreadyExistsError(absl::StrCat(path, ": already exists")),
      "--force replaces it");
}

absl::Status WriteFileSummary(const std::string& path, std::string_view what,
                              bool quiet) {
  std::error_code error;
  if (quiet || !std::filesystem::is_regular_file(path, error)) {
    return absl::OkStatus();
  }
  const uint64_t bytes = std::filesystem::file_size(path, error);
  return WriteSummary(absl::StrCat(Printable(path, kUncut), "  ", what,
                                   what.empty() ? "" : ", ", Bytes(bytes)));
}

OutputFile::OutputFile(AtomicFile file, bool force)
    : file_(std::move(file)), force_(force) {
  current_output = this;
}

OutputFile::~OutputFile() { current_output = nullptr; }

OutputFile* OutputFile::Current() { return current_output; }

absl::StatusOr<std::unique_ptr<OutputFile>> OutputFile::Open(
    const std::string& path, bool force) {
  GEMMA_RETURN_IF_ERROR(CheckReplaces(path, force));
  GEMMA_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::CreateOutput(path));
  return std::unique_ptr<OutputFile>(new OutputFile(std::move(file), force));
}

absl::Status OutputFile::Write(std::string_view text) {
  return file_.Write(text);
}

absl::Status OutputFile::Commit() {
  return file_.Commit(force_ ? AtomicFile::Existing::kReplace
                             : AtomicFile::Existing::kKeep);
}

}  // namespace gemma::tools
