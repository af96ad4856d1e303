#include "src/quantize/importance.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "src/base/checked_reader.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/formats/gguf.h"
#include "src/formats/wrong_file.h"
#include "src/os/mapped_file.h"
#include "src/quantize/importance_format.h"

namespace gemma::internal {
namespace {

// More than any supported model has.
constexpr int32_t kMaxMatrices = 65536;
constexpr int32_t kMaxNameBytes = 256;

using Means = HashMap<std::string, std::vector<float>>;

absl::Status Invalid(const std::string& path, std::string_view tensor,
                     std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": tensor ", Quoted(tensor), " ", what));
}

// The means of all tensors, and what they lack.
struct Collected {
  Means means;
  size_t tensors_with_unchosen = 0;  // of experts
  size_t unchosen = 0;               // matrices of these
};

// Replaces the means of matrices without a count by those of all rows.
void FillUnchosen(absl::Span<const float> counts, std::vector<float>& means,
                  Collected& out) {
  const size_t columns = means.size() / counts.size();
  std::vector<double> mean(columns);
  double total = 0;
  size_t unchosen = 0;
  for (size_t m = 0; m < counts.size(); ++m) {
    total += double{counts[m]};
    unchosen += counts[m] == 0.0f;
    for (size_t i = 0; i < columns; ++i) {
      mean[i] += double{counts[m]} * double{means[m * columns + i]};
    }
  }
  for (size_t m = 0; m < counts.size(); ++m) {
    if (counts[m] != 0.0f) continue;
    for (size_t i = 0; i < columns; ++i) {
      means[m * columns + i] = static_cast<float>(mean[i] / total);
    }
  }
  out.tensors_with_unchosen += unchosen != 0;
  out.unchosen += unchosen;
}

// Adds sums / counts, where each count belongs to a matrix of the tensor. Adds
// nothing if all counts are 0.
absl::Status AddMeans(const std::string& path, std::string_view tensor,
                      std::vector<float> sums, absl::Span<const float> counts,
                      Collected& out) {
  // With a count of 1 or more, a mean cannot exceed its finite sum.
  for (const float count : counts) {
    if (count == 0.0f || (std::isfinite(count) && count >= 1.0f)) continue;
    return Invalid(path, tensor,
                   FormatText("has a count of %g, wanted 0, or a number "
                              "of 1 or more",
                              count));
  }
  const size_t columns = sums.size() / counts.size();
  for (size_t i = 0; i < sums.size(); ++i) {
    if (std::isfinite(sums[i]) && sums[i] >= 0.0f) continue;
    return Invalid(path, tensor,
                   FormatText("has a sum of squares of %g for column %u, "
                              "wanted a finite number of 0 or more",
                              sums[i], i % columns));
  }
  if (std::all_of(counts.begin(), counts.end(),
                  [](float count) { return count == 0.0f; })) {
    return absl::OkStatus();
  }
  for (size_t i = 0; i < sums.size(); ++i) {
    const float count = counts[i / columns];
    if (count != 0.0f) sums[i] = static_cast<float>(double{sums[i]} / count);
  }
  FillUnchosen(counts, sums, out);
  if (!out.means.emplace(tensor, std::move(sums)).second) {
    return Invalid(path, tensor, "appears twice");
  }
  return absl::OkStatus();
}

// Returns the values of a tensor that must have rows of float32.
absl::StatusOr<std::vector<float>> ReadRows(const std::string& name,
                                            const Tensor& tensor) {
  if (tensor.format != Format::kF32) {
    return Invalid(
        tensor.file, name,
        absl::StrCat("is of type ", FormatName(tensor.format), ", wanted F32"));
  }
  if (tensor.shape.size() > 2) {
    return Invalid(tensor.file, name,
                   FormatText("is [%s], wanted one row, or one for each expert",
                              absl::StrJoin(tensor.shape, ", ")));
  }
  // The data may be unaligned.
  std::vector<float> values(tensor.NumValues());
  std::memcpy(values.data(), tensor.data, tensor.bytes);
  return values;
}

absl::StatusOr<Collected> ReadGguf(absl::Span<const uint8_t> bytes,
                                   const std::string& path) {
  GEMMA_ASSIGN_OR_RETURN(const GgufFile file, ParseGguf(bytes, path));
  std::string type;
  GEMMA_RETURN_IF_ERROR(file.metadata.ReadRequired(kTypeKey, type));
  if (type != kImportanceType) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": key ", Quoted(kTypeKey), " is ", Quoted(type),
                     ", wanted ", Quoted(kImportanceType)));
  }
  Collected out;
  for (const auto& [name, tensor] : file.tensors) {
    std::string_view matrix = name;
    if (absl::ConsumeSuffix(&matrix, kCountsEnding)) {
      const std::string sums = absl::StrCat(matrix, kSumsEnding);
      if (file.tensors.contains(sums)) continue;
      return Invalid(path, name,
                     absl::StrCat("has no matching ", Quoted(sums)));
    }
    if (!absl::ConsumeSuffix(&matrix, kSumsEnding)) continue;
    const std::string counts = absl::StrCat(matrix, kCountsEnding);
    const auto found = file.tensors.find(counts);
    if (found == file.tensors.end()) {
      return Invalid(path, name,
                     absl::StrCat("has no matching ", Quoted(counts)));
    }
    GEMMA_ASSIGN_OR_RETURN(std::vector<float> sums, ReadRows(name, tensor));
    GEMMA_ASSIGN_OR_RETURN(const std::vector<float> count,
                           ReadRows(counts, found->second));
    const size_t rows = sums.size() / tensor.shape.back();
    if (count.size() != rows) {
      return Invalid(
          path, counts,
          FormatText("has %u values, wanted %u", count.size(), rows));
    }
    GEMMA_RETURN_IF_ERROR(AddMeans(path, matrix, std::move(sums), count, out));
  }
  return out;
}

