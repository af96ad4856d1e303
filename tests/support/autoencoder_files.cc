#include "tests/support/autoencoder_files.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/near.h"

namespace gemma::internal {
namespace {

FileArray Random(std::vector<uint64_t> shape, float scale, uint64_t seed) {
  size_t size = 1;
  for (const uint64_t extent : shape) size *= extent;
  // Many random values take long without optimization, so the same values
  // repeat, with a period that makes all rows different.
  constexpr size_t kPeriod = 65537;
  std::vector<float> values = RandomVector(std::min(size, kPeriod), seed);
  for (float& value : values) value *= scale;
  values.resize(size);
  for (size_t i = kPeriod; i < size; ++i) values[i] = values[i - kPeriod];
  return {std::move(shape), std::move(values)};
}

}  // namespace

FileArrays RandomArrays(size_t input_dim, size_t num_features,
                        size_t output_dim, uint64_t seed, bool affine) {
  // With this scale a product of two random vectors has a variance of 1/3.
  const float scale = std::sqrt(3.0f / static_cast<float>(input_dim));
  FileArrays arrays = {
      {"W_enc", Random({input_dim, num_features}, scale, seed + 1)},
      {"W_dec", Random({num_features, output_dim}, 0.1f, seed + 2)},
      {"b_enc", Random({num_features}, 0.1f, seed + 3)},
      {"b_dec", Random({output_dim}, 0.1f, seed + 4)},
      {"threshold", Random({num_features}, 0.1f, seed + 5)}};
  for (float& value : arrays["threshold"].values) value += 0.75f;
  if (affine) {
    arrays["affine_skip_connection"] =
        Random({input_dim, output_dim}, scale, seed + 6);
  }
  return arrays;
}

Bytes NpzOf(const FileArrays& arrays, Packing packing) {
  ZipWriter zip;
  for (const auto& [name, array] : arrays) {
    const std::string shape =
        absl::StrCat("(", absl::StrJoin(array.shape, ", "), ",)");
    zip.Add(name + ".npy",
            Npy(NpyDictionary("<f4", shape), BytesOf(array.values)), packing);
  }
  return zip.Finish();
}

Bytes SafetensorsOf(const FileArrays& arrays) {
  SafetensorsWriter writer;
  for (const auto& [name, array] : arrays) {
    const std::string_view bytes = BytesOf(array.values);
    writer.Tensor(absl::AsciiStrToLower(name), "F32", array.shape,
                  Bytes(bytes.begin(), bytes.end()));
  }
  return writer.Finish();
}

SparseAutoencoderOptions AtLayer1(FeatureWeights weights) {
  return {weights, FeatureSite{.layer = 1}};
}

}  // namespace gemma::internal
