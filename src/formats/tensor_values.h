// The values of a tensor in the order of its shape.
//
// Files store NUQ in one of two orders: block after block, each a table and its
// codes (see compression/codec_nuq.h); or, before 2025, all tables, then zeros
// up to a multiple of 64, then all codes. No field of a file says which.

#ifndef GEMMA_SRC_FORMATS_TENSOR_VALUES_H_
#define GEMMA_SRC_FORMATS_TENSOR_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/formats/tensor.h"

namespace gemma::internal {

// The bytes of a tensor in the order of its format and shape: the bytes of the
// file, or a copy if the tensor has an arrangement. The file must outlive it.
class TensorValues {
 public:
  // Fails if memory for the copy runs out.
  static absl::StatusOr<TensorValues> Read(const Tensor& tensor);

  const uint8_t* data() const { return data_; }

 private:
  struct Free {
    void operator()(void* p) const;
  };
  using Memory = std::unique_ptr<uint8_t, Free>;

  explicit TensorValues(const uint8_t* data) : data_(data) {}
  explicit TensorValues(Memory memory)
      : memory_(std::move(memory)), data_(memory_.get()) {}

  Memory memory_;
  const uint8_t* data_;
};

// Returns the format of the arranged values: SFP for NUQ, because an
// arrangement would break its blocks, and F32 if a scale applies.
Format ArrangedFormat(const Arrangement& arrangement);

// Returns the bytes of `values` values of a format with one value per block, or
// of NUQ, whose last block may be incomplete; nothing on overflow.
std::optional<uint64_t> StoredBytes(Format format, uint64_t values);

// Whether `values` NUQ values take `bytes` bytes in one of the two orders.
bool FitsNuq(size_t bytes, size_t values);

// Whether the tables come first. `bytes` must fit `values`. If the size allows
// both orders, looks at some tables: tables are sorted, codes are not.
bool NuqTablesFirst(absl::Span<const uint8_t> bytes, size_t values);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_TENSOR_VALUES_H_
