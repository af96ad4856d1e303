#include "tests/support/block_model.h"

#include <string_view>

namespace gemma::internal {
namespace {

constexpr MatrixType kFloat = {0, 1, 4};

}  // namespace

Bytes BlockModel(size_t width, size_t inner,
                 absl::Span<const MatrixType> types) {
  GgufWriter gguf;
  gguf.String("general.architecture", "gemma")
      .Uint32("gemma.embedding_length", static_cast<uint32_t>(width))
      .Uint32("gemma.block_count", 1)
      .Uint32("gemma.feed_forward_length", static_cast<uint32_t>(inner))
      .Uint32("gemma.attention.head_count", 1)
      .Uint32("gemma.attention.key_length", static_cast<uint32_t>(inner));
  size_t number = 0;
  const auto matrix = [&](std::string_view name, size_t rows, size_t cols) {
    const bool fits = cols % types[0].values == 0;
    const MatrixType& type = fits ? types[number++ % types.size()] : kFloat;
    const Bytes zeros(rows * cols / type.values * type.bytes);
    gguf.Tensor(name, {cols, rows}, type.number, zeros);
  };
  const auto norm = [&](std::string_view name) {
    gguf.Tensor(name, {width}, kFloat.number, Bytes(width * kFloat.bytes));
  };
  matrix("token_embd.weight", 8, width);
  matrix("blk.0.attn_q.weight", inner, width);
  matrix("blk.0.attn_k.weight", inner, width);
  matrix("blk.0.attn_v.weight", inner, width);
  matrix("blk.0.attn_output.weight", width, inner);
  matrix("blk.0.ffn_gate.weight", inner, width);
  matrix("blk.0.ffn_up.weight", inner, width);
  matrix("blk.0.ffn_down.weight", width, inner);
  norm("blk.0.attn_norm.weight");
  norm("blk.0.ffn_norm.weight");
  norm("output_norm.weight");
  return gguf.Finish();
}

}  // namespace gemma::internal
