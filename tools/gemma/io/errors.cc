#include "tools/gemma/io/errors.h"

#include <unistd.h>

#include <csignal>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/terminal_text.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kProgram = "gemma: ";
constexpr std::string_view kUsage = "gemma.tools/usage";
constexpr std::string_view kRefused = "gemma.tools/refused";
constexpr std::string_view kSilent = "gemma.tools/silent";
constexpr std::string_view kCure = "gemma.tools/cure";

// Joins a message of several lines, as CLI11 may return it, to one line.
std::string OneLine(std::string_view text) {
  return Printable(absl::StrReplaceAll(text, {{"\n", " "}, {"\t", " "}}),
                   kUncut);
}

bool is_quiet = false;

void PrintLine(std::string_view message) {
  const std::string line = absl::StrCat(kProgram, OneLine(message));
  // One write, so that lines of several processes do not mix.
  ShowPrompt(absl::StrCat(Broken(line, ErrorColumns(), kProgram.size()), "\n"));
}

}  // namespace

absl::Status UsageError(std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsage, absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsage).has_value();
}

absl::Status AsUsageError(const absl::Status& status) {
  if (status.ok()) return status;
  const std::string cure = CureOf(status);
  absl::Status usage = UsageError(status.message());
  return cure.empty() ? usage : WithCure(std::move(usage), cure);
}

absl::Status RefusedError(std::string_view message) {
  absl::Status status = absl::PermissionDeniedError(message);
  status.SetPayload(kRefused, absl::Cord());
  return status;
}

bool IsRefused(const absl::Status& status) {
  return status.GetPayload(kRefused).has_value();
}

absl::Status SilentError() {
  absl::Status status = absl::AbortedError("");
  status.SetPayload(kSilent, absl::Cord());
  return status;
}

absl::Status InterruptedError() { return absl::CancelledError("interrupted"); }

absl::Status WithCure(absl::Status status, std::string_view cure) {
  if (!status.ok()) status.SetPayload(kCure, absl::Cord(cure));
  return status;
}

std::string CureOf(const absl::Status& status) {
  const std::optional<absl::Cord> cure = status.GetPayload(kCure);
  return cure.has_value() ? std::string(*cure) : "";
}

void NoteError(const absl::Status& status) {
  if (!status.GetPayload(kSilent).has_value()) PrintLine(status.message());
  if (const std::string cure = CureOf(status); !cure.empty()) PrintLine(cure);
}

int Report(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  if (absl::IsCancelled(status)) {
    const int signal_number = InterruptSignal();
    return kExitSignal + (signal_number != 0 ? signal_number : SIGINT);
  }
  NoteError(status);
  if (IsRefused(status)) return kExitRefused;
  return IsUsageError(status) ? kExitUsage : kExitFailure;
}

void Note(std::string_view message) {
  if (!is_quiet) PrintLine(message);
}

void SetQuiet(bool quiet) { is_quiet = quiet; }

bool IsQuiet() { return is_quiet; }

void ShowPrompt(std::string_view text) {
  // A failure cannot be reported anywhere.
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

}  // namespace gemma::tools
