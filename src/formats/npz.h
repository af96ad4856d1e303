// NumPy's .npz files: zip archives of arrays. Files are not trusted.

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

namespace gemma::internal {

// Reads an array's values in order. Buffers no more than the caller asks for.
// The archive's bytes must outlive it.
class NpzArray {
 public:
  const NpyHeader& header() const { return header_; }

  // Fills `values` with the next values, rounded to float32. The array must
  // have a float type.
  absl::Status Read(absl::Span<float> values);

  // Returns all values of an int32 or int64 array, at most `max_values`.
  absl::StatusOr<std::vector<int64_t>> ReadIntegers(size_t max_values);

  // Fails if values are left to read or do not match the archive's CRC.
  absl::Status Finish();

  // The array's bytes in the archive, and the part already read.
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
  // Adds the name of this array to `status`.
  absl::Status Named(const absl::Status& status) const;

  std::string name_;  // the file and the array
  ZipStream stream_;
  NpyHeader header_;
};

// An archive's table of contents.
class Npz {
 public:
  // `bytes` must outlive the result. Errors name `path`.
  static absl::StatusOr<Npz> Parse(absl::Span<const uint8_t> bytes,
                                   std::string_view path);

  // Whether the archive has an array `name`.
  bool Has(std::string_view name) const;

  // Opens the array `name`, stored as "name.npy". Reads its header and checks
  // it against the size of its data.
  absl::StatusOr<NpzArray> Open(std::string_view name) const;

 private:
  Npz(std::string_view path, ZipEntries entries)
      : path_(path), entries_(std::move(entries)) {}

  std::string path_;
  ZipEntries entries_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_NPZ_H_
