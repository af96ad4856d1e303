#include "src/formats/wrong_file.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// The first words of a pointer: "Git LFS Specification", at
// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
constexpr std::string_view kPointer =
    "version https://git-lfs.github.com/spec/";

// Servers answer with less text than this in place of weights.
constexpr size_t kMostText = 65536;

bool IsText(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isprint(static_cast<unsigned char>(c)) ||
           absl::ascii_isspace(static_cast<unsigned char>(c));
  });
}

absl::Status Wrong(const MappedFile& file, std::string_view found,
                   ErrorReason reason) {
  return WithReason(absl::InvalidArgumentError(absl::StrCat(
                        file.path(), ": is ", found, ", not the file itself")),
                    reason);
}

}  // namespace

absl::Status CheckIsTheFile(const MappedFile& file) {
  if (absl::StartsWith(file.text(), kPointer)) {
    return Wrong(file, "a Git LFS pointer", ErrorReason::kLfsPointer);
  }
  const std::string_view text =
      absl::StripLeadingAsciiWhitespace(file.text().substr(0, 256));
  if (absl::StartsWithIgnoreCase(text, "<!doctype html") ||
      absl::StartsWithIgnoreCase(text, "<html")) {
    return Wrong(file, "a web page", ErrorReason::kWebPage);
  }
  // The first eight bytes of this format are a number, and end in zeros.
  if (absl::EndsWith(file.path(), ".safetensors") && file.size() >= 8 &&
      file.size() <= kMostText && IsText(file.text())) {
    return Wrong(file,
                 absl::StrCat("a text that begins with ",
                              Quoted(file.text().substr(0, 40))),
                 ErrorReason::kWebPage);
  }
  return absl::OkStatus();
}

absl::StatusOr<MappedFile> OpenModelFile(std::string path) {
  GEMMA_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(std::move(path)));
  GEMMA_RETURN_IF_ERROR(CheckIsTheFile(file));
  return file;
}

}  // namespace gemma::internal
