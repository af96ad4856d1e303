#include "tools/gemma/texts/classify_lines.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "tools/gemma/cli/policy_options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/json_line.h"
#include "tools/gemma/io/line_reader.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {
namespace {

// Lines that are computed together if they have arrived. Those with the same
// beginning share its computation.
constexpr size_t kLinesAtOnce = 16;

struct Line {
  size_t number = 0;  // from 1
  std::string id;     // JSON; empty: no id
  std::string text;
  std::optional<std::string> response;
  absl::Status status;
};

absl::Status ParseObject(const nlohmann::ordered_json& json, Line& line) {
  GEMMA_RETURN_IF_ERROR(ReadId(json, &line.id));
  bool has_text = false;
  for (const auto& [name, value] : json.items()) {
    if (name == "text") {
      has_text = true;
      GEMMA_RETURN_IF_ERROR(ReadTextField(name, value, &line.text));
    } else if (name == "response") {
      line.response.emplace();
      GEMMA_RETURN_IF_ERROR(ReadTextField(name, value, &*line.response));
    } else if (name != "id") {
      return absl::InvalidArgumentError(absl::StrCat(
          "no field '", name, "', wanted 'text', 'response' and 'id'"));
    }
  }
  if (has_text) return absl::OkStatus();
  return absl::InvalidArgumentError("there is no 'text'");
}

absl::Status ParseFields(std::string_view text, Line& line) {
  GEMMA_ASSIGN_OR_RETURN(const nlohmann::ordered_json json,
                         ParseJsonLine(text));
  if (json.is_string()) return ReadTextField("text", json, &line.text);
  if (json.is_object()) return ParseObject(json, line);
  return WrongType("the line", json, "an object or a string");
}

absl::Status Parse(std::string_view text, Line& line) {
  GEMMA_RETURN_IF_ERROR(ParseFields(text, line));
  const auto is_blank = [](std::string_view of) {
    return absl::StripAsciiWhitespace(of).empty();
  };
  if (is_blank(line.text)) {
    return absl::InvalidArgumentError("no text to classify: 'text' is empty");
  }
  if (line.response.has_value() && is_blank(*line.response)) {
    return absl::InvalidArgumentError(
        "no text to classify: 'response' is empty");
  }
  return absl::OkStatus();
}

class Lines {
 public:
  Lines(absl::Span<const Policy> policies, const ClassifyLinesOptions& options,
        LineReader reader)
      : policies_(policies),
        head_(options.head),
        reader_(std::move(reader)),
        total_(reader_.Count().value_or(0)),
        progress_(
            Progress::OfCount("classifying", options.quiet, options.verbose)) {}

  absl::Status Run(Classifier& classifier) {
    for (;;) {
      GEMMA_ASSIGN_OR_RETURN(std::vector<Line> lines, Read());
      if (lines.empty()) return Summary();
      GEMMA_RETURN_IF_ERROR(Classify(classifier, lines));
    }
  }

  // ClassifierOptions::progress for the lines of the last Read.
  bool Show(size_t done, size_t total) {
    const size_t lines = num_read_ - num_at_once_ + num_at_once_ * done / total;
    progress_.UpdateCount(
        lines, total_,
        absl::StrFormat("%.1f lines/s",
                        static_cast<double>(lines) / stopwatch_.seconds()));
    return !Interrupted();
  }

 private:
  // Waits for a line and returns it with those that have also arrived; empty at
  // the end.
  absl::StatusOr<std::vector<Line>> Read() {
    std::vector<Line> lines;
    num_at_once_ = 0;
    while (lines.size() < kLinesAtOnce) {
      if (!lines.empty()) {
        GEMMA_ASSIGN_OR_RETURN(const bool ready, reader_.Ready());
        if (!ready) break;
      }
      GEMMA_ASSIGN_OR_RETURN(const std::optional<std::string> text,
                             reader_.Next());
      if (!text.has_value()) break;
      ++num_read_;
      ++num_at_once_;
      if (absl::StripAsciiWhitespace(*text).empty()) continue;
      Line line = {.number = num_read_};
      line.status = Parse(*text, line);
      lines.push_back(std::move(line));
    }
    return lines;
  }

