// Finds scales and codes for groups of values that share a scale.

#ifndef GEMMA_COMPRESSION_FIT_GROUPS_H_
#define GEMMA_COMPRESSION_FIT_GROUPS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gemma::internal {

// The values that codes stand for, before the scale.
class Levels {
 public:
  // Code c stands for c - zero.
  Levels(int lowest, int highest, int zero);
  // Code c stands for levels[c], ascending.
  explicit Levels(std::span<const int8_t> levels);

  float lowest() const { return lowest_; }
  float highest() const { return highest_; }
  int zero() const { return zero_; }
  bool is_linear() const { return nearest_.empty(); }

  // Tables for levels that are not linear. Entry `index` holds the nearest
  // level, and its code, for values from lowest() + index / 2 up to half more.
  std::span<const float> nearest() const { return nearest_; }
  std::span<const int32_t> codes() const { return codes_; }

  // The scales to begin with. For a group whose largest magnitude is 1 they are
  // 1 / (|lowest| * t) for `count` values of t from `first` to `last`, with
  // both signs if levels are not symmetric.
  struct Trials {
    float first = 0.85f;
    float last = 1.7f;
    int count = 14;
  };
  Trials trials;

 private:
  float lowest_;
  float highest_;
  int zero_;
  std::vector<float> nearest_;
  std::vector<int32_t> codes_;
};

// All levels of six bits.
inline Levels SixBitLevels() {
  Levels levels(-32, 31, /*zero=*/32);
  levels.trials = {0.85f, 1.3f, 24};
  return levels;
}

// Groups side by side: value i of group g is x[i * num_groups + g].
struct Groups {
  size_t num_groups = 0;  // a multiple of kGroupMultiple
  size_t num_values = 0;  // of a group
  // The largest magnitude of each group is 1, or all its values are 0.
  const float* x = nullptr;
  const float* weights = nullptr;  // of squared errors; as x, not negative
};
inline constexpr size_t kGroupMultiple = 16;

// Writes to scales[g] the scale, among those tried, with which the levels
// nearest to the group's values leave the least sum of weighted squared errors;
// 0 if the group is zeros. Each tried scale is the least-squares fit to the
// levels that it chose. All functions here give the same bits on every CPU.
void FitScales(const Groups& groups, const Levels& levels, float* scales);

// Writes to errors[g] the sum of weighted squared errors of the group's values
// after rounding to scales[g] times a level.
void FitErrors(const Groups& groups, const Levels& levels, const float* scales,
               float* errors);

// Writes to codes[i * num_groups + g] the code of the level nearest to
// x / scales[g].
void NearestCodes(const Groups& groups, const Levels& levels,
                  const float* scales, uint8_t* codes);

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_FIT_GROUPS_H_
