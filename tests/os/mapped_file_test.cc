#include "src/os/mapped_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Returns how many kilobytes of this process are in memory.
size_t ResidentKilobytes() {
  std::ifstream status("/proc/self/statm");
  size_t total = 0, resident = 0;
  status >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

TEST(MappedFile, HoldsFileBytes) {
  const std::string path = TestDirectory() + "/file";
  WriteFile(path, "hello");
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_EQ(ErrorOf(file), "OK");
  EXPECT_EQ(file->text(), "hello");
  EXPECT_EQ(file->size(), 5u);
  EXPECT_EQ(file->bytes().size(), 5u);
  EXPECT_EQ(file->path(), path);
}

TEST(MappedFile, MovingKeepsAddresses) {
  const std::string directory = TestDirectory();
  WriteFile(directory + "/a", "first");
  WriteFile(directory + "/b", "second");
  absl::StatusOr<MappedFile> a = MappedFile::Open(directory + "/a");
  absl::StatusOr<MappedFile> b = MappedFile::Open(directory + "/b");
  ASSERT_TRUE(a.ok() && b.ok());
  const uint8_t* data = a->bytes().data();
  MappedFile moved(*std::move(a));
  EXPECT_EQ(moved.bytes().data(), data);
  *b = std::move(moved);
  EXPECT_EQ(b->bytes().data(), data);
  EXPECT_EQ(b->text(), "first");
}

TEST(MappedFile, ReadsReleasedBytesAgain) {
  const std::string path = TestDirectory() + "/file";
  constexpr size_t kSize = (size_t{16} << 20) + 123;
  WriteFile(path, Pattern(kSize));
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_EQ(ErrorOf(file), "OK");
  size_t sum = 0;
  for (uint8_t byte : file->bytes()) sum += byte;
  const size_t before = ResidentKilobytes();
  file->Release(file->bytes().subspan(100));
  EXPECT_LT(ResidentKilobytes() + 15 * 1024, before);
  size_t again = 0;
  for (uint8_t byte : file->bytes()) again += byte;
  EXPECT_EQ(again, sum);
}

TEST(MappedFile, ReleaseIgnoresOtherMemory) {
  const std::string path = TestDirectory() + "/file";
  WriteFile(path, Pattern(3 * 4096));
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_EQ(ErrorOf(file), "OK");
  const Bytes other(3 * 4096, 7);
  file->Release(other);
  EXPECT_EQ(other, Bytes(3 * 4096, 7));
  file->Release({});
  file->Release(file->bytes().subspan(0, 0));
  file->Release(file->bytes().subspan(5000, 10));
  file->Release({file->bytes().data(), 4 * 4096});
  file->Release({file->bytes().data() + 4096, SIZE_MAX});
  EXPECT_EQ(file->bytes()[4097], Pattern(4098)[4097]);
}

// Opening a pipe or a device must neither wait nor read forever.
TEST(MappedFile, RefusesNonRegularFiles) {
  const std::string directory = TestDirectory();
  EXPECT_THAT(ErrorOf(MappedFile::Open(directory)),
              AllOf(StartsWith(directory), HasSubstr("is a directory"),
                    HasSubstr("wanted a regular file")));
  const std::string pipe = directory + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(ErrorOf(MappedFile::Open(pipe)), HasSubstr("is a pipe"));
  EXPECT_THAT(ErrorOf(MappedFile::Open("/dev/zero")),
              HasSubstr("/dev/zero: is a device"));
  EXPECT_THAT(ErrorOf(MappedFile::Open("/dev/null")), HasSubstr("is a device"));
  EXPECT_THAT(ErrorOf(MappedFile::Open("/proc/self/status")),
              HasSubstr("is empty"));
}

TEST(MappedFile, RefusesAnEmptyFile) {
  const std::string path = TestDirectory() + "/empty";
  WriteFile(path, "");
  EXPECT_EQ(ErrorOf(MappedFile::Open(path)), path + ": is empty");
}

TEST(MappedFile, OpenErrorsNameFile) {
  const std::string directory = TestDirectory();
  const absl::StatusOr<MappedFile> file =
      MappedFile::Open(directory + "/missing");
  EXPECT_EQ(ErrorOf(file), directory + "/missing: No such file or directory");
  EXPECT_TRUE(absl::IsNotFound(file.status()));
  EXPECT_THAT(ErrorOf(MappedFile::Open("")),
              HasSubstr("No such file or directory"));
  EXPECT_THAT(ErrorOf(MappedFile::Open(std::string("a\0b", 3))),
              HasSubstr("zero byte"));
  const std::string loop = directory + "/loop";
  std::filesystem::create_symlink(loop, loop);
  EXPECT_THAT(ErrorOf(MappedFile::Open(loop)), StartsWith(loop + ": "));
}

// A huge sparse file needs no memory.
TEST(MappedFile, SparseFileStaysUnread) {
  const std::string path = TestDirectory() + "/sparse";
  WriteFile(path, "GGUF");
  constexpr uint64_t kSize = uint64_t{1} << 40;
  std::error_code error;
  std::filesystem::resize_file(path, kSize, error);
  if (error) GTEST_SKIP() << "no sparse files here: " << error.message();
  const size_t before = ResidentKilobytes();
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_EQ(ErrorOf(file), "OK");
  EXPECT_EQ(file->size(), kSize);
  EXPECT_LT(ResidentKilobytes(), before + 16 * 1024);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace gemma::internal