// llama.cpp's older files. All numbers are little-endian:
//   int32 matrices
//   for each: int32 bytes of the name, the name, int32 calls, int32 columns,
//             float32 [columns], calls times the means
//   newer ones also: int32 calls, int32 bytes of the text's name, the name
class OldFile {
 public:
  OldFile(absl::Span<const uint8_t> bytes, const std::string& path)
      : path_(path), reader_(bytes) {}

  absl::StatusOr<Collected> Read() {
    int32_t count = 0;
    if (!reader_.Read(count)) return Truncated("the number of matrices");
    if (count < 1 || count > kMaxMatrices) {
      return absl::InvalidArgumentError(FormatText(
          "%s: not an importance file: it is not GGUF, and as an older "
          "llama.cpp file it would have %d matrices, wanted 1 to %d",
          path_, count, kMaxMatrices));
    }
    Collected out;
    for (int32_t i = 0; i < count; ++i) {
      GEMMA_RETURN_IF_ERROR(ReadMatrix(i, out));
    }
    GEMMA_RETURN_IF_ERROR(ReadEnd());
    return out;
  }

 private:
  absl::Status Truncated(std::string_view what) const {
    return absl::DataLossError(
        absl::StrCat(path_, ": the file ends within ", what));
  }

  absl::Status ReadMatrix(int32_t index, Collected& out) {
    const std::string what = absl::StrCat("matrix ", index);
    int32_t name_bytes = 0;
    if (!reader_.Read(name_bytes)) return Truncated(what);
    if (name_bytes < 1 || name_bytes > kMaxNameBytes) {
      return absl::InvalidArgumentError(
          FormatText("%s: the name of %s has %d bytes, wanted 1 to %d", path_,
                     what, name_bytes, kMaxNameBytes));
    }
    absl::Span<const uint8_t> bytes;
    int32_t calls = 0;
    int32_t columns = 0;
    if (!reader_.ReadBytes(name_bytes, bytes) || !reader_.Read(calls) ||
        !reader_.Read(columns)) {
      return Truncated(what);
    }
    const std::string name(bytes.begin(), bytes.end());
    if (columns < 1) {
      return Invalid(path_, name,
                     FormatText("has %d columns, wanted 1 or more", columns));
    }
    if (!reader_.ReadBytes(uint64_t{4} * columns, bytes)) {
      return Truncated(absl::StrCat("tensor ", Quoted(name)));
    }
    std::vector<float> sums(columns);
    std::memcpy(sums.data(), bytes.data(), bytes.size());
    const auto count = static_cast<float>(calls);
    return AddMeans(path_, name, std::move(sums), {&count, 1}, out);
  }

  absl::Status ReadEnd() {
    if (reader_.remaining() == 0) return absl::OkStatus();
    int32_t calls = 0;
    int32_t name_bytes = 0;
    if (!reader_.Read(calls) || !reader_.Read(name_bytes)) {
      return Truncated("the name of the text");
    }
    if (name_bytes >= 0 &&
        reader_.remaining() == static_cast<size_t>(name_bytes)) {
      return absl::OkStatus();
    }
    return absl::DataLossError(
        FormatText("%s: the name of the text has %d bytes, but %u remain "
                   "in the file",
                   path_, name_bytes, reader_.remaining()));
  }

  const std::string& path_;
  CheckedReader reader_;
};

}  // namespace

absl::StatusOr<Importance> Importance::Load(std::string path) {
  GEMMA_ASSIGN_OR_RETURN(const MappedFile file, OpenModelFile(path));
  return Parse(file.bytes(), std::move(path));
}

absl::StatusOr<Importance> Importance::Parse(absl::Span<const uint8_t> bytes,
                                             std::string path) {
  GEMMA_ASSIGN_OR_RETURN(Collected found, IsGguf(bytes)
                                              ? ReadGguf(bytes, path)
                                              : OldFile(bytes, path).Read());
  if (found.means.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has no matrix with a count above 0"));
  }
  std::vector<std::string> notes;
  if (found.unchosen != 0) {
    notes.push_back(FormatText(
        "%s: lacks %u matrices, in %u tensors, of experts that no token chose: "
        "uses the mean of the other experts",
        path, found.unchosen, found.tensors_with_unchosen));
  }
  return Importance(std::move(path), std::move(found.means), std::move(notes));
}

absl::Span<const float> Importance::Of(std::string_view tensor) const {
  const auto found = means_.find(tensor);
  if (found == means_.end()) return {};
  return found->second;
}

absl::Status Importance::CheckColumns(std::string_view tensor, size_t columns,
                                      size_t matrices) const {
  const size_t found = Of(tensor).size();
  if (found == 0 || found == columns * matrices) return absl::OkStatus();
  if (matrices == 1) {
    return Invalid(
        path_, tensor,
        FormatText("has %u columns, the model's has %u", found, columns));
  }
  return Invalid(path_, tensor,
                 FormatText("has %u numbers, wanted %u for each of %u matrices",
                            found, columns, matrices));
}

}  // namespace gemma::internal
