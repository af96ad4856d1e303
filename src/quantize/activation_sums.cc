#include "src/quantize/activation_sums.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/formats/gguf_types.h"
#include "src/formats/gguf_writer.h"
#include "src/model/tensor_names.h"
#include "src/model/weight_table.h"
#include "src/quantize/importance_format.h"

namespace gemma::internal {
namespace {

// Whether a matrix multiplies the activations at this point.
bool IsInput(TapPoint point) {
  const auto table = WeightTable();
  return std::any_of(table.begin(), table.end(),
                     [&](const WeightRow& row) { return row.input == point; });
}

absl::Span<const uint8_t> AsBytes(const std::vector<float>& values) {
  return {reinterpret_cast<const uint8_t*>(values.data()),
          values.size() * sizeof(float)};
}

// The file's entry for one matrix.
struct Entry {
  std::string tensor;
  std::vector<float> sums;
  float count;
};

absl::Status WriteFile(const std::vector<Entry>& entries,
                       const ImportanceSource& source,
                       const std::string& path) {
  const uint32_t f32 = *GgufTypeNumber(Format::kF32);
  GgufFileWriter writer(kDefaultGgufAlignment);
  writer.SetString(kTypeKey, kImportanceType);
  const std::string_view dataset = source.dataset;
  writer.SetStrings(kDatasetsKey, {&dataset, 1});
  writer.SetUint32(kChunkCountKey, source.chunk_count);
  writer.SetUint32(kChunkSizeKey, source.chunk_size);
  for (const Entry& entry : entries) {
    writer.Declare(absl::StrCat(entry.tensor, kSumsEnding), f32,
                   {1, entry.sums.size()}, entry.sums.size() * sizeof(float));
    writer.Declare(absl::StrCat(entry.tensor, kCountsEnding), f32, {1, 1},
                   sizeof(float));
  }
  GEMMA_RETURN_IF_ERROR(writer.Begin(path));
  for (const Entry& entry : entries) {
    GEMMA_RETURN_IF_ERROR(writer.Write(absl::StrCat(entry.tensor, kSumsEnding),
                                       AsBytes(entry.sums)));
    GEMMA_RETURN_IF_ERROR(writer.Write(
        absl::StrCat(entry.tensor, kCountsEnding), AsBytes({entry.count})));
  }
  return writer.Commit(AtomicFile::Existing::kReplace);
}

}  // namespace

void ActivationSums::Add(const TapSite& site,
                         absl::Span<const float> activations) {
  if (!IsInput(site.point)) return;
  Sums& sums = sums_[{site.layer, site.point}];
  const size_t columns = activations.size() / site.num_rows;
  sums.squares.resize(columns);
  for (size_t row = 0; row < site.num_rows; ++row) {
    const float* x = activations.data() + row * columns;
    for (size_t i = 0; i < columns; ++i) {
      sums.squares[i] += double{x[i]} * double{x[i]};
    }
  }
  sums.rows += site.num_rows;
}

absl::Status ActivationSums::Write(const ModelConfig& config, bool own_head,
                                   const ImportanceSource& source,
                                   const std::string& path) const {
  std::vector<Entry> entries;
  for (const WeightSpec& spec : WeightsOf(config, own_head)) {
    const std::optional<TapPoint> point = RowOf(spec.role).input;
    const bool looked_up = spec.role == WeightRole::kEmbedding && own_head;
    if (!point.has_value() || looked_up) continue;
    const bool head = *point == TapPoint::kHeadInput;
    const auto found =
        sums_.find({head ? config.num_layers() : spec.layer, *point});
    if (found == sums_.end()) {
      return absl::FailedPreconditionError(
          "no activations were added, wanted those of at least one token");
    }
    Entry entry = {TensorNames::Gguf().Name(spec.role, spec.layer),
                   {},
                   static_cast<float>(found->second.rows)};
    for (const double sum : found->second.squares) {
      entry.sums.push_back(static_cast<float>(sum));
      if (std::isfinite(entry.sums.back())) continue;
      return absl::DataLossError(
          FormatText("the sum of squares of the inputs of '%s' is %g in "
                     "column %u, wanted a finite float32",
                     entry.tensor, sum, entry.sums.size() - 1));
    }
    entries.push_back(std::move(entry));
  }
  return WriteFile(entries, source, path);
}

}  // namespace gemma::internal
