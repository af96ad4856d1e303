#include "ops/aligned_buffer.h"

#include <cstdint>
#include <utility>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

void ExpectEmpty(const AlignedBuffer& buffer) {
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_EQ(buffer.bytes(), 0u);
}

TEST(AlignedBuffer, ZeroedAndAligned) {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{5} << 20}) {
    const AlignedBuffer buffer = AlignedBuffer::AllocateWhole(bytes);
    ASSERT_NE(buffer.data(), nullptr);
    EXPECT_EQ(buffer.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(buffer.data()[i], 0);
  }
}

TEST(AlignedBuffer, NoSuchMemory) {
  ExpectEmpty(AlignedBuffer::Allocate(SIZE_MAX));
  ExpectEmpty(AlignedBuffer::AllocateWhole(SIZE_MAX));
}

TEST(AlignedBuffer, MovedFromIsEmpty) {
  AlignedBuffer first = AlignedBuffer::Allocate(100);
  const uint8_t* data = first.data();
  AlignedBuffer second = std::move(first);
  ExpectEmpty(first);
  EXPECT_EQ(second.data(), data);
  EXPECT_EQ(second.bytes(), 100u);
  AlignedBuffer third = AlignedBuffer::Allocate(7);
  third = std::move(second);
  ExpectEmpty(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.bytes(), 100u);
}

}  // namespace
}  // namespace gemma::internal
