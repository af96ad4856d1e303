// A guard's scores of a text, and whether it refuses the text.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_VERDICT_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_VERDICT_H_

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace gemma::tools {

struct Verdict {
  struct Score {
    std::string policy;
    double probability = 0;  // that the text violates it
  };

  std::string_view text;      // the scored text: "prompt" or "answer"
  double threshold = 0;       // a text with a higher probability is refused
  std::vector<Score> scores;  // of each policy that has a rule for such texts

  // If the text is refused, the policy with the highest probability.
  std::optional<Score> violated() const;
};

// OK, or a RefusedError that describes the first refused text.
absl::Status RefusalOf(absl::Span<const Verdict> verdicts);

// {"threshold": X, "prompt": {"dangerous": 0.01, ...}, "answer": {...}}. If a
// text is refused, also "refused": {"text": "prompt", "policy", "probability"}.
nlohmann::ordered_json VerdictsJson(absl::Span<const Verdict> verdicts);

// The highest score of each text, such as "guard: prompt 0.0123 (dangerous),
// answer 0.0456 (hate)".
std::string VerdictsLine(absl::Span<const Verdict> verdicts);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_VERDICT_H_
