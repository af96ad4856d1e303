// gemma compare: measures how much the predictions of two models differ.

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "src/os/atomic_file.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/output_check.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/logit_rows.h"
#include "tools/gemma/io/output_file.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/file_type.h"
#include "tools/gemma/machine/memory.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/measure/comparison.h"
#include "tools/gemma/measure/comparison_plot.h"
#include "tools/gemma/measure/scores.h"
#include "tools/gemma/measure/text_windows.h"

namespace gemma::tools {
namespace {

struct CompareOptions {
  ModelOptions other;  // OTHER's path; all other fields apply to both models
  std::string base;
  std::string base_activations;  // "": the same as other.activations
  std::string file;
  std::string per_token;
  std::string plot;
  std::string format = "text";
  bool force = false;
};

ModelOptions BaseOptions(const CompareOptions& options) {
  ModelOptions base = options.other;
  base.path = options.base;
  base.adapters.clear();
  if (!options.base_activations.empty()) {
    base.activations = options.base_activations;
  }
  return base;
}

// The tokens that both models predict.
struct Task {
  std::vector<TokenId> tokens;
  size_t window = 0;       // positions
  size_t max_context = 0;  // of each session
};

// The error if two tokens differ; it names them.
absl::Status OtherTokens(const CompareOptions& options, std::string_view what,
                         TokenId base, TokenId other) {
  return absl::InvalidArgumentError(
      absl::StrCat(options.base, " and ", options.other.path, " ", what, ", ",
                   base, " and ", other, "; wanted the same tokens"));
}

// Tokenizes the text with both models, which need no weights. If their
// vocabularies or tokens differ, the error names the difference.
absl::StatusOr<Task> MakeTask(const CompareOptions& options, const Model& base,
                              const Model& other, std::string_view text) {
  const ModelConfig& config = base.config();
  if (config.vocab_size != other.config().vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.base, " has ", config.vocab_size, " tokens and ",
                     options.other.path, " ", other.config().vocab_size,
                     "; wanted the same vocabulary"));
  }
  if (config.bos_token != other.config().bos_token) {
    return OtherTokens(options, "begin a text with different tokens",
                       config.bos_token, other.config().bos_token);
  }
  Task task;
  GEMMA_ASSIGN_OR_RETURN(task.tokens, TokensOf(base, text, options.file));
  GEMMA_ASSIGN_OR_RETURN(const std::vector<TokenId> tokens,
                         TokensOf(other, text, options.file));
  const auto [ours, theirs] = std::mismatch(
      task.tokens.begin(), task.tokens.end(), tokens.begin(), tokens.end());
  if (ours != task.tokens.end() || theirs != tokens.end()) {
    const auto token = [](auto at, const std::vector<TokenId>& all) {
      return at == all.end() ? std::string("the end") : absl::StrCat(*at);
    };
    return absl::InvalidArgumentError(absl::StrCat(
        options.base, " and ", options.other.path, " read ", options.file,
        " as different tokens, at ", ours - task.tokens.begin(), ": ",
        token(ours, task.tokens), " and ", token(theirs, tokens),
        "; wanted the same tokenizer"));
  }
  task.window = std::min(WindowSize(options.other, config),
                         WindowSize(options.other, other.config()));
  task.max_context = std::min(task.window, task.tokens.size() + 1);
  return task;
}

// Makes the task, and checks that both models fit in memory together, before
// either is loaded.
absl::StatusOr<Task> Prepare(const CompareOptions& options) {
  GEMMA_RETURN_IF_ERROR(CheckWindow(options.other));
  GEMMA_ASSIGN_OR_RETURN(const std::string text,
                         ReadUtf8(options.file, kWaiting));
  GEMMA_ASSIGN_OR_RETURN(const Model base, ReadOutline(BaseOptions(options)));
  GEMMA_ASSIGN_OR_RETURN(const Model other, ReadOutline(options.other));
  GEMMA_ASSIGN_OR_RETURN(Task task, MakeTask(options, base, other, text));
  MemoryPlan plan = PlanOf(base, options.other, task.max_context);
  plan.name = absl::StrCat(options.base, " and ", options.other.path);
  plan.loaded = false;
  plan.use = UseOfSessions({&base, &other},
                           SessionOptionsOf(options.other, task.max_context),
                           options.other.logits);
  GEMMA_RETURN_IF_ERROR(CheckMemory(options.other, plan));
  return task;
}

// One session for each model.
struct Pair {
  Session base;
  Session other;
};

// Fails if a score is not finite; the error names the model and the weight.
absl::Status CheckFinite(const CompareOptions& options, const Pair& sessions,
                         const TokenScore& score, size_t position) {
  if (std::isfinite(score.kl) && std::isfinite(score.base_nll) &&
      std::isfinite(score.other_nll)) {
    return absl::OkStatus();
  }
  const bool is_other = std::isfinite(score.base_nll);
  return NotFiniteAt((is_other ? sessions.other : sessions.base).model(),
                     is_other ? options.other.path : options.base, position);
}

