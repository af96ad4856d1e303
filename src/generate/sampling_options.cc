#include <cmath>
#include <vector>

#include "gemma/sampler.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"

namespace gemma {
namespace {

absl::Status CheckRange(const char* name, float value, float low, float high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      FormatText("%s is %g, wanted %g to %g", name, value, low, high));
}

absl::Status CheckFiniteOption(const char* name, float value) {
  if (std::isfinite(value)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      FormatText("%s is %g, wanted a finite number", name, value));
}

absl::Status CheckBiases(const std::vector<LogitBias>& biases) {
  HashSet<TokenId> tokens;
  for (const LogitBias& b : biases) {
    if (b.token < 0) {
      return absl::InvalidArgumentError(
          FormatText("a token of logit_bias is %d, wanted 0 or more", b.token));
    }
    if (!std::isfinite(b.bias) && b.bias != -INFINITY) {
      return absl::InvalidArgumentError(
          FormatText("logit_bias of token %d is %g, wanted a finite "
                     "number or -infinity",
                     b.token, b.bias));
    }
    if (!tokens.insert(b.token).second) {
      return absl::InvalidArgumentError(
          FormatText("logit_bias has token %d twice, wanted once", b.token));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOptions(const SamplingOptions& options) {
  if (!(options.temperature >= 0.0f) || !std::isfinite(options.temperature)) {
    return absl::InvalidArgumentError(
        FormatText("temperature is %g, wanted 0 or more", options.temperature));
  }
  GEMMA_RETURN_IF_ERROR(CheckRange("top_p", options.top_p, 0.0f, 1.0f));
  GEMMA_RETURN_IF_ERROR(CheckRange("min_p", options.min_p, 0.0f, 1.0f));
  GEMMA_RETURN_IF_ERROR(CheckRange("typical_p", options.typical_p, 0.0f, 1.0f));
  if (!(options.repetition_penalty > 0.0f) ||
      !std::isfinite(options.repetition_penalty)) {
    return absl::InvalidArgumentError(
        FormatText("repetition_penalty is %g, wanted more than 0",
                   options.repetition_penalty));
  }
  GEMMA_RETURN_IF_ERROR(
      CheckFiniteOption("frequency_penalty", options.frequency_penalty));
  GEMMA_RETURN_IF_ERROR(
      CheckFiniteOption("presence_penalty", options.presence_penalty));
  return CheckBiases(options.logit_bias);
}

}  // namespace

absl::Status Validate(const SamplingOptions& options) {
  return NoThrow([&] { return CheckOptions(options); });
}

}  // namespace gemma
