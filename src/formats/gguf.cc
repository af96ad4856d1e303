#include "src/formats/gguf.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compression/format.h"
#include "gemma/error_reason.h"
#include "src/base/checked_reader.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/formats/gguf_types.h"

namespace gemma::internal {
namespace {

constexpr uint64_t kMaxKeys = 65536;
constexpr uint64_t kMaxKeyBytes = 65535;  // the specification's limit
constexpr uint64_t kMaxStringBytes = uint64_t{16} << 20;
constexpr uint32_t kMaxGgufDims = 4;
constexpr uint64_t kMaxAlignment = 65536;

// The least number of bytes of a value: its size, or the size of the length for
// a string. 0 if values and elements cannot have this type.
uint64_t MinBytes(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kBool:
      return 1;
    case GgufType::kUint16:
    case GgufType::kInt16:
      return 2;
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kFloat32:
      return 4;
    case GgufType::kUint64:
    case GgufType::kInt64:
    case GgufType::kFloat64:
    case GgufType::kString:
      return 8;
    case GgufType::kArray:
      return 0;
  }
  return 0;
}

// Returns "1 byte", "2 bytes" and so on.
std::string Bytes(uint64_t count) {
  return absl::StrCat(count, count == 1 ? " byte" : " bytes");
}

}  // namespace

// Parses a file from front to back:
//   magic, version, number of tensors, number of keys
//   for each key: name, type, value
//   for each tensor: name, sizes (innermost first), type, offset
//   padding, then the tensors' data; offsets count from the start of the data
class GgufParser {
 public:
  GgufParser(absl::Span<const uint8_t> bytes, std::string path)
      : bytes_(bytes), path_(std::move(path)), reader_(bytes) {}

  absl::StatusOr<GgufFile> Parse() {
    file_.metadata.path_ = path_;
    GEMMA_RETURN_IF_ERROR(ReadHeader());
    for (uint64_t i = 0; i < num_keys_; ++i) {
      GEMMA_RETURN_IF_ERROR(ReadKey(i));
    }
    GEMMA_RETURN_IF_ERROR(ReadAlignment());
    for (uint64_t i = 0; i < num_tensors_; ++i) {
      GEMMA_RETURN_IF_ERROR(ReadTensor(i));
    }
    GEMMA_RETURN_IF_ERROR(PlaceTensors());
    return std::move(file_);
  }

 private:
  absl::Status Invalid(std::string_view message) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", message));
  }

  // Marks the error of a file that is shorter than its header says.
  absl::Status Incomplete(absl::Status status) const {
    return WithReason(std::move(status), ErrorReason::kIncompleteFile);
  }

  absl::Status Truncated(std::string_view what) const {
    return Incomplete(absl::DataLossError(absl::StrCat(
        path_, ": ends inside ", what, ", after ", Bytes(bytes_.size()))));
  }

  absl::Status ReadHeader();
  absl::Status ReadKey(uint64_t index);
  absl::Status ReadAlignment();
  absl::Status ReadTensor(uint64_t index);
  absl::Status UnreadType(const std::string& what, uint32_t number) const;
  absl::Status ReadShape(const std::string& what, Tensor& tensor);
  absl::Status SetBytes(const std::string& what, Tensor& tensor);
  absl::Status PlaceTensors();
  absl::Status ReadString(std::string_view what, uint64_t max_size,
                          std::string_view& out);
  absl::Status ReadValues(std::string_view what, GgufMetadata::Value& value);

  const absl::Span<const uint8_t> bytes_;
  const std::string path_;
  CheckedReader reader_;
  uint64_t num_tensors_ = 0;
  uint64_t num_keys_ = 0;
  uint64_t alignment_ = kDefaultGgufAlignment;
  std::vector<std::pair<std::string, Tensor>> tensors_;
  std::vector<uint64_t> offsets_;  // of tensors_, in the data
  HashSet<std::string_view> names_;
  GgufFile file_;
};

absl::Status GgufParser::ReadHeader() {
  absl::Span<const uint8_t> magic;
  if (!IsGguf(bytes_) || !reader_.ReadBytes(kGgufMagic.size(), magic)) {
    return Invalid(absl::StrCat(
        "begins with ",
        Quoted(std::string_view(reinterpret_cast<const char*>(bytes_.data()),
                                std::min(bytes_.size(), kGgufMagic.size()))),
        ", wanted ", Quoted(kGgufMagic)));
  }
  uint32_t version = 0;
  if (!reader_.Read(version)) return Truncated("the header");
  if (version != 2 && version != 3) {
    // Versions 2 and 3 in the other byte order.
    const bool big_endian = version == 0x02000000 || version == 0x03000000;
    return Invalid(absl::StrCat("GGUF version ", version,
                                big_endian ? " (the file is big-endian)" : "",
                                ", wanted 2 or 3"));
  }
  file_.version = version;
  if (!reader_.Read(num_tensors_) || !reader_.Read(num_keys_)) {
    return Truncated("the header");
  }
  if (num_tensors_ > kMaxTensors) {
    return Invalid(
        absl::StrCat(num_tensors_, " tensors, wanted at most ", kMaxTensors));
  }
  if (num_keys_ > kMaxKeys) {
    return Invalid(absl::StrCat(num_keys_, " keys, wanted at most ", kMaxKeys));
  }
  return absl::OkStatus();
}

