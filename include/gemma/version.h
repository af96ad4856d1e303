// The library's version.

#ifndef GEMMA_VERSION_H_
#define GEMMA_VERSION_H_

#define GEMMA_VERSION_MAJOR 0
#define GEMMA_VERSION_MINOR 1
#define GEMMA_VERSION_PATCH 0
#define GEMMA_VERSION_STRING "0.1.0"

#endif  // GEMMA_VERSION_H_
