#include "src/formats/tensor_values.h"

#include <cstring>
#include <string>
#include <vector>

#include "compression/codec.h"
#include "compression/codec_sfp.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/sbs_files.h"

namespace gemma::internal {
namespace {

// Values that SFP represents exactly, 15 different ones in each 256.
std::vector<float> SfpValues(size_t size) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i) {
    const size_t code = 16 * (i / 256 % 3 + 4) + i * 7 % 15;
    const size_t sign = code % 2 * 0x80;
    values[i] = SFP::ToFloat(static_cast<uint8_t>(code | sign));
  }
  return values;
}

// Returns the values of a tensor as floats.
std::vector<float> ValuesOf(const Tensor& tensor) {
  const absl::StatusOr<TensorValues> values = TensorValues::Read(tensor);
  EXPECT_EQ(ErrorOf(values), "OK");
  std::vector<float> out(tensor.NumValues());
  DecodeRow({tensor.format, 1, out.size(), values->data()}, 0, out.data());
  return out;
}

Tensor Arranged(const Bytes& stream, const Arrangement& arrangement) {
  Tensor tensor;
  tensor.data = stream.data();
  tensor.bytes = stream.size();
  tensor.arrangement = arrangement;
  tensor.format = ArrangedFormat(arrangement);
  tensor.shape = {arrangement.sizes[0], arrangement.sizes[1],
                  arrangement.sizes[2]};
  return tensor;
}

constexpr SbsType kTypes[] = {SbsType::kF32, SbsType::kBF16, SbsType::kSfp,
                              SbsType::kNuq};
constexpr Format kFormats[] = {Format::kF32, Format::kBF16, Format::kSFP,
                               Format::kNUQ};

TEST(TensorValues, UnarrangedAreNotCopied) {
  const uint8_t data[] = {1, 2, 3};
  Tensor tensor;
  tensor.format = Format::kSFP;
  tensor.shape = {3};
  tensor.data = data;
  EXPECT_EQ(TensorValues::Read(tensor)->data(), data);
}

TEST(TensorValues, FollowSizesAndSteps) {
  constexpr size_t kSize = 6 * 5 * 7 + 100;
  const std::vector<float> values = SfpValues(kSize);
  for (size_t t = 0; t < std::size(kTypes); ++t) {
    // A copy of the exact size lets ASan find reads beyond its end.
    const Bytes encoded = EncodeSbs(kTypes[t], values);
    const Bytes stream(encoded.begin(), encoded.end());
    for (const auto& steps : std::vector<std::array<size_t, 3>>{
             {35, 7, 1}, {1, 6, 30}, {7, 42, 1}, {5, 1, 30}}) {
      const Arrangement a = {.stored = kFormats[t],
                             .stored_values = kSize,
                             .begin = 100,
                             .sizes = {6, 5, 7},
                             .steps = steps};
      std::vector<float> expected;
      for (size_t i = 0; i < 6; ++i) {
        for (size_t j = 0; j < 5; ++j) {
          for (size_t k = 0; k < 7; ++k) {
            const size_t at = 100 + i * steps[0] + j * steps[1] + k * steps[2];
            if (at < kSize) expected.push_back(values[at]);
          }
        }
      }
      ASSERT_EQ(expected.size(), 210u);
      EXPECT_EQ(ValuesOf(Arranged(stream, a)), expected)
          << FormatName(kFormats[t]);
    }
  }
}

TEST(TensorValues, ScaleMultiplies) {
  const std::vector<float> values = SfpValues(300);
  std::vector<float> expected = values;
  for (float& value : expected) value *= 0.3f;
  for (size_t t = 0; t < std::size(kTypes); ++t) {
    const Bytes stream = EncodeSbs(kTypes[t], values);
    const Tensor tensor = Arranged(stream, {.stored = kFormats[t],
                                            .stored_values = 300,
                                            .sizes = {1, 1, 300},
                                            .scale = 0.3f});
    EXPECT_EQ(tensor.format, Format::kF32);
    EXPECT_EQ(ValuesOf(tensor), expected) << FormatName(kFormats[t]);
  }
}

// Both orders of NUQ. At some sizes, both take the same number of bytes. At
// some, the last group is incomplete.
TEST(TensorValues, NuqInEitherOrder) {
  for (const size_t size :
       {1, 2, 255, 256, 257, 300, 511, 512, 1024, 1025, 2048, 5000, 65536}) {
    const std::vector<float> values = SfpValues(size);
    for (const bool tables_first : {false, true}) {
      const Bytes encoded =
          EncodeSbs(SbsType::kNuq, values, 1.0f, tables_first);
      const Bytes stream(encoded.begin(), encoded.end());
      ASSERT_TRUE(FitsNuq(stream.size(), size));
      EXPECT_FALSE(FitsNuq(stream.size() + 1, size + 256));
      const bool found = NuqTablesFirst(stream, size);
      // A single group is the same in both orders, except for the padding.
      if (size > 256 || stream.size() != *StoredBytes(Format::kNUQ, size)) {
        EXPECT_EQ(found, tables_first) << size;
      }
      EXPECT_EQ(ValuesOf(Arranged(stream, {.stored = Format::kNUQ,
                                           .stored_values = size,
                                           .sizes = {1, 1, size},
                                           .tables_first = found})),
                values)
          << size << (tables_first ? " tables first" : "");
    }
  }
}

TEST(TensorValues, StoredBytesNeverOverflow) {
  EXPECT_EQ(StoredBytes(Format::kF32, ~uint64_t{0}), std::nullopt);
  EXPECT_EQ(StoredBytes(Format::kSFP, ~uint64_t{0}), ~uint64_t{0});
  EXPECT_EQ(StoredBytes(Format::kNUQ, 256), 144u);
  EXPECT_EQ(StoredBytes(Format::kNUQ, 257), 161u);
  EXPECT_EQ(StoredBytes(Format::kNUQ, 3), 18u);
  EXPECT_GT(StoredBytes(Format::kNUQ, ~uint64_t{0}), uint64_t{1} << 63);
}

}  // namespace
}  // namespace gemma::internal
