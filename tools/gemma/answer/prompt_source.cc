#include "tools/gemma/answer/prompt_source.h"

#include <unistd.h>

#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kWaitingForMore =
    "waiting for standard input, which follows the prompt (without it: "
    "</dev/null)";

absl::StatusOr<std::string> ReadPart(std::string_view path,
                                     std::string_view waiting) {
  GEMMA_ASSIGN_OR_RETURN(std::string text, ReadUtf8(path, waiting));
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// The same, or an error if there is nothing: a pipe that failed, or the wrong
// file, would be answered from nothing.
absl::StatusOr<std::string> ReadWantedPart(std::string_view path,
                                           std::string_view waiting) {
  GEMMA_ASSIGN_OR_RETURN(std::string text, ReadPart(path, waiting));
  if (!text.empty()) return text;
  return absl::InvalidArgumentError(
      absl::StrCat(InputName(path), ": is empty, wanted a prompt"));
}

// Says that a prompt is the name of a file, which is not read.
void NoteFile(std::string_view prompt) {
  const std::string name(absl::StripPrefix(prompt, "@"));
  if (!IsOtherFile(name)) return;
  Note(absl::StrCat("the prompt is the name of a file: --file ", name,
                    " reads it"));
}

}  // namespace

void AddPromptSource(CLI::App& app, PromptSource* source) {
  AddText(app, "PROMPT", "", &source->text,
          "The prompt; a pipe or file at standard input follows it.\n"
          "\"-\", or nothing: standard input alone; nothing, on a\n"
          "terminal, with a model that chats: a chat");
  AddText(app, "-f,--file", "FILE", &source->file,
          "Read the prompt from FILE; after PROMPT, if there is one");
}

absl::StatusOr<std::string> ReadPrompt(const PromptSource& source,
                                       bool stdin_taken, bool quiet) {
  const std::string_view waiting = quiet ? "" : kWaiting;
  std::vector<std::string> parts;
  if (source.text != kStdinArgument) {
    GEMMA_RETURN_IF_ERROR(AsUsageError(CheckUtf8(source.text, "PROMPT")));
    if (!quiet) NoteFile(source.text);
    parts.push_back(source.text);
  }
  if (!source.file.empty()) {
    GEMMA_ASSIGN_OR_RETURN(parts.emplace_back(),
                           ReadWantedPart(source.file, waiting));
    stdin_taken = stdin_taken || source.file == kStdinArgument;
  }
  if (parts.empty()) {
    if (isatty(STDIN_FILENO) == 1 && !quiet) {
      Note("type the prompt, then Enter and Ctrl-D");
    }
    return ReadWantedPart(kStdinArgument, waiting);
  }
  if (!stdin_taken && StdinIsRedirected()) {
    GEMMA_ASSIGN_OR_RETURN(
        std::string text,
        ReadPart(kStdinArgument, quiet ? "" : kWaitingForMore));
    if (!text.empty()) parts.push_back(std::move(text));
  }
  // PROMPT may be "", before other parts or alone.
  if (parts.size() > 1 && parts[0].empty()) parts.erase(parts.begin());
  return absl::StrJoin(parts, "\n\n");
}

}  // namespace gemma::tools
