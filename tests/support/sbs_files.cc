#include "tests/support/sbs_files.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "compression/codec_sfp.h"
#include "compression/half.h"

namespace gemma::internal {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kGroup = 256;
constexpr size_t kTable = 16;

std::string_view SbsText(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Returns the codes of SFP by ascending value, without negative zero.
const Bytes& SfpCodes() {
  static const auto* codes = [] {
    auto* out = new Bytes;
    for (int c = 0; c < 256; ++c) {
      if (c != 0x80) out->push_back(static_cast<uint8_t>(c));
    }
    std::sort(out->begin(), out->end(), [](uint8_t a, uint8_t b) {
      return SFP::ToFloat(a) < SFP::ToFloat(b);
    });
    return out;
  }();
  return *codes;
}

// Returns the nearest of `codes`, which are sorted by ascending value.
uint8_t Nearest(const Bytes& codes, float value) {
  const auto above = std::lower_bound(
      codes.begin(), codes.end(), value,
      [](uint8_t code, float v) { return SFP::ToFloat(code) < v; });
  if (above == codes.end()) return codes.back();
  if (above == codes.begin()) return codes.front();
  const float up = SFP::ToFloat(*above) - value;
  const float down = value - SFP::ToFloat(above[-1]);
  return up < down ? *above : above[-1];
}

Bytes EncodeSfp(const std::vector<float>& values) {
  Bytes out;
  for (const float value : values) out.push_back(Nearest(SfpCodes(), value));
  return out;
}

// A group of NUQ. `table` has 16 SFP codes: zeros first, then the different
// values of the group.
struct NuqGroup {
  Bytes table;
  Bytes codes;  // indices in `table`, one per byte
};

std::vector<NuqGroup> NuqGroups(const Bytes& sfp) {
  std::vector<NuqGroup> groups;
  for (size_t begin = 0; begin < sfp.size(); begin += kGroup) {
    const auto first = sfp.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = first + static_cast<std::ptrdiff_t>(
                                  std::min(kGroup, sfp.size() - begin));
    NuqGroup& group = groups.emplace_back();
    for (const uint8_t code : SfpCodes()) {
      if (std::find(first, last, code) != last) group.table.push_back(code);
    }
    if (group.table.size() > kTable) std::abort();
    group.table.insert(group.table.begin(), kTable - group.table.size(), 0);
    for (auto it = first; it != last; ++it) {
      group.codes.push_back(static_cast<uint8_t>(
          std::find(group.table.begin(), group.table.end(), *it) -
          group.table.begin()));
    }
  }
  return groups;
}

// Rounds each value to the nearest of 0, +-0.3 and +-1 times the largest
// magnitude.
void RoundToFive(std::vector<float>& values) {
  float largest = 0;
  for (const float value : values) {
    largest = std::max(largest, std::abs(value));
  }
  Bytes codes;
  for (const float share : {-1.0f, -0.3f, 0.0f, 0.3f, 1.0f}) {
    codes.push_back(Nearest(SfpCodes(), share * largest));
  }
  for (float& value : values) value = SFP::ToFloat(Nearest(codes, value));
}

Bytes PackNibbles(const Bytes& codes) {
  Bytes out((codes.size() + 1) / 2);
  for (size_t i = 0; i < codes.size(); ++i) {
    out[i / 2] |= static_cast<uint8_t>(codes[i] << (i % 2 * 4));
  }
  return out;
}

Bytes EncodeNuq(const Bytes& sfp, bool tables_first) {
  const std::vector<NuqGroup> groups = NuqGroups(sfp);
  ByteWriter out;
  if (tables_first) {
    for (const NuqGroup& group : groups) out.Raw(SbsText(group.table));
    out.AlignTo(64);
  }
  for (const NuqGroup& group : groups) {
    if (!tables_first) out.Raw(SbsText(group.table));
    out.Raw(SbsText(PackNibbles(group.codes)));
  }
  return out.bytes();
}

std::vector<float> Divided(std::vector<float> values, float scale) {
  for (float& value : values) value /= scale;
  return values;
}

// Returns the header and directory for blobs of the given sizes that begin at
// `offset`.
ByteWriter Directory(const std::vector<std::pair<std::string, uint64_t>>& blobs,
                     uint64_t offset) {
  ByteWriter out;
  for (const auto& [key, size] : blobs) {
    std::string padded = key;
    padded.resize(16, '\0');
    out.Raw(padded);
  }
  for (const auto& [key, size] : blobs) {
    out.Number(offset).Number(size);
    offset += (size + kAlignment - 1) / kAlignment * kAlignment;
  }
  return out;
}

Bytes Header(size_t blobs, uint64_t file_bytes) {
  return ByteWriter()
      .Raw("SBS\n")
      .Number(static_cast<uint32_t>(blobs))
      .Number(file_bytes)
      .bytes();
}

size_t AlignUp(size_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

char SbsLetter(SbsType type) { return "?FB$2"[static_cast<uint32_t>(type)]; }

Bytes EncodeSbs(SbsType type, const std::vector<float>& values, float scale,
                bool tables_first) {
  const std::vector<float> divided = Divided(values, scale);
  ByteWriter out;
  switch (type) {
    case SbsType::kF32:
      for (const float value : divided) out.Number(value);
      return out.bytes();
    case SbsType::kBF16:
      for (const float value : divided) out.Number(FloatToBF16(value));
      return out.bytes();
    case SbsType::kSfp:
      return EncodeSfp(divided);
    case SbsType::kNuq:
      return EncodeNuq(EncodeSfp(divided), tables_first);
  }
  std::abort();
}

std::vector<float> RoundToSbs(SbsType type, const std::vector<float>& values,
                              float scale) {
  std::vector<float> out = Divided(values, scale);
  if (type == SbsType::kBF16) {
    for (float& value : out) value = BF16ToFloat(FloatToBF16(value));
  } else if (type == SbsType::kSfp) {
    for (float& v : out) v = SFP::ToFloat(Nearest(SfpCodes(), v));
  } else if (type == SbsType::kNuq) {
    RoundToFive(out);
  }
  for (float& value : out) value *= scale;
  return out;
}

SbsRecord& SbsRecord::Number(uint32_t value) {
  words_.push_back(value);
  return *this;
}

SbsRecord& SbsRecord::Float(float value) {
  return Number(std::bit_cast<uint32_t>(value));
}

SbsRecord& SbsRecord::Text(std::string_view text) {
  std::vector<uint32_t> padded((text.size() + 3) / 4);
  std::memcpy(padded.data(), text.data(), text.size());
  Number(static_cast<uint32_t>(padded.size()));
  words_.insert(words_.end(), padded.begin(), padded.end());
  return *this;
}

SbsRecord& SbsRecord::Record(const SbsRecord& record) {
  Number(static_cast<uint32_t>(record.words_.size()));
  words_.insert(words_.end(), record.words_.begin(), record.words_.end());
  return *this;
}

Bytes SbsRecord::Finish() const {
  ByteWriter out;
  out.Number(static_cast<uint32_t>(words_.size()));
  for (const uint32_t word : words_) out.Number(word);
  return out.bytes();
}

SbsWriter& SbsWriter::Blob(std::string_view key, Bytes data) {
  blobs_.emplace_back(key, std::move(data));
  return *this;
}

Bytes SbsWriter::Finish(bool directory_at_end) const {
  std::vector<std::pair<std::string, uint64_t>> sizes;
  size_t payload = 0;
  for (const auto& [key, data] : blobs_) {
    sizes.emplace_back(key, data.size());
    payload += AlignUp(data.size());
  }
  const size_t directory = 32 * sizes.size();
  ByteWriter out;
  if (directory_at_end) {
    out.Raw(SbsText(Header(0, 65536))).AlignTo(kAlignment);
  } else {
    const size_t begin = AlignUp(16 + directory);
    out.Raw(SbsText(Header(sizes.size(), begin + payload)))
        .Raw(SbsText(Directory(sizes, begin).bytes()))
        .AlignTo(kAlignment);
  }
  for (const auto& [key, data] : blobs_)
    out.Raw(SbsText(data)).AlignTo(kAlignment);
  if (directory_at_end) {
    const size_t total = out.bytes().size() + directory + 16;
    out.Raw(SbsText(Directory(sizes, kAlignment).bytes()))
        .Raw(SbsText(Header(sizes.size(), total)));
  }
  return out.bytes();
}

void WriteSparseSbs(
    const std::string& path,
    const std::vector<std::pair<std::string, uint64_t>>& blobs) {
  const size_t begin = AlignUp(16 + 32 * blobs.size());
  uint64_t total = begin;
  for (const auto& [key, size] : blobs) total += AlignUp(size);
  Bytes bytes = Header(blobs.size(), total);
  const Bytes directory = Directory(blobs, begin).bytes();
  bytes.insert(bytes.end(), directory.begin(), directory.end());
  WriteFile(path, bytes);
  std::filesystem::resize_file(path, total);
}

}  // namespace gemma::internal
