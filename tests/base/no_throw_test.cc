#include "src/base/no_throw.h"

#include <new>
#include <stdexcept>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

TEST(NoThrow, ReturnsWhatBodyReturns) {
  EXPECT_EQ(NoThrow([] { return absl::NotFoundError("x"); }),
            absl::NotFoundError("x"));
  const absl::StatusOr<std::string> text =
      NoThrow([]() -> absl::StatusOr<std::string> { return "text"; });
  EXPECT_EQ(*text, "text");
}

TEST(NoThrow, MemoryThatEnds) {
  const absl::Status wanted = absl::ResourceExhaustedError("out of memory");
  EXPECT_EQ(NoThrow([]() -> absl::Status { throw std::bad_alloc(); }), wanted);
  const absl::StatusOr<int> value = NoThrow(
      []() -> absl::StatusOr<int> { throw std::length_error("vector"); });
  EXPECT_EQ(value.status(), wanted);
}

TEST(NoThrow, OtherExceptions) {
  EXPECT_EQ(NoThrow([]() -> absl::Status { throw std::runtime_error("why"); }),
            absl::InternalError("why"));
  EXPECT_EQ(NoThrow([]() -> absl::Status { throw 7; }),
            absl::InternalError("an exception was thrown"));
}

}  // namespace
}  // namespace gemma::internal
