#include "src/formats/zip_stream.h"

#define ZLIB_CONST  // zlib reads through const pointers
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// zlib counts its input in an unsigned int.
uInt Piece(size_t bytes) {
  return static_cast<uInt>(
      std::min<size_t>(bytes, std::numeric_limits<uInt>::max()));
}

}  // namespace

class ZipStream::Inflater {
 public:
  explicit Inflater(absl::Span<const uint8_t> packed) : packed_(packed) {
    // A negative size means that the data has no zlib header.
    started_ = inflateInit2(&zlib_, -MAX_WBITS) == Z_OK;
  }
  ~Inflater() {
    if (started_) inflateEnd(&zlib_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  size_t packed_left() const { return packed_.size(); }

  absl::Status Read(absl::Span<uint8_t> out) {
    if (!started_) return absl::ResourceExhaustedError("zlib does not start");
    while (!out.empty()) {
      const size_t written = Step(out);
      if (result_ == Z_MEM_ERROR) {
        return absl::ResourceExhaustedError("no memory to inflate it");
      }
      if (written == 0) {
        return absl::DataLossError("the compressed data are damaged");
      }
      out.remove_prefix(written);
    }
    return absl::OkStatus();
  }

  // Whether the stream's end mark comes next, and no byte after it.
  bool AtEnd() {
    uint8_t one_more = 0;
    return started_ && Step(absl::MakeSpan(&one_more, 1)) == 0 &&
           result_ == Z_STREAM_END && packed_.empty();
  }

 private:
  // Inflates to the front of `out`. Returns the number of bytes; 0 at the end
  // of the stream or if it is damaged.
  size_t Step(absl::Span<uint8_t> out) {
    if (result_ == Z_STREAM_END) return 0;
    const uInt room = Piece(out.size());
    const uInt given = Piece(packed_.size());
    zlib_.next_in = packed_.data();
    zlib_.avail_in = given;
    zlib_.next_out = out.data();
    zlib_.avail_out = room;
    result_ = inflate(&zlib_, Z_NO_FLUSH);
    packed_.remove_prefix(given - zlib_.avail_in);
    return room - zlib_.avail_out;
  }

  absl::Span<const uint8_t> packed_;  // not yet read
  z_stream zlib_ = {};
  bool started_ = false;
  int result_ = Z_OK;  // of the last step
};

ZipStream::ZipStream(const ZipEntry& entry)
    : entry_(entry),
      inflater_(entry.deflated ? std::make_unique<Inflater>(entry.packed)
                               : nullptr) {}
ZipStream::~ZipStream() = default;
ZipStream::ZipStream(ZipStream&&) noexcept = default;
ZipStream& ZipStream::operator=(ZipStream&&) noexcept = default;

absl::Span<const uint8_t> ZipStream::packed_read() const {
  return entry_.packed.first(
      inflater_ == nullptr ? done_
                           : entry_.packed.size() - inflater_->packed_left());
}

absl::Status ZipStream::Read(absl::Span<uint8_t> out) {
  if (out.size() > left()) return absl::DataLossError("ends early");
  if (inflater_ != nullptr) {
    GEMMA_RETURN_IF_ERROR(inflater_->Read(out));
  } else if (!out.empty()) {
    std::memcpy(out.data(), entry_.packed.data() + done_, out.size());
  }
  done_ += out.size();
  crc32_ = static_cast<uint32_t>(crc32_z(crc32_, out.data(), out.size()));
  return absl::OkStatus();
}

absl::Status ZipStream::Finish() {
  if (left() != 0) {
    return absl::DataLossError(absl::StrCat(left(), " bytes too many"));
  }
  if (inflater_ != nullptr && !inflater_->AtEnd()) {
    return absl::DataLossError("the compressed data do not end there");
  }
  if (crc32_ != entry_.crc32) {
    return absl::DataLossError("the checksum (CRC-32) is wrong");
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal
