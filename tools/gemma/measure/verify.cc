// gemma verify: checks the model's logits against a reference.

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "src/formats/npz.h"
#include "src/os/mapped_file.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/logit_rows.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/measure/scores.h"
#include "tools/gemma/measure/token_file.h"

namespace gemma::tools {
namespace {

constexpr size_t kMaxTokens = size_t{1} << 24;

struct VerifyOptions {
  ModelOptions model;
  std::string reference;
  std::string array = "out";
  std::string format = "text";
  float tolerance = 1e-4f;
};

struct Comparison {
  size_t positions = 0;
  double max_error = 0;
  size_t position = 0;  // of the largest error
  TokenId token = 0;    // of the largest error
  double max_reference = 0;
  double kl_sum = 0;
  size_t same_top = 0;
  double seconds = 0;  // spent in the model

  double mean_kl() const { return kl_sum / static_cast<double>(positions); }
};

absl::StatusOr<std::vector<TokenId>> ReadIds(const Npz& npz,
                                             std::string_view name,
                                             const Model& model) {
  GEMMA_ASSIGN_OR_RETURN(NpzArray array, npz.Open("ids"));
  const NpyHeader& header = array.header();
  const std::string where = absl::StrCat(name, ": array 'ids'");
  const bool is_row = header.shape.size() == 2 && header.shape[0] == 1;
  if ((header.shape.size() != 1 && !is_row) || header.num_values == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, " has shape ", ShapeText(header), ", wanted [n] or [1, n]"));
  }
  GEMMA_ASSIGN_OR_RETURN(const std::vector<int64_t> ids,
                         array.ReadIntegers(kMaxTokens));
  GEMMA_RETURN_IF_ERROR(array.Finish());
  std::vector<TokenId> tokens;
  for (const int64_t id : ids) {
    // An id that TokenId cannot hold becomes -1, which CheckTokens refuses.
    tokens.push_back(id == static_cast<TokenId>(id) ? static_cast<TokenId>(id)
                                                    : TokenId{-1});
  }
  GEMMA_RETURN_IF_ERROR(CheckTokens(tokens, model.config(), where));
  return tokens;
}

absl::Status CheckShape(const NpyHeader& header, std::string_view where,
                        size_t num_tokens, size_t vocab_size) {
  const std::vector<uint64_t> want = {num_tokens, vocab_size};
  std::vector<uint64_t> shape = header.shape;
  if (shape.size() == 3 && shape[0] == 1) shape.erase(shape.begin());
  if (shape == want) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s has shape %s, wanted [%d, %d] or [1, %d, %d]", where,
      ShapeText(header), num_tokens, vocab_size, num_tokens, vocab_size));
}

void Add(size_t position, const RowError& row, Comparison* sum) {
  ++sum->positions;
  if (!(row.max_error <= sum->max_error) && !std::isnan(sum->max_error)) {
    sum->max_error = row.max_error;
    sum->position = position;
    sum->token = row.token;
  }
  sum->max_reference = std::max(sum->max_reference, row.max_reference);
  sum->kl_sum += row.kl;
  sum->same_top += row.same_top ? 1 : 0;
}

absl::StatusOr<Comparison> Compare(Session& session,
                                   absl::Span<const TokenId> tokens,
                                   size_t rows_at_once, NpzArray& reference,
                                   std::string_view where) {
  const size_t vocab_size = session.model().config().vocab_size;
  Comparison sum;
  Progress progress("verifying", "tok");
  Stopwatch stopwatch;
  std::vector<float> expected;
  double outside_seconds = 0;
  const auto compare_rows = [&](size_t first, absl::Span<const float> rows) {
    const double begin = stopwatch.seconds();
    expected.resize(rows.size());
    GEMMA_RETURN_IF_ERROR(reference.Read(absl::MakeSpan(expected)));
    std::vector<RowError> errors(rows.size() / vocab_size);
    ForEachRow(session.model().num_threads(), errors.size(), [&](size_t row) {
      errors[row] = CompareRows(
          rows.subspan(row * vocab_size, vocab_size),
          absl::MakeConstSpan(expected).subspan(row * vocab_size, vocab_size));
    });
    for (size_t row = 0; row < errors.size(); ++row) {
      if (!std::isfinite(errors[row].max_reference)) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ": row ", first + row,
                         " holds a number that is not finite"));
      }
      Add(first + row, errors[row], &sum);
    }
    progress.Update(sum.positions, tokens.size());
    outside_seconds += stopwatch.seconds() - begin;
    return absl::OkStatus();
  };
  GEMMA_RETURN_IF_ERROR(
      ForEachLogitRows(session, tokens, rows_at_once, compare_rows));
  sum.seconds = stopwatch.seconds() - outside_seconds;
  GEMMA_RETURN_IF_ERROR(reference.Finish());
  return sum;
}

