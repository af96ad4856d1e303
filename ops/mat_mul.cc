// out = x w^T + bias for packed w. Nearly all time of a forward pass goes here.
//
// One row of x (decode) is limited by how fast w can be read: weights are
// decoded in registers and used at once. Several rows (prefill) are limited by
// multiply-adds: weights are decoded once per block of columns into a buffer
// that stays in the L1 cache, and each is used for all rows. Both sum the
// columns of a row in ascending order, one fused multiply-add each, so they
// give the same bits.

#include "ops/ops.h"

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/mat_mul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"

#ifndef GEMMA_OPS_MAT_MUL_ONCE
#define GEMMA_OPS_MAT_MUL_ONCE
namespace gemma {

// Columns decoded at once: a panel of them, in float, is 16 KiB.
inline constexpr size_t kBlockCols = 256;
// Panels that one task computes: enough independent sums to hide the latency
// of a multiply-add, and a block of x is read once for all.
inline constexpr size_t kTaskPanels = 4;

}  // namespace gemma
#endif  // GEMMA_OPS_MAT_MUL_ONCE

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most a panel's rows, so that a vector never spans two columns.
using DF = hn::CappedTag<float, kPanelRows>;
using VF = hn::Vec<DF>;
HWY_INLINE constexpr size_t LanesF() { return HWY_MAX_LANES_D(DF); }
// Vectors that hold a column of a panel.
inline constexpr size_t kColVectors = kPanelRows / HWY_MAX_LANES_D(DF);

// A Decoder<layout> calls use(col, v, values) for each column of one block of
// a panel and each of its kColVectors vectors, in ascending order of columns.
template <Layout kLayout>
struct Decoder;

template <>
struct Decoder<Layout::kF32> {
  template <class Use>
  static HWY_INLINE void Block(const uint8_t* HWY_RESTRICT block, Use use) {
    const DF df;
    for (size_t v = 0; v < kColVectors; ++v) {
      const float* from = reinterpret_cast<const float*>(block);
      use(0, v, hn::Load(df, from + v * LanesF()));
    }
  }
};

template <>
struct Decoder<Layout::kBF16> {
  template <class Use>
  static HWY_INLINE void Block(const uint8_t* HWY_RESTRICT block, Use use) {
    const DF df;
    const hn::Rebind<hwy::bfloat16_t, DF> d16;
    for (size_t v = 0; v < kColVectors; ++v) {
      const auto* from = reinterpret_cast<const hwy::bfloat16_t*>(block);
      use(0, v, hn::PromoteTo(df, hn::LoadU(d16, from + v * LanesF())));
    }
  }
};

template <>
struct Decoder<Layout::kF16> {
  template <class Use>
  static HWY_INLINE void Block(const uint8_t* HWY_RESTRICT block, Use use) {
    const DF df;
    const hn::Rebind<hwy::float16_t, DF> d16;
    for (size_t v = 0; v < kColVectors; ++v) {
      const auto* from = reinterpret_cast<const hwy::float16_t*>(block);
      use(0, v, hn::PromoteTo(df, hn::LoadU(d16, from + v * LanesF())));
    }
  }
};

// scale * code + offset is what the file format defines: the product is exact
// in float32, so that fusing it changes nothing.
template <bool kHasOffset>
HWY_INLINE VF Dequantize(VF scale, VF offset, VF code) {
  return kHasOffset ? hn::MulAdd(scale, code, offset) : hn::Mul(scale, code);
}

template <size_t kCols, bool kHasOffset>
struct I8Decoder {
  template <class Use>
  static HWY_INLINE void Block(const uint8_t* HWY_RESTRICT block, Use use) {
    const DF df;
    const hn::Rebind<int32_t, DF> d32;
    const hn::Rebind<int8_t, DF> d8;
    const float* scales = reinterpret_cast<const float*>(block);
    const int8_t* codes = reinterpret_cast<const int8_t*>(
        scales + (kHasOffset ? 2 : 1) * kPanelRows);
    VF scale[kColVectors];
    VF offset[kColVectors];
    for (size_t v = 0; v < kColVectors; ++v) {
      scale[v] = hn::Load(df, scales + v * LanesF());
      offset[v] = kHasOffset ? hn::Load(df, scales + kPanelRows + v * LanesF())
                             : hn::Zero(df);
    }
    for (size_t col = 0; col < kCols; ++col) {
      for (size_t v = 0; v < kColVectors; ++v) {
        const auto code = hn::ConvertTo(
            df, hn::PromoteTo(d32, hn::LoadU(d8, codes + col * kPanelRows +
                                                     v * LanesF())));
        use(col, v, Dequantize<kHasOffset>(scale[v], offset[v], code));
      }
    }
  }
};

