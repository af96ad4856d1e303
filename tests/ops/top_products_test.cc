#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "compression/half.h"
#include "compression/pack.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/support/for_each_target.h"

namespace gemma::internal {
namespace {

constexpr size_t kBlockBytes = 34;

// A Q8_0 matrix. Tests may change its blocks before it is packed.
class Matrix {
 public:
  Matrix(size_t rows, size_t cols, uint64_t seed)
      : file_{Format::kQ8_0, rows, cols, nullptr} {
    std::mt19937_64 random(seed);
    bytes_.resize(rows * file_.RowBytes());
    for (uint8_t& byte : bytes_) byte = static_cast<uint8_t>(random());
    for (size_t block = 0; block < bytes_.size() / kBlockBytes; ++block) {
      SetScale(block, 0.01f + 0.001f * static_cast<float>(random() % 16));
    }
    file_.data = bytes_.data();
  }

  void SetScale(size_t block, float scale) {
    const uint16_t half = FloatToHalf(scale);
    std::memcpy(&bytes_[block * kBlockBytes], &half, sizeof(half));
  }

  void CopyRow(size_t from, size_t to) {
    std::memcpy(&bytes_[to * file_.RowBytes()], file_.Row(from),
                file_.RowBytes());
  }

  size_t rows() const { return file_.rows; }
  size_t cols() const { return file_.cols; }
  size_t row_blocks() const { return file_.cols / 32; }

  // Returns the packed matrix, valid until the next call.
  PackedView Pack(Layout layout) {
    memory_ = AlignedBuffer::Allocate(
        PackedBytes(file_.format, file_.rows, file_.cols));
    const PackedView view = {layout, file_.rows, file_.cols, memory_.data()};
    PackPanels(file_, layout, 0, view.NumPanels(), memory_.data());
    return view;
  }

