#include "benchmarks/weights.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>

#include "absl/strings/str_format.h"
#include "benchmarks/command_line.h"
#include "benchmarks/support.h"
#include "compression/pack.h"

namespace gemma::internal {
namespace {

constexpr size_t kAlignment = 64;

// Returns random bytes in which every float16, bfloat16 or float32 is finite
// and normal (some CPUs are slow with subnormal numbers).
std::vector<uint8_t> RandomBytes(Format format, size_t size) {
  std::mt19937_64 random(/*seed=*/1);
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t)) {
    const uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, sizeof(word));
  }
  if (BlockValues(format) > 1) {
    // Any two bytes may be a scale: sets exponents to 8 to 15 of 31.
    for (uint8_t& b : bytes) b = (b & 0x9F) | 0x20;
  } else {
    // The last byte of each value begins with its sign and exponent.
    const size_t step = BlockBytes(format);
    for (size_t i = step - 1; i < size; i += step) {
      bytes[i] = (bytes[i] & 0x87) | 0x38;
    }
  }
  return bytes;
}

void Pack(const WeightView& file, uint8_t* out) {
  constexpr size_t kTaskPanels = 16;
  const size_t panels = (file.rows + kPanelRows - 1) / kPanelRows;
  const size_t tasks = (panels + kTaskPanels - 1) / kTaskPanels;
  BenchmarkWorkers().ForEach(tasks, [&](size_t task, size_t) {
    const size_t begin = task * kTaskPanels;
    PackPanels(file, LayoutOf(file.format), begin,
               std::min(begin + kTaskPanels, panels), out);
  });
}

}  // namespace

WeightCopies::WeightCopies(Format format, size_t rows, size_t cols)
    : file_{format, rows, cols, nullptr},
      copy_bytes_(PackedBytes(format, rows, cols)),
      stride_((copy_bytes_ + kAlignment - 1) / kAlignment * kAlignment),
      num_copies_(BytesBeyondCaches() / stride_ + 1),
      memory_(AlignedBuffer::Allocate(num_copies_ * stride_)) {
  if (memory_.data() == nullptr) {
    Fail(absl::StrFormat("no memory for %d copies of %d bytes", num_copies_,
                         copy_bytes_));
  }
  file_bytes_ = RandomBytes(format, rows * file_.RowBytes());
  file_.data = file_bytes_.data();
  Pack(file_, memory_.data());
  BenchmarkWorkers().ForEach(num_copies_ - 1, [&](size_t task, size_t) {
    std::memcpy(memory_.data() + (task + 1) * stride_, memory_.data(),
                copy_bytes_);
  });
}

PackedView WeightCopies::operator[](size_t i) const {
  return {LayoutOf(file_.format), file_.rows, file_.cols,
          memory_.data() + i % num_copies_ * stride_};
}

const WeightCopies& GetWeights(Format format, size_t rows, size_t cols) {
  static std::unique_ptr<WeightCopies> kept;
  if (kept == nullptr || kept->file().format != format ||
      kept->file().rows != rows || kept->file().cols != cols) {
    kept.reset();  // its memory is needed
    kept = std::make_unique<WeightCopies>(format, rows, cols);
  }
  return *kept;
}

}  // namespace gemma::internal
