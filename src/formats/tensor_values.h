// A tensor's values in the order of its shape.
//
// Two orders of NUQ's bytes are in files: block after block, each a table and
// its codes (see compression/codec_nuq.h), and before 2025 all tables, zeros up
// to a multiple of 64, and all codes. Nothing in a file tells which.

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

namespace gemma {

// The bytes of a tensor as its format and shape say: those of the file, or a
// copy if it has an arrangement. The tensor's file must outlive it.
class TensorValues {
 public:
  // Fails if there is no memory for the copy.
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

// What a tensor with this arrangement is once arranged: SFP for NUQ, whose
// blocks would be torn, and F32 where a scale is to be multiplied.
Format ArrangedFormat(const Arrangement& arrangement);

// Bytes of `values` values of a format with blocks of one, or of NUQ, whose
// last block may be cut short; nothing if they are too many to count.
std::optional<uint64_t> StoredBytes(Format format, uint64_t values);

// Whether `bytes` is what `values` of NUQ take, in either order.
bool FitsNuq(size_t bytes, size_t values);

// Whether the tables come first; `bytes` fit `values`. Tables are sorted and
// codes are not: where the sizes do not tell, some tables are looked at.
bool NuqTablesFirst(absl::Span<const uint8_t> bytes, size_t values);

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_TENSOR_VALUES_H_
