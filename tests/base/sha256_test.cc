#include "src/base/sha256.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// In pieces of `piece` bytes.
std::string Hex(std::string_view text, size_t piece) {
  Sha256 hash;
  for (size_t i = 0; i < text.size(); i += piece) {
    hash.Append(Bytes(text.substr(i, piece)));
  }
  const Sha256::Digest digest = hash.Finish();
  return absl::BytesToHexString(
      {reinterpret_cast<const char*>(digest.data()), digest.size()});
}

// The examples of NIST: none, one, two and very many blocks.
TEST(Sha256, PublishedExamples) {
  EXPECT_EQ(Hex("", 1),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex("abc", 3),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 99),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Hex(std::string(1'000'000, 'a'), 1'000'000),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, AnyPiecesAndLengths) {
  std::string text;
  for (size_t size = 0; size < 200; ++size) {
    const std::string whole = Hex(text, text.size() + 1);
    for (const size_t piece : {1, 7, 63, 64, 65, 128}) {
      EXPECT_EQ(Hex(text, piece), whole) << size << " in pieces of " << piece;
    }
    text += static_cast<char>(37 * size);
  }
}

}  // namespace
}  // namespace gemma::internal
