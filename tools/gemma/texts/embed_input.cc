#include "tools/gemma/texts/embed_input.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gemma/embedder.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/json_line.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

// Finds the words in front of texts.
struct Prefixes {
  const EmbedInputOptions& options;
  const Embedder& embedder;

  absl::StatusOr<std::string> Of(const std::string& prompt,
                                 const std::string& title) const {
    if (prompt.empty() && title.empty() && options.no_prompt) return "";
    return embedder.Prefix(Named(prompt), title);
  }
  // The name of the model's prompt that `prompt` is in another case, if there
  // is only one, or `prompt`.
  std::string Named(const std::string& prompt) const {
    std::string found;
    for (const EmbedPrompt& known : embedder.prompts()) {
      if (known.name == prompt) return prompt;
      if (!absl::EqualsIgnoreCase(known.name, prompt)) continue;
      if (!found.empty()) return prompt;
      found = known.name;
    }
    return found.empty() ? prompt : found;
  }
  // Those of each text that does not give its own.
  absl::StatusOr<std::string> Common() const {
    if (!options.prefix.empty()) return options.prefix;
    const absl::StatusOr<std::string> prefix =
        Of(options.prompt, options.title);
    if (prefix.ok()) return prefix;
    return OptionError({"--prompt", "--title"},
                       absl::StrCat("--prompt: ", prefix.status().message()));
  }
};

absl::StatusOr<EmbedInput> FromObject(const nlohmann::ordered_json& object,
                                      const Prefixes& prefixes) {
  EmbedInput input;
  std::string prompt = prefixes.options.prompt;
  std::string title = prefixes.options.title;
  bool has_text = false;
  bool has_own_prefix = false;
  GEMMA_RETURN_IF_ERROR(ReadId(object, &input.id));
  for (const auto& [name, value] : object.items()) {
    if (name == "text") {
      GEMMA_RETURN_IF_ERROR(ReadTextField(name, value, &input.text));
      has_text = true;
    } else if (name == "prompt" || name == "title") {
      GEMMA_RETURN_IF_ERROR(
          ReadTextField(name, value, name == "title" ? &title : &prompt));
      has_own_prefix = true;
    } else if (name != "id") {
      return absl::InvalidArgumentError(absl::StrCat(
          "no field '", name, "', wanted 'text', 'id', 'title' and 'prompt'"));
    }
  }
  if (!has_text) return absl::InvalidArgumentError("there is no 'text'");
  GEMMA_ASSIGN_OR_RETURN(
      const std::string prefix,
      has_own_prefix ? prefixes.Of(prompt, title) : prefixes.Common());
  input.text.insert(0, prefix);
  return input;
}

absl::StatusOr<EmbedInput> FromJson(std::string_view line,
                                    const Prefixes& prefixes) {
  GEMMA_ASSIGN_OR_RETURN(const nlohmann::ordered_json json,
                         ParseJsonLine(line));
  if (json.is_object()) return FromObject(json, prefixes);
  if (!json.is_string()) {
    return WrongType("the line", json, "an object or a string");
  }
  GEMMA_ASSIGN_OR_RETURN(const std::string prefix, prefixes.Common());
  return EmbedInput{absl::StrCat(prefix, json.get<std::string>()), ""};
}

absl::StatusOr<std::vector<EmbedInput>> ReadLines(const Prefixes& prefixes) {
  const EmbedInputOptions& options = prefixes.options;
  const std::string path =
      options.file.empty() ? std::string(kStdinArgument) : options.file;
  const std::string name(InputName(path));
  GEMMA_ASSIGN_OR_RETURN(const std::string text, ReadUtf8(path));
  if (text.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": is empty, wanted a text on each line"));
  }
  GEMMA_ASSIGN_OR_RETURN(const std::string prefix, prefixes.Common());
  std::vector<EmbedInput> inputs;
  size_t number = 0;
  for (const std::string_view line : SplitLines(text)) {
    ++number;
    if (!options.jsonl) {
      inputs.push_back({absl::StrCat(prefix, line), ""});
      continue;
    }
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    absl::StatusOr<EmbedInput> input = FromJson(line, prefixes);
    if (!input.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, ": line ", number, ": ", input.status().message()));
    }
    inputs.push_back(*std::move(input));
  }
  return inputs;
}

}  // namespace

absl::Status Check(const EmbedInputOptions& options) {
  if (!options.texts.empty() && !options.file.empty()) {
    return OptionError({"--file"}, "--file excludes texts on the command line");
  }
  if (!options.texts.empty() && options.jsonl) {
    return OptionError({"--jsonl"},
                       "--jsonl excludes texts on the command line");
  }
  if (!options.prefix.empty() &&
      (!options.prompt.empty() || !options.title.empty())) {
    return OptionError({"--prefix", "--prompt", "--title"},
                       "--prefix excludes --prompt and --title");
  }
  if (options.prompt.empty() && !options.title.empty()) {
    return Needs("--title", "--prompt document");
  }
  if (options.no_prompt &&
      (!options.prompt.empty() || !options.title.empty())) {
    return OptionError({"--no-prompt", "--prompt", "--title"},
                       "--no-prompt excludes --prompt and --title");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<EmbedInput>> ReadInputs(
    const EmbedInputOptions& options, const Embedder& embedder) {
  const Prefixes prefixes = {options, embedder};
  if (options.texts.empty()) return ReadLines(prefixes);
  GEMMA_ASSIGN_OR_RETURN(const std::string prefix, prefixes.Common());
  std::vector<EmbedInput> inputs;
  for (const std::string& text : options.texts) {
    GEMMA_RETURN_IF_ERROR(AsUsageError(CheckUtf8(text, "TEXT")));
    inputs.push_back({absl::StrCat(prefix, text), ""});
  }
  return inputs;
}

}  // namespace gemma::tools