std::string Show(const VerifyOptions& options, const Model& model,
                 const Comparison& sum, double limit, bool passed) {
  const auto positions = static_cast<double>(sum.positions);
  const double rate = positions / sum.seconds;
  const double agreement = static_cast<double>(sum.same_top) / positions;
  if (options.format == "json") {
    nlohmann::ordered_json json = ReportHead(options.model, model);
    json["options"] =
        OptionsJson(options.model, model,
                    SessionOptionsOf(options.model, sum.positions).max_tokens);
    json.update({
        {"reference", options.reference},
        {"array", options.array},
        {"positions", sum.positions},
        {"max_error", sum.max_error},
        {"max_error_position", sum.position},
        {"max_error_token", sum.token},
        {"max_reference", sum.max_reference},
        {"limit", limit},
        {"mean_kl", sum.mean_kl()},
        {"top1_agreement", agreement},
        {"tokens_per_second", rate},
        {"passed", passed},
    });
    return ToText(json);
  }
  return absl::StrFormat(
      R"(positions            %d
largest logit error  %.3e (position %d, token %d; limit %.3e)
mean KL              %.3e nats
top-1 agreement      %.2f %% (%d of %d)
)",
      sum.positions, sum.max_error, sum.position, sum.token, limit,
      sum.mean_kl(), 100 * agreement, sum.same_top, sum.positions);
}

absl::Status Verify(const VerifyOptions& options) {
  if (!(options.tolerance >= 0)) {
    return OptionError(
        {"--tolerance"},
        absl::StrCat("--tolerance: ", options.tolerance, " is less than 0"));
  }
  GEMMA_ASSIGN_OR_RETURN(const MappedFile file,
                         MappedFile::Open(options.reference));
  GEMMA_ASSIGN_OR_RETURN(const Npz npz,
                         Npz::Parse(file.bytes(), options.reference));
  GEMMA_ASSIGN_OR_RETURN(NpzArray reference, npz.Open(options.array));
  GEMMA_ASSIGN_OR_RETURN(const Model model, LoadModel(options.model));
  GEMMA_ASSIGN_OR_RETURN(const std::vector<TokenId> tokens,
                         ReadIds(npz, options.reference, model));
  const std::string where =
      absl::StrCat(options.reference, ": array '", options.array, "'");
  GEMMA_RETURN_IF_ERROR(CheckShape(reference.header(), where, tokens.size(),
                                   model.config().vocab_size));
  GEMMA_ASSIGN_OR_RETURN(Session session,
                         CreateSession(model, options.model, tokens.size()));
  GEMMA_RETURN_IF_ERROR(CheckFits(session, tokens.size()));
  GEMMA_ASSIGN_OR_RETURN(
      const Comparison sum,
      Compare(session, tokens, options.model.chunk, reference, where));

  const double limit =
      double{options.tolerance} * std::max(1.0, sum.max_reference);
  const bool passed = sum.max_error <= limit;  // false for NaN
  GEMMA_RETURN_IF_ERROR(WriteResult(Show(options, model, sum, limit, passed)));
  if (passed) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s: the logits differ from %s by %.3e at position %d, token %d; "
      "wanted at most %.3e",
      options.model.path, options.reference, sum.max_error, sum.position,
      sum.token, limit));
}

}  // namespace

void AddVerify(CLI::App& app, Action* action) {
  auto options = std::make_shared<VerifyOptions>();
  options->model.chunk = kDefaultLogitRows;
  options->model.logits = 2;  // the model's and the reference's
  CLI::App* command = app.add_subcommand(
      "verify", "Compare the model's logits with a reference");
  options->model.activations = "float32";
  AddModelOptions(*command, &options->model, "enough for the reference");
  AddText(*command, "--reference", "FILE.npz", &options->reference,
          "File with ids [n] or [1, n], and float32 logits\n"
          "[n, vocabulary] or [1, n, vocabulary]")
      ->required();
  AddNumber(*command, "--tolerance", &options->tolerance,
            "Largest error allowed, as a share of the largest\n"
            "reference logit, or of 1 if that logit is below 1");
  AddText(*command, "--array", "NAME", &options->array,
          "Name of the array with the reference's logits")
      ->default_str(options->array);
  AddForms(*command, &options->format);
  command->footer(
      R"(Exits with 1 if the largest error is above the tolerance, or if a logit
is not a number.

Examples:
  gemma verify gemma-2-2b/ --reference reference.npz
  gemma verify gemma-2-2b/ --reference reference.npz --tolerance 0.01

)");
  command->callback([=] { *action = [=] { return Verify(*options); }; });
}

}  // namespace gemma::tools
