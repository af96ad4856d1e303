#include "src/formats/sbs.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "src/base/checked_reader.h"
#include "src/base/hash_table.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/formats/sbs_fields.h"
#include "src/formats/tensor_values.h"

namespace gemma::internal {
namespace {

constexpr std::string_view kMagic = "SBS\n";
constexpr size_t kMaxBlobs = 16384;  // gemma.cpp's limit
constexpr size_t kKeyBytes = 16;
constexpr size_t kHeaderBytes = 16;
constexpr size_t kEntryBytes = 2 * kKeyBytes;  // a key and a range
constexpr size_t kAlignment = 256;

// A type, with its number in the toc and its letter in older files.
struct SbsType {
  uint32_t number;
  char letter;
  std::string_view name;
  std::optional<Format> format;
};
constexpr SbsType kSbsTypes[] = {
    {1, 'F', "f32", Format::kF32}, {2, 'B', "bf16", Format::kBF16},
    {3, '$', "sfp", Format::kSFP}, {4, '2', "nuq", Format::kNUQ},
    {8, 'I', "i8", std::nullopt},
};

std::vector<std::string_view> SbsTypeNames(bool are_read) {
  std::vector<std::string_view> names;
  for (const SbsType& type : kSbsTypes) {
    if (type.format.has_value() == are_read) names.push_back(type.name);
  }
  return names;
}

struct Blob {
  std::string key;
  absl::Span<const uint8_t> data;
};

// The error of a file that is shorter than its header says.
absl::Status Incomplete(std::string_view message) {
  return WithReason(absl::DataLossError(message), ErrorReason::kIncompleteFile);
}

struct Header {
  uint32_t num_blobs = 0;
  uint64_t file_bytes = 0;
};

absl::StatusOr<Header> ReadHeader(absl::Span<const uint8_t> bytes,
                                  std::string_view path) {
  CheckedReader reader(bytes);
  absl::Span<const uint8_t> magic;
  Header header;
  if (!reader.ReadBytes(kMagic.size(), magic) ||
      !reader.Read(header.num_blobs) || !reader.Read(header.file_bytes)) {
    return Incomplete(absl::StrCat(path, ": has ", bytes.size(),
                                   " bytes, wanted ", kHeaderBytes,
                                   " or more"));
  }
  const std::string_view found(reinterpret_cast<const char*>(magic.data()),
                               magic.size());
  if (found != kMagic) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": a header begins with ", Quoted(found),
                     ", wanted ", Quoted(kMagic)));
  }
  return header;
}

absl::Status CheckHeader(const Header& header, size_t file_bytes,
                         std::string_view path) {
  if (header.file_bytes != file_bytes) {
    return Incomplete(absl::StrCat(path, ": has ", file_bytes,
                                   " bytes, its header says ",
                                   header.file_bytes));
  }
  if (header.num_blobs == 0 || header.num_blobs > kMaxBlobs) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the header counts ", header.num_blobs,
                     " blobs, wanted 1 to ", kMaxBlobs));
  }
  if (header.num_blobs > (file_bytes - kHeaderBytes) / kEntryBytes) {
    return Incomplete(absl::StrCat(
        path, ": the header counts ", header.num_blobs,
        " blobs, whose directory is larger than the file, which has ",
        file_bytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> KeyOf(absl::Span<const uint8_t> bytes,
                                  std::string_view path) {
  std::string key(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  key.resize(key.find_last_not_of('\0') + 1);
  const bool is_printable = std::all_of(
      key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (key.empty() || !is_printable) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": a blob's key is ", Quoted(key), ", wanted 1 to ",
                     kKeyBytes, " printable characters"));
  }
  return key;
}

// Returns the blobs that a directory lists. They must lie in [begin, end) of
// `bytes`, one after the other.
absl::StatusOr<std::vector<Blob>> ReadDirectory(
    absl::Span<const uint8_t> bytes, absl::Span<const uint8_t> directory,
    size_t begin, size_t end, std::string_view path) {
  const size_t count = directory.size() / kEntryBytes;
  CheckedReader ranges(directory.subspan(count * kKeyBytes));
  std::vector<Blob> blobs;
  HashSet<std::string> seen;
  for (size_t i = 0; i < count; ++i) {
    Blob blob;
    GEMMA_ASSIGN_OR_RETURN(
        blob.key, KeyOf(directory.subspan(i * kKeyBytes, kKeyBytes), path));
    const std::string where = absl::StrCat(path, ": blob ", Quoted(blob.key));
    if (!seen.insert(blob.key).second) {
      return absl::InvalidArgumentError(absl::StrCat(where, " appears twice"));
    }
    uint64_t offset = 0;
    uint64_t size = 0;
    if (!ranges.Read(offset) || !ranges.Read(size)) {
      return absl::DataLossError(absl::StrCat(where, " has no range"));
    }
    if (offset != begin) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, " begins at ", offset, ", wanted ", begin,
                       ": blobs must follow each other"));
    }
    if (offset > end || size == 0 || size > end - offset) {
      return Incomplete(absl::StrCat(where, " has ", size, " bytes from ",
                                     offset, ", wanted 1 or more up to ", end));
    }
    blob.data = bytes.subspan(offset, size);
    begin = *CheckedAlignUp(offset + size, kAlignment);
    blobs.push_back(std::move(blob));
  }
  return blobs;
}

