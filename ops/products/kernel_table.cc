#include "ops/products/kernel_table.h"

#include <bit>
#include <iterator>
#include <utility>

#include "ops/cpu.h"
#include "ops/targets.h"

namespace gemma::internal {
namespace {

// Kinds of weights, as bits of a set.
constexpr unsigned kQuantized = 1;
constexpr unsigned kBf16 = 2;
constexpr unsigned kFloat = 4;  // float32 and float16
constexpr unsigned kAll = kQuantized | kBf16 | kFloat;
constexpr unsigned kGroupsOf16 = 8;  // 16 columns share a scale

constexpr unsigned KindFrom(Layout layout, const LayoutTraits& traits) {
  if (traits.code_bits != 0) {
    return kQuantized | (traits.scale_cols == 16 ? kGroupsOf16 : 0);
  }
  return layout == Layout::kBF16 ? kBf16 : kFloat;
}

// A switch over constants: every product asks several times.
unsigned KindOf(Layout layout) {
  switch (layout) {
#define GEMMA_LAYOUT_CASE(name)                                                \
  case Layout::name: {                                                         \
    constexpr unsigned kKind = KindFrom(Layout::name, TraitsOf(Layout::name)); \
    return kKind;                                                              \
  }
    GEMMA_LAYOUTS(GEMMA_LAYOUT_CASE)
#undef GEMMA_LAYOUT_CASE
  }
  return 0;
}

struct Rule {
  unsigned weights;
  size_t pass_rows;    // the fewest rows of the pass
  Arithmetic minimum;  // this or one after it
  CpuFeatures cpu;     // what most kernels need, Highway checks (ops/targets.h)
  Kernel kernel;
  size_t rows = 1;  // the fewest rows of the product
  // What else must hold, or null: that Highway chose the target whose rounded x
  // and unpacked panels the kernel shares, or who made the CPU.
  bool (*holds)() = nullptr;
};

// From this many rows on, unpacking panels pays: with AVX2; with AVX-512 VNNI,
// where multiplying takes less time, sooner if scales take much of it; and with
// tiles, which have 16 rows of x.
constexpr size_t kMinUnpackedRows = 4;
constexpr size_t kMinAvx512VnniRows = 96;
constexpr size_t kMinAvx512VnniRowsOf16 = 32;
constexpr size_t kMinAmxRows = 16;

// The first rule that holds decides. All that begin with kInt8 give the same
// bits, so that the rows of the product may choose among them. Tiles of
// bfloat16 give different bits than single rows. Below kMinTileRows rows, they
// gain no speed, and the rows of a checked draft, up to 16, must have the bits
// of one row at a time. A core of AMD's Zen 5 computes 64 products of bfloat16
// per cycle and 32 of float32; one of Intel's Xeons (Sapphire Rapids class) 16
// and 32.
constexpr Rule kRules[] = {
    {kQuantized, 1, Arithmetic::kInt8, kAmxInt8, Kernel::kAmxInt8, kMinAmxRows,
     ChoseAvx512Vnni},
    {kQuantized, 1, Arithmetic::kInt8, kAvx512Vnni, Kernel::kAvx512Vnni,
     kMinAvx512VnniRows, ChoseAvx512Vnni},
    {kGroupsOf16, 1, Arithmetic::kInt8, kAvx512Vnni, Kernel::kAvx512Vnni,
     kMinAvx512VnniRowsOf16, ChoseAvx512Vnni},
    {kQuantized, 1, Arithmetic::kInt8, kAvxVnni, Kernel::kAvxVnni,
     kMinUnpackedRows, ChoseAvx2},
    {kQuantized, 1, Arithmetic::kInt8, kAvx2, Kernel::kAvx2, kMinUnpackedRows,
     ChoseAvx2},
    {kQuantized, 1, Arithmetic::kInt8, kNeonDotProd | kNeonI8mm,
     Kernel::kNeonI8mm, kMinUnpackedRows, ChoseNeon},
    {kQuantized, 1, Arithmetic::kInt8, kNeonDotProd, Kernel::kNeonDotProd,
     kMinUnpackedRows, ChoseNeon},
    {kQuantized, 1, Arithmetic::kInt8, kNeonDotProd, Kernel::kNeonFewRows, 1,
     ChoseNeon},
    {kQuantized, 1, Arithmetic::kInt8, 0, Kernel::kInt8},
    {kBf16, kMinTileRows, Arithmetic::kFastest, kAmxBf16, Kernel::kAmxBf16},
    {kBf16, kMinTileRows, Arithmetic::kFastest, kAvx512Bf16,
     Kernel::kAvx512Bf16, 1, IsAmd},
    {kAll, 1, Arithmetic::kFloat32, 0, Kernel::kFloat}};

// `whole_tiles`: whether the columns fill tiles.
bool Holds(const Rule& rule, unsigned weights, size_t rows, size_t pass_rows,
           bool whole_tiles) {
  return (rule.weights & weights) && pass_rows >= rule.pass_rows &&
         rows >= rule.rows && (whole_tiles || !IsBf16(rule.kernel));
}

// Whether the rest of a rule's conditions hold.
bool HoldsHere(const Rule& rule, Arithmetic arithmetic) {
  return arithmetic >= rule.minimum && MayUse(rule.cpu) &&
         (rule.holds == nullptr || rule.holds());
}

std::string NameOf(Kernel kernel) {
  switch (kernel) {
    case Kernel::kFloat:
    case Kernel::kInt8:
    case Kernel::kAvx2:
    case Kernel::kAvx512Vnni:
      return ChosenTarget();
    case Kernel::kAvxVnni:
      return FeatureNames(kAvxVnni).front();
    case Kernel::kNeonFewRows:
    case Kernel::kNeonDotProd:
      return FeatureNames(kNeonDotProd).front();
    case Kernel::kNeonI8mm:
      return FeatureNames(kNeonI8mm).front();
    case Kernel::kAmxInt8:
      return FeatureNames(kAmxInt8).front();
    case Kernel::kAmxBf16:
      return FeatureNames(kAmxBf16).front();
    case Kernel::kAvx512Bf16:
      return FeatureNames(kAvx512Bf16).front();
  }
  return "";
}

std::string NameFor(unsigned weights, size_t rows) {
  for (const Rule& rule : kRules) {
    if (Holds(rule, weights, rows, rows, /*whole_tiles=*/true) &&
        HoldsHere(rule, Arithmetic::kFastest)) {
      return NameOf(rule.kernel);
    }
  }
  return "";
}

}  // namespace

KernelChoice::KernelChoice(Arithmetic arithmetic) {
  static_assert(std::size(kRules) <= 32);
  for (size_t i = 0; i < std::size(kRules); ++i) {
    if (HoldsHere(kRules[i], arithmetic)) rules_ |= 1u << i;
  }
}

Kernel KernelChoice::For(const PackedView& w, size_t rows,
                         size_t pass_rows) const {
  const unsigned weights = KindOf(w.layout);
  const bool whole_tiles = w.cols % kTileCols == 0;
  for (uint32_t left = rules_; left != 0; left &= left - 1) {
    const Rule& rule = kRules[std::countr_zero(left)];
    if (Holds(rule, weights, rows, pass_rows, whole_tiles)) return rule.kernel;
  }
  return Kernel::kFloat;
}

std::vector<ProductKernels> KernelsInUse() {
  std::vector<ProductKernels> all;
  for (const auto& [kind, name] :
       {std::pair(kQuantized, "quantized"), std::pair(kBf16, "bfloat16"),
        std::pair(kFloat, "float32 and float16")}) {
    all.push_back({name, NameFor(kind, 1), NameFor(kind, kMinTileRows)});
  }
  return all;
}

}  // namespace gemma::internal
