#include "src/formats/zip.h"

#include <cstddef>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/base/bytes.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// Sizes and signatures of the format's records (APPNOTE.TXT, 4.3).
constexpr uint32_t kLocalSignature = 0x04034B50;
constexpr uint32_t kCentralSignature = 0x02014B50;
constexpr uint32_t kEndSignature = 0x06054B50;
constexpr uint32_t kZip64EndSignature = 0x06064B50;
constexpr uint32_t kZip64LocatorSignature = 0x07064B50;
constexpr size_t kLocalBytes = 30;
constexpr size_t kCentralBytes = 46;
constexpr size_t kEndBytes = 22;
constexpr size_t kZip64EndBytes = 56;
constexpr size_t kZip64LocatorBytes = 20;
constexpr size_t kMaxCommentBytes = 0xFFFF;

// Each extra field of a record begins with its tag and its size.
constexpr size_t kExtraBytes = 4;
constexpr uint16_t kZip64Tag = 1;
// The value of sizes and offsets whose true value is in the zip64 field.
constexpr uint32_t kInZip64 = 0xFFFFFFFF;

constexpr uint16_t kEncrypted = 1;
constexpr uint16_t kStored = 0;
constexpr uint16_t kDeflated = 8;

// The largest ratio of deflate: 2 bits give 258 bytes.
constexpr uint64_t kMaxDeflateRatio = 1032;

constexpr size_t kMaxEntries = 4096;

using ByteSpan = absl::Span<const uint8_t>;

uint16_t U16(ByteSpan bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8);
}

uint32_t U32(ByteSpan bytes, size_t at) {
  return U16(bytes, at) | uint32_t{U16(bytes, at + 2)} << 16;
}

uint64_t U64(ByteSpan bytes, size_t at) {
  return U32(bytes, at) | uint64_t{U32(bytes, at + 4)} << 32;
}

// Returns the offset of the record at the archive's end.
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

// The place of the table of contents.
struct Table {
  uint64_t num_entries = 0;
  uint64_t begin = 0;
  uint64_t bytes = 0;
};

absl::Status DamagedEnd() {
  return absl::DataLossError("the zip archive's end is damaged");
}

// Reads the zip64 record whose locator begins at `locator`.
absl::StatusOr<Table> ReadZip64End(ByteSpan zip, size_t locator) {
  const uint64_t at = U64(zip, locator + 8);
  if (U32(zip, locator + 4) != 0 || locator < kZip64EndBytes ||
      at > locator - kZip64EndBytes || U32(zip, at) != kZip64EndSignature ||
      // The record's size, without the 12 bytes before the counted part.
      U64(zip, at + 4) != locator - at - 12 || U32(zip, at + 16) != 0 ||
      U32(zip, at + 20) != 0 || U64(zip, at + 24) != U64(zip, at + 32)) {
    return DamagedEnd();
  }
  const Table table = {U64(zip, at + 32), U64(zip, at + 48), U64(zip, at + 40)};
  if (table.begin > at || table.bytes != at - table.begin) return DamagedEnd();
  return table;
}

absl::StatusOr<Table> FindTable(ByteSpan zip) {
  const std::optional<size_t> end = FindEnd(zip);
  if (!end.has_value()) {
    return absl::DataLossError(
        "not a zip archive (.npz), or only a part of one");
  }
  if (*end >= kZip64LocatorBytes &&
      U32(zip, *end - kZip64LocatorBytes) == kZip64LocatorSignature) {
    return ReadZip64End(zip, *end - kZip64LocatorBytes);
  }
  const Table table = {U16(zip, *end + 10), U32(zip, *end + 16),
                       U32(zip, *end + 12)};
  if (U16(zip, *end + 4) != 0 || U16(zip, *end + 6) != 0 ||
      U16(zip, *end + 8) != table.num_entries ||
      table.begin + table.bytes != *end) {
    return DamagedEnd();
  }
  return table;
}

// One record of the table.
struct Central {
  std::string name;
  uint64_t packed_bytes = 0;
  uint64_t local_offset = 0;
  ZipEntry entry;
};

// Replaces sizes and offset by their values in the zip64 field of `extra`, in
// the order of the format.
absl::Status ReadZip64Sizes(ByteSpan extra, Central& central) {
  uint64_t* const wanted[] = {&central.entry.bytes, &central.packed_bytes,
                              &central.local_offset};
  ByteSpan field;
  while (field.empty() && extra.size() >= kExtraBytes) {
    const size_t bytes = U16(extra, 2);
    if (extra.size() - kExtraBytes < bytes) break;
    if (U16(extra, 0) == kZip64Tag) field = extra.subspan(kExtraBytes, bytes);
    extra.remove_prefix(kExtraBytes + bytes);
  }
  for (uint64_t* value : wanted) {
    if (*value != kInZip64) continue;
    if (field.size() < sizeof(uint64_t)) {
      return absl::DataLossError(
          absl::StrCat(Quoted(central.name), " lacks its zip64 sizes"));
    }
    *value = U64(field, 0);
    field.remove_prefix(sizeof(uint64_t));
  }
  return absl::OkStatus();
}