template <>
struct Decoder<Layout::kI8Block32> : I8Decoder<32, false> {};
template <>
struct Decoder<Layout::kI8Block32Offset> : I8Decoder<32, true> {};
template <>
struct Decoder<Layout::kI8Block16> : I8Decoder<16, false> {};

template <size_t kCols>
struct U4Decoder {
  template <class Use>
  static HWY_INLINE void Block(const uint8_t* HWY_RESTRICT block, Use use) {
    const DF df;
    const hn::Rebind<int32_t, DF> d32;
    const hn::Rebind<uint32_t, DF> du32;
    const hn::Rebind<uint8_t, DF> d8;
    const float* scales = reinterpret_cast<const float*>(block);
    const uint8_t* codes =
        reinterpret_cast<const uint8_t*>(scales + 2 * kPanelRows);
    const auto low_half = hn::Set(du32, 15);
    VF scale[kColVectors];
    VF offset[kColVectors];
    for (size_t v = 0; v < kColVectors; ++v) {
      scale[v] = hn::Load(df, scales + v * LanesF());
      offset[v] = hn::Load(df, scales + kPanelRows + v * LanesF());
    }
    for (size_t col = 0; col < kCols; col += 2) {
      for (size_t v = 0; v < kColVectors; ++v) {
        const auto both = hn::PromoteTo(
            du32, hn::LoadU(d8, codes + col / 2 * kPanelRows + v * LanesF()));
        const auto even =
            hn::ConvertTo(df, hn::BitCast(d32, hn::And(both, low_half)));
        const auto odd =
            hn::ConvertTo(df, hn::BitCast(d32, hn::ShiftRight<4>(both)));
        use(col, v, Dequantize<true>(scale[v], offset[v], even));
        use(col + 1, v, Dequantize<true>(scale[v], offset[v], odd));
      }
    }
  }
};

template <>
struct Decoder<Layout::kU4Block32Offset> : U4Decoder<32> {};
template <>
struct Decoder<Layout::kU4Block16Offset> : U4Decoder<16> {};

// Writes the sums of one row of x and one panel, and the bias, to the row of
// out. `rows` is how many of the panel's rows the matrix has.
HWY_INLINE void StoreSums(const VF* HWY_RESTRICT sums, const float* bias,
                          size_t rows, float* HWY_RESTRICT out) {
  const DF df;
  for (size_t v = 0; v < kColVectors; ++v) {
    if (rows <= v * LanesF()) return;
    const size_t count = rows - v * LanesF();
    VF sum = sums[v];
    if (bias != nullptr) {
      sum = hn::Add(sum, hn::LoadN(df, bias + v * LanesF(), count));
    }
    hn::StoreN(sum, df, out + v * LanesF(), count);
  }
}

// One row of x with panels [panel, panel + kPanels).
template <Layout kLayout, size_t kPanels>
HWY_INLINE void OneRow(const MatMulJob& job, size_t panel) {
  constexpr size_t kCols = TraitsOf(kLayout).block_cols;
  constexpr size_t kBytes = PanelBlockBytes(kLayout);
  const DF df;
  const float* HWY_RESTRICT x = job.x.data;
  const uint8_t* HWY_RESTRICT blocks[kPanels];
  VF sums[kPanels * kColVectors];
  for (size_t p = 0; p < kPanels; ++p) {
    blocks[p] = job.w.Panel(panel + p);
    for (size_t v = 0; v < kColVectors; ++v) {
      sums[p * kColVectors + v] = hn::Zero(df);
    }
  }
  for (size_t col = 0; col < job.w.cols; col += kCols) {
    for (size_t p = 0; p < kPanels; ++p) {
      VF* HWY_RESTRICT sum = sums + p * kColVectors;
      Decoder<kLayout>::Block(
          blocks[p], [&](size_t c, size_t v, VF values) HWY_ATTR {
            sum[v] = hn::MulAdd(values, hn::Set(df, x[col + c]), sum[v]);
          });
      blocks[p] += kBytes;
    }
  }
  for (size_t p = 0; p < kPanels; ++p) {
    const size_t row = (panel + p) * kPanelRows;
    StoreSums(sums + p * kColVectors,
              job.bias.empty() ? nullptr : job.bias.data() + row,
              job.w.rows - row, job.out.data + row);
  }
}

