#include "gemma/weight_type.h"

#include "src/base/internal.h"

namespace gemma {
namespace {

struct NamedType {
  WeightType type;
  std::string_view name;
};
constexpr NamedType kTypes[] = {
    {WeightType::kKeep, "keep"}, {WeightType::kBF16, "bf16"},
    {WeightType::kQ8, "q8"},     {WeightType::kQ6, "q6"},
    {WeightType::kQ5, "q5"},     {WeightType::kQ4, "q4"},
    {WeightType::kQ4S, "q4s"},   {WeightType::kQ4_0, "q4_0"},
};

}  // namespace

std::string_view WeightTypeName(WeightType type) {
  for (const NamedType& entry : kTypes) {
    if (entry.type == type) return entry.name;
  }
  return "";
}

std::optional<WeightType> ParseWeightType(std::string_view name) {
  for (const NamedType& entry : kTypes) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

}  // namespace gemma
