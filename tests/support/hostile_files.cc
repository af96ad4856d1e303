#include "tests/support/hostile_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {

using ::testing::AnyOf;
using ::testing::HasSubstr;

Folder::Folder() : path_(TestDirectory()) {
  const std::string name = std::filesystem::path(path_).filename();
  std::error_code error;
  if (!std::filesystem::is_directory("/dev/shm", error)) return;
  const std::string fast = "/dev/shm/" + name;
  std::filesystem::remove_all(fast, error);
  std::filesystem::create_directories(fast, error);
  if (!error) path_ = fast;
}

Folder::~Folder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

ChangingFile::ChangingFile(const std::string& path, const Bytes& bytes)
    : bytes_(bytes) {
  WriteFile(path, bytes);
  file_ = open(path.c_str(), O_RDWR);
  EXPECT_GE(file_, 0);
}

ChangingFile::~ChangingFile() { close(file_); }

void ChangingFile::Put(size_t offset, uint8_t byte) {
  EXPECT_EQ(pwrite(file_, &byte, 1, static_cast<off_t>(offset)), 1);
}

void ChangingFile::Cut(size_t size) {
  EXPECT_EQ(ftruncate(file_, static_cast<off_t>(size)), 0);
}

void ChangingFile::Restore() {
  EXPECT_EQ(pwrite(file_, bytes_.data(), bytes_.size(), 0),
            static_cast<ssize_t>(bytes_.size()));
}

bool LoadAndRun(const std::string& path) {
  const absl::StatusOr<Model> model =
      Model::Load(path, {.num_threads = 1, .prefill_chunk = 4});
  if (!model.ok()) {
    const std::string error = ErrorOf(model.status());
    // The error blames the file, in one line that names it.
    EXPECT_THAT(
        model.status().code(),
        AnyOf(absl::StatusCode::kInvalidArgument, absl::StatusCode::kDataLoss,
              absl::StatusCode::kNotFound, absl::StatusCode::kUnimplemented))
        << error;
    EXPECT_THAT(error, HasSubstr(path));
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    return false;
  }
  absl::StatusOr<Session> session = Session::Create(*model, {.max_tokens = 8});
  if (!session.ok()) return true;
  const size_t vocab_size = model->config().vocab_size;
  const auto last = static_cast<TokenId>(vocab_size - 1);
  const absl::StatusOr<absl::Span<float>> logits =
      session->Forward({0, last, last / 2});
  EXPECT_EQ(ErrorOf(logits.status()), "OK");
  if (!logits.ok()) return true;
  EXPECT_EQ(logits->size(), vocab_size);
  for (const float temperature : {0.0f, 1.0f}) {
    std::vector<float> copy(logits->begin(), logits->end());
    Sampler sampler({.temperature = temperature});
    const TokenId token = sampler.Sample(absl::MakeSpan(copy));
    EXPECT_GE(token, 0);
    EXPECT_LE(token, last);
  }
  return true;
}

void CutEverywhere(const std::string& path, ChangingFile& file,
                   size_t structure) {
  ASSERT_TRUE(LoadAndRun(path));
  for (size_t size = file.bytes().size(); size-- > 0;) {
    if (size > structure && size % 997 != 0 &&
        size + 1 != file.bytes().size()) {
      continue;
    }
    file.Cut(size);
    EXPECT_FALSE(LoadAndRun(path)) << "first " << size << " bytes";
  }
  file.Restore();
  ASSERT_TRUE(LoadAndRun(path));
}

void ChangeEverywhere(const std::string& path, ChangingFile& file, size_t end,
                      size_t begin) {
  size_t num_refused = 0;
  for (size_t i = begin; i < end; ++i) {
    const uint8_t good = file.bytes()[i];
    uint8_t before = good;
    for (const int byte : {0x00, 0xff, good ^ 0x01, 0x80}) {
      if (byte == good || byte == before) continue;
      before = static_cast<uint8_t>(byte);
      file.Put(i, before);
      SCOPED_TRACE(testing::Message() << "byte " << i << " is " << byte);
      if (!LoadAndRun(path)) ++num_refused;
    }
    file.Put(i, good);
  }
  EXPECT_GT(num_refused, 0u);
  ASSERT_TRUE(LoadAndRun(path));
}

}  // namespace gemma::internal
