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
#include "compression/packed_row.h"
#include "gtest/gtest.h"
#include "tests/compression/golden.h"

namespace gemma::internal {
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

// A matrix of random golden blocks, at an odd address.
class RandomMatrix {
 public:
  RandomMatrix(const Golden& golden, size_t rows, size_t cols) {
    const size_t block_bytes = BlockBytes(golden.format);
    const size_t unit_bytes = RowUnitBytes(golden.format);
    const size_t row_blocks = Golden::kCols / BlockValues(golden.format);
    view_ = {.format = golden.format, .rows = rows, .cols = cols};
    bytes_.resize(1 + rows * view_.RowBytes());
    std::mt19937 random(static_cast<uint32_t>(rows * 1000 + cols));
    for (size_t row = 0; row < rows; ++row) {
      uint8_t* to = &bytes_[1 + row * view_.RowBytes()];
      std::vector<uint8_t> from;
      for (size_t col = 0; col < cols; col += BlockValues(golden.format)) {
        from =
            golden.RowOfBlock(random() % Golden::kRows, random() % row_blocks);
        std::memcpy(to, from.data(), block_bytes);
        to += block_bytes;
      }
      std::memcpy(to, from.data() + block_bytes, unit_bytes);
    }
    view_.data = bytes_.data() + 1;
  }

  const WeightView& view() const { return view_; }

