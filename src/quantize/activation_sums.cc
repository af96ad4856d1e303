#include "src/quantize/activation_sums.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/formats/gguf_types.h"
#include "src/formats/gguf_writer.h"
#include "src/model/tensors/tensor_names.h"
#include "src/model/tensors/weight_table.h"
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

// The file's entry for the matrices of one tensor.
struct Entry {
  std::string tensor;
  std::vector<float> sums;    // [matrices, columns]
  std::vector<float> counts;  // [matrices]

  size_t columns() const { return sums.size() / counts.size(); }
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
                   {entry.counts.size(), entry.columns()},
                   entry.sums.size() * sizeof(float));
    writer.Declare(absl::StrCat(entry.tensor, kCountsEnding), f32,
                   {entry.counts.size(), 1},
                   entry.counts.size() * sizeof(float));
  }
  GEMMA_RETURN_IF_ERROR(writer.Begin(path));
  for (const Entry& entry : entries) {
    GEMMA_RETURN_IF_ERROR(writer.Write(absl::StrCat(entry.tensor, kSumsEnding),
                                       AsBytes(entry.sums)));
    GEMMA_RETURN_IF_ERROR(writer.Write(
        absl::StrCat(entry.tensor, kCountsEnding), AsBytes(entry.counts)));
  }
  return writer.Commit(AtomicFile::Existing::kReplace);
}

}  // namespace

void ActivationSums::Sums::AddRow(absl::Span<const float> x) {
  squares.resize(x.size());
  for (size_t i = 0; i < x.size(); ++i) squares[i] += double{x[i]} * x[i];
  ++rows;
}

void ActivationSums::Add(const TapSite& site,
                         absl::Span<const float> activations) {
  switch (site.point) {
    case TapPoint::kExpertInput:
      expert_input_.assign(activations.begin(), activations.end());
      return;
    case TapPoint::kExpertChoice:
      return AddChosen(site, activations);
    case TapPoint::kExpertHidden:
      return AddHidden(site, activations);
    default:
      break;
  }
  if (!IsInput(site.point)) return;
  Sums& sums = sums_[{site.layer, site.point, 0}];
  const size_t columns = activations.size() / site.num_rows;
  for (size_t row = 0; row < site.num_rows; ++row) {
    sums.AddRow(activations.subspan(row * columns, columns));
  }
}

std::vector<size_t> ActivationSums::Chosen(absl::Span<const float> choices) {
  std::vector<size_t> chosen;
  for (size_t i = 0; i < choices.size(); i += 2) {
    chosen.push_back(static_cast<size_t>(choices[i]));
  }
  return chosen;
}

void ActivationSums::AddChosen(const TapSite& site,
                               absl::Span<const float> choices) {
  chosen_ = Chosen(choices);
  const absl::Span<const float> input = expert_input_;
  const size_t columns = input.size() / site.num_rows;
  const size_t used = chosen_.size() / site.num_rows;
  for (size_t i = 0; i < chosen_.size(); ++i) {
    sums_[{site.layer, TapPoint::kExpertInput, chosen_[i]}].AddRow(
        input.subspan(i / used * columns, columns));
  }
}

void ActivationSums::AddHidden(const TapSite& site,
                               absl::Span<const float> hidden) {
  const size_t columns = hidden.size() / chosen_.size();
  for (size_t i = 0; i < chosen_.size(); ++i) {
    sums_[{site.layer, TapPoint::kExpertHidden, chosen_[i]}].AddRow(
        hidden.subspan(i * columns, columns));
  }
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
    const size_t layer = head ? config.num_layers() : spec.layer;
    const bool has_experts = spec.kind == WeightKind::kExperts;
    const size_t matrices = spec.shape.size() == 3 ? spec.shape[0] : 1;
    const size_t columns = spec.shape.back();
    Entry entry = {TensorNames::Gguf().Name(spec.role, spec.layer), {}, {}};
    bool is_seen = false;
    for (size_t m = 0; m < matrices; ++m) {
      // All matrices of a stack have the same inputs.
      const auto found = sums_.find({layer, *point, has_experts ? m : 0});
      const bool has = found != sums_.end();
      is_seen |= has;
      entry.counts.push_back(has ? static_cast<float>(found->second.rows)
                                 : 0.0f);
      for (size_t i = 0; i < columns; ++i) {
        const double sum = has ? found->second.squares[i] : 0.0;
        entry.sums.push_back(static_cast<float>(sum));
        if (std::isfinite(entry.sums.back())) continue;
        return absl::DataLossError(
            FormatText("the sum of squares of the inputs of '%s' is %g in "
                       "column %u, wanted a finite float32",
                       entry.tensor, sum, i));
      }
    }
    if (!is_seen) {
      return absl::FailedPreconditionError(
          "no activations were added, wanted those of at least one token");
    }
    entries.push_back(std::move(entry));
  }
  return WriteFile(entries, source, path);
}

}  // namespace gemma::internal
