// gemma inspect: describes a model.

#include "tools/gemma/machine/inspect.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/model_json.h"
#include "tools/gemma/machine/report_head.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

}  // namespace

OrderedJson ChatTemplateJson(const InspectOptions& options,
                             const Model& model) {
  if (options.model.chat_template == kNoTemplate) {
    return {{"turns", "none"}, {"reason", "it was chosen"}};
  }
  const absl::StatusOr<ChatTemplate> turns = model.chat_template();
  if (!turns.ok()) {
    return {{"turns", "none"}, {"reason", turns.status().message()}};
  }
  return {
      {"turns", turns->is_gemma() ? "gemma" : "file"},
      {"file", turns->source()},
      {"reason", turns->reason().empty() ? "it was chosen" : turns->reason()},
      {"end_of_turn", turns->end_of_turn()}};
}

namespace {

std::string ShowJson(const InspectOptions& options, const Model& model,
                     const SessionOptions& session) {
  OrderedJson json = ReportHead(options.model, model);
  json["options"] = OptionsJson(options.model, model, session.max_tokens);
  json.update({
      {"instruction_tuned", model.is_instruction_tuned()},
      {"has_tokenizer", model.tokenizer().ok()},
      {"notes", model.notes()},
      {"chat_template", ChatTemplateJson(options, model)},
  });
  json.update(ContentsJson(model));
  json.update({{"memory", MemoryJson(model, session)},
               {"tensors", TensorsJson(model)}});
  return ToText(json);
}

absl::Status Inspect(const InspectOptions& options) {
  GEMMA_ASSIGN_OR_RETURN(const Model model, ReadOutline(options.model));
  const SessionOptions session =
      SessionOptionsOf(options.model, DefaultContext(model));
  return WriteOutput(options.format == "json"
                         ? ShowJson(options, model, session)
                         : InspectText(options, model, session));
}

}  // namespace

void AddInspect(CLI::App& app, Action* action) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand(
      "inspect", "Describe a model: type, size, memory, tensors");
  AddModelOptions(*command, &options->model, "4096");
  AddChatTemplate(*command, &options->model);
  command->add_flag("--tensors", options->tensors,
                    "Also list the tensors and their types");
  command->add_flag("-a,--all", options->all,
                    "Also list the tensors, the configuration and the parts\n"
                    "of the memory");
  AddForms(*command, &options->format, {{"json", "Print all of this as JSON"}});
  command->footer(
      R"(Examples:
  gemma inspect gemma-3-270m --context 32k
  gemma inspect gemma-3-270m --all
  gemma inspect gemma-3-270m --json

)");
  command->callback([=] { *action = [=] { return Inspect(*options); }; });
}

}  // namespace gemma::tools
