#include "src/serve/request/samplers.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// A step of Sampler.
struct Step {
  std::string_view name;
  bool (*is_on)(const GenerateOptions& options);
  void (*turn_off)(GenerateOptions& options);
};

void TurnPenaltiesOff(GenerateOptions& options) {
  options.sampling.repetition_penalty = 1;
  options.sampling.frequency_penalty = 0;
  options.sampling.presence_penalty = 0;
}

using G = GenerateOptions;

// In the order in which they are done.
constexpr Step kSteps[] = {
    {"penalties",
     [](const G& o) {
       const SamplingOptions& s = o.sampling;
       return s.repetition_penalty != 1 || s.frequency_penalty != 0 ||
              s.presence_penalty != 0;
     },
     TurnPenaltiesOff},
    {"temperature", [](const G& o) { return o.sampling.temperature != 1; },
     [](G& o) { o.sampling.temperature = 1; }},
    {"top_k", [](const G& o) { return o.sampling.top_k != 0; },
     [](G& o) { o.sampling.top_k = 0; }},
    {"typ_p", [](const G& o) { return o.sampling.typical_p < 1; },
     [](G& o) { o.sampling.typical_p = 1; }},
    {"top_p", [](const G& o) { return o.sampling.top_p < 1; },
     [](G& o) { o.sampling.top_p = 1; }},
    {"min_p", [](const G& o) { return o.sampling.min_p > 0; },
     [](G& o) { o.sampling.min_p = 0; }},
    {"infill", [](const G& o) { return o.fill_sampling; },
     [](G& o) { o.fill_sampling = false; }},
};

// Steps that only fields turn on which this server refuses.
constexpr std::string_view kNeverOn[] = {"dry", "xtc", "top_n_sigma",
                                         "adaptive_p"};

const Step* FindStep(std::string_view name) {
  const auto* step = std::ranges::find(kSteps, name, &Step::name);
  return step == std::end(kSteps) ? nullptr : step;
}

std::vector<const Step*> StepsThatAreOn(const std::vector<std::string>& names,
                                        const GenerateOptions& options) {
  std::vector<const Step*> steps;
  for (const std::string& name : names) {
    const Step* step = FindStep(name);
    if (step != nullptr && step->is_on(options)) steps.push_back(step);
  }
  return steps;
}

// Moves the temperature to its place where this changes nothing: before top_k,
// which keeps the same tokens, and before min_p, whose part of the highest
// probability becomes its power of 1 / temperature.
void MoveTemperature(std::vector<const Step*>& steps, SamplingOptions& s) {
  const Step* const temperature = FindStep("temperature");
  auto at = std::ranges::find(steps, temperature);
  for (; at != steps.begin() && at != steps.end(); --at) {
    const std::string_view before = (*(at - 1))->name;
    if (before == "min_p" && s.temperature > 0) {
      s.min_p = static_cast<float>(
          std::pow(double{s.min_p}, 1 / double{s.temperature}));
    } else if (before != "min_p" && before != "top_k") {
      return;
    }
    std::iter_swap(at, at - 1);
  }
}

absl::Status CheckNames(const Json& field,
                        const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (FindStep(name) == nullptr &&
        std::ranges::find(kNeverOn, name) == std::end(kNeverOn)) {
      const auto append = [](std::string* text, const Step& step) {
        text->append(step.name);
      };
      return FieldError(field,
                        absl::StrCat("has ", Quoted(name), ", wanted only ",
                                     absl::StrJoin(kSteps, ", ", append), ", ",
                                     absl::StrJoin(kNeverOn, ", ")));
    }
    if (std::ranges::count(names, name) > 1) {
      return FieldError(field, absl::StrCat("has ", Quoted(name), " twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadSamplers(Fields& fields, GenerateOptions& options) {
  const std::optional<Json> field = fields.Take("samplers");
  if (!field.has_value()) return absl::OkStatus();
  std::vector<std::string> names;
  GEMMA_RETURN_IF_ERROR(AtField(field->Get(names), *field));
  GEMMA_RETURN_IF_ERROR(CheckNames(*field, names));
  options.fill_sampling = true;  // off below if the list does not name it
  for (const Step& step : kSteps) {
    if (std::ranges::find(names, step.name) == names.end()) {
      step.turn_off(options);
    }
  }
  if (options.fill_sampling) {
    const size_t top_k = options.sampling.top_k;
    if (top_k < 1 || top_k > kMaxFillTopK) {
      return FieldError(*field, FormatText("has 'infill', which needs 'top_k' "
                                           "before it with a value of 1 to %u",
                                           kMaxFillTopK));
    }
  }
  std::vector<const Step*> steps = StepsThatAreOn(names, options);
  MoveTemperature(steps, options.sampling);
  for (size_t i = 1; i < steps.size(); ++i) {
    if (steps[i - 1] < steps[i]) continue;
    return FieldError(
        *field,
        absl::StrCat("has '", steps[i - 1]->name, "' before '", steps[i]->name,
                     "', which this server does after it, and the "
                     "order would change the answer"));
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal
