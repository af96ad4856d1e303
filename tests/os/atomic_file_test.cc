#include "src/os/atomic_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

namespace fs = std::filesystem;

std::span<const uint8_t> BytesOf(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

class AtomicFileTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name = "file") const {
    return directory_ + "/" + name;
  }
  size_t NumFiles() const {
    const fs::directory_iterator files(directory_);
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }
  AtomicFile Create(AtomicFile::Access access = AtomicFile::Access::kOwner) {
    absl::StatusOr<AtomicFile> file = AtomicFile::Create(Path(), access);
    EXPECT_EQ(ErrorOf(file), "OK");
    return *std::move(file);
  }

  const std::string directory_ = TestDirectory();
};

// The system would replace the file whose name ends at the zero byte.
TEST_F(AtomicFileTest, RefusesZeroBytes) {
  const std::string path = Path() + std::string("\0x", 2);
  for (const std::string& error : {ErrorOf(AtomicFile::Create(path)),
                                   ErrorOf(AtomicFile::CreateOutput(path))}) {
    EXPECT_EQ(error, "a file name holds a zero byte");
  }
}

TEST_F(AtomicFileTest, AppearsOnCommit) {
  {
    AtomicFile file = Create();
    EXPECT_EQ(ErrorOf(file.Write(BytesOf("one, "))), "OK");
    EXPECT_EQ(ErrorOf(file.Write(BytesOf("two"))), "OK");
    EXPECT_FALSE(fs::exists(Path()));
    EXPECT_EQ(ErrorOf(file.Commit()), "OK");
  }
  EXPECT_EQ(Contents(Path()), "one, two");
  EXPECT_EQ(NumFiles(), 1u);
}

TEST_F(AtomicFileTest, UncommittedLeavesNothing) {
  { EXPECT_EQ(ErrorOf(Create().Write(BytesOf("half"))), "OK"); }
  EXPECT_EQ(NumFiles(), 0u);
}

TEST_F(AtomicFileTest, WritesInReservedSpace) {
  AtomicFile file = Create();
  EXPECT_EQ(ErrorOf(file.Reserve(9)), "OK");
  EXPECT_EQ(ErrorOf(file.WriteAt(6, BytesOf("b"))), "OK");
  EXPECT_EQ(ErrorOf(file.WriteAt(1, BytesOf("a"))), "OK");
  EXPECT_EQ(ErrorOf(file.Commit()), "OK");
  EXPECT_EQ(Contents(Path()), std::string("\0a\0\0\0\0b\0\0", 9));
}

TEST_F(AtomicFileTest, ReplacesOrKeepsExisting) {
  WriteFile(Path(), "old");
  {
    AtomicFile file = Create();
    EXPECT_EQ(ErrorOf(file.Write(BytesOf("new"))), "OK");
    const absl::Status status = file.Commit(AtomicFile::Existing::kKeep);
    EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
    EXPECT_THAT(ErrorOf(status), HasSubstr(Path()));
  }
  EXPECT_EQ(Contents(Path()), "old");
  EXPECT_EQ(NumFiles(), 1u);
  AtomicFile file = Create();
  EXPECT_EQ(ErrorOf(file.Write(BytesOf("new"))), "OK");
  EXPECT_EQ(ErrorOf(file.Commit()), "OK");
  EXPECT_EQ(Contents(Path()), "new");
  EXPECT_EQ(NumFiles(), 1u);
}

TEST_F(AtomicFileTest, ModeFollowsAccess) {
  const mode_t umask_before = umask(0022);
  const auto mode = [&] {
    struct stat info;
    EXPECT_EQ(stat(Path().c_str(), &info), 0);
    return info.st_mode & 0777;
  };
  EXPECT_EQ(ErrorOf(Create(AtomicFile::Access::kOwner).Commit()), "OK");
  EXPECT_EQ(mode(), 0600u);
  EXPECT_EQ(ErrorOf(Create(AtomicFile::Access::kAll).Commit()), "OK");
  EXPECT_EQ(mode(), 0644u);
  umask(umask_before);
}

