// Named points of the forward pass where a caller may read or change
// activations.

#ifndef GEMMA_TAPS_H_
#define GEMMA_TAPS_H_

#include <cstddef>
#include <functional>

#include "absl/types/span.h"

namespace gemma {

// What may be read and changed, in the order in which it is computed. The mix
// is attention or recurrence. Inputs and hidden values are what the weights
// multiply, all of a block's but the recurrence's gates.
enum class TapPoint {
  kEmbedding,    // [rows, model_dim]: the scaled embeddings, of layer 0
  kMixInput,     // [rows, model_dim]: the residual stream after the norm
  kMixHidden,    // [rows, num_heads * head_dim]: the heads' values, or
                 // [rows, lru_width]: the gated states
  kMixOutput,    // [rows, model_dim]: what the mix adds to the residual stream
  kMixedStream,  // [rows, model_dim]: the residual stream with the mix added
  kFfwInput,     // [rows, model_dim]: the residual stream after the norm
  kFfwHidden,    // [rows, ffw_dim]: gelu(gate) * up
  kFfwOutput,    // [rows, model_dim]: what the feed-forward layer adds to the
                 // residual stream
  kBlockOutput,  // [rows, model_dim]: the residual stream after the block
  kHeadInput,    // [rows, model_dim]: the residual stream after the last block
                 // and the last norm, whether or not logits are wanted
};

// Where activations come from.
struct TapSite {
  TapPoint point = TapPoint::kBlockOutput;  // what they are
  size_t layer = 0;     // 0-based; of kHeadInput the number of layers, of
                        // kEmbedding 0
  size_t position = 0;  // of the first row
  size_t num_rows = 0;  // consecutive positions
};

// Called with activations [num_rows, columns], row-major, of which TapPoint
// tells the columns, from the thread that called Forward. Changes to them take
// effect. How many rows come at once depends on the prefill chunk; which rows
// come does not.
//
// The model computes nothing else meanwhile. On the thread of the tap,
// functions that compute with the model (Forward, Append, Generate, Embed,
// ...), change a session of it (Rewind, Checkpoint) or copy one (Fork, Save),
// and Ticket::Wait of its engines, fail with FailedPrecondition;
// Session::Create, SetTap, Engine::Submit and other models may be used. A tap
// must not wait for another thread that computes with the model: that thread
// waits for the tap.
//
// If it throws, Forward fails with Internal and the exception's text, or with
// ResourceExhausted for std::bad_alloc; see Session.
using TapFunction =
    std::function<void(const TapSite& site, absl::Span<float> activations)>;

}  // namespace gemma

#endif  // GEMMA_TAPS_H_
