// Files mapped into memory, read-only.

#ifndef GEMMA_SRC_OS_MAPPED_FILE_H_
#define GEMMA_SRC_OS_MAPPED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace gemma::internal {

// The bytes of one regular file. Move-only; moving does not move the bytes. If
// a program shortens the file while it is mapped, SIGBUS ends this process:
// replace files by renaming.
class MappedFile {
 public:
  // Fails if the file cannot be opened, is empty, or is not a regular file (but
  // a directory, pipe or device). The message begins with `path`.
  static absl::StatusOr<MappedFile> Open(std::string path);

  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  absl::Span<const uint8_t> bytes() const { return {data_, size_}; }
  // The same bytes as text.
  std::string_view text() const {
    return {reinterpret_cast<const char*>(data_), size_};
  }
  size_t size() const { return size_; }
  const std::string& path() const { return path_; }

  // Returns the memory of the whole pages inside `part` to the system. Reading
  // them again reads the file again. Does nothing if `part` is not within
  // bytes().
  void Release(absl::Span<const uint8_t> part) const;

  // Tells the system that the whole pages inside `part` will be read in no
  // order, so that it reads no other pages along with them. Does nothing if
  // `part` is not within bytes().
  void ExpectRandomReads(absl::Span<const uint8_t> part) const;

 private:
  MappedFile(std::string path, const uint8_t* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}
  void Unmap();
  // Gives the system advice about the whole pages inside `part`.
  void Advise(absl::Span<const uint8_t> part, int advice) const;

  std::string path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_MAPPED_FILE_H_
