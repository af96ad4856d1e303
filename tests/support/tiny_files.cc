#include "tests/support/tiny_files.h"

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"

namespace gemma::internal {

ByteWriter& ByteWriter::Raw(std::string_view bytes) {
  if (bytes.empty()) return *this;
  // Faster than insert(), which copies through iterators if it is not
  // optimized.
  const size_t size = bytes_.size();
  bytes_.resize(size + bytes.size());
  std::memcpy(bytes_.data() + size, bytes.data(), bytes.size());
  return *this;
}

ByteWriter& ByteWriter::String(std::string_view text) {
  return Number(uint64_t{text.size()}).Raw(text);
}

ByteWriter& ByteWriter::AlignTo(size_t alignment) {
  while (bytes_.size() % alignment != 0) bytes_.push_back(0);
  return *this;
}

namespace {

std::string_view AsText(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Bytes Pattern(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + 1);
  return bytes;
}

GgufWriter& GgufWriter::RawKey(std::string_view key, uint32_t type,
                               const Bytes& value) {
  keys_.String(key).Number(type).Raw(AsText(value));
  ++num_keys_;
  return *this;
}

GgufWriter& GgufWriter::Uint32(std::string_view key, uint32_t value) {
  return Value(key, 4, value);
}

GgufWriter& GgufWriter::Float32(std::string_view key, float value) {
  return Value(key, 6, value);
}

GgufWriter& GgufWriter::Bool(std::string_view key, bool value) {
  return Value(key, 7, uint8_t{value});
}

GgufWriter& GgufWriter::String(std::string_view key, std::string_view value) {
  return RawKey(key, 8, ByteWriter().String(value).bytes());
}

GgufWriter& GgufWriter::Strings(std::string_view key,
                                const std::vector<std::string>& values) {
  ByteWriter bytes;
  bytes.Number(uint32_t{8}).Number(uint64_t{values.size()});
  for (const std::string& value : values) bytes.String(value);
  return RawKey(key, 9, bytes.bytes());
}

GgufWriter& GgufWriter::Tensor(std::string_view name,
                               const std::vector<uint64_t>& sizes,
                               uint32_t type, const Bytes& data) {
  data_.AlignTo(alignment_);
  TensorAt(name, sizes, type, data_.bytes().size());
  data_.Raw(AsText(data));
  return *this;
}

GgufWriter& GgufWriter::TensorAt(std::string_view name,
                                 const std::vector<uint64_t>& sizes,
                                 uint32_t type, uint64_t offset) {
  tensors_.String(name).Number(static_cast<uint32_t>(sizes.size()));
  for (uint64_t size : sizes) tensors_.Number(size);
  tensors_.Number(type).Number(offset);
  ++num_tensors_;
  return *this;
}

GgufWriter& GgufWriter::Alignment(uint32_t alignment) {
  alignment_ = alignment;
  return Uint32("general.alignment", alignment);
}

GgufWriter& GgufWriter::ClaimTensors(uint64_t count) {
  claimed_tensors_ = count;
  return *this;
}

GgufWriter& GgufWriter::ClaimKeys(uint64_t count) {
  claimed_keys_ = count;
  return *this;
}

Bytes GgufWriter::Header() const {
  return ByteWriter()
      .Raw("GGUF")
      .Number(version_)
      .Number(claimed_tensors_.value_or(num_tensors_))
      .Number(claimed_keys_.value_or(num_keys_))
      .Raw(AsText(keys_.bytes()))
      .Raw(AsText(tensors_.bytes()))
      .bytes();
}

Bytes GgufWriter::Finish() const {
  return ByteWriter()
      .Raw(AsText(Header()))
      .AlignTo(alignment_)
      .Raw(AsText(data_.bytes()))
      .bytes();
}

Bytes RawSafetensors(std::string_view header, const Bytes& data) {
  return ByteWriter().String(header).Raw(AsText(data)).bytes();
}

SafetensorsWriter& SafetensorsWriter::Tensor(std::string_view name,
                                             std::string_view dtype,
                                             const std::vector<uint64_t>& shape,
                                             const Bytes& data) {
  absl::StrAppend(&header_, header_.empty() ? "" : ",", "\"", name,
                  "\":{\"dtype\":\"", dtype, "\",\"shape\":[",
                  absl::StrJoin(shape, ","), "],\"data_offsets\":[",
                  data_.size(), ",", data_.size() + data.size(), "]}");
  data_.insert(data_.end(), data.begin(), data.end());
  return *this;
}

Bytes SafetensorsWriter::Finish() const {
  return RawSafetensors(Header(), data_);
}

Bytes TinyGguf(uint32_t version) {
  return GgufWriter(version)
      .String("general.architecture", "gemma3")
      .Uint32("gemma3.block_count", 2)
      .Float32("gemma3.rope.freq_base", 1e6f)
      .Bool("tokenizer.ggml.add_bos_token", true)
      .Value("tiny.int8", 1, int8_t{-5})
      .Value("tiny.uint64", 10, uint64_t{1} << 40)
      .Strings("tokenizer.ggml.tokens", {"<pad>", "", "\xE2\x96\x81the"})
      .Array<float>("tokenizer.ggml.scores", 6, {0.0f, -1.0f, -2.5f})
      .Array<int32_t>("tokenizer.ggml.token_type", 5, {3, 1, 1})
      .Array<uint8_t>("tiny.bools", 7, {1, 0, 1})
      .Tensor("output_norm.weight", {3}, 0, Pattern(12))
      .Tensor("token_embd.weight", {64, 2}, 8, Pattern(2 * 2 * 34))
      .Tensor("conv.weight", {4, 3, 2, 1}, 30, Pattern(48))
      .Finish();
}

Bytes TinySafetensors() {
  return SafetensorsWriter()
      .Tensor("model.norm.weight", "F32", {3}, Pattern(12))
      .Tensor("model.embed_tokens.weight", "BF16", {2, 5}, Pattern(20))
      .Tensor("model.position_ids", "I64", {2}, Pattern(16))
      .Tensor("model.conv.weight", "F16", {3, 1, 2}, Pattern(12))
      .Tensor("model.scale", "F32", {}, Pattern(4))
      .Finish();
}

void WriteFile(const std::string& path, const Bytes& bytes) {
  WriteFile(path, AsText(bytes));
}

void WriteFile(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  ASSERT_TRUE(file.good()) << path;
}

namespace {

// Returns the path of a test's directory. Names of parameterized tests contain
// slashes.
std::filesystem::path DirectoryOf(const testing::TestInfo& test) {
  const std::string name = absl::StrCat("gemma_", test.test_suite_name(), "_",
                                        test.name(), "_", getpid());
  return std::filesystem::path(testing::TempDir()) /
         absl::StrReplaceAll(name, {{"/", "_"}});
}

// Removes the directory of each test that ends, after its fixture.
class DirectoryRemover : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    std::error_code error;
    std::filesystem::remove_all(DirectoryOf(test), error);
  }
};

}  // namespace

std::string TestDirectory() {
  testing::UnitTest& tests = *testing::UnitTest::GetInstance();
  [[maybe_unused]] static const bool will_remove = [&] {
    tests.listeners().Append(new DirectoryRemover);
    return true;
  }();
  const std::filesystem::path path = DirectoryOf(*tests.current_test_info());
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}

}  // namespace gemma::internal
