// Tests the conversion of statuses and exceptions for C.

#include "src/c_api/c_status.h"

#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

// Returns the enumerator's name without its prefix: the code's name in abseil.
// The compiler warns if an enumerator has no case.
std::string NameOf(gemma_status status) {
  switch (status) {
#define GEMMA_CASE(name) \
  case GEMMA_##name:     \
    return #name;
    GEMMA_CASE(OK)
    GEMMA_CASE(CANCELLED)
    GEMMA_CASE(UNKNOWN)
    GEMMA_CASE(INVALID_ARGUMENT)
    GEMMA_CASE(DEADLINE_EXCEEDED)
    GEMMA_CASE(NOT_FOUND)
    GEMMA_CASE(ALREADY_EXISTS)
    GEMMA_CASE(PERMISSION_DENIED)
    GEMMA_CASE(RESOURCE_EXHAUSTED)
    GEMMA_CASE(FAILED_PRECONDITION)
    GEMMA_CASE(ABORTED)
    GEMMA_CASE(OUT_OF_RANGE)
    GEMMA_CASE(UNIMPLEMENTED)
    GEMMA_CASE(INTERNAL)
    GEMMA_CASE(UNAVAILABLE)
    GEMMA_CASE(DATA_LOSS)
    GEMMA_CASE(UNAUTHENTICATED)
#undef GEMMA_CASE
  }
  return "none";
}

TEST(CStatus, NamesEveryCode) {
  for (int number = 0; number <= 16; ++number) {
    const auto code = static_cast<absl::StatusCode>(number);
    EXPECT_EQ(Report(absl::Status(code, "text")), number);
    EXPECT_EQ(NameOf(CStatus(code)), absl::StatusCodeToString(code));
  }
}

TEST(CStatus, OtherNumbersAreUnknown) {
  for (const int number : {-1, 17, 20, 1 << 20}) {
    const auto code = static_cast<absl::StatusCode>(number);
    EXPECT_EQ(CStatus(code), GEMMA_UNKNOWN);
    EXPECT_EQ(Report(absl::Status(code, "text")), GEMMA_UNKNOWN);
  }
}

TEST(CStatus, MessageOfEachThread) {
  std::thread([] {
    EXPECT_STREQ(LastError(), "");
    Report(absl::NotFoundError("here"));
    std::thread([] { EXPECT_STREQ(LastError(), ""); }).join();
    Report(absl::OkStatus());
    EXPECT_STREQ(LastError(), "here");
  }).join();
}

TEST(CStatus, LongMessagesAreCut) {
  const std::string longest(kMaxLastError, 'a');
  SetLastError(longest);
  EXPECT_EQ(LastError(), longest);
  SetLastError(longest + "b");
  EXPECT_EQ(LastError(), longest);
  // The cut is before the character that does not fit.
  const std::string prefix(kMaxLastError - 2, 'a');
  SetLastError(prefix + "\u20AC");
  EXPECT_EQ(LastError(), prefix);
}

TEST(CStatus, NothingIsThrown) {
  EXPECT_EQ(Reported([]() -> absl::Status { throw std::bad_alloc(); }),
            GEMMA_RESOURCE_EXHAUSTED);
  EXPECT_STREQ(LastError(), "out of memory");
  EXPECT_EQ(Reported([]() -> absl::Status { throw std::runtime_error("why"); }),
            GEMMA_INTERNAL);
  EXPECT_STREQ(LastError(), "why");
  EXPECT_EQ(Reported([]() -> absl::Status { throw 7; }), GEMMA_INTERNAL);
  EXPECT_STREQ(LastError(), "an exception was thrown");
}

TEST(CStatus, MemoryErrorHasMessage) {
  EXPECT_EQ(Report(absl::ResourceExhaustedError("")), GEMMA_RESOURCE_EXHAUSTED);
  EXPECT_STREQ(LastError(), "out of memory");
}

}  // namespace
}  // namespace gemma::internal
