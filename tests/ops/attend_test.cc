// Compares attention with double precision, and with itself in other pieces.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ostream>
#include <vector>

#include "compression/half.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/support/for_each_target.h"
#include "tests/support/near.h"

namespace gemma::internal {
namespace {

constexpr CacheType kTypes[] = {CacheType::kF32, CacheType::kBF16,
                                CacheType::kI8};
constexpr size_t kNoWindow = std::numeric_limits<size_t>::max();

// A ring of one head.
struct Ring {
  Ring(CacheType type, size_t slots, size_t head_dim, size_t num_rotated = 0)
      : type(type),
        slots(slots),
        num_rotated(num_rotated),
        keys(slots * CacheRowBytes(type, KeyDim(head_dim, num_rotated))),
        values(slots * CacheRowBytes(type, head_dim)) {}

  HeadCache view() {
    return {keys.data(), values.data(), type, slots, num_rotated};
  }

  CacheType type;
  size_t slots;
  size_t num_rotated;
  std::vector<uint8_t> keys, values;
};

// Rows that attend, and everything that they see.
struct Case {
  size_t head_dim = 16;
  size_t group = 1;
  size_t position = 0;
  size_t rows = 1;
  size_t window = kNoWindow;
  size_t slots = 64;
  CacheType type = CacheType::kF32;
  float cap = 0.0f;
  MutualRange mutual;        // as in AttendJob
  size_t ahead = kNoWindow;  // as in AttendJob
  size_t num_rotated = 0;    // as in HeadCache
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << "head_dim " << c.head_dim << " group " << c.group
             << " position " << c.position << " rows " << c.rows << " window "
             << c.window << " slots " << c.slots << " type "
             << static_cast<int>(c.type) << " cap " << c.cap << " mutual "
             << c.mutual.begin << " to " << c.mutual.end << " ahead " << c.ahead
             << " rotated " << c.num_rotated;
}

constexpr float kScale = 0.5f;

// A score of up to 4 is a sum of up to 256 products. Each rounding of it is off
// by 2^-24 * 4 / sqrt(3) on average, and all together by sqrt(256) times as
// much if every partial sum is as large, or half of that if they grow evenly:
// 1e-6. A result is off by that times the difference of values, about 1.
constexpr double kTolerance = 5e-6;

class Fixture {
 public:
  // Writes all positions from 0 on into the ring.
  explicit Fixture(const Case& c)
      : c_(c),
        ring_(c.type, c.slots, c.head_dim, c.num_rotated),
        weight_(RandomVector(c.num_rotated == 0 ? 0 : c.head_dim, 9)),
        q_(RandomVector(c.rows * c.group * c.head_dim, 1)) {
    // Makes scores a few units large for any size of a head.
    for (float& v : q_) v *= 8.0f / std::sqrt(static_cast<float>(c.head_dim));
    for (size_t p = 0; p < std::max(c.position + c.rows, c.mutual.end); ++p) {
      const std::vector<float> key = RandomVector(c.head_dim, 2 * p + 2);
      const std::vector<float> value = RandomVector(c.head_dim, 2 * p + 3);
      StoreCache(key, value, p, ring_.view());
      values_.push_back(Rounded(value));
      keys_.push_back(Key(key, values_.back()));
    }
  }

  // Returns the job of rows [begin, end).
  AttendJob Job(size_t begin, size_t end, std::vector<float>& out) {
    const size_t cols = c_.group * c_.head_dim;
    out.assign((end - begin) * cols, NAN);
    return {{q_.data() + begin * cols, end - begin, cols},
            c_.head_dim,
            ring_.view(),
            c_.position + begin,
            c_.window,
            kScale,
            c_.cap,
            {out.data(), end - begin, cols},
            c_.mutual,
            c_.ahead,
            weight_};
  }

  std::vector<float> Whole(size_t begin, size_t end) {
    std::vector<float> out;
    const AttendJob job = Job(begin, end, out);
    std::vector<float> scratch(ScratchSize(end - begin), NAN);
    Attend(job, scratch);
    return out;
  }

