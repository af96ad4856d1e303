#include "tools/gemma/cli/simd_option.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gemma/gemma.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {

namespace {

constexpr std::string_view kAllInstructions = "all";

// Reads a name. Returns "", or what was wanted. A known name that this CPU
// lacks is refused by ApplySimd, so that it means the same on every CPU.
std::string ParseName(const std::string& text, std::string* simd) {
  if (absl::EqualsIgnoreCase(text, kAllInstructions)) {
    simd->clear();
    return "";
  }
  if (ParseChoice(text, SimdNames(), simd).empty()) return "";
  std::string name;
  return absl::StrCat(ParseChoice(text, GetSimdUse().caps, &name),
                      ", which this CPU and this build have");
}

}  // namespace

void AddSimd(CLI::App& app, std::string* simd) {
  AddParsed(
      app, "--simd",
      absl::StrCat(absl::StrJoin(SimdNames(), "|"), "|", kAllInstructions),
      "Compute as a CPU with no better instructions than\n"
      "these; gemma doctor lists those of this CPU",
      [simd](const std::string& text) { return ParseName(text, simd); })
      ->default_str(std::string(kAllInstructions));
}

absl::Status ApplySimd(const std::string& simd, bool quiet) {
  if (simd.empty() || GetSimdUse().cap == simd) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(WithOptions(AsUsageError(CapSimd(simd)), {"--simd"}));
  const std::string note = GetSimdUse().note;
  if (!note.empty() && !quiet) Note(note);
  return absl::OkStatus();
}

}  // namespace gemma::tools
