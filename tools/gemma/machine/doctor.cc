// gemma doctor: shows what this machine has for models, and its problems.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/simd_option.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/system_text.h"
#include "tools/gemma/io/terminal_text.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/doctor_findings.h"
#include "tools/gemma/machine/report_head.h"

namespace gemma::tools {
namespace {

struct DoctorOptions {
  ModelOptions model;
  std::string format = "text";
};

std::string_view Name(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kWarning:
      return "warning";
    case Level::kProblem:
      return "problem";
  }
  return "";
}

Colour ColourOf(Level level) {
  switch (level) {
    case Level::kOk:
      return Colour::kOk;
    case Level::kWarning:
      return Colour::kWarning;
    case Level::kProblem:
      return Colour::kProblem;
  }
  return Colour::kOk;
}

std::vector<Finding> FindAll(const ModelOptions& options) {
  const Memory memory = ReadMemory();
  std::vector<Finding> findings = {
      FindCpu(),
      FindSimd(),
      FindThreads(options),
      FindMemory(memory),
      FindHugePages(
          ReadFirstLine("/sys/kernel/mm/transparent_hugepage/enabled")),
      FindStore(),
      FindParts(),
      FindVersions()};
  if (options.path.empty()) return findings;
  for (Finding& finding : FindModel(options, memory)) {
    findings.push_back(std::move(finding));
  }
  return findings;
}

std::string ShowText(const std::vector<Finding>& findings) {
  const bool colours = OutputHasColours();
  std::string text;
  for (const Finding& finding : findings) {
    const std::string level = absl::StrFormat("%-7s", Name(finding.level));
    absl::StrAppendFormat(&text, "%s  %-10s  %s\n",
                          colours ? absl::StrCat(Begin(ColourOf(finding.level)),
                                                 level, kEndColour)
                                  : level,
                          finding.about, Printable(finding.text, kUncut));
    if (!finding.cure.empty()) {
      absl::StrAppendFormat(&text, "%21s%s\n", "",
                            Printable(finding.cure, kUncut));
    }
  }
  return text;
}

std::string ShowJson(const std::vector<Finding>& findings) {
  nlohmann::ordered_json json = ReportHead();
  nlohmann::ordered_json& list = json["findings"];
  for (const Finding& finding : findings) {
    list.push_back({{"about", finding.about},
                    {"level", Name(finding.level)},
                    {"text", finding.text},
                    {"cure", finding.cure},
                    {"facts", finding.facts}});
  }
  return ToText(json);
}

absl::Status Doctor(const DoctorOptions& options) {
  GEMMA_RETURN_IF_ERROR(ApplySimd(options.model.simd, /*quiet=*/true));
  const std::vector<Finding> findings = FindAll(options.model);
  GEMMA_RETURN_IF_ERROR(WriteResult(
      options.format == "json" ? ShowJson(findings) : ShowText(findings)));
  for (const Finding& finding : findings) {
    if (finding.level == Level::kProblem) return SilentError();
  }
  return absl::OkStatus();
}

}  // namespace

void AddDoctor(CLI::App& app, Action* action) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* command = app.add_subcommand(
      "doctor", "Check this machine: CPU, SIMD, memory, huge pages, models");
  AddModelOptions(*command, &options->model, "4096");
  command->get_option("MODEL")->required(false);
  AddForms(*command, &options->format);
  command->footer(
      R"(Each line begins with ok, warning or problem. The line below a warning
or problem says what to do. The exit code is 1 if there is a problem. The
line simd says which instructions the CPU has, which ones kernels were
compiled for, and which ones run.

With MODEL, the command also checks whether the model fits in memory,
without loading it, and says how fast it may decode at the beginning of a
text: it measures for some tenths of a second how fast memory is read. Other
programs that run make this slower.

With --json, the object's findings have the fields about, level, text, cure
and facts. Sizes in facts are in bytes.

Examples:
  gemma doctor
  gemma doctor gemma-3-270m --context 32768 --json

)");
  command->callback([=] { *action = [=] { return Doctor(*options); }; });
}

}  // namespace gemma::tools
