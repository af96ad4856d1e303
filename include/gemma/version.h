// The library's version.

#ifndef GEMMA_VERSION_H_
#define GEMMA_VERSION_H_

#define GEMMA_VERSION_MAJOR 0         // incompatible changes, from 1.0 on
#define GEMMA_VERSION_MINOR 1         // additions; before 1.0, any change
#define GEMMA_VERSION_PATCH 0         // corrections
#define GEMMA_VERSION_STRING "0.1.0"  // all three

#endif  // GEMMA_VERSION_H_