  // Computes the spans out of order.
  std::vector<float> InSpans(size_t begin, size_t end) {
    std::vector<float> out;
    const AttendJob job = Job(begin, end, out);
    const size_t size =
        AttendPartialSize((end - begin) * c_.group, c_.head_dim);
    const size_t num_spans = NumAttendSpans(job);
    EXPECT_LE(num_spans, kMaxAttendSpans);
    std::vector<float> partials(num_spans * size, NAN);
    for (size_t span = num_spans; span-- > 0;) {
      std::vector<float> scratch(ScratchSize(end - begin), NAN);
      std::vector<float> partial(size, NAN);
      AttendSpan(job, span, scratch, partial);
      std::copy(partial.begin(), partial.end(), partials.begin() + span * size);
    }
    MergeSpans(job, partials);
    return out;
  }

  std::vector<double> Reference() const {
    std::vector<double> out;
    for (size_t query = 0; query < c_.rows * c_.group; ++query) {
      size_t end = c_.position + query / c_.group + 1;
      const size_t begin = end > c_.window ? end - c_.window : 0;
      if (!c_.mutual.empty()) {
        end = c_.mutual.end - end <= c_.ahead ? c_.mutual.end : end + c_.ahead;
      }
      const std::vector<double> one =
          ReferenceOfOne(q_.data() + query * c_.head_dim, begin, end);
      out.insert(out.end(), one.begin(), one.end());
    }
    return out;
  }

  Ring& ring() { return ring_; }

 private:
  size_t ScratchSize(size_t rows) const {
    return AttendScratchSize(rows * c_.group, c_.head_dim);
  }

  // Returns a key or value as the cache stores it.
  std::vector<double> Rounded(const std::vector<float>& from) const {
    std::vector<double> out(from.begin(), from.end());
    if (c_.type == CacheType::kF32) return out;
    if (c_.type == CacheType::kBF16) {
      for (double& v : out) {
        v = BF16ToFloat(FloatToBF16(static_cast<float>(v)));
      }
      return out;
    }
    for (size_t begin = 0; begin < from.size(); begin += kCacheGroup) {
      const size_t end = std::min(begin + kCacheGroup, from.size());
      float largest = 0;
      for (size_t i = begin; i < end; ++i) {
        largest = std::max(largest, std::abs(from[i]));
      }
      const float scale = BF16ToFloat(FloatToBF16(largest / 127.0f));
      for (size_t i = begin; i < end; ++i) {
        const float code = std::round(from[i] / scale);
        out[i] = static_cast<double>(std::clamp(code, -127.0f, 127.0f)) * scale;
      }
    }
    return out;
  }

  // Returns a key as attention reads it: with num_rotated, only the rotated
  // pairs are stored, and the rest follows from the stored value.
  std::vector<double> Key(const std::vector<float>& key,
                          const std::vector<double>& value) const {
    const size_t n = c_.num_rotated;
    if (n == 0) return Rounded(key);
    const size_t half = c_.head_dim / 2;
    std::vector<float> pairs(key.begin(), key.begin() + n);
    pairs.insert(pairs.end(), key.begin() + half, key.begin() + half + n);
    const std::vector<double> stored = Rounded(pairs);
    std::vector<double> out(c_.head_dim);
    for (size_t i = 0; i < c_.head_dim; ++i) out[i] = weight_[i] * value[i];
    std::copy_n(stored.begin(), n, out.begin());
    std::copy_n(stored.begin() + n, n, out.begin() + half);
    return out;
  }

  std::vector<double> ReferenceOfOne(const float* q, size_t begin,
                                     size_t end) const {
    std::vector<double> scores;
    double largest = -INFINITY;
    for (size_t p = begin; p < end; ++p) {
      double dot = 0;
      for (size_t i = 0; i < c_.head_dim; ++i) {
        dot += static_cast<double>(q[i]) * keys_[p][i];
      }
      dot *= kScale;
      if (c_.cap > 0) dot = c_.cap * std::tanh(dot / c_.cap);
      scores.push_back(dot);
      largest = std::max(largest, dot);
    }
    double sum = 0;
    for (double& s : scores) sum += s = std::exp(s - largest);
    std::vector<double> out(c_.head_dim);
    for (size_t p = begin; p < end; ++p) {
      for (size_t i = 0; i < c_.head_dim; ++i) {
        out[i] += scores[p - begin] / sum * values_[p][i];
      }
    }
    return out;
  }

