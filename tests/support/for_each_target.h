// Runs a test on every SIMD target of this CPU.

#ifndef GEMMA_TESTS_SUPPORT_FOR_EACH_TARGET_H_
#define GEMMA_TESTS_SUPPORT_FOR_EACH_TARGET_H_

#include <cstdint>

#include "gtest/gtest.h"
#include "hwy/targets.h"

namespace gemma::internal {

// Runs `body` once for each compiled SIMD target that this CPU supports.
template <class Body>
void ForEachTarget(Body body) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
}

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_FOR_EACH_TARGET_H_
