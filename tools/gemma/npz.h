// Reads NumPy's .npz files: zip archives of arrays. The file is not trusted.

#ifndef GEMMA_TOOLS_GEMMA_NPZ_H_
#define GEMMA_TOOLS_GEMMA_NPZ_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tools/gemma/npy.h"

namespace gemma::tools {

// One file of the archive.
struct NpzEntry {
  bool deflated = false;
  uint32_t crc32 = 0;  // of the contents
  uint64_t bytes = 0;  // of the contents
  absl::Span<const uint8_t> packed;
};

// Gives an array's values in order, without ever holding more than was asked
// for. The archive's bytes must outlive it.
class NpzArray {
 public:
  ~NpzArray();
  NpzArray(NpzArray&&) noexcept;
  NpzArray& operator=(NpzArray&&) noexcept;

  const NpyHeader& header() const { return header_; }

  // Fills `values` with the next ones. The array must be float32.
  absl::Status Read(absl::Span<float> values);

  // All values of an array of int32 or int64, at most `max_values`.
  absl::StatusOr<std::vector<int64_t>> ReadIntegers(size_t max_values);

  // Fails unless all values were read and have the archive's CRC.
  absl::Status Finish();

 private:
  friend class Npz;
  class Stream;

  NpzArray(std::string name, std::unique_ptr<Stream> stream);
  absl::Status ReadHeader();
  absl::Status Error(std::string_view message) const;

  std::string name_;  // of file and array
  std::unique_ptr<Stream> stream_;
  NpyHeader header_;
};

// An archive's table of contents.
class Npz {
 public:
  // `bytes` must outlive the result; `name` is used in errors.
  static absl::StatusOr<Npz> Parse(absl::Span<const uint8_t> bytes,
                                   std::string_view name);

  // Opens the array `name`, which is "name.npy" in the archive.
  absl::StatusOr<NpzArray> Open(std::string_view name) const;

 private:
  explicit Npz(std::string_view name) : name_(name) {}

  std::string name_;
  std::map<std::string, NpzEntry, std::less<>> entries_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_NPZ_H_