  Case c_;
  Ring ring_;
  std::vector<float> weight_;
  // As the cache stores them, one for each position.
  std::vector<std::vector<double>> keys_, values_;
  std::vector<float> q_;
};

// Returns cases at odd places: the first position, both sides of blocks and
// tiles, rings that were filled more than once, windows that begin within a
// tile.
std::vector<Case> OddCases() {
  std::vector<Case> cases;
  for (const size_t head_dim : {1, 5, 16, 24, 64, 100, 256}) {
    for (const size_t group : {1, 2, 3, 4, 8}) {
      Case c = {.head_dim = head_dim, .group = group};
      cases.push_back(c);
      c.position = 62;
      cases.push_back(c);
      c.rows = 2;
      cases.push_back(c);
      c.position = 64;
      c.rows = 17;
      c.slots = 128;
      cases.push_back(c);
      c.window = 9;
      cases.push_back(c);
      c.position = 141;
      c.window = 50;
      cases.push_back(c);
      c.window = 100;
      c.rows = 1;
      cases.push_back(c);
    }
  }
  return cases;
}

// Compares all rows with double precision.
void ExpectMatches(const Case& c) {
  Fixture fixture(c);
  const std::vector<double> expected = fixture.Reference();
  ForEachTarget([&] {
    EXPECT_LT(RelativeError(fixture.Whole(0, c.rows), expected), kTolerance)
        << c;
  });
}

TEST(Attend, MatchesDoublePrecision) {
  for (Case c : OddCases()) {
    for (const CacheType type : kTypes) {
      for (const float cap : {0.0f, 2.0f}) {
        c.type = type;
        c.cap = cap;
        ExpectMatches(c);
      }
    }
  }
}

// Keys that follow from values, but for their rotated pairs.
TEST(Attend, SplitKeysMatchDoubles) {
  for (Case c : OddCases()) {
    if (c.head_dim < 16) continue;
    for (const CacheType type : kTypes) {
      for (const size_t divisor : {2, 8}) {
        c.type = type;
        c.num_rotated = std::min(c.head_dim / divisor, kMaxRotated);
        ExpectMatches(c);
      }
    }
  }
}

// In float32, a split cache gives the bits of a cache with whole keys.
TEST(Attend, SplitKeysSameBits) {
  constexpr size_t kDim = 48, kRotated = 5, kPositions = 70;
  const std::vector<float> weight = RandomVector(kDim, 1);
  const std::vector<float> q = RandomVector(2 * kDim, 2);
  Ring whole(CacheType::kF32, 128, kDim);
  Ring split(CacheType::kF32, 128, kDim, kRotated);
  for (size_t p = 0; p < kPositions; ++p) {
    const std::vector<float> value = RandomVector(kDim, 2 * p + 3);
    std::vector<float> key = RandomVector(kDim, 2 * p + 4);
    for (size_t i = 0; i < kDim; ++i) {
      if (i % (kDim / 2) >= kRotated) key[i] = weight[i] * value[i];
    }
    StoreCache(key, value, p, whole.view());
    StoreCache(key, value, p, split.view());
  }
  ForEachTarget([&] {
    std::vector<float> out[2];
    const HeadCache caches[] = {whole.view(), split.view()};
    for (size_t i = 0; i < 2; ++i) {
      out[i].resize(2 * kDim);
      std::vector<float> scratch(AttendScratchSize(2, kDim));
      AttendJob job = {
          {q.data(), 1, 2 * kDim}, kDim, caches[i], kPositions - 1, kNoWindow};
      job.out = {out[i].data(), 1, 2 * kDim};
      job.key_weight = weight;
      Attend(job, scratch);
    }
    EXPECT_EQ(out[0], out[1]);
  });
}

// Returns cases with rows at both ends and in the middle of texts, where texts
// end at both sides of blocks and tiles.
std::vector<Case> TextCases() {
  std::vector<Case> cases;
  for (const size_t text_size : {1, 15, 16, 17, 64, 65, 150}) {
    for (const size_t group : {1, 3, 8}) {
      for (const size_t window :
           {size_t{1}, size_t{5}, size_t{33}, kNoWindow}) {
        const size_t slots = (text_size + 63) / 64 * 64;
        Case c = {.head_dim = 20,
                  .group = group,
                  .rows = std::min<size_t>(text_size, 16),
                  .window = window,
                  .slots = slots,
                  .mutual = {0, text_size},
                  .ahead = window - 1};
        cases.push_back(c);
        c.rows = 1;
        c.position = text_size - 1;
        cases.push_back(c);
        if (text_size < 65) continue;
        c.position = 40;
        c.rows = 24;
        c.head_dim = 256;
        cases.push_back(c);
      }
    }
  }
  return cases;
}

TEST(Attend, TextsMatchDoublePrecision) {
  for (Case c : TextCases()) {
    for (const CacheType type : kTypes) {
      c.type = type;
      ExpectMatches(c);
    }
  }
}

// Returns cases with rows at both ends and in the middle of ranges that see
// each other, after other positions: ranges shorter and longer than the window,
// in one tile and over several, in a ring that was filled more than once.
std::vector<Case> RangeCases() {
  std::vector<Case> cases;
  for (const size_t begin : {3, 16, 63, 130}) {
    for (const size_t size : {1, 2, 17, 64, 100}) {
      for (const size_t window : {size_t{1}, size_t{20}, kNoWindow}) {
        for (const size_t ahead : {size_t{0}, size_t{30}, kNoWindow}) {
          Case c = {.head_dim = 20,
                    .group = 3,
                    .position = begin,
                    .rows = std::min<size_t>(size, 1),
                    .window = window,
                    .slots = window == kNoWindow ? size_t{256} : size_t{128},
                    .mutual = {begin, begin + size},
                    .ahead = ahead};
          const size_t last = begin + size - 1;
          cases.push_back(c);
          c.position = last;
          cases.push_back(c);
          // The rest of the range among the 64 positions of its middle.
          c.position = begin + size / 2;
          c.rows = std::min(64 - c.position % 64, begin + size - c.position);
          c.group = 8;
          cases.push_back(c);
        }
      }
    }
  }
  return cases;
}

TEST(Attend, RangesMatchDoublePrecision) {
  for (Case c : RangeCases()) {
    for (const CacheType type : kTypes) {
      c.type = type;
      ExpectMatches(c);
    }
  }
}

// Several spans, whose size grows with the position.
TEST(Attend, LongContextsMatchReference) {
  for (const size_t position : {255, 256, 1000, 4095, 4096, 9000}) {
    for (const size_t window : {kNoWindow, size_t{700}}) {
      ExpectMatches({.head_dim = 12,
                     .group = 2,
                     .position = position,
                     .window = window,
                     .slots = 9024,
                     .type = CacheType::kBF16});
    }
  }
}

// Divides the rows in any way, with and without division of the keys.
TEST(Attend, SameBitsInPieces) {
  std::vector<Case> cases;
  for (const size_t head_dim : {20, 64}) {
    for (const size_t group : {1, 3, 8}) {
      for (const CacheType type : kTypes) {
        Case c = {.head_dim = head_dim,
                  .group = group,
                  .position = 576,
                  .rows = 64,
                  .slots = 640,
                  .type = type,
                  .cap = 5.0f};
        cases.push_back(c);
        c.window = 300;  // begins within the block's first span for some rows
        c.slots = 384;
        cases.push_back(c);
        c.window = 65;
        c.position = 520;
        c.rows = 30;
        cases.push_back(c);
      }
    }
  }
  // Whole texts: of several spans, and after a first span that rows do not see.
  for (const size_t window : {size_t{300}, kNoWindow}) {
    cases.push_back({.head_dim = 20,
                     .group = 3,
                     .position = 576,
                     .rows = 50,
                     .window = window,
                     .slots = 1088,
                     .type = CacheType::kBF16,
                     .mutual = {0, 1050},
                     .ahead = window - 1});
  }
  // Ranges that begin before the rows and end after them.
  for (const size_t window : {size_t{300}, kNoWindow}) {
    cases.push_back({.head_dim = 20,
                     .group = 3,
                     .position = 576,
                     .rows = 60,
                     .window = window,
                     .slots = 1088,
                     .type = CacheType::kBF16,
                     .mutual = {570, 1050}});
  }
  for (const Case& c : cases) {
    Fixture fixture(c);
    const size_t cols = c.group * c.head_dim;
    ForEachTarget([&] {
      const std::vector<float> expected = fixture.Whole(0, c.rows);
      EXPECT_EQ(fixture.InSpans(0, c.rows), expected) << c;
      for (const size_t size : {1, 5, 16}) {
        for (size_t begin = 0; begin < c.rows; begin += size) {
          const size_t end = std::min(begin + size, c.rows);
          const std::vector<float> wanted(expected.begin() + begin * cols,
                                          expected.begin() + end * cols);
          ASSERT_EQ(fixture.Whole(begin, end), wanted) << c << " row " << begin;
          ASSERT_EQ(fixture.InSpans(begin, end), wanted)
              << c << " row " << begin;
        }
      }
    });
  }
}

// Slots that no row sees have no influence, even if they hold NaN.
TEST(Attend, ReadsNothingUnseen) {
  for (const size_t rows : {1, 20}) {
    for (const CacheType type : kTypes) {
      const Case c = {.head_dim = 20,
                      .group = 2,
                      .position = 80,
                      .rows = rows,
                      .window = 30,
                      .slots = 128,
                      .type = type};
      Fixture fixture(c);
      const std::vector<double> expected = fixture.Reference();
      const std::vector<float> nan(c.head_dim, NAN);
      for (size_t p = 0; p <= c.position - c.window; ++p) {
        StoreCache(nan, nan, p, fixture.ring().view());
      }
      for (size_t p = c.position + rows; p < c.slots; ++p) {
        StoreCache(nan, nan, p, fixture.ring().view());
      }
      ForEachTarget([&] {
        EXPECT_LT(RelativeError(fixture.Whole(0, rows), expected), kTolerance)
            << c;
      });
    }
  }
}

TEST(Attend, ReadsNothingBehindRange) {
  const Case c = {.head_dim = 20,
                  .group = 2,
                  .position = 80,
                  .rows = 10,
                  .window = 30,
                  .slots = 128,
                  .mutual = {75, 101}};
  Fixture fixture(c);
  const std::vector<double> expected = fixture.Reference();
  const std::vector<float> nan(c.head_dim, NAN);
  for (size_t p = c.mutual.end; p < c.slots; ++p) {
    StoreCache(nan, nan, p, fixture.ring().view());
  }
  ForEachTarget([&] {
    EXPECT_LT(RelativeError(fixture.Whole(0, c.rows), expected), kTolerance)
        << c;
  });
}

TEST(Attend, ReadsNothingBehindText) {
  for (const size_t window : {size_t{9}, kNoWindow}) {
    const Case c = {.head_dim = 20,
                    .group = 2,
                    .position = 30,
                    .rows = 20,
                    .window = window,
                    .slots = 128,
                    .mutual = {0, 70},
                    .ahead = window - 1};
    Fixture fixture(c);
    const std::vector<double> expected = fixture.Reference();
    const std::vector<float> nan(c.head_dim, NAN);
    for (size_t p = window == kNoWindow ? c.mutual.end : 58; p < c.slots; ++p) {
      StoreCache(nan, nan, p, fixture.ring().view());
    }
    ForEachTarget([&] {
      EXPECT_LT(RelativeError(fixture.Whole(0, c.rows), expected), kTolerance)
          << c;
    });
  }
}

// A NaN in a model must reach the result.
TEST(Attend, KeepsNonFinite) {
  for (const CacheType type : kTypes) {
    for (const float bad : {NAN, INFINITY}) {
      Ring ring(type, 64, 40);
      std::vector<float> value(40, 1.0f);
      value[3] = bad;
      StoreCache(std::vector<float>(40, 1.0f), value, 0, ring.view());
      const std::vector<float> q(40, 1.0f);
      std::vector<float> out(40);
      std::vector<float> scratch(AttendScratchSize(1, 40));
      Attend({{q.data(), 1, 40},
              40,
              ring.view(),
              0,
              kNoWindow,
              1.0f,
              0.0f,
              {out.data(), 1, 40}},
             scratch);
      EXPECT_FALSE(std::isfinite(out[3]));
      EXPECT_NEAR(out[39], 1.0f, 1e-3);
    }
  }
}

// Weights and caps must not hide a score that is not finite.
TEST(Attend, BadKeysShow) {
  for (const CacheType type : kTypes) {
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      for (const float cap : {0.0f, 50.0f}) {
        Ring ring(type, 64, 40);
        const std::vector<float> ones(40, 1.0f);
        std::vector<float> key = ones;
        key[3] = bad;
        for (size_t p = 0; p < 3; ++p) {
          StoreCache(p == 1 ? key : ones, ones, p, ring.view());
        }
        std::vector<float> out(40);
        std::vector<float> scratch(AttendScratchSize(1, 40));
        ForEachTarget([&] {
          Attend({{ones.data(), 1, 40},
                  40,
                  ring.view(),
                  2,
                  kNoWindow,
                  1.0f,
                  cap,
                  {out.data(), 1, 40}},
                 scratch);
          EXPECT_FALSE(std::isfinite(out[39])) << bad << " cap " << cap;
        });
      }
    }
  }
}

// Scores far beyond the range of exp.
TEST(Attend, DoesNotOverflow) {
  Ring ring(CacheType::kF32, 64, 4);
  const std::vector<float> keys = {1e3f, 0, 0, 0, -1e3f, 0, 0, 0};
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8};
  for (size_t p = 0; p < 2; ++p) {
    StoreCache({keys.data() + 4 * p, 4}, {values.data() + 4 * p, 4}, p,
               ring.view());
  }
  std::vector<float> q = {1e3f, 0, 0, 0};
  std::vector<float> out(4);
  std::vector<float> scratch(AttendScratchSize(1, 4));
  ForEachTarget([&] {
    Attend({{q.data(), 1, 4},
            4,
            ring.view(),
            1,
            kNoWindow,
            1.0f,
            0.0f,
            {out.data(), 1, 4}},
           scratch);
    EXPECT_EQ(out, (std::vector<float>{1, 2, 3, 4}));
  });
}

