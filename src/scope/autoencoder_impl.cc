#include "src/scope/autoencoder_impl.h"

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "src/base/internal.h"

namespace gemma {
namespace {

// The epsilon of Gemma 2's norms. The input of Gemma 2's transcoders is
// normalized.
constexpr float kNormEps = 1e-6f;

SparseValue AsSparseValue(const Feature& feature) {
  return {static_cast<uint32_t>(feature.index), feature.value};
}

size_t BytesOf(const std::vector<float>& values) {
  return values.size() * sizeof(float);
}

}  // namespace

MatrixView<const float> SparseAutoencoder::Impl::Prepare(
    absl::Span<const float> x, std::vector<float>& copy) const {
  const size_t rows = x.size() / input_dim;
  const size_t cols = encoder.view.cols;
  if (cols == input_dim && !site.normalize) return {x.data(), rows, cols};
  copy.assign(rows * cols, 0.0f);
  for (size_t row = 0; row < rows; ++row) {
    const absl::Span<const float> from = x.subspan(row * input_dim, input_dim);
    const std::span<float> to(copy.data() + row * cols, input_dim);
    if (site.normalize) {
      RmsNorm({from.data(), from.size()}, ones, kNormEps, to);
    } else {
      std::copy(from.begin(), from.end(), to.begin());
    }
  }
  return {copy.data(), rows, cols};
}

absl::StatusOr<std::vector<std::vector<Feature>>>
SparseAutoencoder::Impl::Encode(absl::Span<const float> x, size_t top_k,
                                Workers& workers) const {
  std::vector<float> copy;
  const MatrixView<const float> rows = Prepare(x, copy);
  std::vector<std::vector<SparseValue>> found(rows.rows);
  if (!EncodeSparse({rows, encoder.view, encoder_bias, threshold, top_k, found},
                    workers)) {
    return absl::ResourceExhaustedError("no memory to encode");
  }
  std::vector<std::vector<Feature>> features(rows.rows);
  for (size_t row = 0; row < rows.rows; ++row) {
    features[row].reserve(found[row].size());
    for (const SparseValue& active : found[row]) {
      features[row].push_back({active.index, active.value});
    }
  }
  return features;
}

std::vector<float> SparseAutoencoder::Impl::EncodeSome(
    absl::Span<const float> x, absl::Span<const size_t> features) const {
  std::vector<float> copy;
  const MatrixView<const float> rows = Prepare(x, copy);
  std::vector<float> values(rows.rows * features.size());
  std::vector<float> products(rows.rows * kPanelRows);
  for (size_t i = 0; i < features.size(); ++i) {
    // The panel that holds the feature.
    const size_t panel = features[i] / kPanelRows;
    const size_t first = panel * kPanelRows;
    const size_t size = std::min(kPanelRows, num_features - first);
    const PackedView w = {encoder.view.layout, size, encoder.view.cols,
                          encoder.view.Panel(panel)};
    const MatrixView<float> out(products.data(), rows.rows, size);
    MatMulInline({rows, w, std::span(encoder_bias).subspan(first, size), out});
    for (size_t row = 0; row < rows.rows; ++row) {
      const float value = out.Row(row)[features[i] - first];
      if (!(value > threshold[features[i]])) continue;
      values[row * features.size() + i] = value;
    }
  }
  return values;
}

void SparseAutoencoder::Impl::Decode(absl::Span<const Feature> features,
                                     absl::Span<const float> x,
                                     absl::Span<float> out) const {
  if (skip.view.rows == 0 || x.empty()) {
    std::copy(decoder_bias.begin(), decoder_bias.end(), out.begin());
  } else {
    std::vector<float> copy;
    MatMulInline({Prepare(x, copy),
                  skip.view,
                  decoder_bias,
                  {out.data(), 1, output_dim}});
  }
  std::vector<SparseValue> rows(features.size());
  std::transform(features.begin(), features.end(), rows.begin(), AsSparseValue);
  AddRows(decoder.view, rows, {out.data(), out.size()});
}

void SparseAutoencoder::Impl::AddDirection(size_t feature, float strength,
                                           absl::Span<float> out) const {
  const SparseValue row = {static_cast<uint32_t>(feature), strength};
  AddRows(decoder.view, {&row, 1}, {out.data(), out.size()});
}

size_t SparseAutoencoder::Impl::MemoryBytes() const {
  return encoder.memory.bytes() + decoder.memory.bytes() + skip.memory.bytes() +
         BytesOf(encoder_bias) + BytesOf(threshold) + BytesOf(decoder_bias);
}

absl::Status SparseAutoencoder::Impl::CheckFeature(size_t feature) const {
  if (feature < num_features) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "feature ", feature, " does not exist, wanted 0 to ", num_features - 1));
}

}  // namespace gemma
