#include "src/model/tensors/canonicalize.h"

#include <cmath>

#include "compression/codec.h"
#include "compression/half.h"

namespace gemma::internal {
namespace {

// Returns the square root, rounded to a type of 16 bits if `format` is one.
float RoundedRoot(size_t value, Format format) {
  const float root = std::sqrt(static_cast<float>(value));
  if (format == Format::kBF16) return BF16ToFloat(FloatToBF16(root));
  if (format == Format::kF16) return HalfToFloat(FloatToHalf(root));
  return root;
}

}  // namespace

void CanonicalizeNorm(const Conventions& conventions,
                      std::vector<float>& weight) {
  if (!conventions.norms_minus_one) return;
  for (float& w : weight) w += 1.0f;
}

std::vector<float> TransposeConv(const std::vector<float>& weight,
                                 size_t taps) {
  const size_t channels = weight.size() / taps;
  std::vector<float> out(weight.size());
  for (size_t c = 0; c < channels; ++c) {
    for (size_t t = 0; t < taps; ++t) {
      out[t * channels + c] = weight[c * taps + t];
    }
  }
  return out;
}

void CanonicalizeRecurrentParam(const Conventions& conventions,
                                std::vector<float>& a_param) {
  if (conventions.stores_log_a) return;
  for (float& a : a_param) {
    // softplus(a) = ln(1 + e^a), written so that e^a cannot overflow.
    const double x = a;
    const double softplus =
        x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    a = static_cast<float>(-8.0 * softplus);
  }
}

void StoreRecurrentParam(const Conventions& conventions,
                         std::vector<float>& values) {
  if (!conventions.stores_log_a) return;
  for (float& value : values) {
    // y = softplus(a) = -value / 8, so a = ln(e^y - 1), written so that e^y
    // cannot overflow.
    const double y = double{value} / -8.0;
    value = static_cast<float>(y + std::log(-std::expm1(-y)));
  }
}

std::vector<float> TransposeGate(const WeightView& strip) {
  std::vector<float> row(strip.cols);
  std::vector<float> out(strip.rows * strip.cols);
  for (size_t in = 0; in < strip.rows; ++in) {
    DecodeRow(strip, in, row.data());
    for (size_t o = 0; o < strip.cols; ++o) out[o * strip.rows + in] = row[o];
  }
  return out;
}

float EmbeddingScale(const ModelConfig& config, Format table) {
  return RoundedRoot(config.model_dim,
                     config.lru_width != 0 ? Format::kBF16 : table);
}

float PerLayerScale(const ModelConfig& config, Format table) {
  return RoundedRoot(config.per_layer_dim, table);
}

}  // namespace gemma::internal
