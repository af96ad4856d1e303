#include "compression/quantize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "compression/codec.h"
#include "compression/codecs.h"
#include "compression/fit_groups.h"
#include "compression/half.h"
#include "compression/pack.h"

namespace gemma::internal {
namespace {

// Codecs that can write formats with blocks.
template <class Codec>
concept BlockEncoder = requires {
  &Codec::Pack;
};

// Codecs that can write formats without blocks.
template <class Codec>
concept ValueEncoder = requires {
  &Codec::Encode;
};

// Added to each column's importance, as a share of the mean, because a column
// may never have been active while importance was measured.
constexpr float kLeastImportance = 1e-3f;

constexpr int kMaxStep = 127;
// The largest product of step and unit, so that no product with a level becomes
// infinite.
constexpr float kMaxScale = 0x1p121f;
constexpr float kMaxHalf = 65504.0f;

// Return `value` rounded up to a number of the type, at most the largest finite
// one.
uint16_t HalfFromBelow(float value) {
  uint16_t half = FloatToHalf(std::min(value, kMaxHalf));
  if (HalfToFloat(half) < value && half < 0x7BFF) ++half;
  return half;
}
uint16_t BF16FromBelow(float value) {
  uint16_t bf16 = FloatToBF16(value);
  if (BF16ToFloat(bf16) < value && bf16 < 0x7F7F) ++bf16;
  return std::min<uint16_t>(bf16, 0x7F7F);
}

// Encodes rows of `cols` values, one call per row.
template <BlockEncoder Codec>
class RowEncoder {
 public:
  RowEncoder(size_t cols, std::span<const float> importance)
      : cols_(cols),
        num_groups_(cols / kValues),
        stride_((num_groups_ + kGroupMultiple - 1) / kGroupMultiple *
                kGroupMultiple),
        x_(kValues * stride_),
        weights_(kValues * stride_, 1.0f),
        largest_(stride_),
        scales_(stride_),
        trial_(stride_),
        errors_(stride_),
        least_(stride_),
        units_(stride_),
        halves_(stride_),
        steps_(stride_),
        trial_steps_(stride_),
        codes_(kValues * stride_),
        ordered_(cols) {
    if (!importance.empty()) SetWeights(importance);
  }

  void Encode(const float* x, uint8_t* out) {
    Divide(x);
    FitScales(groups(), levels_, scales_.data());
    if constexpr (kHasSteps) {
      RoundToSteps(out);
    } else {
      RoundToHalves();
    }
    NearestCodes(groups(), levels_, scales_.data(), codes_.data());
    WriteBlocks(out);
  }

 private:
  static constexpr size_t kValues = Codec::kScaleValues;
  static constexpr size_t kBlockGroups = Codec::kBlockValues / kValues;
  // Whether scales are whole numbers of a block's or a row's unit.
  static constexpr bool kHasSteps = requires { Codec::kUnitIsHalf; };

  Groups groups() const {
    return {stride_, kValues, x_.data(), weights_.data()};
  }

  void SetWeights(std::span<const float> importance) {
    double sum = 0;
    for (const float value : importance) sum += value;
    const auto mean = static_cast<float>(sum / static_cast<double>(cols_));
    if (mean <= 0.0f) return;
    for (size_t col = 0; col < cols_; ++col) {
      weights_[col % kValues * stride_ + col / kValues] =
          importance[col] / mean + kLeastImportance;
    }
  }

  // Divides each group by its largest magnitude.
  void Divide(const float* x) {
    for (size_t g = 0; g < num_groups_; ++g) {
      const float* from = x + g * kValues;
      float largest = 0.0f;
      for (size_t i = 0; i < kValues; ++i) {
        largest = std::max(largest, std::abs(from[i]));
      }
      largest_[g] = largest;
      const float divisor = largest > 0.0f ? largest : 1.0f;
      for (size_t i = 0; i < kValues; ++i) {
        x_[i * stride_ + g] = from[i] / divisor;
      }
    }
  }

