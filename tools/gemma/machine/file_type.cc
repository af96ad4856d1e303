#include "tools/gemma/machine/file_type.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/internal.h"
#include "src/formats/checkpoint.h"
#include "tools/gemma/machine/summary.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

struct NamedFileType {
  size_t number;
  std::string_view name;
};

// The numbers of enum llama_ftype in llama.cpp's llama.h, and the names that
// llama-bench prints for them.
constexpr NamedFileType kFileTypes[] = {
    {0, "all F32"},
    {1, "F16"},
    {2, "Q4_0"},
    {3, "Q4_1"},
    {7, "Q8_0"},
    {8, "Q5_0"},
    {9, "Q5_1"},
    {10, "Q2_K - Medium"},
    {11, "Q3_K - Small"},
    {12, "Q3_K - Medium"},
    {13, "Q3_K - Large"},
    {14, "Q4_K - Small"},
    {15, "Q4_K - Medium"},
    {16, "Q5_K - Small"},
    {17, "Q5_K - Medium"},
    {18, "Q6_K"},
    {19, "IQ2_XXS - 2.0625 bpw"},
    {20, "IQ2_XS - 2.3125 bpw"},
    {21, "Q2_K - Small"},
    {22, "IQ3_XS - 3.3 bpw"},
    {23, "IQ3_XXS - 3.0625 bpw"},
    {24, "IQ1_S - 1.5625 bpw"},
    {25, "IQ4_NL - 4.5 bpw"},
    {26, "IQ3_S - 3.4375 bpw"},
    {27, "IQ3_S mix - 3.66 bpw"},
    {28, "IQ2_S - 2.5 bpw"},
    {29, "IQ2_M - 2.7 bpw"},
    {30, "IQ4_XS - 4.25 bpw"},
    {31, "IQ1_M - 1.75 bpw"},
    {32, "BF16"},
    {36, "TQ1_0 - 1.69 bpw ternary"},
    {37, "TQ2_0 - 2.06 bpw ternary"},
    {38, "MXFP4 MoE"},
    {39, "NVFP4"},
};

// Types with less than this share of the weights are not named.
constexpr double kLeastShare = 0.05;
constexpr size_t kMostNames = 3;

// Returns the number that the model's file states, if it does.
absl::StatusOr<size_t> StatedNumber(const std::string& model) {
  constexpr std::string_view kKey = "general.file_type";
  const absl::StatusOr<std::string> path = ResolveModel(model);
  if (!path.ok()) return path.status();
  const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(*path);
  if (!checkpoint.ok()) return checkpoint.status();
  size_t number = 0;
  if (!checkpoint->metadata.has_value() || !checkpoint->metadata->Has(kKey)) {
    return absl::NotFoundError("");
  }
  if (const absl::Status read = checkpoint->metadata->Read(kKey, number);
      !read.ok()) {
    return read;
  }
  return number;
}

std::string TypesOf(const Model& model) {
  const Totals totals = Summarize(model.tensors());
  std::vector<std::pair<uint64_t, std::string>> types;  // values, name
  for (const auto& [name, total] : totals.types) {
    const double share = static_cast<double>(total.values) /
                         static_cast<double>(totals.all.values);
    if (share >= kLeastShare) types.emplace_back(total.values, name);
  }
  std::stable_sort(
      types.begin(), types.end(),
      [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(types.size(), kMostNames); ++i) {
    names.push_back(types[i].second);
  }
  if (types.size() > kMostNames) {
    names.push_back(absl::StrCat(types.size() - kMostNames, " more"));
  }
  return absl::StrJoin(names, " + ");
}

}  // namespace

std::string FileTypeName(size_t number) {
  for (const NamedFileType& type : kFileTypes) {
    if (type.number == number) return std::string(type.name);
  }
  return "";
}

std::string FileType(const std::string& path, const Model& model) {
  const absl::StatusOr<size_t> number = StatedNumber(path);
  const std::string name = number.ok() ? FileTypeName(*number) : "";
  return name.empty() ? TypesOf(model) : name;
}

}  // namespace gemma::tools
