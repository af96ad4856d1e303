#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gemma/version.h"
#include "ops/targets.h"
#include "src/base/internal.h"
#include "tools/gemma/cli/parts.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/doctor_findings.h"
#include "tools/gemma/machine/file_type.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/pull/model_store.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

std::string Compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

std::string AbseilVersion() {
#ifdef ABSL_LTS_RELEASE_VERSION
  return absl::StrCat(ABSL_LTS_RELEASE_VERSION, ".",
                      ABSL_LTS_RELEASE_PATCH_LEVEL);
#else
  return "unreleased";
#endif
}

Versions FindAll() {
  utsname system = {};
  uname(&system);
  Versions all = {
      {"gemma", GEMMA_VERSION_STRING},
      {"compiler", Compiler()},
      {"Highway", HighwayVersion()},
      {"abseil", AbseilVersion()},
      {"CLI11", CLI11_VERSION},
      {"nlohmann-json", absl::StrCat(NLOHMANN_JSON_VERSION_MAJOR, ".",
                                     NLOHMANN_JSON_VERSION_MINOR, ".",
                                     NLOHMANN_JSON_VERSION_PATCH)}};
  for (const Part& part : Parts()) {
    if (!part.is_built()) continue;
    for (auto& library : part.versions()) {
      // Two parts may use one library.
      if (std::find(all.begin(), all.end(), library) == all.end()) {
        all.push_back(std::move(library));
      }
    }
  }
  all.emplace_back(system.sysname, system.release);
  return all;
}

// Returns the free bytes on the disk of `path`, or of the nearest directory
// above it that exists.
std::optional<uint64_t> FreeBytes(fs::path path) {
  struct statvfs disk = {};
  while (statvfs(path.c_str(), &disk) != 0) {
    if (!path.has_relative_path()) return std::nullopt;
    path = path.parent_path();
  }
  return uint64_t{disk.f_bavail} * disk.f_frsize;
}

}  // namespace

Finding FindVersions() {
  const Versions versions = FindAll();
  Finding finding;
  finding.about = "versions";
  finding.text = absl::StrJoin(versions, ", ", absl::PairFormatter(" "));
  finding.facts = nlohmann::ordered_json::object();
  for (const auto& [name, version] : versions) finding.facts[name] = version;
  return finding;
}

Finding FindParts() {
  std::vector<std::string> built;
  std::vector<std::string> left_out;
  Finding finding;
  finding.about = "parts";
  finding.facts = nlohmann::ordered_json::object();
  for (const Part& part : Parts()) {
    finding.facts[part.option] = part.is_built();
    if (part.is_built()) {
      built.emplace_back(part.name);
    } else {
      left_out.push_back(absl::StrCat(part.name, " (", part.option, ")"));
    }
  }
  finding.text = built.empty() ? "none" : absl::StrJoin(built, ", ");
  if (!left_out.empty()) {
    absl::StrAppend(&finding.text,
                    "; left out: ", absl::StrJoin(left_out, ", "));
  }
  return finding;
}

Finding FindStore() {
  Finding finding;
  finding.about = "models";
  const absl::StatusOr<ModelStore> store = ModelStore::Open();
  if (!store.ok()) {
    finding.level = Level::kWarning;
    finding.text = std::string(store.status().message());
    return finding;
  }
  const std::string& directory = store->directory();
  const std::vector<StoredModel> models = store->List();
  std::vector<std::string> incomplete;
  for (const StoredModel& model : models) {
    if (!model.complete) incomplete.push_back(model.name);
  }
  const std::optional<uint64_t> free = FreeBytes(directory);
  finding.text = absl::StrCat(models.size(), " in ", directory);
  if (free.has_value()) {
    absl::StrAppend(&finding.text, ", ", Bytes(*free), " free on the disk");
  }
  finding.facts = {{"directory", directory},
                   {"models", models.size()},
                   {"incomplete", incomplete},
                   {"free_bytes", nullptr}};
  if (free.has_value()) finding.facts["free_bytes"] = *free;
  if (access(directory.c_str(), F_OK) == 0 &&
      access(directory.c_str(), W_OK) != 0) {
    finding.level = Level::kWarning;
    finding.cure =
        "gemma pull may not write there: set GEMMA_MODELS to "
        "another directory";
  } else if (!incomplete.empty()) {
    finding.level = Level::kWarning;
    finding.cure =
        absl::StrCat("incomplete: ", absl::StrJoin(incomplete, ", "),
                     "; gemma pull completes, gemma remove deletes a model");
  }
  return finding;
}

std::vector<Finding> FindModel(const ModelOptions& options, Memory memory) {
  std::vector<Finding> findings(1);
  Finding& finding = findings.front();
  finding.about = "model";
  finding.facts = {{"model", options.path},
                   {"path", PathOfModel(options.path)}};
  const absl::StatusOr<Model> model = ReadOutline(options);
  if (!model.ok()) {
    finding.level = Level::kProblem;
    finding.text = std::string(model.status().message());
    finding.cure = CureOf(model.status());
    return findings;
  }
  const bool tuned = model->is_instruction_tuned();
  MemoryPlan plan = PlanOf(*model, options, DefaultContext(*model));
  plan.loaded = false;
  const MemoryUse use = plan.use(plan.amounts);
  if (memory.address_available.has_value()) {
    // The model's file will be mapped.
    *memory.address_available -=
        std::min(*memory.address_available, use.mapped);
  }
  const absl::Status fits = CheckMemory(plan, memory);
  const std::string mapped_note = MappedNote(plan, memory);
  finding.text = absl::StrCat(options.path, ": ", model->config().architecture,
                              ", ", tuned ? "instruction-tuned" : "base",
                              ", needs ", Bytes(use.total()),
                              " for a context of ", plan.amounts.context);
  if (use.mapped != 0) {
    absl::StrAppend(&finding.text, ", of which ", Bytes(use.mapped),
                    " stay in the file");
  }
  if (use.table != 0) {
    absl::StrAppend(&finding.text, ", and reads per-layer embeddings in ",
                    Bytes(use.table), " of the file");
  }
  if (!fits.ok()) {
    finding.level = Level::kProblem;
    finding.text = std::string(fits.message());
    finding.cure = CureOf(fits);
  } else if (!mapped_note.empty()) {
    finding.level = Level::kWarning;
    finding.cure = mapped_note;
  } else if (const std::string note = LongContextNote(*model, options);
             !note.empty()) {
    finding.level = Level::kWarning;
    finding.cure = note;
  } else if (!model->tokenizer().ok()) {
    finding.level = Level::kWarning;
    finding.cure = std::string(model->tokenizer().status().message());
  } else if (tuned && !model->chat_template().ok()) {
    finding.level = Level::kWarning;
    finding.cure = std::string(model->chat_template().status().message());
  }
  finding.facts.update({{"file_type", FileType(options.path, *model)},
                        {"architecture", model->config().architecture},
                        {"instruction_tuned", tuned},
                        {"has_tokenizer", model->tokenizer().ok()},
                        {"context", plan.amounts.context},
                        {"weights", use.weights},
                        {"mapped", use.mapped},
                        {"cache", use.cache},
                        {"scratch", use.scratch},
                        {"total", use.total()},
                        {"table", use.table},
                        {"fits", fits.ok()},
                        {"mapped_fits", mapped_note.empty()}});
  if (fits.ok() && mapped_note.empty() && use.weights_per_token != 0) {
    std::optional<Finding> speed =
        FindSpeed(*model, use.weights_per_token, memory);
    if (speed.has_value()) findings.push_back(*std::move(speed));
  }
  return findings;
}

}  // namespace gemma::tools
