#include "tools/gemma/npz.h"

#define ZLIB_CONST  // zlib reads through const pointers
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/gemma/errors.h"

namespace gemma::tools {
namespace {

// Sizes and signatures of the zip format's records (APPNOTE.TXT, 4.3).
constexpr uint32_t kLocalSignature = 0x04034B50;
constexpr uint32_t kCentralSignature = 0x02014B50;
constexpr uint32_t kEndSignature = 0x06054B50;
constexpr uint32_t kZip64LocatorSignature = 0x07064B50;
constexpr size_t kLocalBytes = 30;
constexpr size_t kCentralBytes = 46;
constexpr size_t kEndBytes = 22;
constexpr size_t kZip64LocatorBytes = 20;
constexpr size_t kMaxCommentBytes = 0xFFFF;
constexpr uint32_t kInZip64 = 0xFFFFFFFF;
constexpr uint16_t kEncrypted = 1;
constexpr uint16_t kStored = 0;
constexpr uint16_t kDeflated = 8;

// Deflate's densest code: 258 bytes from 2 bits.
constexpr uint64_t kMaxDeflateRatio = 1032;

constexpr size_t kMaxEntries = 4096;

using ByteSpan = absl::Span<const uint8_t>;

uint16_t U16(ByteSpan bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8);
}

uint32_t U32(ByteSpan bytes, size_t at) {
  return U16(bytes, at) | uint32_t{U16(bytes, at + 2)} << 16;
}

std::string_view Chars(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Where the record at the archive's end begins.
std::optional<size_t> FindEnd(ByteSpan zip) {
  for (size_t comment = 0;
       comment <= kMaxCommentBytes && kEndBytes + comment <= zip.size();
       ++comment) {
    const size_t at = zip.size() - kEndBytes - comment;
    if (U32(zip, at) == kEndSignature && U16(zip, at + 20) == comment) {
      return at;
    }
  }
  return std::nullopt;
}

// One record of the archive's table.
struct Central {
  std::string name;
  uint32_t local_offset = 0;
  NpzEntry entry;
};

// Reads the table's record at `*at`, which moves on. `zip` ends where the table
// does.
absl::StatusOr<Central> ReadCentral(ByteSpan zip, size_t* at) {
  if (zip.size() - *at < kCentralBytes || U32(zip, *at) != kCentralSignature) {
    return absl::DataLossError("the table of contents is damaged");
  }
  const ByteSpan record = zip.subspan(*at);
  const size_t name_bytes = U16(record, 28);
  const size_t bytes =
      kCentralBytes + name_bytes + U16(record, 30) + U16(record, 32);
  if (record.size() < bytes) {
    return absl::DataLossError("the table of contents ends early");
  }
  *at += bytes;

  Central central;
  central.name = std::string(Chars(record.subspan(kCentralBytes, name_bytes)));
  const uint32_t packed_bytes = U32(record, 20);
  central.entry.crc32 = U32(record, 16);
  central.entry.bytes = U32(record, 24);
  central.local_offset = U32(record, 42);
  if (packed_bytes == kInZip64 || central.entry.bytes == kInZip64 ||
      central.local_offset == kInZip64) {
    return absl::UnimplementedError(absl::StrCat(
        "'", central.name, "' uses zip64 (over 4 GiB), which is not read"));
  }
  if ((U16(record, 8) & kEncrypted) != 0) {
    return absl::UnimplementedError(
        absl::StrCat("'", central.name, "' is encrypted"));
  }
  const uint16_t method = U16(record, 10);
  if (method != kStored && method != kDeflated) {
    return absl::UnimplementedError(
        absl::StrCat("'", central.name, "' has compression method ", method,
                     "; wanted 0 (stored) or 8 (deflated)"));
  }
  central.entry.deflated = method == kDeflated;
  // The rest is found by FindData.
  central.entry.packed = zip.first(std::min<size_t>(zip.size(), packed_bytes));
  if (central.entry.packed.size() != packed_bytes) {
    return absl::DataLossError(
        absl::StrCat("'", central.name, "' is larger than the file"));
  }
  return central;
}

// Sets where the contents are. `zip` ends where the table begins.
absl::Status FindData(ByteSpan zip, Central& central) {
  const size_t packed_bytes = central.entry.packed.size();
  const size_t offset = central.local_offset;
  const auto damaged = [&](std::string_view what) {
    return absl::DataLossError(absl::StrCat("'", central.name, "' ", what));
  };
  if (offset > zip.size() || zip.size() - offset < kLocalBytes ||
      U32(zip, offset) != kLocalSignature) {
    return damaged("is not where the table of contents says");
  }
  const ByteSpan record = zip.subspan(offset);
  const size_t name_bytes = U16(record, 26);
  const size_t header_bytes = kLocalBytes + name_bytes + U16(record, 28);
  if (record.size() < header_bytes ||
      record.size() - header_bytes < packed_bytes) {
    return damaged("ends past the table of contents");
  }
  if (Chars(record.subspan(kLocalBytes, name_bytes)) != central.name ||
      (U16(record, 8) == kDeflated) != central.entry.deflated) {
    return damaged("contradicts the table of contents");
  }
  if (!central.entry.deflated && central.entry.bytes != packed_bytes) {
    return damaged("is stored, but its two sizes differ");
  }
  if (central.entry.bytes / kMaxDeflateRatio > packed_bytes) {
    return damaged(absl::StrCat("claims ", central.entry.bytes,
                                " bytes, more than ", packed_bytes,
                                " can hold"));
  }
  central.entry.packed = record.subspan(header_bytes, packed_bytes);
  return absl::OkStatus();
}

}  // namespace

// The contents of an entry, unpacked.
class NpzArray::Stream {
 public:
  explicit Stream(const NpzEntry& entry)
      : entry_(entry), packed_(entry.packed) {}

