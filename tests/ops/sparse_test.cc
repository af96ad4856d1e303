// Compares the ops of sparse autoencoders with double precision.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "compression/codec.h"
#include "compression/pack.h"
#include "compression/quantize.h"
#include "gtest/gtest.h"
#include "ops/aligned_buffer.h"
#include "ops/ops.h"
#include "tests/support/for_each_target.h"
#include "tests/support/near.h"

namespace gemma::internal {

bool operator==(const SparseValue& a, const SparseValue& b) {
  return a.index == b.index && a.value == b.value;
}

namespace {

constexpr Format kFormats[] = {Format::kF32, Format::kBF16, Format::kQ8_0};

// A random matrix of a format: as rows, packed, and its values.
struct SparseMatrix {
  SparseMatrix(Format format, size_t rows, size_t cols, uint64_t seed) {
    const std::vector<float> from = RandomVector(rows * cols, seed);
    view = {format, rows, cols, nullptr};
    bytes.resize(rows * view.RowBytes());
    view.data = bytes.data();
    QuantizeRows({Format::kF32, rows, cols,
                  reinterpret_cast<const uint8_t*>(from.data())},
                 format, {}, 0, rows, bytes.data());
    memory = AlignedBuffer::Allocate(PackedBytes(format, rows, cols));
    packed = {LayoutOf(format), rows, cols, memory.data()};
    PackPanels(view, packed.layout, 0, packed.NumPanels(), memory.data());
    values.resize(rows * cols);
    for (size_t row = 0; row < rows; ++row) {
      DecodeRow(view, row, values.data() + row * cols);
    }
  }

  WeightView view;
  std::vector<uint8_t> bytes;
  AlignedBuffer memory;
  PackedView packed;
  std::vector<float> values;
};

// Buffers have the exact size, so that ASan detects an access beyond the end.
struct Encoder {
  Encoder(Format format, size_t features, size_t cols, float least)
      : w(format, features, cols, features + cols),
        bias(RandomVector(features, 1)),
        threshold(RandomVector(features, 2)) {
    for (float& value : threshold) value = least + std::abs(value);
  }

  std::vector<std::vector<SparseValue>> Encode(const std::vector<float>& x,
                                               size_t top_k,
                                               size_t threads = 1) const {
    const size_t rows = x.size() / w.packed.cols;
    std::vector<std::vector<SparseValue>> out(rows);
    Workers workers(threads);
    EXPECT_TRUE(EncodeSparse({{x.data(), rows, w.packed.cols},
                              w.packed,
                              bias,
                              threshold,
                              top_k,
                              out},
                             workers));
    return out;
  }

  // Returns the products of row `row` in double precision.
  std::vector<double> Products(const std::vector<float>& x, size_t row) const {
    std::vector<double> sums(bias.begin(), bias.end());
    const size_t cols = w.packed.cols;
    for (size_t i = 0; i < sums.size(); ++i) {
      for (size_t c = 0; c < cols; ++c) {
        sums[i] +=
            static_cast<double>(x[row * cols + c]) * w.values[i * cols + c];
      }
    }
    return sums;
  }