 private:
  std::vector<uint8_t> bytes_;
  WeightView view_;
};

AlignedBytes Pack(const WeightView& w, Layout layout) {
  AlignedBytes out(PackedBytes(w.format, w.rows, w.cols));
  PackPanels(w, layout, 0, (w.rows + kPanelRows - 1) / kPanelRows, out.data());
  return out;
}

PackedView View(const WeightView& w, Layout layout, const AlignedBytes& bytes) {
  return {
      .layout = layout, .rows = w.rows, .cols = w.cols, .data = bytes.data()};
}

// Returns widths around the sizes of tiles and chunks.
std::vector<size_t> Widths(Format format) {
  switch (BlockValues(format)) {
    case 1:
      return {1, 15, 16, 17, 31, 32, 33, 256, 320, 511, 512};
    case 32:
      return {32, 64, 96, 224, 256, 288, 320, 512};
    case 64:
      return {64, 128, 192, 256, 320, 512};
    default:
      return {256, 512};
  }
}

constexpr size_t kHeights[] = {1, 7, 15, 16, 17, 31, 32, 33, 48};

// Calls body(matrix, layout) for matrices of every format and many sizes, in
// each layout of the format.
template <class Body>
void ForEachMatrix(Body body) {
  for (const Format format : kAllFormats) {
    SCOPED_TRACE(FormatName(format));
    const Golden golden(format);
    ASSERT_TRUE(golden.IsComplete());
    for (const size_t cols : Widths(format)) {
      for (const size_t rows : kHeights) {
        SCOPED_TRACE(testing::Message() << rows << " rows, " << cols);
        const RandomMatrix matrix(golden, rows, cols);
        body(matrix.view(), LayoutOf(format));
        if (TopLayoutOf(format) != LayoutOf(format)) {
          body(matrix.view(), TopLayoutOf(format));
        }
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(Pack, KeepsEveryValue) {
  ForEachMatrix([](const WeightView& w, Layout layout) {
    const AlignedBytes bytes = Pack(w, layout);
    const PackedView packed = View(w, layout, bytes);
    ASSERT_EQ(bytes.size(), packed.Bytes());
    for (size_t row = 0; row < w.rows; ++row) {
      std::vector<float> expected(w.cols);
      DecodeRow(w, row, expected.data());
      std::vector<float> actual(w.cols);
      DecodePackedRow(packed, row, actual.data());
      ASSERT_EQ(actual, expected) << "row " << row;
    }
  });
}

// Packing mostly moves the file's bytes. Codes of 4 bits where the file has
// fewer, scales of 8 or 16 bits where it has fewer, and values in bfloat16 take
// more.
TEST(Pack, AddsFewBytes) {
  for (const Format format : kAllFormats) {
    const size_t packed = PackedBytes(format, 64, 512);
    if (LayoutOf(format) == Layout::kBF16) {
      EXPECT_EQ(packed, 64 * 512 * sizeof(uint16_t)) << FormatName(format);
      continue;
    }
    const size_t file = 64 * 512 / BlockValues(format) * BlockBytes(format);
    if (TraitsOf(LayoutOf(format)).code_bits == 4 && packed > file) {
      EXPECT_LE(packed * 8, 64 * 512 * 5.125) << FormatName(format);
    } else {
      EXPECT_LE(packed, file + file / 32) << FormatName(format);
    }
  }
}

TEST(Pack, PaddingRowsAreZero) {
  ForEachMatrix([](const WeightView& w, Layout layout) {
    const AlignedBytes bytes = Pack(w, layout);
    const PackedView packed = View(w, layout, bytes);
    for (size_t row = w.rows; row < packed.NumPanels() * kPanelRows; ++row) {
      std::vector<float> actual(w.cols, 1.0f);
      DecodePackedRow(packed, row, actual.data());
      ASSERT_EQ(actual, std::vector<float>(w.cols)) << "row " << row;
    }
  });
}

TEST(Pack, WritesOnlyItsPanels) {
  ForEachMatrix([](const WeightView& w, Layout layout) {
    const AlignedBytes whole = Pack(w, layout);
    const size_t panels = View(w, layout, whole).NumPanels();
    const size_t panel_bytes = PanelBytes(layout, w.cols);
    for (size_t begin = 0; begin <= panels; ++begin) {
      for (size_t end = begin; end <= panels; ++end) {
        std::vector<uint8_t> expected(whole.size(), 0xAA);
        std::copy(whole.data() + begin * panel_bytes,
                  whole.data() + end * panel_bytes,
                  expected.begin() +
                      static_cast<std::ptrdiff_t>(begin * panel_bytes));
        AlignedBytes part(whole.size());
        PackPanels(w, layout, begin, end, part.data());
        ASSERT_EQ(std::memcmp(part.data(), expected.data(), part.size()), 0)
            << "panels " << begin << " to " << end;
      }
    }
  });
}

TEST(Pack, PanelsInAnyOrder) {
  ForEachMatrix([](const WeightView& w, Layout layout) {
    const AlignedBytes whole = Pack(w, layout);
    AlignedBytes parts(whole.size());
    for (size_t panel = View(w, layout, whole).NumPanels(); panel-- > 0;) {
      PackPanels(w, layout, panel, panel + 1, parts.data());
    }
    ASSERT_EQ(std::memcmp(parts.data(), whole.data(), whole.size()), 0);
  });
}

// An infinite or NaN scale must not become a number.
TEST(Pack, KeepsNonFiniteScales) {
  for (const Format format :
       {Format::kQ4_0, Format::kIQ2_XXS, Format::kIQ2_XS, Format::kIQ2_S,
        Format::kIQ3_XXS, Format::kIQ3_S}) {
    for (const uint8_t high : {0x7C, 0x7E, 0xFC}) {  // infinity, NaN, -infinity
      std::vector<uint8_t> block(BlockBytes(format), 0x19);
      block[0] = 0x00;
      block[1] = high;
      const WeightView w = {.format = format,
                            .rows = 1,
                            .cols = BlockValues(format),
                            .data = block.data()};
      const AlignedBytes bytes = Pack(w, LayoutOf(format));
      std::vector<float> stored(w.cols);
      std::vector<float> packed(w.cols);
      DecodeRow(w, 0, stored.data());
      DecodePackedRow(View(w, LayoutOf(format), bytes), 0, packed.data());
      for (size_t i = 0; i < w.cols; ++i) {
        EXPECT_EQ(std::isnan(packed[i]), high == 0x7E) << FormatName(format);
        EXPECT_EQ(std::isinf(packed[i]), high != 0x7E) << FormatName(format);
        EXPECT_EQ(std::signbit(packed[i]), std::signbit(stored[i]));
      }
    }
  }
}

}  // namespace
}  // namespace gemma::internal
