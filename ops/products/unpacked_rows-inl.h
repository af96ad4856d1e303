// Included by the files of single instruction sets with 256 bits, in a
// namespace that defines Dots. Their attributes hold for what is defined here.

// Adds to job.sums the products of rows [row, row + kRows) of x.
template <Layout kLayout, size_t kRows>
HWY_NOINLINE void Rows(const UnpackedJob& job, size_t row) {
  using D = Dots<kLayout, kRows>;
  const uint8_t* HWY_RESTRICT codes = job.w->codes;
  const float* HWY_RESTRICT scales = job.w->scales;
  const float* HWY_RESTRICT offsets = job.w->offsets;
  const int32_t* HWY_RESTRICT steps = job.w->steps;
  const int16_t* widened_x = job.widened_x + row * kWidenedCols;
  const float* HWY_RESTRICT minus_x = job.minus_x + row * kUnpackedGroups;
  float* HWY_RESTRICT sums = job.sums + row * kPanelRows;
  const Int8Block* x[kRows];
  for (size_t r = 0; r < kRows; ++r) x[r] = job.x[row + r];
  const size_t num_blocks = job.w->num_blocks;
  for (size_t block = 0; block < num_blocks; ++block) {
    HWY_UNROLL(2)
    for (size_t group = 0; group < kGroups<kLayout>; ++group) {
      __m256i acc[kRows][kParts];
      D::Sum(codes, x, widened_x, steps, group, acc);
      HWY_UNROLL(4)
      for (size_t r = 0; r < kRows; ++r) {
        const __m256 x_scale = _mm256_broadcast_ss(&x[r]->scale);
        [[maybe_unused]] __m256 minus_sum;
        if constexpr (TraitsOf(kLayout).has_offset) {
          minus_sum = _mm256_broadcast_ss(minus_x + r * kUnpackedGroups);
        }
        HWY_UNROLL(2)
        for (size_t p = 0; p < kParts; ++p) {
          float* HWY_RESTRICT at = sums + r * kPanelRows + p * 8;
          const __m256 scale =
              D::kScales
                  ? x_scale
                  : _mm256_mul_ps(_mm256_load_ps(scales + p * 8), x_scale);
          __m256 sum = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(acc[r][p]),
                                       _mm256_load_ps(at));
          if constexpr (TraitsOf(kLayout).has_offset) {
            sum = _mm256_fnmadd_ps(_mm256_load_ps(offsets + p * 8), minus_sum,
                                   sum);
          }
          _mm256_store_ps(at, sum);
        }
      }
      codes += kGroupVectors<kLayout> * kCodeVectorBytes * D::kCodeBytes;
      scales += kPanelRows;
      offsets += kPanelRows;
      steps += kPanelRows;
      ++minus_x;
    }
    for (size_t r = 0; r < kRows; ++r) ++x[r];
    widened_x += kTileCols;
  }
}

template <Layout kLayout>
void RowsOfLayout(const UnpackedJob& job) {
  if constexpr (TraitsOf(kLayout).code_bits != 0) {
    size_t row = 0;
    for (; row + 4 <= job.num_rows; row += 4) {
      Rows<kLayout, 4>(job, row);
    }
    for (; row < job.num_rows; row += 2) {
      Rows<kLayout, 2>(job, row);
    }
  }
}

inline void RowsOfJob(const UnpackedJob& job) {
  switch (job.layout) {
#define GEMMA_LAYOUT_CASE(layout) \
  case Layout::layout:            \
    return RowsOfLayout<Layout::layout>(job);
    GEMMA_LAYOUTS(GEMMA_LAYOUT_CASE)
#undef GEMMA_LAYOUT_CASE
  }
}
