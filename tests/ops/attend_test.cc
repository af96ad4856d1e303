// Attention against double precision.

#include <cmath>
#include <cstddef>
#include <vector>

#include "compression/half.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/support/for_each_target.h"
#include "tests/support/near.h"

namespace gemma {
namespace {

// A ring of keys and values, and the float32 values that it stands for.
struct Ring {
  Ring(CacheType type, size_t slots, size_t head_dim)
      : type(type),
        slots(slots),
        head_dim(head_dim),
        keys(slots * head_dim * CacheTypeBytes(type)),
        values(keys.size()) {}

  void Store(size_t position, const std::vector<float>& key,
             const std::vector<float>& value) {
    const size_t offset = position % slots * head_dim * CacheTypeBytes(type);
    StoreCache(key, type, keys.data() + offset);
    StoreCache(value, type, values.data() + offset);
  }

  HeadCache view() const { return {keys.data(), values.data(), type, slots}; }

  CacheType type;
  size_t slots, head_dim;
  std::vector<uint8_t> keys, values;
};

float Rounded(CacheType type, float x) {
  return type == CacheType::kF32 ? x : BF16ToFloat(FloatToBF16(x));
}

std::vector<double> Reference(const std::vector<float>& q,
                              const std::vector<std::vector<float>>& keys,
                              const std::vector<std::vector<float>>& values,
                              CacheType type, size_t begin, size_t end,
                              double scale, double cap) {
  std::vector<double> scores;
  double largest = -INFINITY;
  for (size_t p = begin; p < end; ++p) {
    double dot = 0;
    for (size_t i = 0; i < q.size(); ++i) {
      dot += static_cast<double>(q[i]) * Rounded(type, keys[p][i]);
    }
    dot *= scale;
    if (cap > 0) dot = cap * std::tanh(dot / cap);
    scores.push_back(dot);
    largest = std::max(largest, dot);
  }
  double sum = 0;
  for (double& s : scores) sum += s = std::exp(s - largest);
  std::vector<double> out(q.size());
  for (size_t p = begin; p < end; ++p) {
    for (size_t i = 0; i < q.size(); ++i) {
      out[i] += scores[p - begin] / sum * Rounded(type, values[p][i]);
    }
  }
  return out;
}

TEST(Attend, MatchesDoublePrecisionOnEveryTarget) {
  constexpr size_t kPositions = 41;
  for (const CacheType type : {CacheType::kF32, CacheType::kBF16}) {
    for (const size_t head_dim : {1, 5, 16, 24, 64, 100, 256}) {
      std::vector<std::vector<float>> keys, values;
      // A ring that has gone round: the window wraps.
      Ring ring(type, 29, head_dim);
      for (size_t p = 0; p < kPositions; ++p) {
        keys.push_back(RandomVector(head_dim, 2 * p));
        values.push_back(RandomVector(head_dim, 2 * p + 1));
        ring.Store(p, keys.back(), values.back());
      }
      std::vector<float> q = RandomVector(head_dim, 99);
      for (float& v : q) v *= 8.0f;
      for (const size_t keys_seen : {1, 2, 15, 16, 17, 29}) {
        for (const float cap : {0.0f, 2.0f}) {
          const size_t begin = kPositions - keys_seen;
          const auto expected =
              Reference(q, keys, values, type, begin, kPositions, 0.5, cap);
          ForEachTarget([&] {
            std::vector<float> scores(keys_seen);
            std::vector<float> out(head_dim, NAN);
            Attend({q, ring.view(), begin, kPositions, 0.5f, cap, scores, out});
            // Scores of some tens are known to a few times 1e-6.
            EXPECT_LT(RelativeError(out, expected), 5e-6)
                << "head_dim " << head_dim << " keys " << keys_seen << " cap "
                << cap;
          });
        }
      }
    }
  }
}

// Scores far beyond what exp can take.
TEST(Attend, DoesNotOverflow) {
  Ring ring(CacheType::kF32, 2, 4);
  ring.Store(0, {1e3f, 0, 0, 0}, {1, 2, 3, 4});
  ring.Store(1, {-1e3f, 0, 0, 0}, {5, 6, 7, 8});
  const std::vector<float> q = {1e3f, 0, 0, 0};
  std::vector<float> scores(2), out(4);
  Attend({q, ring.view(), 0, 2, 1.0f, 0.0f, scores, out});
  EXPECT_EQ(out, (std::vector<float>{1, 2, 3, 4}));
}

TEST(StoreCache, RoundsToNearestEven) {
  const std::vector<float> from = {1.0f, 1.00390625f, 1.01171875f, -3.3e38f};
  std::vector<uint16_t> to(from.size());
  StoreCache(from, CacheType::kBF16, to.data());
  for (size_t i = 0; i < from.size(); ++i) {
    EXPECT_EQ(to[i], FloatToBF16(from[i])) << from[i];
  }
}

}  // namespace
}  // namespace gemma