// Appends the scores of a window. `total`: the number of tokens of the text.
absl::Status ScoreWindow(const CompareOptions& options, Pair& sessions,
                         const TextWindow& window, size_t total,
                         Progress& progress, std::vector<TokenScore>* scores) {
  const Model& base = sessions.base.model();
  const size_t vocab_size = base.config().vocab_size;
  GEMMA_RETURN_IF_ERROR(sessions.base.Rewind(0));
  GEMMA_RETURN_IF_ERROR(sessions.other.Rewind(0));
  std::vector<float> others;  // the other model's rows
  return ForEachLogitRows(
      sessions.base, window.inputs, options.other.chunk,
      [&](size_t first, absl::Span<const float> rows) {
        const size_t num_rows = rows.size() / vocab_size;
        others.resize(rows.size());
        GEMMA_RETURN_IF_ERROR(sessions.other.ForwardAll(
            absl::MakeConstSpan(window.inputs).subspan(first, num_rows),
            absl::MakeSpan(others)));
        const size_t begin = scores->size();
        scores->resize(begin + num_rows);
        ForEachRow(base.num_threads(), num_rows, [&](size_t row) {
          (*scores)[begin + row] = CompareScores(
              rows.subspan(row * vocab_size, vocab_size),
              absl::MakeConstSpan(others).subspan(row * vocab_size, vocab_size),
              window.targets[first + row]);
        });
        for (size_t i = begin; i < scores->size(); ++i) {
          GEMMA_RETURN_IF_ERROR(
              CheckFinite(options, sessions, (*scores)[i], i));
        }
        progress.Update(scores->size(), total);
        return absl::OkStatus();
      });
}

nlohmann::ordered_json ToJson(const CompareOptions& options, const Task& task,
                              const Pair& sessions, size_t windows,
                              const Comparison& sum, double seconds) {
  const Model& base = sessions.base.model();
  const Model& other = sessions.other.model();
  const std::string base_path = PathOfModel(options.base);
  const std::string other_path = PathOfModel(options.other.path);
  nlohmann::ordered_json json = ReportHead();
  json.update({
      {"base", options.base},
      {"base_path", base_path},
      {"base_file_type", FileType(base_path, base)},
      {"base_activations", BaseOptions(options).activations},
      {"other", options.other.path},
      {"other_path", other_path},
      {"other_file_type", FileType(other_path, other)},
      {"options", OptionsJson(options.other, other, task.window)},
      {"file", options.file},
      {"windows", windows},
      {"scored_tokens", sum.tokens},
      {"mean_kl", sum.mean_kl.value},
      {"mean_kl_error", sum.mean_kl.error},
      {"median_kl", sum.median_kl},
      {"kl_90", sum.kl_90},
      {"kl_99", sum.kl_99},
      {"kl_99_9", sum.kl_99_9},
      {"max_kl", sum.max_kl},
      {"max_kl_position", sum.max_kl_position},
      {"top1_agreement", sum.top1_agreement.value},
      {"top1_agreement_error", sum.top1_agreement.error},
      {"base_perplexity", sum.base_perplexity.value},
      {"base_perplexity_error", sum.base_perplexity.error},
      {"other_perplexity", sum.other_perplexity.value},
      {"other_perplexity_error", sum.other_perplexity.error},
      {"perplexity_ratio", sum.perplexity_ratio.value},
      {"perplexity_ratio_error", sum.perplexity_ratio.error},
      {"seconds", seconds},
      {"tokens_per_second", static_cast<double>(sum.tokens) / seconds},
  });
  return json;
}

// The output files for the scores of tokens.
struct Outputs {
  std::optional<AtomicFile> per_token;
  std::optional<AtomicFile> plot;
};

// Opens the output files. Called before anything is computed, so that the
// command fails early if a file cannot be written.
absl::StatusOr<Outputs> OpenOutputs(const CompareOptions& options) {
  Outputs outputs;
  if (!options.per_token.empty()) {
    GEMMA_ASSIGN_OR_RETURN(AtomicFile file,
                           AtomicFile::CreateOutput(options.per_token));
    outputs.per_token.emplace(std::move(file));
  }
  if (!options.plot.empty()) {
    GEMMA_RETURN_IF_ERROR(CheckPlot());
    GEMMA_ASSIGN_OR_RETURN(AtomicFile file,
                           AtomicFile::CreateOutput(options.plot));
    outputs.plot.emplace(std::move(file));
  }
  return outputs;
}

absl::Status WriteOutputs(const CompareOptions& options,
                          const std::string& lines, Outputs& outputs) {
  if (outputs.per_token.has_value()) {
    GEMMA_RETURN_IF_ERROR(outputs.per_token->Write(lines));
    GEMMA_RETURN_IF_ERROR(outputs.per_token->Commit());
  }
  if (outputs.plot.has_value()) {
    GEMMA_RETURN_IF_ERROR(
        WritePlot(lines, options.base, options.other.path, *outputs.plot));
    GEMMA_RETURN_IF_ERROR(outputs.plot->Commit());
  }
  return absl::OkStatus();
}

