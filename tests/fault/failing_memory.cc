// Replaces the allocation functions that the library calls. The linker's --wrap
// redirects `malloc`, `calloc` and `inflateInit2_` only in the objects that the
// binary links statically, so the C library keeps its own.

#include <zlib.h>

#include <cstddef>
#include <cstdlib>
#include <new>

#include "tests/fault/faults.h"

using gemma::internal::Fails;
using gemma::internal::FaultKind;

extern "C" {

void* __real_malloc(std::size_t size);
void* __real_calloc(std::size_t count, std::size_t size);
int __real_inflateInit2_(z_stream* stream, int bits, const char* version,
                         int size);

void* __wrap_malloc(std::size_t size) {
  return Fails(FaultKind::kMemory) ? nullptr : __real_malloc(size);
}

void* __wrap_calloc(std::size_t count, std::size_t size) {
  return Fails(FaultKind::kMemory) ? nullptr : __real_calloc(count, size);
}

// zlib also allocates after inflateInit2_, through these two functions.
void* AllocateForZlib(void*, uInt count, uInt size) {
  return __wrap_calloc(count, size);
}

void FreeOfZlib(void*, void* memory) { std::free(memory); }

int __wrap_inflateInit2_(z_stream* stream, int bits, const char* version,
                         int size) {
  stream->zalloc = AllocateForZlib;
  stream->zfree = FreeOfZlib;
  return __real_inflateInit2_(stream, bits, version, size);
}

}  // extern "C"

namespace {

void* TryNew(std::size_t size, std::size_t alignment) noexcept {
  if (Fails(FaultKind::kMemory)) return nullptr;
  if (size == 0) size = 1;
  if (alignment == 0) return __real_malloc(size);
  return std::aligned_alloc(alignment,
                            (size + alignment - 1) / alignment * alignment);
}

void* New(std::size_t size, std::size_t alignment) {
  void* memory = TryNew(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

std::size_t NumberOf(std::align_val_t alignment) {
  return static_cast<std::size_t>(alignment);
}

}  // namespace

using std::align_val_t;
using std::nothrow_t;
using std::size_t;

void* operator new(size_t n) { return New(n, 0); }
void* operator new[](size_t n) { return New(n, 0); }
void* operator new(size_t n, align_val_t a) { return New(n, NumberOf(a)); }
void* operator new[](size_t n, align_val_t a) { return New(n, NumberOf(a)); }
void* operator new(size_t n, const nothrow_t&) noexcept { return TryNew(n, 0); }
void* operator new[](size_t n, const nothrow_t&) noexcept {
  return TryNew(n, 0);
}
void* operator new(size_t n, align_val_t a, const nothrow_t&) noexcept {
  return TryNew(n, NumberOf(a));
}
void* operator new[](size_t n, align_val_t a, const nothrow_t&) noexcept {
  return TryNew(n, NumberOf(a));
}

void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t, align_val_t) noexcept { std::free(p); }
void operator delete(void* p, const nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, const nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p, align_val_t, const nothrow_t&) noexcept {
  std::free(p);
}
void operator delete[](void* p, align_val_t, const nothrow_t&) noexcept {
  std::free(p);
}
