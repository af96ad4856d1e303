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

TEST(CStatus, NamesEveryCode) {
  for (int number = 0; number <= 16; ++number) {
    const auto code = static_cast<absl::StatusCode>(number);
    EXPECT_EQ(Report(absl::Status(code, "text")), number);
    EXPECT_EQ(gemma_status_name(CStatus(code)), absl::StatusCodeToString(code));
  }
}

TEST(CStatus, OtherNumbersAreUnknown) {
  for (const int number : {-1, 17, 20, 1 << 20}) {
    const auto code = static_cast<absl::StatusCode>(number);
    EXPECT_EQ(CStatus(code), GEMMA_UNKNOWN);
    EXPECT_EQ(Report(absl::Status(code, "text")), GEMMA_UNKNOWN);
  }
}

TEST(CStatus, NamesOfOtherNumbers) {
  EXPECT_STREQ(gemma_status_name(static_cast<gemma_status>(17)), "UNKNOWN");
  EXPECT_STREQ(gemma_reason_name(static_cast<gemma_reason>(1000)), "NONE");
}

// The compiler warns if a reason has no case.
std::string NameOf(ErrorReason reason) {
  switch (reason) {
    case ErrorReason::kNone:
      return "NONE";
    case ErrorReason::kNotAModel:
      return "NOT_A_MODEL";
    case ErrorReason::kIncompleteFile:
      return "INCOMPLETE_FILE";
    case ErrorReason::kMissingPart:
      return "MISSING_PART";
    case ErrorReason::kMissingFile:
      return "MISSING_FILE";
    case ErrorReason::kOtherArchitecture:
      return "OTHER_ARCHITECTURE";
    case ErrorReason::kVisionTower:
      return "VISION_TOWER";
    case ErrorReason::kUnknownSizes:
      return "UNKNOWN_SIZES";
    case ErrorReason::kNoTokenizer:
      return "NO_TOKENIZER";
    case ErrorReason::kOutputFile:
      return "OUTPUT_FILE";
    case ErrorReason::kDamagedFile:
      return "DAMAGED_FILE";
    case ErrorReason::kAdapter:
      return "ADAPTER";
    case ErrorReason::kChatTemplate:
      return "CHAT_TEMPLATE";
    case ErrorReason::kNotFinite:
      return "NOT_FINITE";
    case ErrorReason::kUnreadGemma:
      return "UNREAD_GEMMA";
    case ErrorReason::kLfsPointer:
      return "LFS_POINTER";
    case ErrorReason::kWebPage:
      return "WEB_PAGE";
  }
  return "";
}

TEST(CStatus, NamesEveryReason) {
  int count = 0;
  for (int number = 0; number < 32; ++number) {
    const auto reason = static_cast<ErrorReason>(number);
    Report(WithReason(absl::NotFoundError("text"), reason));
    const std::string name = NameOf(reason);
    if (name.empty()) {
      EXPECT_EQ(gemma_last_reason(), GEMMA_REASON_NONE);
      continue;
    }
    ++count;
    EXPECT_EQ(gemma_last_reason(), number);
    EXPECT_EQ(gemma_reason_name(gemma_last_reason()), name);
  }
#define GEMMA_COUNT(name, number) +1
  EXPECT_EQ(count, 0 GEMMA_REASONS(GEMMA_COUNT));
#undef GEMMA_COUNT
  Report(absl::NotFoundError("text"));
  EXPECT_EQ(gemma_last_reason(), GEMMA_REASON_NONE);
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