  ~Stream() {
    if (inflating_) inflateEnd(&zlib_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  uint64_t left() const { return entry_.bytes - done_; }

  // Fills `out` with what comes next.
  absl::Status Read(absl::Span<uint8_t> out) {
    if (out.size() > left()) return absl::DataLossError("ends early");
    done_ += out.size();
    if (entry_.deflated) {
      GEMMA_TOOLS_RETURN_IF_ERROR(Inflate(out));
    } else if (!out.empty()) {
      std::memcpy(out.data(), packed_.data(), out.size());
      packed_.remove_prefix(out.size());
    }
    crc_ = crc32_z(crc_, out.data(), out.size());
    return absl::OkStatus();
  }

  absl::Status Finish() {
    if (left() != 0) {
      return absl::DataLossError(absl::StrCat(left(), " bytes too many"));
    }
    if (entry_.deflated) {
      // The stream's end mark follows the last byte.
      uint8_t one_more = 0;
      GEMMA_TOOLS_RETURN_IF_ERROR(Begin());
      zlib_.next_out = &one_more;
      zlib_.avail_out = 1;
      if (!ended_) ended_ = inflate(&zlib_, Z_NO_FLUSH) == Z_STREAM_END;
      if (!ended_ || zlib_.avail_out != 1) {
        return absl::DataLossError("the compressed data do not end there");
      }
    }
    if (crc_ != entry_.crc32) {
      return absl::DataLossError("the checksum (CRC-32) is wrong");
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Begin() {
    if (inflating_) return absl::OkStatus();
    zlib_.next_in = packed_.data();
    zlib_.avail_in = static_cast<uInt>(packed_.size());  // < 4 GiB: no zip64
    // Negative: no zlib header around the data.
    if (inflateInit2(&zlib_, -MAX_WBITS) != Z_OK) {
      return absl::ResourceExhaustedError("zlib does not start");
    }
    inflating_ = true;
    return absl::OkStatus();
  }

  absl::Status Inflate(absl::Span<uint8_t> out) {
    GEMMA_TOOLS_RETURN_IF_ERROR(Begin());
    while (!out.empty()) {
      const auto want = static_cast<uInt>(
          std::min<size_t>(out.size(), std::numeric_limits<uInt>::max()));
      zlib_.next_out = out.data();
      zlib_.avail_out = want;
      const int result = ended_ ? Z_BUF_ERROR : inflate(&zlib_, Z_NO_FLUSH);
      ended_ = ended_ || result == Z_STREAM_END;
      if (result != Z_OK && result != Z_STREAM_END) {
        return absl::DataLossError("the compressed data are damaged");
      }
      out.remove_prefix(want - zlib_.avail_out);
    }
    return absl::OkStatus();
  }

  NpzEntry entry_;
  ByteSpan packed_;  // of a stored entry: what is left
  uint64_t done_ = 0;
  uLong crc_ = crc32_z(0, nullptr, 0);
  z_stream zlib_ = {};
  bool inflating_ = false;
  bool ended_ = false;
};

NpzArray::NpzArray(std::string name, std::unique_ptr<Stream> stream)
    : name_(std::move(name)), stream_(std::move(stream)) {}
NpzArray::~NpzArray() = default;
NpzArray::NpzArray(NpzArray&&) noexcept = default;
NpzArray& NpzArray::operator=(NpzArray&&) noexcept = default;

absl::Status NpzArray::Error(std::string_view message) const {
  return absl::DataLossError(absl::StrCat(name_, ": ", message));
}

absl::Status NpzArray::ReadHeader() {
  std::vector<uint8_t> bytes(kNpyPrefixBytes);
  absl::Status status = stream_->Read(absl::MakeSpan(bytes));
  if (!status.ok()) return Error(status.message());
  const absl::StatusOr<size_t> header_bytes = NpyHeaderBytes(bytes);
  if (!header_bytes.ok()) return Error(header_bytes.status().message());
  bytes.resize(*header_bytes);
  status = stream_->Read(absl::MakeSpan(bytes));
  if (!status.ok()) return Error(status.message());
  absl::StatusOr<NpyHeader> header = ParseNpyHeader(Chars(bytes));
  if (!header.ok()) return Error(header.status().message());
  header_ = *std::move(header);
  if (header_.data_bytes != stream_->left()) {
    return Error(absl::StrCat(NpyTypeName(header_.type), " ",
                              ShapeText(header_), " is ", header_.data_bytes,
                              " bytes, found ", stream_->left()));
  }
  return absl::OkStatus();
}

absl::Status NpzArray::Read(absl::Span<float> values) {
  if (header_.type != NpyType::kFloat32) {
    return Error(
        absl::StrCat("found ", NpyTypeName(header_.type), ", wanted float32"));
  }
  const absl::Status status =
      stream_->Read({reinterpret_cast<uint8_t*>(values.data()),
                     values.size() * sizeof(float)});
  return status.ok() ? status : Error(status.message());
}

absl::StatusOr<std::vector<int64_t>> NpzArray::ReadIntegers(size_t max_values) {
  if (header_.type == NpyType::kFloat32) {
    return Error("found float32, wanted int32 or int64");
  }
  if (header_.num_values > max_values) {
    return Error(absl::StrCat("found ", header_.num_values,
                              " values, wanted at most ", max_values));
  }
  std::vector<uint8_t> bytes(header_.data_bytes);
  const absl::Status status = stream_->Read(absl::MakeSpan(bytes));
  if (!status.ok()) return Error(status.message());
  std::vector<int64_t> values(header_.num_values);
  for (size_t i = 0; i < values.size(); ++i) {
    if (header_.type == NpyType::kInt64) {
      std::memcpy(&values[i], &bytes[i * 8], 8);
    } else {
      int32_t value = 0;
      std::memcpy(&value, &bytes[i * 4], 4);
      values[i] = value;
    }
  }
  return values;
}

absl::Status NpzArray::Finish() {
  const absl::Status status = stream_->Finish();
  return status.ok() ? status : Error(status.message());
}

absl::StatusOr<Npz> Npz::Parse(absl::Span<const uint8_t> bytes,
                               std::string_view name) {
  Npz npz(name);
  const auto failed = [&](std::string_view message) {
    return absl::DataLossError(absl::StrCat(name, ": ", message));
  };
  const std::optional<size_t> end = FindEnd(bytes);
  if (!end.has_value()) {
    return failed("not a zip archive (.npz), or not all of one");
  }
  if (*end >= kZip64LocatorBytes &&
      U32(bytes, *end - kZip64LocatorBytes) == kZip64LocatorSignature) {
    return failed("a zip64 archive (over 4 GiB), which is not read");
  }
  const size_t num_entries = U16(bytes, *end + 10);
  const uint64_t table_bytes = U32(bytes, *end + 12);
  const uint64_t table = U32(bytes, *end + 16);
  if (U16(bytes, *end + 4) != 0 || U16(bytes, *end + 6) != 0 ||
      U16(bytes, *end + 8) != num_entries || num_entries > kMaxEntries ||
      table + table_bytes != *end) {
    return failed("the zip archive's end is damaged");
  }
  size_t at = table;
  for (size_t i = 0; i < num_entries; ++i) {
    absl::StatusOr<Central> central = ReadCentral(bytes.first(*end), &at);
    if (!central.ok()) return failed(central.status().message());
    const absl::Status found = FindData(bytes.first(table), *central);
    if (!found.ok()) return failed(found.message());
    if (!npz.entries_.emplace(central->name, central->entry).second) {
      return failed(absl::StrCat("'", central->name, "' is there twice"));
    }
  }
  if (at != *end) return failed("the table of contents is too long");
  return npz;
}

absl::StatusOr<NpzArray> Npz::Open(std::string_view name) const {
  const auto found = entries_.find(absl::StrCat(name, ".npy"));
  if (found == entries_.end()) {
    return absl::NotFoundError(absl::StrCat(
        name_, ": no array '", name, "', only ",
        absl::StrJoin(entries_, ", ", [](std::string* out, const auto& entry) {
          absl::StrAppend(out, entry.first);
        })));
  }
  NpzArray array(absl::StrCat(name_, ": array '", name, "'"),
                 std::make_unique<NpzArray::Stream>(found->second));
  GEMMA_TOOLS_RETURN_IF_ERROR(array.ReadHeader());
  return array;
}

}  // namespace gemma::tools