 private:
  std::vector<uint8_t> bytes_;
  WeightView file_;
  AlignedBuffer memory_;
};

std::vector<float> Activations(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> x(size);
  for (float& value : x) {
    value = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  }
  return x;
}

std::vector<float> Full(const std::vector<float>& x, const PackedView& w,
                        MatMulContext& context) {
  const size_t rows = x.size() / w.cols;
  std::vector<float> out(rows * w.rows, NAN);
  const MatMulJob job = {
      {x.data(), rows, w.cols}, w, {}, {out.data(), rows, w.rows}};
  MatMul({&job, 1}, context);
  return out;
}

// Checks the contract of Find against all products. Returns the number of rows
// found.
size_t Check(Matrix& matrix, const std::vector<float>& x, size_t k,
             float soft_cap = 0.0f) {
  Workers workers(2);
  MatMulContext context(Arithmetic::kInt8, 1, matrix.cols(), workers);
  std::vector<float> full = Full(x, matrix.Pack(Layout::kU8Split), context);
  SoftCap(soft_cap, full);
  std::vector<float> ranked;
  for (const float value : full) {
    if (!std::isnan(value)) ranked.push_back(value);
  }
  std::sort(ranked.begin(), ranked.end(), std::greater<>());
  TopProducts top;
  std::vector<float> out(matrix.rows(), NAN);
  EXPECT_TRUE(
      top.Find(x, matrix.Pack(Layout::kU8Split), k, soft_cap, context, out));
  size_t found = 0;
  for (size_t row = 0; row < out.size(); ++row) {
    if (out[row] == -INFINITY) {
      EXPECT_FALSE(full[row] >= ranked[k - 1]) << "row " << row;
    } else if (!std::isnan(full[row])) {
      EXPECT_EQ(out[row], full[row]) << "row " << row;
      ++found;
    }
  }
  return found;
}

TEST(TopProducts, MatchAllProducts) {
  ForEachTarget([] {
    for (const size_t rows : {16, 17, 500, 3000}) {
      for (const size_t cols : {32, 640, 1152}) {
        SCOPED_TRACE(testing::Message() << rows << " rows, " << cols);
        Matrix matrix(rows, cols, rows + cols);
        for (const size_t k : {1, 5, 64}) {
          if (k > rows / kPanelRows) continue;
          Check(matrix, Activations(cols, k), k);
        }
      }
    }
  });
}

// Few values are much larger than the others, and are not rounded.
TEST(TopProducts, OutliersOfX) {
  ForEachTarget([] {
    Matrix matrix(1000, 640, 21);
    std::vector<float> x = Activations(640, 22);
    for (const size_t at : {3, 38, 39, 300, 639}) x[at] = 40.0f;
    for (const size_t k : {1, 20}) EXPECT_LT(Check(matrix, x, k), 900u);
  });
}

// If few columns matter, as in a model, Find leaves out nearly all rows.
TEST(TopProducts, LeaveOutMostRows) {
  Matrix matrix(16000, 640, 1);
  std::vector<float> x = Activations(640, 2);
  for (size_t i = 0; i < x.size(); i += 9) x[i] *= 30.0f;
  EXPECT_LT(Check(matrix, x, 1), 1600u);
  EXPECT_LT(Check(matrix, x, 64), 8000u);
}

// Capped products may be equal where products differ; far above the cap all
// are.
TEST(TopProducts, CappedOnEveryTarget) {
  ForEachTarget([] {
    Matrix matrix(500, 640, 11);
    std::vector<float> x = Activations(640, 12);
    for (size_t i = 0; i < x.size(); i += 9) x[i] *= 30.0f;
    for (const float soft_cap : {0.5f, 5.0f, 30.0f, 1e4f}) {
      for (const size_t k : {1, 20}) {
        SCOPED_TRACE(testing::Message() << soft_cap << ", " << k);
        EXPECT_GE(Check(matrix, x, k, soft_cap), k);
      }
    }
  });
}

TEST(TopProducts, PauseUnlessTheyPay) {
  Matrix matrix(16000, 640, 13);
  Workers workers(2);
  MatMulContext context(Arithmetic::kInt8, 1, 640, workers);
  const PackedView w = matrix.Pack(Layout::kU8Split);
  std::vector<float> out(16000);
  TopProducts top;
  std::vector<float> x = Activations(640, 14);
  for (size_t i = 0; i < x.size(); i += 40) x[i] *= 300.0f;
  ASSERT_TRUE(top.Pays());
  ASSERT_TRUE(top.Find(x, w, 1, 0.0f, context, out));
  EXPECT_TRUE(top.Pays());
  // All products are equal, so Find leaves out no row.
  const std::vector<float> zeros(640);
  for (const size_t expected : {1, 2, 4, 8, 16, 32, 64, 128, 128}) {
    ASSERT_TRUE(top.Find(zeros, w, 1, 0.0f, context, out));
    size_t pause = 0;
    while (!top.Pays()) ++pause;
    EXPECT_EQ(pause, expected);
  }
  // After a call that pays, pauses start over.
  ASSERT_TRUE(top.Find(x, w, 1, 0.0f, context, out));
  EXPECT_TRUE(top.Pays());
  ASSERT_TRUE(top.Find(zeros, w, 1, 0.0f, context, out));
  EXPECT_FALSE(top.Pays());
  EXPECT_TRUE(top.Pays());
}

TEST(TopProducts, FindAllTies) {
  Matrix matrix(800, 64, 3);
  for (size_t row = 1; row < 800; row += 7) matrix.CopyRow(0, row);
  for (const size_t k : {1, 2, 40}) Check(matrix, Activations(64, 4), k);
  Check(matrix, std::vector<float>(64), 1);  // all products are zero
}

TEST(TopProducts, AnySigns) {
  Matrix matrix(400, 96, 5);
  for (size_t block = 0; block < 1200; block += 2) {
    matrix.SetScale(block, -0.02f);
  }
  for (const size_t k : {1, 20}) Check(matrix, Activations(96, 6), k);
}

TEST(TopProducts, NanRowsHideNone) {
  Matrix matrix(640, 64, 7);
  for (size_t row = 0; row < 640; row += 16) {
    matrix.SetScale(row * matrix.row_blocks(), row % 32 == 0 ? NAN : -INFINITY);
  }
  for (const size_t k : {1, 10}) Check(matrix, Activations(64, 8), k);
}

TEST(TopProducts, RefuseUnprovable) {
  Matrix matrix(320, 64, 9);
  Workers workers(1);
  MatMulContext context(Arithmetic::kInt8, 1, 64, workers);
  const PackedView w = matrix.Pack(Layout::kU8Split);
  EXPECT_TRUE(TopProducts::Supports(w, Arithmetic::kInt8));
  EXPECT_FALSE(TopProducts::Supports(w, Arithmetic::kFloat32));
  TopProducts top;
  std::vector<float> out(320, 7.0f);
  const std::vector<float> x = Activations(64, 10);
  EXPECT_FALSE(top.Find(x, w, 21, 0.0f, context, out));
  EXPECT_FALSE(top.Find(x, w, 0, 0.0f, context, out));
  EXPECT_FALSE(top.Find(std::vector<float>(64, NAN), w, 1, 0.0f, context, out));
  EXPECT_EQ(out, std::vector<float>(320, 7.0f));
  EXPECT_TRUE(top.Find(x, w, 20, 0.0f, context, out));
}

// The layout only moves bits.
TEST(SplitLayout, SameProductsAsWhole) {
  Workers workers(2);
  ForEachTarget([&] {
    for (const size_t rows : {1, 2, 7, 16, 40}) {
      Matrix matrix(100, 320, rows);
      const std::vector<float> x = Activations(rows * 320, rows);
      for (const Arithmetic arithmetic :
           {Arithmetic::kFloat32, Arithmetic::kInt8, Arithmetic::kFastest}) {
        MatMulContext context(arithmetic, rows, 320, workers);
        const std::vector<float> whole =
            Full(x, matrix.Pack(Layout::kU8), context);
        EXPECT_EQ(Full(x, matrix.Pack(Layout::kU8Split), context), whole);
      }
    }
  });
}

}  // namespace
}  // namespace gemma::internal
