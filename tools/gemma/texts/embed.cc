// gemma embed: turns texts into vectors.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/output_check.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/output_file.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/model_error.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/texts/embed_input.h"
#include "tools/gemma/texts/embed_output.h"

namespace gemma::tools {
namespace {

// Number of texts that are sorted by length and written together.
constexpr size_t kBlock = 2048;
// Number of truncated texts that the note lists.
constexpr size_t kMaxTold = 5;
constexpr size_t kMaxDimensions = size_t{1} << 24;

struct EmbedCommandOptions {
  ModelOptions model;
  EmbedInputOptions input;
  EmbedOutputOptions output;
  size_t dimensions = 0;
  bool raw = false;
  bool verbose = false;
  bool force = false;
};

// Counts of the finished blocks.
struct Totals {
  size_t texts = 0;
  size_t tokens = 0;
  std::vector<size_t> truncated;
};

class Run {
 public:
  Run(const EmbedCommandOptions& options, const Model& model,
      const Embedder& embedder, std::vector<EmbedInput> inputs)
      : options_(options),
        model_(model),
        embedder_(embedder),
        inputs_(std::move(inputs)) {}

  absl::Status Write() {
    const size_t dimensions =
        options_.dimensions != 0 ? options_.dimensions : embedder_.dimensions();
    EmbedOutputOptions format = options_.output;
    if (format.format == "json") format.head = Head(dimensions);
    GEMMA_ASSIGN_OR_RETURN(
        EmbedOutput output,
        EmbedOutput::Open(format, inputs_.size(), dimensions));
    const absl::Span<const EmbedInput> inputs = inputs_;
    while (totals_.texts < inputs.size()) {
      const absl::Span<const EmbedInput> block =
          inputs.subspan(totals_.texts, kBlock);
      GEMMA_ASSIGN_OR_RETURN(const Embeddings embeddings, Embed(block));
      GEMMA_RETURN_IF_ERROR(output.Append(block, embeddings));
      Count(embeddings);
    }
    return output.Finish();
  }

  void Tell() const {
    if (!totals_.truncated.empty()) {
      const size_t told = std::min(totals_.truncated.size(), kMaxTold);
      Note(absl::StrFormat(
          "%u of %u texts had more than %u tokens and were cut: number %s%s",
          totals_.truncated.size(), totals_.texts, embedder_.max_tokens(),
          absl::StrJoin(absl::MakeSpan(totals_.truncated).first(told), ", "),
          told < totals_.truncated.size() ? ", ..." : ""));
    }
    if (!options_.verbose && !StderrIsTerminal()) return;
    const double seconds = stopwatch_.seconds();
    Note(absl::StrFormat("%s, %s in %.2f s: %.1f texts/s, %.1f tok/s",
                         Counted(totals_.texts, "text"),
                         Counted(totals_.tokens, "token"), seconds,
                         static_cast<double>(totals_.texts) / seconds,
                         static_cast<double>(totals_.tokens) / seconds));
  }

  // Names the file, if there is one.
  absl::Status Summarize() const {
    const std::string what = absl::StrCat(
        Counted(totals_.texts, "text"), ", ",
        options_.dimensions != 0 ? options_.dimensions : embedder_.dimensions(),
        " dimensions");
    return WriteFileSummary(options_.output.path, what, options_.model.quiet);
  }

 private:
  // How each JSON object begins.
  nlohmann::ordered_json Head(size_t dimensions) const {
    const EmbedInputOptions& input = options_.input;
    nlohmann::ordered_json head = ReportHead(options_.model, model_);
    nlohmann::ordered_json& options = head["options"] =
        OptionsJson(options_.model, model_, embedder_.max_tokens());
    options.update({{"dimensions", dimensions}, {"normalize", !options_.raw}});
    if (!input.prompt.empty()) options["prompt"] = input.prompt;
    if (!input.title.empty()) options["title"] = input.title;
    if (!input.prefix.empty()) options["prefix"] = input.prefix;
    if (input.no_prompt) options["no_prompt"] = true;
    return head;
  }

