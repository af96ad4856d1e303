#include "src/formats/safetensors.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compression/format.h"
#include "gemma/error_reason.h"
#include "src/base/checked_reader.h"
#include "src/base/json.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

constexpr uint64_t kMaxJsonBytes = 100'000'000;  // the reference's limit
constexpr size_t kMaxDims = 8;

// The types of the format.
struct Dtype {
  std::string_view name;
  size_t bits;
  std::optional<Format> format;  // nothing: not a type of weights
};
constexpr Dtype kDtypes[] = {
    {"F32", 32, Format::kF32},        {"F16", 16, Format::kF16},
    {"BF16", 16, Format::kBF16},      {"BOOL", 8, std::nullopt},
    {"U8", 8, std::nullopt},          {"I8", 8, std::nullopt},
    {"U16", 16, std::nullopt},        {"I16", 16, std::nullopt},
    {"U32", 32, std::nullopt},        {"I32", 32, std::nullopt},
    {"U64", 64, std::nullopt},        {"I64", 64, std::nullopt},
    {"F64", 64, Format::kF64},        {"C64", 64, std::nullopt},
    {"F8_E5M2", 8, Format::kF8_E5M2}, {"F8_E4M3", 8, Format::kF8_E4M3},
    {"F8_E5M2FNUZ", 8, std::nullopt}, {"F8_E4M3FNUZ", 8, std::nullopt},
    {"F8_E8M0", 8, std::nullopt},     {"F6_E2M3", 6, std::nullopt},
    {"F6_E3M2", 6, std::nullopt},     {"F4", 4, std::nullopt},
};

std::vector<std::string_view> Types(bool are_read) {
  std::vector<std::string_view> names;
  for (const Dtype& dtype : kDtypes) {
    if (dtype.format.has_value() == are_read) names.push_back(dtype.name);
  }
  return names;
}

const Dtype* FindDtype(std::string_view name) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.name == name) return &dtype;
  }
  return nullptr;
}

// Lists the types: "F32, F16, ...".
std::string KnownDtypes() {
  return absl::StrJoin(kDtypes, ", ", [](std::string* out, const Dtype& dtype) {
    out->append(dtype.name);
  });
}

// The header's entry for one tensor.
struct Entry {
  std::string_view name;
  const Dtype* dtype;
  std::vector<size_t> shape;
  size_t begin;  // from the start of the data
  size_t end;
};

// Returns the bytes of a tensor, or nothing if they overflow or end inside a
// byte.
std::optional<uint64_t> BytesOf(const Entry& entry) {
  std::optional<uint64_t> bits = entry.dtype->bits;
  for (size_t size : entry.shape) {
    bits = CheckedMul(*bits, size);
    if (!bits.has_value()) return std::nullopt;
  }
  if (*bits % 8 != 0) return std::nullopt;
  return *bits / 8;
}

absl::StatusOr<Entry> ReadEntry(std::string_view name, const Json& json,
                                size_t data_bytes) {
  const auto invalid = [&json](auto&&... message) {
    return absl::InvalidArgumentError(
        absl::StrCat(json.Where(), ": ", message...));
  };
  Entry entry;
  entry.name = name;
  if (name.size() > kMaxTensorNameBytes) {
    return invalid("the name has ", name.size(), " bytes, wanted at most ",
                   kMaxTensorNameBytes);
  }
  std::string_view dtype;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("dtype", dtype));
  entry.dtype = FindDtype(dtype);
  if (entry.dtype == nullptr) {
    return invalid("dtype is ", Quoted(dtype), ", wanted one of ",
                   KnownDtypes());
  }
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("shape", entry.shape));
  if (entry.shape.size() > kMaxDims) {
    return invalid("shape has ", entry.shape.size(),
                   " dimensions, wanted at most ", kMaxDims);
  }
  const bool is_empty = std::find(entry.shape.begin(), entry.shape.end(), 0u) !=
                        entry.shape.end();
  if (is_empty && entry.dtype->format.has_value()) {
    return invalid("shape is [", absl::StrJoin(entry.shape, ", "),
                   "], wanted sizes of 1 or more");
  }
  std::vector<size_t> offsets;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("data_offsets", offsets));
  if (offsets.size() != 2) {
    return invalid("data_offsets has ", offsets.size(), " numbers, wanted 2");
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (entry.begin > entry.end || entry.end > data_bytes) {
    return WithReason(invalid("data_offsets is [", entry.begin, ", ", entry.end,
                              "], but the data has ", data_bytes, " bytes"),
                      ErrorReason::kIncompleteFile);
  }
  if (BytesOf(entry) != entry.end - entry.begin) {
    return invalid("data_offsets is [", entry.begin, ", ", entry.end,
                   "], which does not fit shape [",
                   absl::StrJoin(entry.shape, ", "), "] of ", dtype);
  }
  return entry;
}

