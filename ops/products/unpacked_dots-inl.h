// What kernels of single instruction sets with 256 bits share. Their attributes
// hold for what is defined here: included in a namespace of each.

// The vectors that hold a column of a panel.
inline constexpr size_t kParts = 2;

template <Layout kLayout>
inline constexpr size_t kGroups = kTileCols / TraitsOf(kLayout).scale_cols;
template <Layout kLayout>
inline constexpr size_t kGroupVectors = kCodeVectors / kGroups<kLayout>;

HWY_INLINE __m256i LoadCodes(const uint8_t* codes, size_t vector, size_t part) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(
      codes + vector * kCodeVectorBytes + part * sizeof(__m256i)));
}

// Keeps g++ from adding in a different order, which needs more registers than
// there are.
HWY_INLINE void KeepInOrder(__m256i& sum) { __asm__("" : "+x"(sum)); }

// Returns four columns of x in every lane.
HWY_INLINE __m256i BroadcastCodes(const Int8Block& x, size_t vector) {
  int32_t four;
  hwy::CopyBytes<sizeof(four)>(x.codes + 4 * vector, &four);
  return _mm256_set1_epi32(four);
}

// Returns minus the sums of the codes of x in a group of columns, two to each
// lane: see Int8Block.
template <Layout kLayout>
HWY_INLINE __m256i MinusSums(const Int8Block& x, size_t group) {
  return _mm256_set1_epi32(kGroups<kLayout> == 2 ? x.minus_sums[group]
                                                 : x.minus_sum);
}

// Returns minus the sum of all these codes. The units that multiply have enough
// to do.
template <Layout kLayout>
HWY_INLINE __m256i MinusSum(const Int8Block& x, size_t group) {
  const __m256i sums = MinusSums<kLayout>(x, group);
  return _mm256_add_epi32(_mm256_srai_epi32(_mm256_slli_epi32(sums, 16), 16),
                          _mm256_srai_epi32(sums, 16));
}