  absl::StatusOr<Embeddings> Embed(absl::Span<const EmbedInput> block) const {
    std::vector<std::string> texts;
    for (const EmbedInput& input : block) texts.push_back(input.text);
    Progress progress =
        Progress::OfCount("embedding", options_.model.quiet, options_.verbose);
    progress.StartAt(totals_.texts);
    EmbedOptions embed;
    embed.use_default_prompt = false;  // the texts begin with their words
    embed.dimensions = options_.dimensions;
    embed.normalize = !options_.raw;
    embed.progress = [&](size_t done) {
      const size_t all = totals_.texts + done;
      progress.UpdateCount(
          all, inputs_.size(),
          absl::StrFormat("%.1f texts/s", all / stopwatch_.seconds()));
      return !Interrupted();
    };
    absl::StatusOr<Embeddings> embeddings = embedder_.Embed(texts, embed);
    if (Interrupted()) return InterruptedError();
    return embeddings;
  }

  void Count(const Embeddings& embeddings) {
    for (const size_t text : embeddings.truncated) {
      totals_.truncated.push_back(totals_.texts + text + 1);
    }
    for (const size_t tokens : embeddings.num_tokens) totals_.tokens += tokens;
    totals_.texts += embeddings.num_tokens.size();
  }

  const EmbedCommandOptions& options_;
  const Model& model_;
  const Embedder& embedder_;
  const std::vector<EmbedInput> inputs_;
  Totals totals_;
  Stopwatch stopwatch_;
};

absl::StatusOr<Embedder> CreateEmbedder(const Model& model,
                                        const EmbedCommandOptions& options) {
  GEMMA_RETURN_IF_ERROR(TokenizerOf(model).status());
  absl::StatusOr<Embedder> embedder =
      Embedder::Create(model, {.max_tokens = options.model.context});
  if (absl::IsInvalidArgument(embedder.status())) {
    return OptionError(
        {"--context"},
        absl::StrCat("--context: ", embedder.status().message()));
  }
  if (embedder.ok() && options.dimensions > embedder->dimensions()) {
    return OptionError(
        {"--dimensions"},
        absl::StrCat("--dimensions: ", options.dimensions,
                     " is more than the model's ", embedder->dimensions()));
  }
  return embedder;
}

absl::Status Embed(const EmbedCommandOptions& options) {
  GEMMA_RETURN_IF_ERROR(Check(options.input));
  GEMMA_RETURN_IF_ERROR(Check(options.output));
  GEMMA_RETURN_IF_ERROR(CheckOutput(
      options.output.path, ModelPaths(options.model), {options.input.file}));
  GEMMA_RETURN_IF_ERROR(CheckReplaces(options.output.path, options.force));
  for (const std::string_view ending : {".csv", ".tsv", ".parquet"}) {
    if (absl::EndsWith(options.output.path, ending) && !options.model.quiet) {
      Note(absl::StrCat(options.output.path,
                        ": holds a JSON array in each line; the name FILE.npy "
                        "asks for a NumPy file"));
    }
  }
  GEMMA_ASSIGN_OR_RETURN(const Model model, LoadModel(options.model));
  GEMMA_ASSIGN_OR_RETURN(const Embedder embedder,
                         CreateEmbedder(model, options));
  if (options.input.texts.empty() && options.input.file.empty() &&
      !options.model.quiet) {
    NoteWaiting(kWaiting);
  }
  GEMMA_ASSIGN_OR_RETURN(std::vector<EmbedInput> inputs,
                         ReadInputs(options.input, embedder));
  GEMMA_RETURN_IF_ERROR(
      CheckMemory(options.model, PlanOf(model, options.model, 0)));
  if (!embedder.has_dense_layers() && !options.model.quiet) {
    Note(absl::StrCat(
        options.model.path,
        ": has no dense layers; vectors are the means before these layers, and "
        "cannot be compared with those of the published model"));
  }
  Run run(options, model, embedder, std::move(inputs));
  GEMMA_RETURN_IF_ERROR(run.Write());
  if (!options.model.quiet) run.Tell();
  return run.Summarize();
}

// The names of all prompts, broken into lines: "query, document, ...".
std::string PromptNames() {
  std::string lines;
  size_t column = 0;
  for (const EmbedPrompt& prompt : EmbedPrompts()) {
    const bool is_first = lines.empty();
    const bool breaks = column + prompt.name.size() > 70;
    absl::StrAppend(&lines,
                    is_first ? "  "
                    : breaks ? ",\n  "
                             : ", ",
                    prompt.name);
    column = (is_first || breaks ? 2 : column + 2) + prompt.name.size();
  }
  return lines;
}

void AddInputOptions(CLI::App& command, EmbedInputOptions* options) {
  AddTextArguments(command, "TEXT", &options->texts,
                   "The texts; if missing: the lines of standard input");
  AddText(command, "-f,--file", "FILE", &options->file,
          "Embed the lines of FILE; \"-\": standard input");
  command.add_flag("--jsonl", options->jsonl,
                   "Lines are JSON: strings, or objects with text and\n"
                   "optional id, title and prompt");
  AddText(command, "--prompt", "NAME", &options->prompt,
          "Purpose of the texts, a name from the list below: put\n"
          "the model's words for it in front of each text");
  AddText(command, "--title", "TEXT", &options->title,
          "With --prompt document: title of the texts");
  AddText(command, "--prefix", "TEXT", &options->prefix,
          "Put TEXT in front of each text, instead of --prompt");
  command.add_flag("--no-prompt", options->no_prompt,
                   "Put nothing in front of the texts, even if the model's\n"
                   "files name a default prompt");
}

}  // namespace

void AddEmbed(CLI::App& app, Action* action) {
  auto options = std::make_shared<EmbedCommandOptions>();
  options->model.embeds = true;
  CLI::App* command =
      app.add_subcommand("embed", "Turn texts into vectors (EmbeddingGemma)");
  AddModelOptions(*command, &options->model,
                  "the model's limit; longer texts are cut");
  AddInputOptions(*command, &options->input);
  AddNumber(*command, "--dimensions", &options->dimensions, 1, kMaxDimensions,
            "Keep the first N values of each vector", "all");
  command->add_flag("--no-normalize", options->raw,
                    "Do not scale vectors to length 1");
  AddForms(*command, &options->output.format,
           {{"json", "Write JSON objects rather than arrays"},
            {"npy",
             "Write a NumPy file, which needs --output; the default\n"
             "for FILE.npy"}});
  AddText(*command, "-o,--output", "FILE", &options->output.path,
          "Write the vectors to FILE, which appears when it is\n"
          "complete")
      ->default_str("standard output");
  AddForce(*command, &options->force);
  AddQuiet(*command, &options->model.quiet);
  command->add_flag("-v,--verbose", options->verbose,
                    "Print the speed on standard error, even if that is\n"
                    "not a terminal");
  command->footer(
      R"(Prints a line for each text, in the same order: a vector as a JSON
array of numbers. Unless --no-normalize is given, vectors have length 1,
so the dot product of two vectors is the cosine of their angle. With
--json, a line is an object that begins with the model and the options:
  index, id              number of the text (from 0), its id
  tokens, truncated      number of its tokens, whether it was cut
  embedding              the array
A NumPy file holds float32 of shape [texts, dimensions]. EmbeddingGemma was
trained for 768 dimensions, and for the first 512, 256 and 128 of them.

For search, use --prompt query for questions and --prompt document for the
texts to search. If the model's folder has a config_sentence_transformers.json,
the prompts are those of this file. EmbeddingGemma's prompts:
)" + PromptNames() +
      R"(

Examples:
  gemma embed embeddinggemma-300m --prompt query "Who was Ada?"
  gemma embed embeddinggemma-300m --prompt document --file lines.txt \
    --dimensions 256 -o vectors.npy

)");
  command->callback([=] {
    std::string& path = options->output.path;
    if (path == kStdinArgument) path.clear();
    *action = [=] { return Embed(*options); };
  });
}

}  // namespace gemma::tools