// `entries` must be sorted by `begin`.
absl::Status CheckCoverage(const std::vector<Entry>& entries, size_t data_bytes,
                           const std::string& path) {
  size_t end = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].begin < end) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": tensors ", Quoted(entries[i - 1].name), " and ",
                       Quoted(entries[i].name), " overlap"));
    }
    if (entries[i].begin > end) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": bytes ", end, " to ", entries[i].begin,
                       " of the data, before tensor ", Quoted(entries[i].name),
                       ", belong to no tensor"));
    }
    end = entries[i].end;
  }
  if (end != data_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the data has ", data_bytes,
                     " bytes, but the tensors end at ", end));
  }
  return absl::OkStatus();
}

// Returns the file's header. Sets `data` to the bytes after it.
absl::StatusOr<Json> ReadHeader(absl::Span<const uint8_t> bytes,
                                const std::string& path,
                                absl::Span<const uint8_t>& data) {
  CheckedReader reader(bytes);
  uint64_t header_bytes = 0;
  if (!reader.Read(header_bytes)) {
    return WithReason(
        absl::DataLossError(absl::StrCat(path, ": has ", bytes.size(),
                                         " bytes, wanted 8 or more")),
        ErrorReason::kIncompleteFile);
  }
  if (header_bytes > kMaxJsonBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the header has ", header_bytes,
                     " bytes, wanted at most ", kMaxJsonBytes));
  }
  const size_t remaining = reader.remaining();
  absl::Span<const uint8_t> header;
  if (!reader.ReadBytes(header_bytes, header)) {
    return WithReason(absl::DataLossError(absl::StrCat(
                          path, ": the header has ", header_bytes,
                          " bytes, but ", remaining, " remain in the file")),
                      ErrorReason::kIncompleteFile);
  }
  if (header.empty() || header.front() != '{') {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the header does not begin with '{'"));
  }
  if (!reader.ReadBytes(reader.remaining(), data)) data = {};
  return Json::Parse(
      std::string_view(reinterpret_cast<const char*>(header.data()),
                       header.size()),
      path);
}

// "__metadata__" maps strings to strings. Its content is not used.
absl::Status CheckMetadata(const Json& metadata) {
  if (metadata.is_null()) return absl::OkStatus();
  if (!metadata.is_object()) return metadata.Unexpected("an object");
  for (const auto& [name, value] : metadata.Members()) {
    if (!value.is_string()) return value.Unexpected("a string");
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string_view> ReadSafetensorsTypes() { return Types(true); }

std::vector<std::string_view> UnreadSafetensorsTypes() { return Types(false); }

absl::StatusOr<SafetensorsFile> ParseSafetensors(
    absl::Span<const uint8_t> bytes, std::string path) {
  absl::Span<const uint8_t> data;
  GEMMA_ASSIGN_OR_RETURN(const Json header, ReadHeader(bytes, path, data));
  if (header.size() > kMaxTensors) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": ", header.size(), " tensors, wanted at most ", kMaxTensors));
  }
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.Members()) {
    if (name == "__metadata__") {
      GEMMA_RETURN_IF_ERROR(CheckMetadata(value));
      continue;
    }
    GEMMA_ASSIGN_OR_RETURN(Entry entry, ReadEntry(name, value, data.size()));
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  GEMMA_RETURN_IF_ERROR(CheckCoverage(entries, data.size(), path));

  SafetensorsFile file;
  for (Entry& entry : entries) {
    if (!entry.dtype->format.has_value()) {
      file.skipped.emplace(entry.name, entry.dtype->name);
      continue;
    }
    Tensor tensor;
    tensor.format = *entry.dtype->format;
    tensor.shape = std::move(entry.shape);
    tensor.data = data.data() + entry.begin;
    tensor.bytes = entry.end - entry.begin;
    tensor.file = path;
    file.tensors.emplace(entry.name, std::move(tensor));
  }
  return file;
}

}  // namespace gemma::internal
