#include "src/os/system_error.h"

#include <cerrno>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

TEST(SystemError, NamesWhatAndWhy) {
  const absl::Status status = SystemError("a/b", ENOENT);
  EXPECT_EQ(status.message(), "a/b: No such file or directory");
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_TRUE(absl::IsPermissionDenied(SystemError("a", EROFS)));
  EXPECT_TRUE(absl::IsResourceExhausted(SystemError("a", ENOSPC)));
  EXPECT_TRUE(absl::IsAlreadyExists(SystemError("a", EEXIST)));
  EXPECT_TRUE(absl::IsUnknown(SystemError("a", EIO)));
}

TEST(SystemError, WriteErrorNamesFile) {
  EXPECT_EQ(WriteError("a/b", ENOSPC).message(),
            "cannot write to a/b: No space left on device");
}

TEST(SystemError, KeepsTheNumber) {
  EXPECT_EQ(SystemErrorNumber(SystemError("a", ENOSPC)), ENOSPC);
  EXPECT_EQ(SystemErrorNumber(absl::OkStatus()), 0);
  EXPECT_EQ(SystemErrorNumber(absl::NotFoundError("a")), 0);
}

}  // namespace
}  // namespace gemma::internal
