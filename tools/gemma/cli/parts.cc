#include "tools/gemma/cli/parts.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {

void AddCommandOfPart(std::string_view name, CLI::App& app, Action* action) {
  for (const Part& part : Parts()) {
    for (const PartCommand& command : part.commands) {
      if (command.name != name) continue;
      if (command.add != nullptr) {
        command.add(app, action);
        return;
      }
      app.add_subcommand(
          std::string(name),
          absl::StrCat("Left out of this build (", part.option, ")"));
    }
  }
}

absl::Status CheckBuilt(std::string_view name) {
  for (const Part& part : Parts()) {
    if (part.is_built()) continue;
    bool is_in_part = part.name == name;
    for (const PartCommand& command : part.commands) {
      is_in_part = is_in_part || command.name == name;
    }
    if (!is_in_part) continue;
    return WithCure(
        absl::UnimplementedError(absl::StrCat("this gemma was built without ",
                                              name, " (", part.option, ")")),
        absl::StrCat("build it with -D", part.option, "=ON, which needs ",
                     part.needs));
  }
  return absl::OkStatus();
}

}  // namespace gemma::tools