// Decodes columns [begin, end) of a panel to out [end - begin, kPanelRows].
template <Layout kLayout>
HWY_INLINE void DecodePanel(const uint8_t* HWY_RESTRICT panel, size_t begin,
                            size_t end, float* HWY_RESTRICT out) {
  constexpr size_t kCols = TraitsOf(kLayout).block_cols;
  constexpr size_t kBytes = PanelBlockBytes(kLayout);
  const DF df;
  const uint8_t* HWY_RESTRICT block = panel + begin / kCols * kBytes;
  for (size_t col = begin; col < end; col += kCols) {
    Decoder<kLayout>::Block(block, [&](size_t c, size_t v, VF values) HWY_ATTR {
      hn::Store(values, df,
                out + (col - begin + c) * kPanelRows + v * LanesF());
    });
    block += kBytes;
  }
}

// Continues the sums of kRows rows of x with `cols` decoded columns. `first`:
// the sums start at zero, else at what `out` holds. `bias`: null but for the
// last columns.
template <size_t kRows>
HWY_INLINE void Tile(const float* HWY_RESTRICT panel, size_t cols,
                     const float* HWY_RESTRICT x, size_t x_stride, bool first,
                     const float* bias, size_t panel_rows,
                     float* HWY_RESTRICT out, size_t out_stride) {
  const DF df;
  VF sums[kRows * kColVectors];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kColVectors; ++v) {
      const size_t begin = v * LanesF();
      sums[r * kColVectors + v] =
          first || panel_rows <= begin
              ? hn::Zero(df)
              : hn::LoadN(df, out + r * out_stride + begin, panel_rows - begin);
    }
  }
  for (size_t col = 0; col < cols; ++col) {
    VF w[kColVectors];
    for (size_t v = 0; v < kColVectors; ++v) {
      w[v] = hn::Load(df, panel + col * kPanelRows + v * LanesF());
    }
    for (size_t r = 0; r < kRows; ++r) {
      const VF xs = hn::Set(df, x[r * x_stride + col]);
      for (size_t v = 0; v < kColVectors; ++v) {
        VF& sum = sums[r * kColVectors + v];
        sum = hn::MulAdd(w[v], xs, sum);
      }
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    StoreSums(sums + r * kColVectors, bias, panel_rows, out + r * out_stride);
  }
}

// Rows of a tile: 12 sums leave registers for a column and a row's value on
// every target, and are enough to hide the latency of a multiply-add.
inline constexpr size_t kTileRows = kColVectors >= 12 ? 1 : 12 / kColVectors;

// All rows of x with one decoded panel.
HWY_INLINE void AllRows(const MatMulJob& job, size_t panel, size_t begin,
                        size_t end, const float* HWY_RESTRICT decoded) {
  const size_t row = panel * kPanelRows;
  const size_t panel_rows = HWY_MIN(kPanelRows, job.w.rows - row);
  const float* bias =
      job.bias.empty() || end != job.w.cols ? nullptr : job.bias.data() + row;
  const auto tile = [&](auto rows, size_t r) HWY_ATTR {
    Tile<decltype(rows)::value>(
        decoded, end - begin, job.x.data + r * job.x.stride + begin,
        job.x.stride, begin == 0, bias, panel_rows,
        job.out.data + r * job.out.stride + row, job.out.stride);
  };
  size_t r = 0;
  for (; r + kTileRows <= job.x.rows; r += kTileRows) {
    tile(std::integral_constant<size_t, kTileRows>(), r);
  }
  for (; r + 2 <= job.x.rows; r += 2) {
    tile(std::integral_constant<size_t, 2>(), r);
  }
  if (r < job.x.rows) tile(std::integral_constant<size_t, 1>(), r);
}

// Several rows of x with panels [begin, end), at most kTaskPanels.
template <Layout kLayout>
void ManyRows(const MatMulJob& job, size_t begin, size_t end) {
  HWY_ALIGN float buffer[kTaskPanels * kBlockCols * kPanelRows];
  for (size_t col = 0; col < job.w.cols; col += kBlockCols) {
    const size_t col_end = HWY_MIN(col + kBlockCols, job.w.cols);
    for (size_t panel = begin; panel < end; ++panel) {
      float* decoded = buffer + (panel - begin) * kBlockCols * kPanelRows;
      DecodePanel<kLayout>(job.w.Panel(panel), col, col_end, decoded);
    }
    for (size_t panel = begin; panel < end; ++panel) {
      AllRows(job, panel, col, col_end,
              buffer + (panel - begin) * kBlockCols * kPanelRows);
    }
  }
}