absl::Status GgufParser::ReadString(std::string_view what, uint64_t max_size,
                                    std::string_view& out) {
  uint64_t size = 0;
  CheckedReader ahead = reader_;
  if (!ahead.Read(size)) return Truncated(what);
  if (size > max_size) {
    return Invalid(absl::StrCat(what, " has ", Bytes(size), ", wanted at most ",
                                max_size));
  }
  if (!reader_.ReadString(max_size, out)) {
    return Incomplete(
        Invalid(absl::StrCat(what, " has ", Bytes(size), ", but ",
                             Bytes(ahead.remaining()), " remain in the file")));
  }
  return absl::OkStatus();
}

absl::Status GgufParser::ReadKey(uint64_t index) {
  std::string_view key;
  GEMMA_RETURN_IF_ERROR(
      ReadString(absl::StrCat("the name of key ", index), kMaxKeyBytes, key));
  const std::string what = absl::StrCat("key ", Quoted(key));
  const size_t start = reader_.position();
  uint32_t type = 0;
  if (!reader_.Read(type)) return Truncated(what);

  GgufMetadata::Value value = {static_cast<GgufType>(type), false, 1, {}, {}};
  if (value.type == GgufType::kArray) {
    if (!reader_.Read(type) || !reader_.Read(value.count)) {
      return Truncated(what);
    }
    value.type = static_cast<GgufType>(type);
    value.is_array = true;
    if (value.type == GgufType::kArray) {
      return Invalid(absl::StrCat(
          what, " is an array of arrays, wanted an array of plain values"));
    }
  }
  if (MinBytes(value.type) == 0) {
    return Invalid(absl::StrCat(what, " has type ", type, ", wanted 0 to ",
                                static_cast<uint32_t>(GgufType::kFloat64)));
  }
  GEMMA_RETURN_IF_ERROR(ReadValues(what, value));
  value.raw = bytes_.subspan(start, reader_.position() - start);
  if (!file_.metadata.values_.emplace(key, value).second) {
    return Invalid(absl::StrCat(what, " appears twice"));
  }
  return absl::OkStatus();
}

// Finds the bytes of a value and checks that the file contains them.
absl::Status GgufParser::ReadValues(std::string_view what,
                                    GgufMetadata::Value& value) {
  // This also limits the number of strings before the loop over them.
  const std::optional<uint64_t> min_bytes =
      CheckedMul(value.count, MinBytes(value.type));
  if (!min_bytes.has_value() || *min_bytes > reader_.remaining()) {
    return value.is_array
               ? Incomplete(Invalid(absl::StrCat(
                     what, " is an array of ", value.count, " values of type ",
                     TypeName(value.type), ", but ", Bytes(reader_.remaining()),
                     " remain in the file")))
               : Truncated(what);
  }
  if (value.type != GgufType::kString) {
    if (!reader_.ReadBytes(*min_bytes, value.bytes)) return Truncated(what);
    if (value.type == GgufType::kBool) {
      for (uint8_t byte : value.bytes) {
        if (byte > 1) {
          return Invalid(
              absl::StrCat(what, " is a bool of ", byte, ", wanted 0 or 1"));
        }
      }
    }
    return absl::OkStatus();
  }
  const size_t start = reader_.position();
  for (uint64_t i = 0; i < value.count; ++i) {
    std::string_view text;
    const uint64_t max_size = kMaxStringBytes;
    if (!reader_.ReadString(max_size, text)) {
      // Read it again for the error message.
      return ReadString(value.is_array ? absl::StrCat(what, ": string ", i)
                                       : std::string(what),
                        max_size, text);
    }
  }
  value.bytes = bytes_.subspan(start, reader_.position() - start);
  return absl::OkStatus();
}

absl::Status GgufParser::ReadAlignment() {
  GEMMA_RETURN_IF_ERROR(file_.metadata.Read(kGgufAlignmentKey, alignment_));
  if (alignment_ == 0 || alignment_ > kMaxAlignment ||
      (alignment_ & (alignment_ - 1)) != 0) {
    return Invalid(absl::StrCat("key ", Quoted(kGgufAlignmentKey), " is ",
                                alignment_, ", wanted a power of two, at most ",
                                kMaxAlignment));
  }
  return absl::OkStatus();
}

absl::Status GgufParser::ReadTensor(uint64_t index) {
  std::string_view name;
  GEMMA_RETURN_IF_ERROR(ReadString(absl::StrCat("the name of tensor ", index),
                                   kMaxTensorNameBytes, name));
  const std::string what = absl::StrCat("tensor ", Quoted(name));
  if (!names_.insert(name).second) {
    return Invalid(absl::StrCat(what, " appears twice"));
  }
  Tensor tensor;
  tensor.file = path_;
  GEMMA_RETURN_IF_ERROR(ReadShape(what, tensor));

  uint32_t type = 0;
  uint64_t offset = 0;
  if (!reader_.Read(type) || !reader_.Read(offset)) return Truncated(what);
  const std::optional<GgufTensorType> known = GgufTypeOf(type);
  if (!known.has_value()) {
    return UnreadType(what, type);
  }
  tensor.format = known->format;
  tensor.packed = known->packed;
  GEMMA_RETURN_IF_ERROR(SetBytes(what, tensor));
  if (offset % alignment_ != 0) {
    return Invalid(absl::StrCat(what, " starts at offset ", offset,
                                ", wanted a multiple of ", alignment_));
  }
  tensors_.emplace_back(name, std::move(tensor));
  offsets_.push_back(offset);
  return absl::OkStatus();
}