// Returns all scores. `windows` receives the number of windows.
absl::StatusOr<std::vector<TokenScore>> ScoreText(const CompareOptions& options,
                                                  const Task& task,
                                                  Pair& sessions,
                                                  size_t* windows) {
  std::vector<TokenScore> scores;
  Progress progress("comparing", "tok");
  const TokenId bos = sessions.base.model().config().bos_token;
  GEMMA_ASSIGN_OR_RETURN(
      *windows, ForEachWindow(task.tokens, bos, task.window,
                              [&](const TextWindow& window) {
                                return ScoreWindow(options, sessions, window,
                                                   task.tokens.size(), progress,
                                                   &scores);
                              }));
  return scores;
}

absl::Status Compare(const CompareOptions& options) {
  for (const std::string& output : {options.per_token, options.plot}) {
    std::vector<std::string> models = ModelPaths(options.other);
    models.push_back(options.base);
    GEMMA_RETURN_IF_ERROR(CheckOutput(output, models, {options.file}));
    GEMMA_RETURN_IF_ERROR(CheckReplaces(output, options.force));
  }
  GEMMA_ASSIGN_OR_RETURN(Outputs outputs, OpenOutputs(options));
  GEMMA_ASSIGN_OR_RETURN(const Task task, Prepare(options));
  const ModelOptions base_options = BaseOptions(options);
  GEMMA_ASSIGN_OR_RETURN(const Model base, LoadModel(base_options));
  GEMMA_ASSIGN_OR_RETURN(const Model other, LoadModel(options.other));
  GEMMA_ASSIGN_OR_RETURN(Session base_session,
                         CreateSession(base, base_options, task.max_context));
  GEMMA_ASSIGN_OR_RETURN(Session other_session,
                         CreateSession(other, options.other, task.max_context));
  Pair sessions = {std::move(base_session), std::move(other_session)};

  Stopwatch stopwatch;
  size_t windows = 0;
  GEMMA_ASSIGN_OR_RETURN(const std::vector<TokenScore> scores,
                         ScoreText(options, task, sessions, &windows));
  const double seconds = stopwatch.seconds();
  const Comparison sum = Summarize(scores);
  GEMMA_RETURN_IF_ERROR(WriteOutput(
      options.format == "json"
          ? ToText(ToJson(options, task, sessions, windows, sum, seconds))
          : ToTable(sum)));
  if (!outputs.per_token.has_value() && !outputs.plot.has_value()) {
    return absl::OkStatus();
  }
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, base.tokenizer());
  return WriteOutputs(options, PerTokenLines(scores, *tokenizer), outputs);
}

}  // namespace

void AddCompare(CLI::App& app, Action* action) {
  auto options = std::make_shared<CompareOptions>();
  options->other.chunk = kDefaultLogitRows;
  options->other.logits = 1;
  options->other.activations = "float32";
  CLI::App* command = app.add_subcommand(
      "compare", "Measure how much two models' predictions differ");
  AddModelPath(*command, &options->base, "BASE");
  AddModelPath(*command, &options->other.path, "OTHER");
  AddModelSettings(*command, &options->other, kDefaultWindowText);
  AddChoice(*command, "--base-activations", &options->base_activations,
            {"float32", "int8"}, "As --activations, for BASE alone")
      ->default_str("as --activations");
  AddTextFile(*command, &options->file);
  AddText(*command, "--per-token", "FILE.jsonl", &options->per_token,
          "Output file with a JSON line for each token: its\n"
          "position in the text, id and text; KL; negative\n"
          "log-likelihood and most probable token of both\n"
          "models");
  AddText(*command, "--plot", "FILE.png", &options->plot,
          "Output file for a plot of the tokens' KL; needs\n"
          "python3 and matplotlib");
  AddForce(*command, &options->force);
  AddForms(*command, &options->format);
  command->footer(
      R"(At every token of the text, BASE and OTHER predict the probabilities of
the whole vocabulary. The command prints how much OTHER's differ from
BASE's: the Kullback-Leibler divergence (KL) in nats (mean, quantiles,
largest), how often the most probable token is the same, and both
perplexities. Numbers after +- are standard errors, computed as if tokens
were independent. Both models must have the same vocabulary. The options
apply to both, but --lora only to OTHER.

Examples:
  gemma compare gemma-3-1b-it gemma-3-1b-it-q4 text.txt
  gemma compare gemma-3-1b-it gemma-3-1b-it-q4 \
    --file text.txt --per-token tokens.jsonl --plot kl.png

)");
  command->callback([=] {
    *action = [=]() -> absl::Status {
      GEMMA_RETURN_IF_ERROR(FindTextFile("compare BASE OTHER", &options->file));
      return Compare(*options);
    };
  });
}

}  // namespace gemma::tools
