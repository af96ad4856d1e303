#include "src/formats/npz.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "compression/half.h"
#include "src/base/bytes.h"
#include "src/base/listing.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// A float16 value, as stored.
struct Half {
  uint16_t bits;
};

float ToFloat(Half value) { return HalfToFloat(value.bits); }
// Values beyond the range of float become infinity.
float ToFloat(double value) { return static_cast<float>(value); }

}  // namespace

absl::Status NpzArray::Named(const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(name_, ": ", status.message()));
}

absl::Status NpzArray::ReadBytes(void* out, size_t bytes) {
  return Named(stream_.Read(absl::MakeSpan(static_cast<uint8_t*>(out), bytes)));
}

absl::Status NpzArray::ReadHeader() {
  std::vector<uint8_t> bytes(kNpyPrefixBytes);
  GEMMA_RETURN_IF_ERROR(ReadBytes(bytes.data(), bytes.size()));
  const absl::StatusOr<size_t> header_bytes = NpyHeaderBytes(bytes);
  if (!header_bytes.ok()) return Named(header_bytes.status());
  bytes.resize(*header_bytes);
  GEMMA_RETURN_IF_ERROR(ReadBytes(bytes.data(), bytes.size()));
  absl::StatusOr<NpyHeader> header = ParseNpyHeader(AsText(bytes));
  if (!header.ok()) return Named(header.status());
  header_ = *std::move(header);
  if (header_.data_bytes != stream_.left()) {
    return Named(absl::DataLossError(
        absl::StrCat(NpyTypeName(header_.type), " ", ShapeText(header_), " is ",
                     header_.data_bytes, " bytes, found ", stream_.left())));
  }
  return absl::OkStatus();
}

template <class T>
absl::Status NpzArray::ReadAs(absl::Span<float> values) {
  constexpr size_t kAtOnce = 4096;
  T buffer[kAtOnce];
  while (!values.empty()) {
    const size_t count = std::min(kAtOnce, values.size());
    GEMMA_RETURN_IF_ERROR(ReadBytes(buffer, count * sizeof(T)));
    for (size_t i = 0; i < count; ++i) values[i] = ToFloat(buffer[i]);
    values.remove_prefix(count);
  }
  return absl::OkStatus();
}

absl::Status NpzArray::Read(absl::Span<float> values) {
  switch (header_.type) {
    case NpyType::kFloat16:
      return ReadAs<Half>(values);
    case NpyType::kFloat32:
      return ReadBytes(values.data(), values.size() * sizeof(float));
    case NpyType::kFloat64:
      return ReadAs<double>(values);
    default:
      return Named(absl::InvalidArgumentError(
          absl::StrCat("found ", NpyTypeName(header_.type),
                       ", wanted float32, float16 or float64")));
  }
}

absl::StatusOr<std::vector<int64_t>> NpzArray::ReadIntegers(size_t max_values) {
  if (IsFloat(header_.type)) {
    return Named(absl::InvalidArgumentError(absl::StrCat(
        "found ", NpyTypeName(header_.type), ", wanted int32 or int64")));
  }
  if (header_.num_values > max_values) {
    return Named(absl::InvalidArgumentError(absl::StrCat(
        "found ", header_.num_values, " values, wanted at most ", max_values)));
  }
  std::vector<uint8_t> bytes(header_.data_bytes);
  GEMMA_RETURN_IF_ERROR(ReadBytes(bytes.data(), bytes.size()));
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

absl::Status NpzArray::Finish() { return Named(stream_.Finish()); }

absl::StatusOr<Npz> Npz::Parse(absl::Span<const uint8_t> bytes,
                               std::string_view path) {
  GEMMA_ASSIGN_OR_RETURN(ZipEntries entries, ParseZip(bytes, path));
  return Npz(path, std::move(entries));
}

bool Npz::Has(std::string_view name) const {
  return entries_.contains(absl::StrCat(name, ".npy"));
}

absl::StatusOr<NpzArray> Npz::Open(std::string_view name) const {
  const auto found = entries_.find(absl::StrCat(name, ".npy"));
  if (found == entries_.end()) {
    return absl::NotFoundError(absl::StrCat(
        path_, ": no array ", Quoted(name), ", only ",
        Listing(entries_,
                [](const auto& entry) { return Printable(entry.first); })));
  }
  NpzArray array(absl::StrCat(path_, ": array ", Quoted(name)), found->second);
  GEMMA_RETURN_IF_ERROR(array.ReadHeader());
  return array;
}

}  // namespace gemma::internal