  // Rounds the scales of the original values to halves, and updates scales_,
  // which belong to the divided values.
  void RoundToHalves() {
    for (size_t g = 0; g < num_groups_; ++g) {
      const float scale = scales_[g] * largest_[g];
      halves_[g] = FloatToHalf(std::clamp(scale, -kMaxHalf, kMaxHalf));
      scales_[g] =
          largest_[g] > 0.0f ? HalfToFloat(halves_[g]) / largest_[g] : 0.0f;
    }
  }

  // As RoundToHalves, but rounds to steps of a unit. Writes a row's unit after
  // the blocks.
  void RoundToSteps(uint8_t* out) {
    const size_t per_unit = Codec::kUnitIsHalf ? kBlockGroups : num_groups_;
    for (size_t first = 0; first < num_groups_; first += per_unit) {
      float largest = 0.0f;
      for (size_t g = first; g < first + per_unit; ++g) {
        largest = std::max(largest, std::abs(scales_[g]) * largest_[g]);
      }
      largest = std::min(largest, kMaxScale);
      const uint16_t unit = Codec::kUnitIsHalf
                                ? HalfFromBelow(largest / kMaxStep)
                                : BF16FromBelow(largest / kMaxStep);
      halves_[first / kBlockGroups] = unit;
      std::fill_n(units_.begin() + static_cast<std::ptrdiff_t>(first), per_unit,
                  Codec::kUnitIsHalf ? HalfToFloat(unit) : BF16ToFloat(unit));
    }
    if constexpr (!Codec::kUnitIsHalf) {
      WriteU16(halves_[0],
               out + cols_ / Codec::kBlockValues * Codec::kBlockBytes);
    }
    ChooseSteps();
  }

  // Chooses the step with the least error among those around each scale.
  void ChooseSteps() {
    const std::vector<float> fitted = scales_;
    std::fill(least_.begin(), least_.end(), HUGE_VALF);
    for (const int delta : {0, -1, 1}) {
      for (size_t g = 0; g < num_groups_; ++g) {
        trial_steps_[g] = NearestStep(g, fitted[g], delta);
        trial_[g] = ScaleOfStep(g, trial_steps_[g]);
      }
      FitErrors(groups(), levels_, trial_.data(), errors_.data());
      for (size_t g = 0; g < num_groups_; ++g) {
        if (!(errors_[g] < least_[g])) continue;
        least_[g] = errors_[g];
        scales_[g] = trial_[g];
        steps_[g] = trial_steps_[g];
      }
    }
  }

  int8_t NearestStep(size_t g, float scale, int delta) const {
    if (units_[g] == 0.0f) return 0;
    constexpr float kLimit = kMaxStep;
    // Rounds in float, because with a limited unit the step may be too large
    // for an int.
    const float step = std::nearbyint(
        std::clamp(scale * largest_[g] / units_[g], -kLimit, kLimit));
    return static_cast<int8_t>(
        std::clamp(static_cast<int>(step) + delta, -kMaxStep, kMaxStep));
  }
  float ScaleOfStep(size_t g, int8_t step) const {
    return largest_[g] > 0.0f
               ? units_[g] * static_cast<float>(step) / largest_[g]
               : 0.0f;
  }

  void WriteBlocks(uint8_t* out) {
    for (size_t g = 0; g < num_groups_; ++g) {
      for (size_t i = 0; i < kValues; ++i) {
        ordered_[g * kValues + i] = codes_[i * stride_ + g];
      }
    }
    for (size_t block = 0; block < cols_ / Codec::kBlockValues; ++block) {
      const uint8_t* codes = ordered_.data() + block * Codec::kBlockValues;
      if constexpr (kHasSteps) {
        Codec::Pack(codes, steps_.data() + block * kBlockGroups, halves_[block],
                    out);
      } else {
        Codec::Pack(codes, halves_[block], out);
      }
      out += Codec::kBlockBytes;
    }
  }

