// NumPy's .npz files: zip archives of arrays. The file is not trusted.

#ifndef GEMMA_SRC_FORMATS_NPZ_H_
#define GEMMA_SRC_FORMATS_NPZ_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/formats/npy_header.h"
#include "src/formats/zip.h"
#include "src/formats/zip_stream.h"

namespace gemma {

// Gives an array's values in order, without ever holding more than was asked
// for. The archive's bytes must outlive it.
class NpzArray {
 public:
  const NpyHeader& header() const { return header_; }

  // Fills `values` with the next ones, rounded to float32. The array must be of
  // floats.
  absl::Status Read(absl::Span<float> values);

  // All values of an array of int32 or int64, at most `max_values`.
  absl::StatusOr<std::vector<int64_t>> ReadIntegers(size_t max_values);

  // Fails unless all values were read and have the archive's CRC.
  absl::Status Finish();

  // What it takes in the archive, and what of that was read.
  size_t packed_bytes() const { return stream_.packed().size(); }
  absl::Span<const uint8_t> packed_read() const {
    return stream_.packed_read();
  }

 private:
  friend class Npz;

  NpzArray(std::string name, const ZipEntry& entry)
      : name_(std::move(name)), stream_(entry) {}
  absl::Status ReadHeader();
  absl::Status ReadBytes(void* out, size_t bytes);
  template <class T>
  absl::Status ReadAs(absl::Span<float> values);
  // `status`, about this array.
  absl::Status Named(const absl::Status& status) const;

  std::string name_;  // of file and array
  ZipStream stream_;
  NpyHeader header_;
};

// An archive's table of contents.
class Npz {
 public:
  // `bytes` must outlive the result; `path` is used in errors.
  static absl::StatusOr<Npz> Parse(absl::Span<const uint8_t> bytes,
                                   std::string_view path);

  // Whether there is an array `name`.
  bool Has(std::string_view name) const;

  // Opens the array `name`, which is "name.npy" in the archive. Its header is
  // read, and agrees with the size of its data.
  absl::StatusOr<NpzArray> Open(std::string_view name) const;

 private:
  Npz(std::string_view path, ZipEntries entries)
      : path_(path), entries_(std::move(entries)) {}

  std::string path_;
  ZipEntries entries_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_NPZ_H_
