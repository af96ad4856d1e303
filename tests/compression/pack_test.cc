#include "compression/pack.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "compression/codec.h"
#include "compression/half.h"
#include "gtest/gtest.h"
#include "tests/compression/golden.h"

namespace gemma {
namespace {

// Exactly `size` bytes, aligned to 64, filled with 0xAA.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t size)
      : size_(size),
        data_(static_cast<uint8_t*>(
            ::operator new (size, std::align_val_t{64}))) {
    std::memset(data_.get(), 0xAA, size);
  }

  size_t size() const { return size_; }
  uint8_t* data() { return data_.get(); }
  const uint8_t* data() const { return data_.get(); }

 private:
  struct Delete {
    void operator()(uint8_t* data) const {
      ::operator delete (data, std::align_val_t{64});
    }
  };
  size_t size_;
  std::unique_ptr<uint8_t, Delete> data_;
};

// A matrix of blocks drawn from the golden ones, at an odd address.
class RandomMatrix {
 public:
  RandomMatrix(const Golden& golden, size_t rows, size_t cols) {
    const size_t block_bytes = BlockBytes(golden.format);
    const size_t golden_blocks = (golden.bytes.size() - 1) / block_bytes;
    view_ = {.format = golden.format, .rows = rows, .cols = cols};
    bytes_.resize(1 + rows * view_.RowBytes());
    std::mt19937 random(static_cast<uint32_t>(rows * 1000 + cols));
    for (size_t at = 1; at < bytes_.size(); at += block_bytes) {
      const size_t block = random() % golden_blocks;
      std::memcpy(&bytes_[at], &golden.bytes[1 + block * block_bytes],
                  block_bytes);
    }
    view_.data = bytes_.data() + 1;
  }

  const WeightView& view() const { return view_; }

