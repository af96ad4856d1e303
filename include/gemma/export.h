// Symbol visibility of the shared library.

#ifndef GEMMA_EXPORT_H_
#define GEMMA_EXPORT_H_

// Marks functions and classes that users of the shared library may call.
#if defined(__GNUC__)
#define GEMMA_EXPORT __attribute__((visibility("default")))
#else
#define GEMMA_EXPORT
#endif

#endif  // GEMMA_EXPORT_H_
