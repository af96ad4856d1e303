#include "src/quantize/choose_format.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "ops/workers.h"

namespace gemma::internal {
namespace {

constexpr size_t kSampleRows = 4;
constexpr size_t kSampleCols = 256;

// Weights in float32 that Q4_0 holds exactly.
std::vector<float> TrainedForQ4_0() {
  std::vector<float> values(kSampleRows * kSampleCols);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = 0.5f * (static_cast<float>(i * 7 % 16) - 8.0f);
  }
  return values;
}

// The format chosen for a matrix of these values, in a GGUF file by default.
Format Chosen(const std::vector<float>& values, WeightType type,
              WeightKind kind = WeightKind::kMatrix,
              FileLayout layout = FileLayout::kGguf) {
  Tensor tensor;
  tensor.shape = {kSampleRows, kSampleCols};
  tensor.data = reinterpret_cast<const uint8_t*>(values.data());
  tensor.bytes = values.size() * sizeof(float);
  const BoundWeight weight = {
      {WeightRole::kQProj, 0, kind, tensor.shape}, &tensor, "q"};
  QuantizeOptions options;
  options.type = type;
  options.layout = layout;
  Workers workers(1);
  const auto formats = ChooseFormats({&weight, 1}, options, workers);
  return formats.ok() ? formats->front() : Format::kF32;
}

TEST(ChooseFormats, TrainedQ4_0KeepsCodes) {
  const std::vector<float> trained = TrainedForQ4_0();
  for (const WeightType type :
       {WeightType::kQ8, WeightType::kQ6, WeightType::kQ4, WeightType::kQ4_0}) {
    EXPECT_EQ(Chosen(trained, type), Format::kQ4_0) << WeightTypeName(type);
  }
  EXPECT_EQ(Chosen(trained, WeightType::kBF16), Format::kBF16);
}

TEST(ChooseFormats, UntrainedGetGgufTypes) {
  std::vector<float> values = TrainedForQ4_0();
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] += 0.01f * static_cast<float>(i % 13);
  }
  EXPECT_EQ(Chosen(values, WeightType::kQ8), Format::kQ8_0);
  EXPECT_EQ(Chosen(values, WeightType::kQ6), Format::kQ6_K);
  EXPECT_EQ(Chosen(values, WeightType::kQ4), Format::kIQ4_NL);
  EXPECT_EQ(Chosen(values, WeightType::kQ4_0), Format::kQ4_0);
}

// Tables are stored in rows, so they need a type of GGUF in both layouts.
TEST(ChooseFormats, TablesGetGgufTypes) {
  std::vector<float> values = TrainedForQ4_0();
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] += 0.01f * static_cast<float>(i % 13);
  }
  for (const FileLayout layout : {FileLayout::kPacked, FileLayout::kGguf}) {
    for (const auto& [type, format] :
         {std::pair(WeightType::kKeep, Format::kF32),
          std::pair(WeightType::kBF16, Format::kBF16),
          std::pair(WeightType::kQ8, Format::kQ8_0),
          std::pair(WeightType::kQ6, Format::kQ6_K),
          std::pair(WeightType::kQ5, Format::kQ6_K),
          std::pair(WeightType::kQ4, Format::kIQ4_NL),
          std::pair(WeightType::kQ4S, Format::kQ4_0),
          std::pair(WeightType::kQ4_0, Format::kQ4_0)}) {
      EXPECT_EQ(Chosen(values, type, WeightKind::kTable, layout), format)
          << WeightTypeName(type);
      // What chooses experts is never converted.
      EXPECT_EQ(Chosen(values, type, WeightKind::kExactMatrix, layout),
                Format::kF32);
    }
  }
}

}  // namespace
}  // namespace gemma::internal
