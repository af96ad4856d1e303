// Mapped files.

#include <sys/mman.h>
#include <windows.h>

#include "src/os/windows/handle.h"
#include "src/os/windows/wide.h"

namespace gemma::internal {

void* mmap(void*, size_t size, int, int, int fd, off_t offset) {
  const auto begin = static_cast<uint64_t>(offset);
  // The view keeps the mapping alive.
  const Handle mapping(
      CreateFileMappingW(HandleOf(fd), nullptr, PAGE_READONLY, 0, 0, nullptr));
  void* view = mapping.valid() ? MapViewOfFile(mapping.get(), FILE_MAP_READ,
                                               static_cast<DWORD>(begin >> 32),
                                               static_cast<DWORD>(begin), size)
                               : nullptr;
  if (view != nullptr) return view;
  SetErrno();
  return MAP_FAILED;
}

int munmap(void* address, size_t) {
  return UnmapViewOfFile(address) ? 0 : SetErrno();
}

int madvise(void* address, size_t size, int advice) {
  // Unlocking pages that were not locked takes them from the process. It fails,
  // as documented, and does so all the same.
  if (advice == MADV_DONTNEED) VirtualUnlock(address, size);
  return 0;
}

}  // namespace gemma::internal
