// Runs code in a tap.

#ifndef GEMMA_TESTS_SUPPORT_IN_TAP_H_
#define GEMMA_TESTS_SUPPORT_IN_TAP_H_

#include <functional>
#include <utility>

#include "gemma/gemma.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"

namespace gemma::internal {

// Calls `once` in the first call of a tap while `session` appends tokens.
inline void InTap(Session& session, const std::function<void()>& once) {
  bool called = false;
  session.SetTap([&](const TapSite&, absl::Span<float>) {
    if (!std::exchange(called, true)) once();
  });
  EXPECT_EQ(ErrorOf(session.Append({2, 5, 7})), "OK");
  EXPECT_TRUE(called);
  session.SetTap(nullptr);
}

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_IN_TAP_H_
