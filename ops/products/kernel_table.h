// Which kernel multiplies: a table of weights, rows, arithmetic and CPU.

#ifndef GEMMA_OPS_PRODUCTS_KERNEL_TABLE_H_
#define GEMMA_OPS_PRODUCTS_KERNEL_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "compression/layout.h"
#include "ops/ops.h"

namespace gemma::internal {

enum class Kernel {
  kFloat,        // FloatPanels
  kInt8,         // Int8Panels
  kAvx2,         // Avx2Panels
  kAvxVnni,      // AvxVnniPanels
  kAvx512Vnni,   // Avx512VnniPanels
  kNeonFewRows,  // NeonFewRowsPanels
  kNeonDotProd,  // NeonDotProdPanels
  kNeonI8mm,     // NeonI8mmPanels
  kAmxInt8,      // AmxInt8Panels
  kAmxBf16,      // Bf16Panels with AmxTiles
  kAvx512Bf16,   // Bf16Panels with Avx512Bf16Tiles
};

// Whether the kernel's x is rounded to bfloat16.
inline bool IsBf16(Kernel kernel) {
  return kernel == Kernel::kAmxBf16 || kernel == Kernel::kAvx512Bf16;
}

// Whether the kernel's x is rounded to int8.
inline bool IsInt8(Kernel kernel) {
  return kernel != Kernel::kFloat && !IsBf16(kernel);
}

// The kernels that one arithmetic may use on this CPU, under the cap.
class KernelChoice {
 public:
  explicit KernelChoice(Arithmetic arithmetic);

  // Returns the kernel that multiplies `rows` rows with w in a pass of
  // `pass_rows`. How x is rounded, and so the result, depends only on the
  // latter.
  Kernel For(const PackedView& w, size_t rows, size_t pass_rows) const;

 private:
  uint32_t rules_ = 0;  // a bit for each of the table
};

inline Kernel ChooseKernel(const PackedView& w, size_t rows, size_t pass_rows,
                           Arithmetic arithmetic) {
  return KernelChoice(arithmetic).For(w, rows, pass_rows);
}

// The products of one kind of weights in one kind of pass.
struct ProductKernels {
  std::string weights;  // "quantized", "bfloat16" or "float32 and float16"
  std::string decode;   // the instruction set that computes few rows
  std::string prefill;  // and kMinTileRows and more; with Arithmetic::kFastest
};

// Returns the instruction sets that kernels use on this CPU, under the cap.
std::vector<ProductKernels> KernelsInUse();

}  // namespace gemma::internal

#endif  // GEMMA_OPS_PRODUCTS_KERNEL_TABLE_H_
