#include "src/formats/gguf_writer.h"

#include <algorithm>
#include <utility>

#include "absl/crc/crc32c.h"
#include "absl/strings/str_cat.h"
#include "src/base/bytes.h"
#include "src/base/checked_reader.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/formats/gguf.h"

namespace gemma::internal {
namespace {

constexpr uint32_t kVersion = 3;

void AppendString(std::string_view text, std::vector<uint8_t>& out) {
  AppendNumber(uint64_t{text.size()}, out);
  out.insert(out.end(), text.begin(), text.end());
}

std::vector<uint8_t> ValueOf(GgufType type) {
  std::vector<uint8_t> value;
  AppendNumber(static_cast<uint32_t>(type), value);
  return value;
}

template <class T>
std::vector<uint8_t> ValueOf(GgufType type, T number) {
  std::vector<uint8_t> value = ValueOf(type);
  AppendNumber(number, value);
  return value;
}

// The start of an array, before its elements.
std::vector<uint8_t> ArrayOf(GgufType type, size_t count) {
  std::vector<uint8_t> value = ValueOf(GgufType::kArray);
  AppendNumber(static_cast<uint32_t>(type), value);
  AppendNumber(uint64_t{count}, value);
  return value;
}

template <class T>
std::vector<uint8_t> ArrayOf(GgufType type, absl::Span<const T> numbers) {
  std::vector<uint8_t> value = ArrayOf(type, numbers.size());
  for (const T number : numbers) AppendNumber(number, value);
  return value;
}

// Sizes in one file; no model comes near 64 bits.
uint64_t AlignUp(uint64_t value, uint64_t alignment) {
  return CheckedAlignUp(value, alignment).value_or(UINT64_MAX);
}

}  // namespace

void GgufFileWriter::SetUint32(std::string_view key, uint32_t value) {
  Set(key, ValueOf(GgufType::kUint32, value));
}

void GgufFileWriter::SetFloat32(std::string_view key, float value) {
  Set(key, ValueOf(GgufType::kFloat32, value));
}

void GgufFileWriter::SetBool(std::string_view key, bool value) {
  Set(key, ValueOf(GgufType::kBool, static_cast<uint8_t>(value)));
}

void GgufFileWriter::SetString(std::string_view key, std::string_view text) {
  std::vector<uint8_t> value = ValueOf(GgufType::kString);
  AppendString(text, value);
  Set(key, std::move(value));
}

void GgufFileWriter::SetUint32s(std::string_view key,
                                absl::Span<const uint32_t> values) {
  Set(key, ArrayOf(GgufType::kUint32, values));
}

void GgufFileWriter::SetInt32s(std::string_view key,
                               absl::Span<const int32_t> values) {
  Set(key, ArrayOf(GgufType::kInt32, values));
}

void GgufFileWriter::SetFloat32s(std::string_view key,
                                 absl::Span<const float> values) {
  Set(key, ArrayOf(GgufType::kFloat32, values));
}

void GgufFileWriter::SetBools(std::string_view key,
                              const std::vector<bool>& values) {
  std::vector<uint8_t> value = ArrayOf(GgufType::kBool, values.size());
  value.insert(value.end(), values.begin(), values.end());
  Set(key, std::move(value));
}

void GgufFileWriter::SetStrings(std::string_view key,
                                absl::Span<const std::string_view> values) {
  std::vector<uint8_t> value = ArrayOf(GgufType::kString, values.size());
  for (const std::string_view text : values) AppendString(text, value);
  Set(key, std::move(value));
}

void GgufFileWriter::Copy(const GgufMetadata& metadata, std::string_view key) {
  const absl::Span<const uint8_t> raw = metadata.RawValue(key);
  if (!raw.empty()) Set(key, {raw.begin(), raw.end()});
}

void GgufFileWriter::Set(std::string_view key, std::vector<uint8_t> value) {
  const auto [place, is_new] =
      places_.try_emplace(std::string(key), keys_.size());
  if (is_new) {
    keys_.push_back({std::string(key), std::move(value)});
  } else {
    keys_[place->second].value = std::move(value);
  }
}

void GgufFileWriter::Declare(std::string_view name, uint32_t type,
                             absl::Span<const size_t> shape, uint64_t bytes) {
  tensors_.push_back({std::string(name), type,
                      std::vector<size_t>(shape.begin(), shape.end()), bytes,
                      data_bytes_});
  data_bytes_ = AlignUp(data_bytes_ + bytes, alignment_);
}

absl::Status GgufFileWriter::Begin(std::string path) {
  if (alignment_ != kDefaultGgufAlignment) {
    SetUint32(kGgufAlignmentKey, alignment_);
  }
  SetChecksums(/*header=*/0);
  header_bytes_ = Header().size();
  GEMMA_ASSIGN_OR_RETURN(
      AtomicFile file,
      AtomicFile::Create(std::move(path), AtomicFile::Access::kAll));
  file_.emplace(std::move(file));
  return file_->Reserve(header_bytes_ + data_bytes_);
}

absl::Status GgufFileWriter::Write(std::string_view name,
                                   absl::Span<const uint8_t> bytes) {
  if (!file_.has_value() || current_ == tensors_.size() ||
      tensors_[current_].name != name) {
    return absl::InternalError(absl::StrCat(
        "tensor ", Quoted(name), " is written, but another one is next"));
  }
  DeclaredTensor& tensor = tensors_[current_];
  if (bytes.size() > tensor.bytes - written_) {
    return absl::InternalError(
        FormatText("tensor %s gets %u bytes and more, wanted %u", Quoted(name),
                   written_ + bytes.size(), tensor.bytes));
  }
  GEMMA_RETURN_IF_ERROR(
      file_->WriteAt(header_bytes_ + tensor.offset + written_, bytes));
  tensor.checksum = static_cast<uint32_t>(
      absl::ExtendCrc32c(absl::crc32c_t{tensor.checksum}, AsText(bytes)));
  written_ += bytes.size();
  if (written_ == tensor.bytes) {
    ++current_;
    written_ = 0;
  }
  return absl::OkStatus();
}

absl::Status GgufFileWriter::Commit(AtomicFile::Existing existing) {
  if (!file_.has_value() || current_ != tensors_.size()) {
    return absl::InternalError(
        FormatText("%u of %u tensors were written", current_, tensors_.size()));
  }
  SetChecksums(/*header=*/0);
  SetChecksums(static_cast<uint32_t>(absl::ComputeCrc32c(AsText(Header()))));
  GEMMA_RETURN_IF_ERROR(file_->WriteAt(0, Header()));
  return file_->Commit(existing);
}

std::vector<uint8_t> GgufFileWriter::Header() const {
  std::vector<uint8_t> out(kGgufMagic.begin(), kGgufMagic.end());
  AppendNumber(kVersion, out);
  AppendNumber(uint64_t{tensors_.size()}, out);
  AppendNumber(uint64_t{keys_.size()}, out);
  for (const Key& key : keys_) {
    AppendString(key.name, out);
    out.insert(out.end(), key.value.begin(), key.value.end());
  }
  for (const DeclaredTensor& tensor : tensors_) {
    AppendString(tensor.name, out);
    AppendNumber(static_cast<uint32_t>(tensor.shape.size()), out);
    for (size_t i = tensor.shape.size(); i-- > 0;) {
      AppendNumber(uint64_t{tensor.shape[i]}, out);
    }
    AppendNumber(tensor.type, out);
    AppendNumber(tensor.offset, out);
  }
  out.resize(AlignUp(out.size(), alignment_));
  return out;
}

void GgufFileWriter::SetChecksums(uint32_t header) {
  std::vector<uint32_t> checksums;
  for (const DeclaredTensor& tensor : tensors_) {
    checksums.push_back(tensor.checksum);
  }
  SetUint32s(kTensorChecksumsKey, checksums);
  SetUint32(kHeaderChecksumKey, header);
}

}  // namespace gemma::internal
