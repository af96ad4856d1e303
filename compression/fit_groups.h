// Scales and codes for groups of values that share a scale.

#ifndef GEMMA_COMPRESSION_FIT_GROUPS_H_
#define GEMMA_COMPRESSION_FIT_GROUPS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gemma {

// What codes stand for, before the scale.
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

  // If not linear: what is nearest to values from index / 2 + lowest() up to
  // half more, as level and as code.
  std::span<const float> nearest() const { return nearest_; }
  std::span<const int32_t> codes() const { return codes_; }

  // The scales to begin with: of a group whose largest magnitude is 1,
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

// scales[g]: that with which the levels nearest to the group's values leave the
// least sum of weighted squared errors, of those that were tried; 0 if the
// group is zeros. Each is the least-squares fit to the levels that it chose.
// This and what follows gives the same bits on every CPU.
void FitScales(const Groups& groups, const Levels& levels, float* scales);

// errors[g] = the sum of weighted squared errors of the group's values rounded
// to scales[g] times a level.
void FitErrors(const Groups& groups, const Levels& levels, const float* scales,
               float* errors);

// codes[i * num_groups + g]: that of the level nearest to x / scales[g].
void NearestCodes(const Groups& groups, const Levels& levels,
                  const float* scales, uint8_t* codes);

}  // namespace gemma

#endif  // GEMMA_COMPRESSION_FIT_GROUPS_H_