  absl::Status Classify(Classifier& classifier,
                        const std::vector<Line>& lines) {
    std::vector<ClassifierInput> inputs;
    for (const Line& line : lines) {
      if (line.status.ok()) inputs.push_back({line.text, line.response});
    }
    const auto results = classifier.ClassifyAll(inputs, policies_);
    answer_mass_ = classifier.stats().least_answer_mass;
    if (Interrupted()) return InterruptedError();
    auto result = results.begin();
    for (const Line& line : lines) {
      GEMMA_RETURN_IF_ERROR(
          Write(line, line.status.ok() ? *result++ : line.status));
    }
    return absl::OkStatus();
  }

  absl::Status Write(const Line& line,
                     const absl::StatusOr<std::vector<double>>& result) {
    nlohmann::ordered_json json = head_;
    json["line"] = line.number;
    if (!line.id.empty()) json["id"] = nlohmann::ordered_json::parse(line.id);
    ++num_lines_;
    if (result.ok()) {
      json["probabilities"] = ProbabilitiesJson(policies_, *result);
      json["answer_mass"] = answer_mass_;
    } else {
      ++num_failed_;
      json["error"] = result.status().message();
    }
    return WriteOutput(ToLine(json));
  }

  absl::Status Summary() const {
    if (num_failed_ == 0) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(num_failed_, " of ", num_lines_,
                     " lines could not be classified; see their 'error'"));
  }

  absl::Span<const Policy> policies_;
  const nlohmann::ordered_json head_;
  LineReader reader_;
  const size_t total_;  // 0: unknown
  Progress progress_;
  Stopwatch stopwatch_;
  double answer_mass_ = 1;  // the least so far
  size_t num_read_ = 0;     // including blank lines
  size_t num_at_once_ = 0;  // of the last Read
  size_t num_lines_ = 0;
  size_t num_failed_ = 0;
};

}  // namespace

const char kClassifyLinesHelp[] =
    R"(With --jsonl, each line is a JSON string, which is the text, or a JSON
object:
  text                   the text
  response               optional: a response to the text; classify the
                         response instead of the text
  id                     optional: a string or a number, copied to the
                         output
Standard output receives one line for each, in the same order and as soon
as it is computed:
  model, path, options, ...
                         as with --json
  line, id               the line's number (from 1), its id
  probabilities          probability of each policy, by its name
  answer_mass            as with --json, the least of the lines so far
  error                  instead of probabilities: why the line failed; the
                         other lines are classified, and the exit code is 1
Empty lines are skipped.

)";

nlohmann::ordered_json ProbabilitiesJson(
    absl::Span<const Policy> policies, absl::Span<const double> probabilities) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (size_t i = 0; i < policies.size(); ++i) {
    json[policies[i].name] = probabilities[i];
  }
  return json;
}

absl::Status ClassifyLines(const Model& model, ClassifierOptions options,
                           absl::Span<const Policy> policies,
                           const ClassifyLinesOptions& lines_options) {
  GEMMA_ASSIGN_OR_RETURN(LineReader reader,
                         LineReader::Open(lines_options.input));
  Lines lines(policies, lines_options, std::move(reader));
  options.progress = [&lines](size_t done, size_t total) {
    return lines.Show(done, total);
  };
  GEMMA_ASSIGN_OR_RETURN(Classifier classifier,
                         NewClassifier(model, std::move(options)));
  const absl::Status status = lines.Run(classifier);
  const std::string why = WhyNoShield(lines_options.model, classifier.stats());
  if (!why.empty()) Note(why);
  return status;
}

}  // namespace gemma::tools
