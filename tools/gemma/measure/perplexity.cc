// gemma perplexity: measures how well a model predicts a text.

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/logit_rows.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/measure/scores.h"
#include "tools/gemma/measure/text_windows.h"

namespace gemma::tools {
namespace {

struct PerplexityOptions {
  ModelOptions model;
  std::string file;
  std::string format = "text";
};

struct Score {
  size_t tokens = 0;
  size_t windows = 0;
  double nll = 0;          // sum over all tokens, in nats
  double nll_squares = 0;  // sum of the squares
  double seconds = 0;

  double mean_nll() const { return nll / static_cast<double>(tokens); }
  // The standard error of the mean, as if tokens were independent. Needs
  // two tokens.
  double error() const {
    const auto count = static_cast<double>(tokens);
    const double variance = (nll_squares - nll * nll / count) / (count - 1);
    return std::sqrt(std::max(variance, 0.0) / count);
  }
};

// Adds the scores of a window.
absl::Status ScoreWindow(const PerplexityOptions& options, Session& session,
                         const TextWindow& window, size_t total,
                         Progress& progress, Score* score) {
  const size_t vocab_size = session.model().config().vocab_size;
  GEMMA_RETURN_IF_ERROR(session.Rewind(0));
  return ForEachLogitRows(
      session, window.inputs, options.model.chunk,
      [&](size_t first, absl::Span<const float> rows) {
        std::vector<double> nll(rows.size() / vocab_size);
        ForEachRow(session.model().num_threads(), nll.size(), [&](size_t row) {
          nll[row] =
              NegativeLogLikelihood(rows.subspan(row * vocab_size, vocab_size),
                                    window.targets[first + row]);
        });
        // Adds in the text's order, so that threads do not change the sum.
        for (const double token_nll : nll) {
          if (!std::isfinite(token_nll)) {
            return NotFiniteAt(session.model(), options.model.path,
                               score->tokens);
          }
          score->nll += token_nll;
          score->nll_squares += token_nll * token_nll;
          ++score->tokens;
        }
        progress.Update(score->tokens, total);
        return absl::OkStatus();
      });
}

std::string Show(const PerplexityOptions& options, const Model& model,
                 size_t window, const Score& score) {
  const double rate = static_cast<double>(score.tokens) / score.seconds;
  const double perplexity = std::exp(score.mean_nll());
  const bool has_error = score.tokens > 1;
  // The perplexity changes by itself times the change of the mean.
  const double perplexity_error = has_error ? perplexity * score.error() : 0;
  if (options.format == "json") {
    nlohmann::ordered_json json = ReportHead(options.model, model);
    json["options"] = OptionsJson(options.model, model, window);
    json.update({
        {"file", options.file},
        {"windows", score.windows},
        {"scored_tokens", score.tokens},
        {"mean_nll", score.mean_nll()},
        {"mean_nll_error", nullptr},
        {"perplexity", perplexity},
        {"perplexity_error", nullptr},
        {"seconds", score.seconds},
        {"tokens_per_second", rate},
    });
    if (has_error) {
      json["mean_nll_error"] = score.error();
      json["perplexity_error"] = perplexity_error;
    }
    return ToText(json);
  }
  std::string mean_error;
  std::string error;
  if (has_error) {
    mean_error = absl::StrFormat(" +- %.6f", score.error());
    error = absl::StrFormat(" +- %.4f", perplexity_error);
  }
  return absl::StrFormat(
      "scored tokens  %d\n"
      "mean NLL       %.6f%s nats per token\n"
      "perplexity     %.4f%s\n",
      score.tokens, score.mean_nll(), mean_error, perplexity, error);
}

absl::Status Perplexity(const PerplexityOptions& options) {
  GEMMA_RETURN_IF_ERROR(CheckWindow(options.model));
  GEMMA_ASSIGN_OR_RETURN(WindowedText text,
                         LoadWindowedText(options.model, options.file));

  Score score;
  {
    Progress progress("perplexity", "tok");
    Stopwatch stopwatch;
    GEMMA_ASSIGN_OR_RETURN(
        score.windows, ForEachWindow(text.tokens, text.model.config().bos_token,
                                     text.window, [&](const TextWindow& at) {
                                       return ScoreWindow(options, text.session,
                                                          at,
                                                          text.tokens.size(),
                                                          progress, &score);
                                     }));
    score.seconds = stopwatch.seconds();
  }
  return WriteOutput(Show(options, text.model, text.window, score));
}

}  // namespace

void AddPerplexity(CLI::App& app, Action* action) {
  auto options = std::make_shared<PerplexityOptions>();
  options->model.chunk = kDefaultLogitRows;
  options->model.logits = 1;
  CLI::App* command = app.add_subcommand(
      "perplexity", "Measure how well the model predicts a text");
  AddModelOptions(*command, &options->model, kDefaultWindowText);
  AddTextFile(*command, &options->file);
  AddForms(*command, &options->format);
  command->footer(
      R"(Prints the number of scored tokens, the mean negative log-likelihood
(NLL) in nats, and its exponential, the perplexity. What follows "+-" is a
standard error, computed as if tokens were independent.

Examples:
  gemma perplexity gemma-3-270m text.txt
  gemma perplexity gemma-3-270m --context 4096 --json < text.txt

)");
  command->callback([=] {
    *action = [=]() -> absl::Status {
      GEMMA_RETURN_IF_ERROR(FindTextFile("perplexity MODEL", &options->file));
      return Perplexity(*options);
    };
  });
}

}  // namespace gemma::tools
