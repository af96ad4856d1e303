#include "src/forward/recurrent_block.h"

#include <algorithm>
#include <array>

#include "ops/ops.h"
#include "src/forward/ffw_block.h"
#include "src/forward/segment.h"
#include "src/model/config/limits.h"

namespace gemma::internal {
namespace {

// One strip of channels of one sequence. Strips do not depend on each other, so
// each strip runs through time by itself.
struct Strip {
  const ModelConfig& config;
  const LayerWeights& weights;
  const RecurrentState& state;
  size_t position;                                           // of the first row
  size_t index;                                              // of the strip
  size_t begin;                                              // first channel
  size_t width;                                              // channels
  MatrixView<float> x, conv, input_gate, recurrent_gate, y;  // [rows, width]

  std::span<const float> Of(std::span<const float> channels) const {
    return channels.subspan(begin, width);
  }

  void Convolve() const {
    static constexpr float kZeros[kMaxStrip] = {};
    const size_t taps = config.conv_width;
    const MatrixView<const float> kernel(weights.conv.data() + begin, taps,
                                         width, config.lru_width);
    for (size_t row = 0; row < x.rows; ++row) {
      const size_t now = position + row;
      std::ranges::copy(x.Row(row), state.Input(now).begin() + begin);
      std::array<const float*, kMaxTaps> inputs;
      for (size_t tap = 0; tap < taps; ++tap) {
        const size_t ago = taps - 1 - tap;
        inputs[tap] =
            ago > now ? kZeros : state.Input(now - ago).data() + begin;
      }
      Conv1d({inputs.data(), taps}, kernel, Of(weights.conv_bias),
             conv.Row(row));
    }
  }

  void Gates() const {
    MatMulInline({conv, weights.input_gate[index].view,
                  Of(weights.input_gate_bias), input_gate});
    MatMulInline({conv, weights.recurrent_gate[index].view,
                  Of(weights.recurrent_gate_bias), recurrent_gate});
  }

  // y = gelu(y) * state, row by row.
  void Scan() const {
    for (size_t row = 0; row < x.rows; ++row) {
      const size_t now = position + row;
      const bool first = now == 0;
      const auto before = state.State(first ? 0 : now - 1);
      const auto after = state.State(now).subspan(begin, width);
      RgLru({conv.Row(row), input_gate.Row(row), recurrent_gate.Row(row),
             Of(weights.log_a_scale), Of(before), after, first});
      GatedGelu(y.Row(row), after, GeluOf(config));
    }
  }
};

}  // namespace

void RecurrentBlock(const ModelConfig& config, const LayerWeights& weights,
                    size_t layer, std::span<const Segment> segments,
                    MatrixView<const float> normed, Scratch& scratch,
                    MatrixView<float> update, MatMulContext& context) {
  const MatrixView<float> x = scratch.rec_x.Rows(0, normed.rows);
  const MatrixView<float> y = scratch.rec_y.Rows(0, normed.rows);
  const std::array<MatMulJob, 2> projections = {{
      {normed, weights.linear_x.view, weights.linear_x_bias, x},
      {normed, weights.linear_y.view, weights.linear_y_bias, y},
  }};
  MatMul(projections, context);

  const size_t strips = config.layers[layer].num_heads;
  const size_t width = config.lru_width / strips;
  context.workers().ForEach(segments.size() * strips, [&](size_t task, size_t) {
    const Segment& segment = segments[task / strips];
    size_t first_row = 0;
    for (const Segment* s = segments.data(); s != &segment; ++s) {
      first_row += s->words.size();
    }
    const size_t begin = task % strips * width;
    const auto part = [&](MatrixView<float> m) {
      return m.Rows(first_row, segment.words.size()).Cols(begin, width);
    };
    const Strip strip = {config,
                         weights,
                         segment.state->recurrent(layer),
                         segment.position,
                         task % strips,
                         begin,
                         width,
                         part(x),
                         part(scratch.conv),
                         part(scratch.input_gate),
                         part(scratch.recurrent_gate),
                         part(y)};
    strip.Convolve();
    strip.Gates();
    strip.Scan();
  });

  Tap(TapPoint::kMixHidden, layer, segments, y);
  const MatMulJob out = {y, weights.linear_out.view, weights.linear_out_bias,
                         update};
  MatMul({&out, 1}, context);
}

}  // namespace gemma::internal
