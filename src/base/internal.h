// The names that are not public are in gemma::internal. Files that define
// public names, and the command, include this to use both without qualifiers.

#ifndef GEMMA_SRC_BASE_INTERNAL_H_
#define GEMMA_SRC_BASE_INTERNAL_H_

namespace gemma {
namespace internal {}
using namespace internal;
}  // namespace gemma

#endif  // GEMMA_SRC_BASE_INTERNAL_H_