absl::Status GgufParser::UnreadType(const std::string& what,
                                    uint32_t number) const {
  for (const NamedGgufType& type : UnreadGgufTypes()) {
    if (type.number != number) continue;
    return Invalid(absl::StrCat(what, " is of type ", type.name,
                                ", which is not read yet; wanted one of ",
                                KnownGgufTypes()));
  }
  return Invalid(absl::StrCat(what, " has type ", number, ", wanted one of ",
                              KnownGgufTypes()));
}

absl::Status GgufParser::ReadShape(const std::string& what, Tensor& tensor) {
  uint32_t dims = 0;
  if (!reader_.Read(dims)) return Truncated(what);
  if (dims == 0 || dims > kMaxGgufDims) {
    return Invalid(absl::StrCat(what, " has ", dims,
                                " dimensions, wanted 1 to ", kMaxGgufDims));
  }
  tensor.shape.resize(dims);
  for (uint32_t i = 0; i < dims; ++i) {
    uint64_t size = 0;
    if (!reader_.Read(size)) return Truncated(what);
    if (size == 0 || !std::in_range<size_t>(size)) {
      return Invalid(absl::StrCat(what, ": dimension ", i, " is ", size,
                                  ", wanted 1 or more"));
    }
    tensor.shape[dims - 1 - i] = static_cast<size_t>(size);
  }
  return absl::OkStatus();
}

absl::Status GgufParser::SetBytes(const std::string& what, Tensor& tensor) {
  const uint64_t block_values = BlockValues(tensor.format);
  const uint64_t cols = tensor.shape.back();
  if (cols % block_values != 0) {
    return Invalid(absl::StrCat(
        what, " of type ", FormatName(tensor.format), " has rows of ", cols,
        " values, wanted a multiple of ", block_values));
  }
  const std::optional<uint64_t> bytes = GgufTensorBytes(tensor);
  if (!bytes.has_value() || *bytes > bytes_.size()) {
    return Incomplete(Invalid(absl::StrCat(
        what, " of shape [", absl::StrJoin(tensor.shape, ", "), "] and type ",
        FormatName(tensor.format), " is larger than the file, which has ",
        Bytes(bytes_.size()))));
  }
  tensor.bytes = static_cast<size_t>(*bytes);
  return absl::OkStatus();
}

absl::Status GgufParser::PlaceTensors() {
  if (tensors_.empty()) return absl::OkStatus();
  const std::optional<uint64_t> data =
      CheckedAlignUp(reader_.position(), alignment_);
  if (!data.has_value() || *data > bytes_.size()) {
    return Truncated("the padding before the data");
  }
  const uint64_t data_bytes = bytes_.size() - *data;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    auto& [name, tensor] = tensors_[i];
    const uint64_t offset = offsets_[i];
    if (offset > data_bytes || tensor.bytes > data_bytes - offset) {
      return Incomplete(absl::DataLossError(FormatText(
          "%s: tensor %s takes %d bytes from offset %d, but the data has %d",
          path_, Quoted(name), tensor.bytes, offset, data_bytes)));
    }
    if (tensor.packed.has_value() && (*data + offset) % kPackedAlignment != 0) {
      return Invalid(absl::StrCat("packed tensor ", Quoted(name),
                                  " starts at byte ", *data + offset,
                                  ", wanted a multiple of ", kPackedAlignment));
    }
    tensor.data = bytes_.data() + *data + offset;
  }
  std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) {
    return a.second.data < b.second.data;
  });
  for (size_t i = 1; i < tensors_.size(); ++i) {
    const auto& [name, tensor] = tensors_[i];
    const auto& [before_name, before] = tensors_[i - 1];
    if (static_cast<size_t>(tensor.data - before.data) < before.bytes) {
      return Invalid(absl::StrCat("tensors ", Quoted(before_name), " and ",
                                  Quoted(name), " overlap"));
    }
  }
  file_.tensors.reserve(tensors_.size());
  for (auto& [name, tensor] : tensors_) {
    file_.tensors.emplace(std::move(name), std::move(tensor));
  }
  return absl::OkStatus();
}

bool IsGguf(absl::Span<const uint8_t> bytes) {
  return bytes.size() >= kGgufMagic.size() &&
         std::equal(kGgufMagic.begin(), kGgufMagic.end(), bytes.begin());
}

absl::StatusOr<GgufFile> ParseGguf(absl::Span<const uint8_t> bytes,
                                   std::string path) {
  return GgufParser(bytes, std::move(path)).Parse();
}

}  // namespace gemma::internal
