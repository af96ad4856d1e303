#include "tests/support/zip_writer.h"

#define ZLIB_CONST
#include <zlib.h>

#include "absl/strings/str_cat.h"

namespace gemma::internal {
namespace {

std::string U16(size_t value) {
  return {static_cast<char>(value & 0xFF), static_cast<char>(value >> 8)};
}

std::string U32(size_t value) {
  return U16(value & 0xFFFF) + U16(value >> 16 & 0xFFFF);
}

std::string U64(uint64_t value) {
  return U32(value & 0xFFFFFFFF) + U32(value >> 32);
}

std::string Deflate(std::string_view contents) {
  z_stream zlib = {};
  deflateInit2(&zlib, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&zlib, contents.size()), '\0');
  zlib.next_in = reinterpret_cast<const Bytef*>(contents.data());
  zlib.avail_in = static_cast<uInt>(contents.size());
  zlib.next_out = reinterpret_cast<Bytef*>(packed.data());
  zlib.avail_out = static_cast<uInt>(packed.size());
  deflate(&zlib, Z_FINISH);
  packed.resize(zlib.total_out);
  deflateEnd(&zlib);
  return packed;
}

}  // namespace

void ZipWriter::Add(const std::string& name, std::string_view contents,
                    Packing packing, const Lies& lies) {
  const bool deflated = packing == Packing::kDeflated;
  const std::string packed = absl::StrCat(
      deflated ? Deflate(contents) : std::string(contents), lies.trailing);
  const size_t method = lies.method >= 0 ? static_cast<size_t>(lies.method)
                        : deflated       ? 8
                                         : 0;
  const size_t crc = crc32_z(0, reinterpret_cast<const Bytef*>(contents.data()),
                             contents.size()) ^
                     lies.crc32_xor;
  const size_t bytes = lies.bytes != 0 ? lies.bytes : contents.size();
  const auto common = [&](size_t packed_bytes, size_t contents_bytes) {
    return absl::StrCat(U16(20), U16(static_cast<size_t>(lies.flags)),
                        U16(method), U32(0), U32(crc), U32(packed_bytes),
                        U32(contents_bytes), U16(name.size()));
  };
  if (lies.zip64 == 0) {
    absl::StrAppend(&table_, "PK\x01\x02", U16(20),
                    common(packed.size(), bytes), U16(0), U16(0), U16(0),
                    U16(0), U32(0), U32(data_.size()), name);
  } else {
    // The zip64 field follows another field, which readers must skip.
    std::string extra = absl::StrCat(U16(0x5455), U16(3), "abc");
    if (lies.zip64 > 0) {
      absl::StrAppend(&extra, U16(1), U16(24), U64(bytes), U64(packed.size()),
                      U64(data_.size()));
    }
    absl::StrAppend(&table_, "PK\x01\x02", U16(45),
                    common(0xFFFFFFFF, 0xFFFFFFFF), U16(extra.size()), U16(0),
                    U16(0), U16(0), U32(0), U32(0xFFFFFFFF), name, extra);
  }
  absl::StrAppend(&data_, "PK\x03\x04", common(packed.size(), bytes), U16(0),
                  name, packed);
  ++num_entries_;
}

std::vector<uint8_t> ZipWriter::Finish(std::string_view comment) const {
  const std::string zip = absl::StrCat(
      data_, table_, "PK\x05\x06", U32(0), U16(num_entries_), U16(num_entries_),
      U32(table_.size()), U32(data_.size()), U16(comment.size()), comment);
  return {zip.begin(), zip.end()};
}

std::vector<uint8_t> ZipWriter::FinishZip64() const {
  const std::string zip = absl::StrCat(
      data_, table_, "PK\x06\x06", U64(44), U16(45), U16(45), U32(0), U32(0),
      U64(num_entries_), U64(num_entries_), U64(table_.size()),
      U64(data_.size()), "PK\x06\x07", U32(0),
      U64(data_.size() + table_.size()), U32(1), "PK\x05\x06", U32(0),
      U16(0xFFFF), U16(0xFFFF), U32(0xFFFFFFFF), U32(0xFFFFFFFF), U16(0));
  return {zip.begin(), zip.end()};
}

std::string Npy(const std::string& dictionary, std::string_view data) {
  return absl::StrCat("\x93NUMPY", std::string_view("\x01\x00", 2),
                      U16(dictionary.size()), dictionary, data);
}

std::string NpyDictionary(const std::string& descr, const std::string& shape) {
  return absl::StrCat("{'descr': '", descr,
                      "', 'fortran_order': False, 'shape': ", shape, ", }\n");
}

}  // namespace gemma::internal