  const Levels levels_ = Codec::MakeLevels();
  size_t cols_;
  size_t num_groups_;
  size_t stride_;  // number of groups, padded; see Groups
  std::vector<float> x_, weights_;
  // One entry for each group.
  std::vector<float> largest_, scales_, trial_, errors_, least_, units_;
  std::vector<uint16_t> halves_;  // scales, units of blocks, or a row's unit
  std::vector<int8_t> steps_, trial_steps_;
  std::vector<uint8_t> codes_;    // as x_
  std::vector<uint8_t> ordered_;  // [cols]
};

template <ValueEncoder Codec>
class ValueRowEncoder {
 public:
  ValueRowEncoder(size_t cols, std::span<const float>) : cols_(cols) {}

  void Encode(const float* x, uint8_t* out) const {
    for (size_t i = 0; i < cols_; ++i) {
      Codec::Encode(x[i], out + i * Codec::kBlockBytes);
    }
  }

 private:
  size_t cols_;
};

// Encodes rows [begin, end) into take(row, bytes). Returns the first row with a
// value that is not finite.
template <class Encoder, class Take>
std::optional<size_t> EncodeRows(const WeightView& w,
                                 std::span<const float> importance,
                                 size_t begin, size_t end, Take take) {
  Encoder encoder(w.cols, importance);
  std::vector<float> values(w.cols);
  for (size_t row = begin; row < end; ++row) {
    DecodeRow(w, row, values.data());
    if (!AllFinite(values)) return row;
    encoder.Encode(values.data(), take(row));
  }
  return std::nullopt;
}

template <class Codec, class Take>
std::optional<size_t> EncodeAs(const WeightView& w,
                               std::span<const float> importance, size_t begin,
                               size_t end, Take take) {
  if constexpr (BlockEncoder<Codec>) {
    return EncodeRows<RowEncoder<Codec>>(w, importance, begin, end, take);
  } else if constexpr (ValueEncoder<Codec>) {
    return EncodeRows<ValueRowEncoder<Codec>>(w, importance, begin, end, take);
  } else {
    return begin;  // no encoder
  }
}

}  // namespace

bool AllFinite(std::span<const float> values) {
  // Infinities and NaN give NaN.
  float sum = 0.0f;
  for (const float value : values) sum += value * 0.0f;
  return sum == 0.0f;
}

bool CanQuantize(Format format) {
  switch (format) {
#define GEMMA_CAN_CASE(name, codec, ...) \
  case Format::name:                     \
    return BlockEncoder<codec> || ValueEncoder<codec>;
    GEMMA_FORMATS(GEMMA_CAN_CASE)
#undef GEMMA_CAN_CASE
  }
  return false;
}

std::optional<size_t> QuantizeRows(const WeightView& w, Format format,
                                   std::span<const float> importance,
                                   size_t begin, size_t end, uint8_t* out) {
  const size_t row_bytes = WeightView{format, 1, w.cols, nullptr}.RowBytes();
  const auto take = [&](size_t row) { return out + (row - begin) * row_bytes; };
  switch (format) {
#define GEMMA_QUANTIZE_CASE(name, codec, ...) \
  case Format::name:                          \
    return EncodeAs<codec>(w, importance, begin, end, take);
    GEMMA_FORMATS(GEMMA_QUANTIZE_CASE)
#undef GEMMA_QUANTIZE_CASE
  }
  return begin;
}

std::optional<size_t> QuantizePanels(const WeightView& w, Format format,
                                     Layout layout,
                                     std::span<const float> importance,
                                     size_t begin, size_t end, uint8_t* out) {
  // Quantizes a few panels at a time as rows, then packs them.
  constexpr size_t kPanels = 4;
  WeightView rows = {format, 0, w.cols, nullptr};
  std::vector<uint8_t> bytes(kPanels * kPanelRows * rows.RowBytes());
  rows.data = bytes.data();
  for (size_t panel = begin; panel < end; panel += kPanels) {
    const size_t panels = std::min(kPanels, end - panel);
    const size_t first = panel * kPanelRows;
    rows.rows = std::min(panels * kPanelRows, w.rows - first);
    const std::optional<size_t> bad = QuantizeRows(
        w, format, importance, first, first + rows.rows, bytes.data());
    if (bad) return bad;
    PackPanels(rows, layout, 0, panels,
               out + panel * PanelBytes(layout, w.cols));
  }
  return std::nullopt;
}

}  // namespace gemma::internal
