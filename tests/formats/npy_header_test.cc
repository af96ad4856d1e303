#include "src/formats/npy_header.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;

TEST(NpyHeader, ReadsWhatNumpyWrites) {
  const absl::StatusOr<NpyHeader> header = ParseNpyHeader(
      "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 37), }      \n");
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->type, NpyType::kInt64);
  EXPECT_THAT(header->shape, ElementsAre(1, 37));
  EXPECT_EQ(header->num_values, 37u);
  EXPECT_EQ(header->data_bytes, 37u * 8);
}

TEST(NpyHeader, KnowsTypes) {
  const auto bytes = [](const std::string& descr) {
    return ParseNpyHeader("{'descr': '" + descr +
                          "', 'fortran_order': False, 'shape': (3,)}")
        ->data_bytes;
  };
  EXPECT_EQ(bytes("<f2"), 6u);
  EXPECT_EQ(bytes("<f4"), 12u);
  EXPECT_EQ(bytes("<f8"), 24u);
  EXPECT_EQ(bytes("<i4"), 12u);
  EXPECT_EQ(bytes("<i8"), 24u);
}

TEST(NpyHeader, ReadsShapes) {
  const auto shape = [](const std::string& text) {
    return ParseNpyHeader("{\"shape\":" + text +
                          ",'fortran_order':False,'descr':'<f4'}");
  };
  EXPECT_EQ(shape("()")->num_values, 1u);
  EXPECT_EQ(shape("(5,)")->num_values, 5u);
  EXPECT_EQ(shape("( 2 , 0 )")->num_values, 0u);
  EXPECT_FALSE(shape("(2").ok());
  EXPECT_FALSE(shape("(-2,)").ok());
  EXPECT_FALSE(shape("(,)").ok());
  EXPECT_FALSE(shape("(1,1,1,1,1,1,1,1,1)").ok());
  EXPECT_FALSE(shape("2").ok());
}

TEST(NpyHeader, WantsEveryKeyOnce) {
  EXPECT_FALSE(ParseNpyHeader("").ok());
  EXPECT_FALSE(ParseNpyHeader("{}").ok());
  EXPECT_FALSE(ParseNpyHeader("{'descr': '<f4', 'shape': (1,)}").ok());
  EXPECT_FALSE(ParseNpyHeader("{'descr': '<f4', 'descr': '<f4', 'shape': (1,), "
                              "'fortran_order': False}")
                   .ok());
  EXPECT_FALSE(ParseNpyHeader("{'descr': '<f4', 'shape': (1,), "
                              "'fortran_order': False, 'x': 1}")
                   .ok());
  EXPECT_FALSE(ParseNpyHeader("{'descr': '<f4', 'shape': (1,), "
                              "'fortran_order': False} x")
                   .ok());
}

TEST(NpyHeader, RejectsEveryTruncation) {
  const std::string good =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
  ASSERT_TRUE(ParseNpyHeader(good).ok());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(ParseNpyHeader(good.substr(0, size)).ok()) << size;
  }
}

TEST(NpyHeader, ReadsHeaderSize) {
  const auto bytes = [](std::string_view prefix) {
    return NpyHeaderBytes(
        {reinterpret_cast<const uint8_t*>(prefix.data()), prefix.size()});
  };
  using std::string_view_literals::operator""sv;
  EXPECT_EQ(bytes("\x93NUMPY\x01\x00\x76\x00"sv).value(), 0x76u);
  EXPECT_EQ(bytes("\x93NUMPY\x02\x00\x76\x00"sv).value(), 0x78u);
  EXPECT_FALSE(bytes("\x93NUMPY\x04\x00\x76\x00"sv).ok());
  EXPECT_FALSE(bytes("\x93NUMPX\x01\x00\x76\x00"sv).ok());
  EXPECT_FALSE(bytes("\x93NUMPY\x01\x00\x76"sv).ok());
  EXPECT_FALSE(bytes("\x93NUMPY\x02\x00\xFF\xFF"sv).ok());
}

}  // namespace
}  // namespace gemma::internal
