#include "tools/gemma/answer/verdict.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

// The highest score. `verdict` must have at least one.
const Verdict::Score& Highest(const Verdict& verdict) {
  return *std::max_element(verdict.scores.begin(), verdict.scores.end(),
                           [](const auto& a, const auto& b) {
                             return a.probability < b.probability;
                           });
}

}  // namespace

std::optional<Verdict::Score> Verdict::violated() const {
  if (scores.empty()) return std::nullopt;
  const Score& highest = Highest(*this);
  if (highest.probability <= threshold) return std::nullopt;
  return highest;
}

absl::Status RefusalOf(absl::Span<const Verdict> verdicts) {
  for (const Verdict& verdict : verdicts) {
    if (const auto violated = verdict.violated()) {
      return RefusedError(absl::StrFormat(
          "refused: the %s violates '%s' with a probability of %.4f, more than "
          "the --guard-threshold of %g",
          verdict.text, violated->policy, violated->probability,
          verdict.threshold));
    }
  }
  return absl::OkStatus();
}

nlohmann::ordered_json VerdictsJson(absl::Span<const Verdict> verdicts) {
  nlohmann::ordered_json json;
  for (const Verdict& verdict : verdicts) {
    json["threshold"] = verdict.threshold;
    nlohmann::ordered_json& scores = json[std::string(verdict.text)];
    scores = nlohmann::ordered_json::object();
    for (const Verdict::Score& score : verdict.scores) {
      scores[score.policy] = score.probability;
    }
    if (const auto violated = verdict.violated()) {
      json["refused"] = {{"text", verdict.text},
                         {"policy", violated->policy},
                         {"probability", violated->probability}};
    }
  }
  return json;
}

std::string VerdictsLine(absl::Span<const Verdict> verdicts) {
  std::string line = "guard:";
  for (const Verdict& verdict : verdicts) {
    if (verdict.scores.empty()) continue;
    const Verdict::Score& highest = Highest(verdict);
    absl::StrAppendFormat(&line, "%s %s %.4f (%s)",
                          line.ends_with(':') ? "" : ",", verdict.text,
                          highest.probability, highest.policy);
  }
  return line;
}

}  // namespace gemma::tools