TEST_F(AtomicFileTest, NeedsDirectory) {
  const std::string path = Path("no/file");
  const absl::Status status = AtomicFile::Create(path).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_EQ(ErrorOf(status), path + ": No such file or directory");
}

TEST_F(AtomicFileTest, HonoursFileSizeLimit) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    absl::StatusOr<AtomicFile> file = AtomicFile::Create(Path());
    const bool refuses =
        absl::IsResourceExhausted(file->Reserve(1001)) &&
        absl::IsResourceExhausted(file->Write(BytesOf(std::string(1001, 'x'))));
    // Removes the temporary file; _exit calls no destructor.
    file = absl::CancelledError();
    _exit(refuses ? 0 : 1);
  }
  int result = 0;
  ASSERT_EQ(waitpid(child, &result, 0), child);
  EXPECT_EQ(result, 0);
  EXPECT_EQ(NumFiles(), 0u);
}

TEST_F(AtomicFileTest, OutputReplacesLinkTarget) {
  std::ofstream(Path("target")) << "old";
  fs::create_symlink("target", Path());
  absl::StatusOr<AtomicFile> file = AtomicFile::CreateOutput(Path());
  ASSERT_EQ(ErrorOf(file), "OK");
  EXPECT_EQ(ErrorOf(file->Write("new")), "OK");
  EXPECT_EQ(Contents(Path("target")), "old");
  EXPECT_EQ(ErrorOf(file->Commit()), "OK");
  EXPECT_TRUE(fs::is_symlink(Path()));
  EXPECT_EQ(Contents(Path("target")), "new");

  AtomicFile other = Create();
  EXPECT_EQ(ErrorOf(other.Commit()), "OK");
  EXPECT_FALSE(fs::is_symlink(Path()));
  EXPECT_EQ(Contents(Path("target")), "new");
}

TEST_F(AtomicFileTest, OutputWritesPipeDirectly) {
  ASSERT_EQ(mkfifo(Path().c_str(), 0600), 0);
  const int reader = open(Path().c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  absl::StatusOr<AtomicFile> file = AtomicFile::CreateOutput(Path());
  ASSERT_EQ(ErrorOf(file), "OK");
  EXPECT_EQ(ErrorOf(file->Write("a, ")), "OK");
  EXPECT_EQ(ErrorOf(file->Write("b")), "OK");
  char bytes[8];
  EXPECT_EQ(read(reader, bytes, sizeof(bytes)), 4);
  EXPECT_EQ(std::string(bytes, 4), "a, b");
  EXPECT_EQ(ErrorOf(file->Commit()), "OK");
  close(reader);
  EXPECT_TRUE(fs::is_fifo(Path()));
  EXPECT_EQ(NumFiles(), 1u);
}

TEST_F(AtomicFileTest, OutputRefusesADirectory) {
  EXPECT_EQ(ErrorOf(AtomicFile::CreateOutput(directory_)),
            directory_ + ": Is a directory");
}

TEST_F(AtomicFileTest, LeftoversAreKnown) {
  EXPECT_TRUE(AtomicFile::IsLeftover("a.json.x7qz01", "a.json"));
  for (const char* name :
       {"a.json", "a.json.", "a.json.x7qz0", "a.json.x7qz012", "a.json.X7qz01",
        "a.json_x7qz01", "b.json.x7qz01"}) {
    EXPECT_FALSE(AtomicFile::IsLeftover(name, "a.json")) << name;
  }
}

TEST_F(AtomicFileTest, RenameReplaces) {
  std::ofstream(Path("from")) << "new";
  std::ofstream(Path()) << "old";
  EXPECT_EQ(ErrorOf(RenameDurably(Path("from"), Path())), "OK");
  EXPECT_EQ(Contents(Path()), "new");
  EXPECT_EQ(NumFiles(), 1u);
  EXPECT_EQ(ErrorOf(RenameDurably(Path("from"), Path())),
            Path("from") + ": No such file or directory");
}

}  // namespace
}  // namespace gemma::internal