bool IsPath(std::string_view name) {
  return name.empty() || name.find_first_of("/\\:") != name.npos ||
         name.find('\0') != name.npos;
}

// Reads the first record of `table` and removes it from `table`.
absl::StatusOr<Central> ReadCentral(ByteSpan& table) {
  if (table.size() < kCentralBytes || U32(table, 0) != kCentralSignature) {
    return absl::DataLossError("the table of contents is damaged");
  }
  const ByteSpan record = table;
  const size_t name_bytes = U16(record, 28);
  const size_t extra_bytes = U16(record, 30);
  const size_t bytes =
      kCentralBytes + name_bytes + extra_bytes + U16(record, 32);
  if (record.size() < bytes) {
    return absl::DataLossError("the table of contents ends early");
  }
  table.remove_prefix(bytes);

  Central central;
  central.name = std::string(AsText(record.subspan(kCentralBytes, name_bytes)));
  central.entry.crc32 = U32(record, 16);
  central.packed_bytes = U32(record, 20);
  central.entry.bytes = U32(record, 24);
  central.local_offset = U32(record, 42);
  const ByteSpan extra =
      record.subspan(kCentralBytes + name_bytes, extra_bytes);
  GEMMA_RETURN_IF_ERROR(ReadZip64Sizes(extra, central));
  if (IsPath(central.name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        Quoted(central.name), " is a path, wanted the name of an array"));
  }
  if ((U16(record, 8) & kEncrypted) != 0) {
    return absl::UnimplementedError(
        absl::StrCat(Quoted(central.name), " is encrypted"));
  }
  const uint16_t method = U16(record, 10);
  if (method != kStored && method != kDeflated) {
    return absl::UnimplementedError(
        absl::StrCat(Quoted(central.name), " has compression method ", method,
                     "; wanted 0 (stored) or 8 (deflated)"));
  }
  central.entry.deflated = method == kDeflated;
  return central;
}

// Finds the contents. `zip` ends where the table begins.
absl::Status FindData(ByteSpan zip, Central& central) {
  const auto damaged = [&](auto&&... what) {
    return absl::DataLossError(
        absl::StrCat(Quoted(central.name), " ", what...));
  };
  const uint64_t offset = central.local_offset;
  if (offset > zip.size() || zip.size() - offset < kLocalBytes ||
      U32(zip, offset) != kLocalSignature) {
    return damaged("is not where the table of contents says");
  }
  const ByteSpan record = zip.subspan(offset);
  const size_t name_bytes = U16(record, 26);
  const size_t header_bytes = kLocalBytes + name_bytes + U16(record, 28);
  if (record.size() < header_bytes ||
      record.size() - header_bytes < central.packed_bytes) {
    return damaged("ends past the table of contents");
  }
  if (AsText(record.subspan(kLocalBytes, name_bytes)) != central.name ||
      (U16(record, 8) == kDeflated) != central.entry.deflated) {
    return damaged("contradicts the table of contents");
  }
  if (!central.entry.deflated && central.entry.bytes != central.packed_bytes) {
    return damaged("is stored, but its two sizes differ");
  }
  if (central.entry.bytes / kMaxDeflateRatio > central.packed_bytes) {
    return damaged("claims ", central.entry.bytes, " bytes, more than ",
                   central.packed_bytes, " can hold");
  }
  central.entry.packed = record.subspan(header_bytes, central.packed_bytes);
  return absl::OkStatus();
}

absl::StatusOr<ZipEntries> ReadEntries(ByteSpan zip) {
  GEMMA_ASSIGN_OR_RETURN(const Table table, FindTable(zip));
  if (table.num_entries > kMaxEntries) {
    return absl::InvalidArgumentError(absl::StrCat(
        table.num_entries, " files, wanted at most ", kMaxEntries));
  }
  ByteSpan records = zip.subspan(table.begin, table.bytes);
  ZipEntries entries;
  for (uint64_t i = 0; i < table.num_entries; ++i) {
    GEMMA_ASSIGN_OR_RETURN(Central central, ReadCentral(records));
    GEMMA_RETURN_IF_ERROR(FindData(zip.first(table.begin), central));
    if (!entries.emplace(central.name, central.entry).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(central.name), " appears twice"));
    }
  }
  if (!records.empty()) {
    return absl::DataLossError("the table of contents is too long");
  }
  return entries;
}

}  // namespace

absl::StatusOr<ZipEntries> ParseZip(absl::Span<const uint8_t> bytes,
                                    std::string_view path) {
  absl::StatusOr<ZipEntries> entries = ReadEntries(bytes);
  if (entries.ok()) return entries;
  return absl::Status(entries.status().code(),
                      absl::StrCat(path, ": ", entries.status().message()));
}

}  // namespace gemma::internal