absl::StatusOr<std::vector<Blob>> ReadBlobs(absl::Span<const uint8_t> bytes,
                                            std::string_view path) {
  GEMMA_ASSIGN_OR_RETURN(Header header, ReadHeader(bytes, path));
  if (header.num_blobs != 0) {
    GEMMA_RETURN_IF_ERROR(CheckHeader(header, bytes.size(), path));
    const size_t size = header.num_blobs * kEntryBytes;
    return ReadDirectory(bytes, bytes.subspan(kHeaderBytes, size),
                         *CheckedAlignUp(kHeaderBytes + size, kAlignment),
                         bytes.size(), path);
  }
  const size_t last = bytes.size() - kHeaderBytes;
  GEMMA_ASSIGN_OR_RETURN(header, ReadHeader(bytes.subspan(last), path));
  GEMMA_RETURN_IF_ERROR(CheckHeader(header, bytes.size(), path));
  const size_t size = header.num_blobs * kEntryBytes;
  return ReadDirectory(bytes, bytes.subspan(last - size, size), kAlignment,
                       last - size, path);
}

// ---------------------------------------------------------------------------
// Blobs to tensors

const SbsType* TypeOfLetter(char letter) {
  for (const SbsType& type : kSbsTypes) {
    if (type.letter == letter) return &type;
  }
  return nullptr;
}

// Names begin in lower case, so a type's letter is never part of the name.
std::string WithoutLetter(const std::string& key) {
  return TypeOfLetter(key[0]) == nullptr ? key : key.substr(1);
}

// Reads a record of the toc: the blob's key and the tensor without its data.
absl::Status ReadTocEntry(SbsFields& fields, std::string& key,
                          SbsTensor& tensor) {
  uint32_t number = 0;
  GEMMA_RETURN_IF_ERROR(fields.Enter("tensor"));
  GEMMA_RETURN_IF_ERROR(fields.Read("name", key));
  GEMMA_RETURN_IF_ERROR(fields.Read("type", number));
  GEMMA_RETURN_IF_ERROR(fields.Skip("element_bytes"));
  GEMMA_RETURN_IF_ERROR(fields.Skip("num_elements"));
  GEMMA_RETURN_IF_ERROR(fields.Read("rows", tensor.rows));
  GEMMA_RETURN_IF_ERROR(fields.Read("cols", tensor.cols));
  GEMMA_RETURN_IF_ERROR(fields.Read("scale", tensor.scale));
  fields.Leave();
  tensor.type = absl::StrCat("type ", number);
  for (const SbsType& type : kSbsTypes) {
    if (type.number != number) continue;
    tensor.format = type.format;
    tensor.type = std::string(type.name);
  }
  if (key.empty() || tensor.rows == 0 || tensor.cols == 0) {
    return fields.Error(absl::StrCat("tensor ", Quoted(key), " is [",
                                     tensor.rows, ", ", tensor.cols,
                                     "], wanted a name and sizes of 1 or "
                                     "more"));
  }
  return absl::OkStatus();
}

// Whether the data has the size that type and shape require.
bool FitsShape(const SbsTensor& tensor) {
  if (!tensor.format.has_value()) return true;
  const size_t values = tensor.rows * tensor.cols;  // 32 bits each in the file
  if (tensor.format == Format::kNUQ) {
    return FitsNuq(tensor.data.size(), values);
  }
  return StoredBytes(*tensor.format, values) == tensor.data.size();
}

using BlobTable = HashMap<std::string, absl::Span<const uint8_t>>;

