// gemma man: the manual page.

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gemma/version.h"
#include "tools/gemma/cli/environment.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/help/option_table.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"

namespace gemma::tools {
namespace {

// A variable that does not set an option, or a file.
struct Variable {
  std::string_view name;
  std::string_view description;
};

constexpr Variable kVariables[] = {
    {"GEMMA_MODELS",
     "The directory of pulled models; by default gemma/models in "
     "$XDG_CACHE_HOME, or in ~/.cache if that is not set."},
    {"GEMMA_HISTORY",
     "The file that keeps the lines typed in chats; by default gemma/history "
     "in $XDG_STATE_HOME, or in ~/.local/state if that is not set. If the "
     "variable is empty, no lines are kept."},
    {"HF_TOKEN, HUGGING_FACE_HUB_TOKEN",
     "A token of a Hugging Face account, for gated repositories."},
    {"HF_ENDPOINT", "The server to use instead of https://huggingface.co."},
    {"NO_COLOR", "Switches colours off if it is not empty."},
};

constexpr Variable kFiles[] = {
    {"~/.cache/gemma/models", "Pulled models."},
    {"~/.local/state/gemma/history", "Lines typed in chats."},
};

// Escapes running text, or an argument of a macro in quotes.
std::string Escape(std::string_view text) {
  return absl::StrReplaceAll(text, {{"\\", "\\e"},
                                    {"-", "\\-"},
                                    {"\"", "\\(dq"},
                                    {"'", "\\(aq"},
                                    {"~", "\\(ti"},
                                    {"^", "\\(ha"},
                                    {"`", "\\(ga"}});
}

// Appends lines of text. Protects a '.' at the start of a line, which would
// begin a request.
void AppendText(std::string_view text, std::string* page) {
  for (std::string_view line : absl::StrSplit(text, '\n')) {
    const std::string escaped = Escape(line);
    absl::StrAppend(page, absl::StartsWith(escaped, ".") ? "\\&" : "", escaped,
                    "\n");
  }
}

// Appends paragraphs, which empty lines separate. Lines and columns stay as
// they are.
void AppendParagraphs(std::string_view text, std::string* page) {
  bool is_first = true;
  for (std::string_view paragraph : absl::StrSplit(text, "\n\n")) {
    paragraph = absl::StripSuffix(paragraph, "\n");
    if (paragraph.empty()) continue;
    absl::StrAppend(page, is_first ? ".PP\n" : ".sp\n", ".nf\n");
    AppendText(paragraph, page);
    absl::StrAppend(page, ".fi\n");
    is_first = false;
  }
}

void AppendItem(std::string_view head, std::string_view text,
                std::string* page) {
  absl::StrAppend(page, ".TP\n", head, "\n");
  AppendText(text, page);
}

// "\fB\-t\fR, \fB\-\-threads\fR \fIN\fR"
std::string Head(const OptionEntry& option) {
  std::string head;
  for (const std::string& spelling : option.Spellings()) {
    absl::StrAppend(&head, head.empty() ? "" : ", ", "\\fB", Escape(spelling),
                    "\\fR");
  }
  const std::string& value =
      option.argument.empty() ? option.value : option.argument;
  if (!value.empty()) {
    absl::StrAppend(&head, head.empty() ? "" : " ", "\\fI", Escape(value),
                    "\\fR");
  }
  return head;
}

std::string Details(const OptionEntry& option) {
  std::string text = absl::StrCat(option.description, ".");
  if (!option.default_text.empty()) {
    absl::StrAppend(&text, "\nDefault: ", option.default_text, ".");
  }
  if (option.required) absl::StrAppend(&text, "\nRequired.");
  if (!option.variable.empty()) {
    absl::StrAppend(&text, "\nVariable: ", option.variable, ".");
  }
  return text;
}

void AppendCommand(const CommandEntry& command, std::string* page) {
  absl::StrAppend(page, ".SS gemma ", command.name, "\n");
  AppendText(absl::StrCat(command.description, "."), page);
  absl::StrAppend(page, ".PP\n\\fBgemma ", command.name,
                  "\\fR [\\fIoption\\fR...]");
  for (const OptionEntry& argument : command.arguments) {
    absl::StrAppend(page, argument.required ? " \\fI" : " [\\fI",
                    Escape(argument.argument),
                    argument.required ? "\\fR" : "\\fR]");
  }
  absl::StrAppend(page, "\n");
  for (const OptionEntry& argument : command.arguments) {
    AppendItem(Head(argument), Details(argument), page);
  }
  for (const OptionEntry& option : command.options) {
    AppendItem(Head(option), Details(option), page);
  }
  AppendParagraphs(command.footer, page);
}

std::string ManualPage(const CLI::App& app) {
  std::string page =
      ".\\\" Made by: gemma man\n"
      ".TH GEMMA 1 \"\" \"gemma " GEMMA_VERSION_STRING
      "\" \"User Commands\"\n"
      ".nh\n.ad l\n"
      ".SH NAME\ngemma \\- run Gemma models on the CPU\n"
      ".SH SYNOPSIS\n\\fBgemma\\fR \\fIcommand\\fR [\\fIoption\\fR...] "
      "[\\fIargument\\fR...]\n"
      ".SH DESCRIPTION\n"
      "Runs Google's Gemma models on the CPU, from GGUF files and Hugging Face "
      "directories.\n"
      "Only results go to standard output; all other text goes to standard "
      "error.\n"
      ".SH OPTIONS\n";
  for (const OptionEntry& option : DescribeCommand(app).options) {
    AppendItem(Head(option), Details(option), &page);
  }
  absl::StrAppend(&page, ".SH COMMANDS\n");
  for (const CommandEntry& command : DescribeCommands(app)) {
    AppendCommand(command, &page);
  }
  absl::StrAppend(&page, ".SH ENVIRONMENT\n");
  AppendText(absl::StripSuffix(kVariablesHelp, "\n"), &page);
  for (const Variable& variable : kVariables) {
    AppendItem(absl::StrCat("\\fB", variable.name, "\\fR"),
               variable.description, &page);
  }
  absl::StrAppend(&page, ".SH FILES\n");
  for (const Variable& file : kFiles) {
    AppendItem(absl::StrCat("\\fI", Escape(file.name), "\\fR"),
               file.description, &page);
  }
  absl::StrAppend(&page, ".SH EXIT STATUS\n");
  AppendText(absl::StripSuffix(kExitCodesHelp, "\n"), &page);
  return page;
}

}  // namespace

void AddMan(CLI::App& app, Action* action) {
  CLI::App* command =
      app.add_subcommand("man", "Print the manual page in roff format");
  command->footer(
      "Examples:\n  gemma man | man -l -\n  gemma man -o gemma.1\n\n");
  command->callback(
      [=, &app] { *action = [&app] { return WriteOutput(ManualPage(app)); }; });
}

}  // namespace gemma::tools
