// Reasons that statuses carry.

#include "gemma/error_reason.h"

#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

TEST(ErrorReason, NoneUnlessSet) {
  EXPECT_EQ(ReasonOf(absl::OkStatus()), ErrorReason::kNone);
  EXPECT_EQ(ReasonOf(absl::DataLossError("cut")), ErrorReason::kNone);
}

TEST(ErrorReason, KeepsTheRest) {
  absl::Status status = absl::DataLossError("cut");
  status.SetPayload("other", absl::Cord("kept"));
  status = WithReason(status, ErrorReason::kIncompleteFile);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kIncompleteFile);
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_EQ(status.message(), "cut");
  EXPECT_EQ(status.GetPayload("other"), absl::Cord("kept"));
}

TEST(ErrorReason, TheLastCounts) {
  absl::Status status =
      WithReason(absl::NotFoundError(""), ErrorReason::kMissingFile);
  status = WithReason(status, ErrorReason::kMissingPart);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kMissingPart);
  status = WithReason(status, ErrorReason::kNone);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kNone);
  EXPECT_EQ(status, absl::NotFoundError(""));
}

TEST(ErrorReason, OkHasNone) {
  const absl::Status status =
      WithReason(absl::OkStatus(), ErrorReason::kOutputFile);
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(ReasonOf(status), ErrorReason::kNone);
}

}  // namespace
}  // namespace gemma::internal