  SparseMatrix w;
  std::vector<float> bias;
  std::vector<float> threshold;
};

// Checks one row: indices ascend, and all expected values are there. A value
// within `tolerance` of its threshold may be there or not.
void CheckRow(const std::vector<SparseValue>& found,
              const std::vector<double>& products,
              const std::vector<float>& threshold, double tolerance) {
  size_t next = 0;
  for (size_t i = 0; i < products.size(); ++i) {
    const bool is_found = next < found.size() && found[next].index == i;
    const double above = products[i] - threshold[i];
    if (is_found) {
      EXPECT_NEAR(found[next].value, products[i], tolerance) << "feature " << i;
      EXPECT_GT(above, -tolerance) << "feature " << i;
      ++next;
    } else {
      EXPECT_LT(above, tolerance) << "feature " << i;
    }
  }
  EXPECT_EQ(next, found.size());
}

TEST(EncodeSparse, MatchesDoublePrecision) {
  ForEachTarget([] {
    for (const Format format : kFormats) {
      // Whole panels and tasks, and one more or less.
      for (const size_t features : {1, 15, 16, 17, 127, 128, 129, 300}) {
        for (const size_t cols : {32, 96}) {
          const size_t odd = format == Format::kQ8_0 ? cols : cols + 1;
          for (const size_t rows : {1, 7, 65}) {
            const Encoder encoder(format, features, odd, 1.5f);
            const auto x = RandomVector(rows * odd, rows);
            const auto found = encoder.Encode(x, 0);
            for (size_t row = 0; row < rows; row += 32) {
              SCOPED_TRACE(testing::Message()
                           << FormatName(format) << ", " << features
                           << " features of " << odd << ", row " << row);
              CheckRow(found[row], encoder.Products(x, row), encoder.threshold,
                       1e-5);
            }
          }
        }
      }
    }
  });
}

// A row's features have the same bits among any other rows.
TEST(EncodeSparse, SameBitsAnyRows) {
  for (const Format format : kFormats) {
    const Encoder encoder(format, 500, 64, 0.5f);
    const auto x = RandomVector(70 * 64, 3);
    const auto all = encoder.Encode(x, 0, 3);
    size_t active = 0;
    for (size_t row = 0; row < 70; ++row) {
      const std::vector<float> one(x.begin() + row * 64,
                                   x.begin() + (row + 1) * 64);
      EXPECT_EQ(encoder.Encode(one, 0, 1)[0], all[row]) << "row " << row;
      active += all[row].size();
    }
    EXPECT_GT(active, 1000u);
  }
}

TEST(EncodeSparse, AllOrNoneActive) {
  for (const size_t top_k : {0, 1, 300, 1000}) {
    Encoder encoder(Format::kBF16, 300, 33, 0.0f);
    const auto x = RandomVector(2 * 33, 4);
    encoder.threshold.assign(300, 1e9f);
    for (const auto& row : encoder.Encode(x, top_k)) EXPECT_TRUE(row.empty());
    encoder.threshold.assign(300, -1e9f);
    for (const auto& row : encoder.Encode(x, top_k)) {
      EXPECT_EQ(row.size(), top_k == 0 ? 300u : std::min<size_t>(300, top_k));
    }
  }
}

TEST(EncodeSparse, KeepsTheLargest) {
  const Encoder encoder(Format::kF32, 700, 40, 0.0f);
  const auto x = RandomVector(3 * 40, 5);
  auto all = encoder.Encode(x, 0);
  for (auto& row : all) {
    ASSERT_GT(row.size(), 200u);
    std::sort(row.begin(), row.end(),
              [](const SparseValue& a, const SparseValue& b) {
                return a.value > b.value;
              });
  }
  for (const size_t top_k : {1, 2, 20, 200}) {
    const auto found = encoder.Encode(x, top_k);
    for (size_t row = 0; row < 3; ++row) {
      const std::vector<SparseValue> want(all[row].begin(),
                                          all[row].begin() + top_k);
      EXPECT_EQ(found[row], want) << "top " << top_k;
    }
  }
}

TEST(EncodeSparse, TiesPreferLowerIndex) {
  Encoder encoder(Format::kF32, 400, 16, 0.0f);
  // x is zero, so the products are the biases.
  const std::vector<float> x(16, 0.0f);
  for (size_t i = 0; i < 400; ++i) {
    encoder.bias[i] = i % 3 == 0 ? 2.0f : 1.0f;
    encoder.threshold[i] = 0.5f;
  }
  const auto found = encoder.Encode(x, 140)[0];
  ASSERT_EQ(found.size(), 140u);
  for (size_t i = 0; i < 134; ++i) {
    EXPECT_EQ(found[i], (SparseValue{static_cast<uint32_t>(3 * i), 2.0f}));
  }
  const uint32_t ones[] = {1, 2, 4, 5, 7, 8};
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(found[134 + i], (SparseValue{ones[i], 1.0f}));
  }
}

TEST(EncodeSparse, ThresholdsMustBeExceeded) {
  Encoder encoder(Format::kF32, 20, 8, 0.0f);
  encoder.bias.assign(20, 1.0f);
  encoder.threshold.assign(20, 1.0f);
  encoder.threshold[7] = std::nextafter(1.0f, 0.0f);
  const auto found = encoder.Encode(std::vector<float>(8, 0.0f), 0)[0];
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0], (SparseValue{7, 1.0f}));
}

TEST(EncodeSparse, NanNeverActive) {
  const Encoder encoder(Format::kBF16, 100, 32, 0.1f);
  auto x = RandomVector(2 * 32, 6);
  const auto expected = encoder.Encode(x, 0)[1];
  ASSERT_FALSE(expected.empty());
  x[5] = NAN;  // in the first row
  for (const size_t top_k : {0, 3}) {
    EXPECT_TRUE(encoder.Encode(x, top_k)[0].empty());
  }
  EXPECT_EQ(encoder.Encode(x, 0)[1], expected);
}

TEST(AddRows, MatchesDoublePrecision) {
  ForEachTarget([] {
    for (const Format format : kFormats) {
      for (const size_t cols : {32, 64, 160}) {
        const SparseMatrix w(format, 9, cols, cols);
        // `out` may be shorter than the rows.
        for (const size_t size : {cols, cols - 1, cols - 17, size_t{1}}) {
          const std::vector<SparseValue> rows = {
              {3, 0.5f}, {0, -2.0f}, {8, 1.0f}, {3, 0.25f}};
          std::vector<float> out = RandomVector(size, 7);
          std::vector<double> expected(out.begin(), out.end());
          for (const SparseValue& row : rows) {
            for (size_t i = 0; i < size; ++i) {
              expected[i] += static_cast<double>(row.value) *
                             w.values[row.index * cols + i];
            }
          }
          AddRows(w.view, rows, out);
          EXPECT_LT(RelativeError(out, expected), 1e-6)
              << FormatName(format) << ", " << size << " of " << cols;
        }
      }
    }
  });
}

TEST(AddRows, OddColumns) {
  ForEachTarget([] {
    for (const Format format : {Format::kF32, Format::kBF16}) {
      const SparseMatrix w(format, 3, 37, 1);
      std::vector<float> out(37, 0.0f);
      AddRows(w.view, std::vector<SparseValue>{{2, 1.0f}}, out);
      const std::vector<float> row(w.values.begin() + 74, w.values.end());
      EXPECT_EQ(out, row);
    }
  });
}

TEST(AddRows, OfNoneIsNothing) {
  const SparseMatrix w(Format::kF32, 3, 8, 1);
  std::vector<float> out = RandomVector(8, 2);
  AddRows(w.view, {}, out);
  EXPECT_EQ(out, RandomVector(8, 2));
}

}  // namespace
}  // namespace gemma::internal
