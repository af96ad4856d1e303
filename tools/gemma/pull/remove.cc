// gemma remove: deletes a pulled model.

#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/line_reader.h"
#include "tools/gemma/io/nearest.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/pull/model_store.h"

namespace gemma::tools {
namespace {

struct RemoveOptions {
  std::string name;
  bool yes = false;
  std::string format = "text";
};

absl::StatusOr<bool> Confirm(const StoredModel& model) {
  ShowPrompt(absl::StrCat("Remove ", model.name, ", ", Bytes(model.bytes()),
                          "? [y/N] "));
  LineReader lines;
  GEMMA_ASSIGN_OR_RETURN(const std::optional<std::string> line, lines.Next());
  if (!line.has_value()) return false;
  const std::string answer =
      absl::AsciiStrToLower(absl::StripAsciiWhitespace(*line));
  return answer == "y" || answer == "yes";
}

// Removes the partial files of a pull that did not get to write its record.
// Returns false if the folder does not exist or holds other files.
absl::StatusOr<bool> RemoveLeftovers(const ModelStore& store,
                                     const std::string& name) {
  if (!IsModelName(name) || access(store.FolderOf(name).c_str(), F_OK) != 0) {
    return false;
  }
  GEMMA_ASSIGN_OR_RETURN(const ModelLock lock,
                         store.Lock(name, /*wait=*/false, /*quiet=*/true));
  return store.RemoveLeftovers(name);
}

// `bytes`: null if there was no record of the model.
absl::Status WriteJson(const RemoveOptions& options, const ModelStore& store,
                       const nlohmann::ordered_json& bytes, bool has_others) {
  nlohmann::ordered_json json = ReportHead();
  json.update({{"name", options.name},
               {"directory", store.FolderOf(options.name)},
               {"bytes", bytes},
               {"has_other_files", has_others}});
  return WriteOutput(ToText(json));
}

absl::Status Remove(const RemoveOptions& options) {
  const bool can_remove = options.yes || isatty(STDIN_FILENO) == 1;
  const bool json = options.format == "json";
  GEMMA_ASSIGN_OR_RETURN(const ModelStore store, ModelStore::Open());
  GEMMA_ASSIGN_OR_RETURN(std::optional<StoredModel> model,
                         store.Find(options.name));
  if (!model.has_value()) {
    bool had_leftovers = false;
    if (can_remove) {
      GEMMA_ASSIGN_OR_RETURN(had_leftovers,
                             RemoveLeftovers(store, options.name));
    }
    if (had_leftovers) {
      if (json) return WriteJson(options, store, nullptr, false);
      return WriteSummary(
          absl::StrCat("removed what was left of ", options.name));
    }
    std::vector<std::string> names;
    for (const StoredModel& here : store.List()) names.push_back(here.name);
    return WithCure(absl::NotFoundError(absl::StrCat(
                        options.name, ": no model that gemma pull downloaded")),
                    absl::StrCat("gemma list shows the pulled models",
                                 DidYouMean(options.name, names)));
  }
  if (!options.yes) {
    if (!can_remove) {
      return UsageError(
          "cannot ask without a terminal: --yes removes the model unasked");
    }
    GEMMA_ASSIGN_OR_RETURN(const bool confirmed, Confirm(*model));
    if (!confirmed) return absl::AbortedError("nothing was removed");
  }
  GEMMA_ASSIGN_OR_RETURN(
      const ModelLock lock,
      store.Lock(options.name, /*wait=*/false, /*quiet=*/true));
  // The record may have changed before the lock was taken.
  GEMMA_ASSIGN_OR_RETURN(model, store.Find(options.name));
  if (!model.has_value()) return absl::OkStatus();
  GEMMA_ASSIGN_OR_RETURN(const bool has_others, store.Remove(*model));
  if (has_others) {
    Note(absl::StrCat(store.FolderOf(options.name),
                      ": has other files, which stay"));
  }
  if (json) return WriteJson(options, store, model->bytes(), has_others);
  return WriteSummary(
      absl::StrCat("removed ", model->name, ", ", Bytes(model->bytes())));
}

}  // namespace

void AddRemove(CLI::App& app, Action* action) {
  auto options = std::make_shared<RemoveOptions>();
  CLI::App* command =
      app.add_subcommand("remove", "Delete a pulled model from the disk");
  AddText(*command, "NAME", "", &options->name, "The model's name (gemma list)")
      ->option_text("NAME")
      ->required();
  command->add_flag("-y,--yes", options->yes,
                    "Do not ask first; required without a terminal");
  AddForms(*command, &options->format);
  command->footer(
      "Examples:\n  gemma remove gemma-3-270m\n"
      "  gemma remove gemma-3-270m --yes --json\n\n");
  command->callback([=] { *action = [=] { return Remove(*options); }; });
}

}  // namespace gemma::tools