// The largest score rises or falls from each position to the next.
TEST(Attend, FollowsTheLargestScore) {
  constexpr size_t kKeys = 300;
  for (const float slope : {0.5f, -0.5f, 20.0f, -20.0f}) {
    Ring ring(CacheType::kF32, 320, 1);
    const std::vector<float> values = RandomVector(kKeys, 1);
    double sum = 0;
    double expected = 0;
    const double last = slope > 0 ? kKeys - 1 : 0;
    for (size_t p = 0; p < kKeys; ++p) {
      const std::vector<float> key = {slope * static_cast<float>(p)};
      StoreCache(key, {values.data() + p, 1}, p, ring.view());
      const double weight = std::exp(slope * (static_cast<double>(p) - last));
      sum += weight;
      expected += weight * values[p];
    }
    std::vector<float> q = {1.0f};
    std::vector<float> out(1);
    std::vector<float> scratch(AttendScratchSize(1, 1));
    ForEachTarget([&] {
      Attend({{q.data(), 1, 1},
              1,
              ring.view(),
              kKeys - 1,
              kNoWindow,
              1.0f,
              0.0f,
              {out.data(), 1, 1}},
             scratch);
      // Scores are exact.
      EXPECT_NEAR(out[0], expected / sum, 1e-6) << slope;
    });
  }
}

TEST(StoreCache, RoundsToNearestEven) {
  const std::vector<float> from = {1.0f, 1.00390625f, 1.01171875f, -3.3e38f};
  Ring ring(CacheType::kBF16, 64, from.size());
  StoreCache(from, from, 64 + 18, ring.view());
  const auto* keys = reinterpret_cast<const uint16_t*>(ring.keys.data());
  const auto* values = reinterpret_cast<const uint16_t*>(ring.values.data());
  for (size_t i = 0; i < from.size(); ++i) {
    // Slot 18 is the second block's third position.
    EXPECT_EQ(keys[kCacheBlock * from.size() + i * kCacheBlock + 2],
              FloatToBF16(from[i]));
    EXPECT_EQ(values[18 * from.size() + i], FloatToBF16(from[i]));
  }
}

}  // namespace
}  // namespace gemma::internal