template <Layout kLayout>
void Panels(const MatMulJob& job, size_t begin, size_t end) {
  if (job.x.rows > 1) return ManyRows<kLayout>(job, begin, end);
  if (end - begin == kTaskPanels)
    return OneRow<kLayout, kTaskPanels>(job, begin);
  for (size_t panel = begin; panel < end; ++panel) {
    OneRow<kLayout, 1>(job, panel);
  }
}

// Chooses the layout once per call, so the loops above do not branch on it.
void MatMulPanels(const MatMulJob& job, size_t begin, size_t end) {
  switch (job.w.layout) {
    case Layout::kF32:
      return Panels<Layout::kF32>(job, begin, end);
    case Layout::kF16:
      return Panels<Layout::kF16>(job, begin, end);
    case Layout::kBF16:
      return Panels<Layout::kBF16>(job, begin, end);
    case Layout::kI8Block32:
      return Panels<Layout::kI8Block32>(job, begin, end);
    case Layout::kI8Block32Offset:
      return Panels<Layout::kI8Block32Offset>(job, begin, end);
    case Layout::kI8Block16:
      return Panels<Layout::kI8Block16>(job, begin, end);
    case Layout::kU4Block32Offset:
      return Panels<Layout::kU4Block32Offset>(job, begin, end);
    case Layout::kU4Block16Offset:
      return Panels<Layout::kU4Block16Offset>(job, begin, end);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma
HWY_AFTER_NAMESPACE();

// ---- 3. Threads, no vectors.
#if HWY_ONCE
namespace gemma {
namespace {

HWY_EXPORT(MatMulPanels);

void CheckShapes(const MatMulJob& job) {
  HWY_ASSERT(job.x.cols == job.w.cols && job.out.cols == job.w.rows);
  HWY_ASSERT(job.x.rows == job.out.rows);
  HWY_ASSERT(job.bias.empty() || job.bias.size() == job.w.rows);
}

size_t NumTasks(const PackedView& w) {
  return (w.NumPanels() + kTaskPanels - 1) / kTaskPanels;
}

void RunTask(const MatMulJob& job, size_t task) {
  const size_t begin = task * kTaskPanels;
  const size_t end = HWY_MIN(begin + kTaskPanels, job.w.NumPanels());
  HWY_DYNAMIC_DISPATCH(MatMulPanels)(job, begin, end);
}

}  // namespace

void MatMul(std::span<const MatMulJob> jobs, Workers& workers) {
  size_t num_tasks = 0;
  for (const MatMulJob& job : jobs) {
    CheckShapes(job);
    num_tasks += NumTasks(job.w);
  }
  workers.ForEach(num_tasks, [&](size_t task, size_t) {
    const MatMulJob* job = jobs.data();
    for (; task >= NumTasks(job->w); ++job) task -= NumTasks(job->w);
    RunTask(*job, task);
  });
}

void MatMulInline(const MatMulJob& job) {
  CheckShapes(job);
  for (size_t task = 0; task < NumTasks(job.w); ++task) RunTask(job, task);
}

void GatedMatMul(const GatedMatMulJob& job, Workers& workers) {
  const MatMulJob gate = {job.x, job.gate, job.gate_bias, job.out};
  const MatMulJob up = {job.x, job.up, job.up_bias, job.scratch};
  CheckShapes(gate);
  CheckShapes(up);
  HWY_ASSERT(job.gate.rows == job.up.rows);
  workers.ForEach(NumTasks(gate.w), [&](size_t task, size_t) {
    RunTask(gate, task);
    RunTask(up, task);
    const size_t begin = task * kTaskPanels * kPanelRows;
    const size_t count = HWY_MIN(kTaskPanels * kPanelRows, gate.w.rows - begin);
    for (size_t row = 0; row < job.x.rows; ++row) {
      GatedGelu(job.out.Row(row).subspan(begin, count),
                job.scratch.Row(row).subspan(begin, count));
    }
  });
}

}  // namespace gemma
#endif  // HWY_ONCE