 private:
  std::vector<uint8_t> bytes_;
  WeightView view_;
};

template <class T>
T Load(const uint8_t* from, size_t index) {
  T value;
  std::memcpy(&value, from + index * sizeof(T), sizeof(T));
  return value;
}

// Scale, offset, code and value at one place of a packed matrix.
struct Unpacked {
  float scale = 0.0f;
  float offset = 0.0f;
  int code = 0;
  float value = 0.0f;
};

// Reads one place by the definition of Layout in format.h.
Unpacked At(const PackedView& packed, size_t row, size_t col) {
  const LayoutTraits traits = TraitsOf(packed.layout);
  const uint8_t* at = packed.Panel(row / kPanelRows) +
                      col / traits.block_cols * PanelBlockBytes(packed.layout);
  row %= kPanelRows;
  col %= traits.block_cols;
  Unpacked u;
  if (packed.layout == Layout::kF32) {
    u.value = Load<float>(at, row);
  } else if (packed.layout == Layout::kF16) {
    u.value = HalfToFloat(Load<uint16_t>(at, row));
  } else if (packed.layout == Layout::kBF16) {
    u.value = BF16ToFloat(Load<uint16_t>(at, row));
  } else {
    u.scale = Load<float>(at, row);
    at += kPanelRows * sizeof(float);
    if (traits.has_offset) {
      u.offset = Load<float>(at, row);
      at += kPanelRows * sizeof(float);
    }
    if (traits.code_bits == 8) {
      u.code = Load<int8_t>(at, col * kPanelRows + row);
    } else {
      const uint8_t pair = at[col / 2 * kPanelRows + row];
      u.code = col % 2 == 0 ? pair & 0xF : pair >> 4;
    }
    u.value = u.scale * static_cast<float>(u.code) + u.offset;
  }
  return u;
}

AlignedBytes Pack(const WeightView& w) {
  AlignedBytes out(PackedBytes(w.format, w.rows, w.cols));
  PackPanels(w, 0, (w.rows + kPanelRows - 1) / kPanelRows, out.data());
  return out;
}

PackedView View(const WeightView& w, const AlignedBytes& bytes) {
  return {.layout = LayoutOf(w.format),
          .rows = w.rows,
          .cols = w.cols,
          .data = bytes.data()};
}

// Widths around the tiles and chunks that packing works in.
std::vector<size_t> Widths(Format format) {
  switch (BlockValues(format)) {
    case 1:
      return {1, 15, 16, 17, 31, 32, 33, 256, 320, 511, 512};
    case 32:
      return {32, 64, 96, 224, 256, 288, 320, 512};
    default:
      return {256, 512};
  }
}

constexpr size_t kHeights[] = {1, 7, 15, 16, 17, 31, 32, 33, 48};

// Calls body(matrix) for matrices of every format and many sizes.
template <class Body>
void ForEachMatrix(Body body) {
  for (const Format format : kAllFormats) {
    SCOPED_TRACE(FormatName(format));
    const Golden golden(format);
    ASSERT_TRUE(golden.IsComplete());
    for (const size_t cols : Widths(format)) {
      for (const size_t rows : kHeights) {
        SCOPED_TRACE(testing::Message() << rows << " rows, " << cols);
        body(RandomMatrix(golden, rows, cols).view());
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(Pack, ReadsBackAsTheRowsDecode) {
  ForEachMatrix([](const WeightView& w) {
    const AlignedBytes bytes = Pack(w);
    const PackedView packed = View(w, bytes);
    ASSERT_EQ(bytes.size(), packed.Bytes());
    for (size_t row = 0; row < w.rows; ++row) {
      std::vector<float> expected(w.cols);
      DecodeRow(w, row, expected.data());
      for (size_t col = 0; col < w.cols; ++col) {
        ASSERT_EQ(At(packed, row, col).value, expected[col])
            << "row " << row << " col " << col;
      }
    }
  });
}

TEST(Pack, RowsBeyondTheMatrixAreZeros) {
  ForEachMatrix([](const WeightView& w) {
    const AlignedBytes bytes = Pack(w);
    const PackedView packed = View(w, bytes);
    for (size_t row = w.rows; row < packed.NumPanels() * kPanelRows; ++row) {
      for (size_t col = 0; col < w.cols; ++col) {
        const Unpacked u = At(packed, row, col);
        ASSERT_EQ(u.scale, 0.0f) << "row " << row << " col " << col;
        ASSERT_EQ(u.offset, 0.0f) << "row " << row << " col " << col;
        ASSERT_EQ(u.code, 0) << "row " << row << " col " << col;
        ASSERT_EQ(u.value, 0.0f) << "row " << row << " col " << col;
      }
    }
  });
}

TEST(Pack, WritesOnlyTheRangeAsked) {
  ForEachMatrix([](const WeightView& w) {
    const AlignedBytes whole = Pack(w);
    const size_t panels = View(w, whole).NumPanels();
    const size_t panel_bytes = PanelBytes(LayoutOf(w.format), w.cols);
    for (size_t begin = 0; begin <= panels; ++begin) {
      for (size_t end = begin; end <= panels; ++end) {
        std::vector<uint8_t> expected(whole.size(), 0xAA);
        std::copy(whole.data() + begin * panel_bytes,
                  whole.data() + end * panel_bytes,
                  expected.begin() +
                      static_cast<std::ptrdiff_t>(begin * panel_bytes));
        AlignedBytes part(whole.size());
        PackPanels(w, begin, end, part.data());
        ASSERT_EQ(std::memcmp(part.data(), expected.data(), part.size()), 0)
            << "panels " << begin << " to " << end;
      }
    }
  });
}

TEST(Pack, PanelsPackedInAnyOrderEqualPackedAtOnce) {
  ForEachMatrix([](const WeightView& w) {
    const AlignedBytes whole = Pack(w);
    AlignedBytes parts(whole.size());
    for (size_t panel = View(w, whole).NumPanels(); panel-- > 0;) {
      PackPanels(w, panel, panel + 1, parts.data());
    }
    ASSERT_EQ(std::memcmp(parts.data(), whole.data(), whole.size()), 0);
  });
}

// A scale that is infinite or no number must not become a number.
TEST(Pack, NonFiniteScalesStayNonFinite) {
  uint8_t block[18] = {0x00, 0x7C};  // infinity
  for (size_t i = 2; i < sizeof(block); ++i) block[i] = 0x19;
  const WeightView w = {
      .format = Format::kQ4_0, .rows = 1, .cols = 32, .data = block};
  const AlignedBytes bytes = Pack(w);
  for (size_t col = 0; col < w.cols; ++col) {
    EXPECT_FALSE(std::isfinite(At(View(w, bytes), 0, col).value)) << col;
  }
}

}  // namespace
}  // namespace gemma
