// The table of weights is consistent.

#include "src/model/tensors/weight_table.h"

#include <set>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "src/model/tensors/tensor_names.h"
#include "src/session/model_impl.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

// If two rows kept their weights in the same place, one would overwrite the
// other.
TEST(WeightTable, EachSlotIsOnce) {
  for (const WeightRow& a : WeightTable()) {
    for (const WeightRow& b : WeightTable()) {
      EXPECT_EQ(a.slot == b.slot, a.role == b.role)
          << static_cast<int>(a.role) << " " << static_cast<int>(b.role);
    }
  }
}

TEST(WeightTable, RolesFindTheirRows) {
  for (const WeightRow& row : WeightTable()) {
    EXPECT_EQ(&RowOf(row.role), &row);
  }
}

// Only matrices are quantized, and a plan for a budget needs the sensitivity of
// all of them.
TEST(WeightTable, MatricesHaveSensitivities) {
  for (const WeightRow& row : WeightTable()) {
    const bool is_quantized =
        row.kind == WeightKind::kMatrix || row.kind == WeightKind::kExperts ||
        row.kind == WeightKind::kStack || row.kind == WeightKind::kTable;
    EXPECT_EQ(is_quantized, row.sensitivity > 0) << row.names.gguf;
    if (row.input.has_value()) {
      EXPECT_TRUE(is_quantized) << row.names.gguf;
    }
  }
}

// No two weights of a model have the same name in any kind of file.
TEST(WeightTable, NamesDiffer) {
  for (const Toy& toy : AllToys()) {
    const Model model = LoadToy(toy);
    const TensorNames names = TensorNames::Gguf();
    std::set<std::string> seen;
    for (const WeightSpec& spec : WeightsOf(model.config(), true)) {
      EXPECT_TRUE(seen.insert(names.Name(spec.role, spec.layer)).second)
          << names.Name(spec.role, spec.layer);
    }
  }
}

// Exactly the weights that a layer lacks stay empty.
TEST(WeightTable, LayersHoldListedWeights) {
  for (const Toy& toy : AllToys()) {
    const Model model = LoadToy(toy);
    const Weights& weights = model.impl().weights;
    for (size_t l = 0; l < model.config().num_layers(); ++l) {
      std::set<WeightRole> listed;
      for (const WeightSpec& spec : LayerWeightsOf(model.config(), l)) {
        listed.insert(spec.role);
      }
      for (const WeightRow& row : WeightTable()) {
        if (row.scope != WeightScope::kLayer) continue;
        const bool holds = std::visit(
            [&](auto member) {
              using Owner = decltype(member);
              if constexpr (std::is_same_v<Owner, Matrix LayerWeights::*>) {
                return (weights.layers[l].*member).view.rows != 0;
              } else if constexpr (std::is_same_v<Owner, std::vector<float>
                                                             LayerWeights::*> ||
                                   std::is_same_v<Owner, std::vector<Matrix>
                                                             LayerWeights::*>) {
                return !(weights.layers[l].*member).empty();
              } else {
                return false;
              }
            },
            row.slot);
        EXPECT_EQ(holds, listed.contains(row.role))
            << toy.name << " " << l << " " << row.names.gguf;
      }
    }
  }
}

}  // namespace
}  // namespace gemma::internal