absl::Status ReadToc(absl::Span<const uint8_t> toc, const BlobTable& blobs,
                     SbsFile& file) {
  const std::string where = absl::StrCat(file.path, ": blob 'toc'");
  SbsFields fields(toc, where);
  while (!fields.AtEnd()) {
    std::string key;
    SbsTensor tensor;
    GEMMA_RETURN_IF_ERROR(ReadTocEntry(fields, key, tensor));
    const auto blob = blobs.find(key);
    if (blob == blobs.end()) {
      return absl::NotFoundError(absl::StrCat(
          file.path, ": no blob ", Quoted(key), ", which 'toc' says there is"));
    }
    tensor.data = blob->second;
    if (!FitsShape(tensor)) {
      return absl::DataLossError(
          absl::StrCat(file.path, ": blob ", Quoted(key), " has ",
                       tensor.data.size(), " bytes, which does not fit [",
                       tensor.rows, ", ", tensor.cols, "] of ", tensor.type));
    }
    if (!file.tensors.emplace(WithoutLetter(key), std::move(tensor)).second) {
      return fields.Error(absl::StrCat("lists ", Quoted(key), " twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadScales(absl::Span<const uint8_t> bytes, SbsFile& file) {
  CheckedReader reader(bytes);
  float scale = 0;
  while (reader.Read(scale)) {
    if (!std::isfinite(scale)) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.path, ": the blob of scales holds ", scale,
                       ", wanted finite numbers"));
    }
    file.scales.push_back(scale);
  }
  return absl::OkStatus();
}

// Reads a file whose keys begin with the letter of the type.
absl::Status ReadPrefixed(const std::vector<Blob>& blobs, SbsFile& file) {
  for (const Blob& blob : blobs) {
    if (blob.key == "config" || blob.key == "tokenizer") continue;
    if (blob.key == "Fscales" || blob.key == "scales") {
      GEMMA_RETURN_IF_ERROR(ReadScales(blob.data, file));
      continue;
    }
    const SbsType* type = TypeOfLetter(blob.key[0]);
    if (type == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          file.path, ": blob ", Quoted(blob.key),
          " does not begin with the letter of a type, wanted 'F' (f32), "
          "'B' (bf16), '$' (sfp) or '2' (nuq), or a blob 'toc'"));
    }
    SbsTensor tensor;
    tensor.format = type->format;
    tensor.type = std::string(type->name);
    tensor.data = blob.data;
    if (!file.tensors.emplace(WithoutLetter(blob.key), std::move(tensor))
             .second) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.path, ": tensor ", Quoted(WithoutLetter(blob.key)),
                       " appears twice"));
    }
  }
  return absl::OkStatus();
}

// Whether the configuration says that the model is not tuned to chat.
absl::StatusOr<bool> IsPretrained(const SbsFile& file) {
  constexpr uint32_t kPretrained = 1;  // gemma.cpp's prompt wrapping for "-pt"
  if (!file.config.has_value()) return false;
  SbsFields fields(*file.config, absl::StrCat(file.path, ": blob 'config'"));
  uint32_t wrapping = kPretrained;
  std::string name;
  GEMMA_RETURN_IF_ERROR(fields.Enter("config"));
  GEMMA_RETURN_IF_ERROR(fields.Skip("model_family_version"));
  GEMMA_RETURN_IF_ERROR(fields.Read("display_name", name));
  GEMMA_RETURN_IF_ERROR(fields.Skip("model"));
  GEMMA_RETURN_IF_ERROR(fields.Read("wrapping", wrapping));
  return wrapping == kPretrained;
}

}  // namespace

std::vector<std::string_view> ReadSbsTypes() { return SbsTypeNames(true); }

std::vector<std::string_view> UnreadSbsTypes() { return SbsTypeNames(false); }

bool IsSbs(absl::Span<const uint8_t> bytes) {
  return bytes.size() >= kMagic.size() &&
         std::equal(kMagic.begin(), kMagic.end(), bytes.begin());
}

absl::StatusOr<SbsFile> ParseSbs(absl::Span<const uint8_t> bytes,
                                 std::string path) {
  SbsFile file;
  file.path = std::move(path);
  GEMMA_ASSIGN_OR_RETURN(const std::vector<Blob> blobs,
                         ReadBlobs(bytes, file.path));
  BlobTable table;
  for (const Blob& blob : blobs) table.emplace(blob.key, blob.data);
  if (const auto it = table.find("config"); it != table.end()) {
    file.config = it->second;
  }
  if (const auto it = table.find("tokenizer"); it != table.end()) {
    file.tokenizer = it->second;
  }
  const auto toc = table.find("toc");
  file.has_toc = toc != table.end();
  GEMMA_RETURN_IF_ERROR(file.has_toc ? ReadToc(toc->second, table, file)
                                     : ReadPrefixed(blobs, file));
  GEMMA_ASSIGN_OR_RETURN(file.is_pretrained, IsPretrained(file));
  return file;
}

}  // namespace gemma::internal
