// What a guard says of a text.

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

  std::string_view text;      // what was scored: "prompt" or "answer"
  double threshold = 0;       // a text with a higher probability is refused
  std::vector<Score> scores;  // of each policy that has a rule for such texts

  // The policy that is violated most probably, if the text is refused.
  std::optional<Score> violated() const;
};

// OK, or a RefusedError that tells of the first refused text.
absl::Status RefusalOf(absl::Span<const Verdict> verdicts);

// {"threshold": X, "prompt": {"dangerous": 0.01, ...}, "answer": {...}}, and if
// a text is refused "refused": {"text": "prompt", "policy", "probability"}.
nlohmann::ordered_json VerdictsJson(absl::Span<const Verdict> verdicts);

// "guard: prompt 0.0123 (dangerous), answer 0.0456 (hate)": the highest.
std::string VerdictsLine(absl::Span<const Verdict> verdicts);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_VERDICT_H_
