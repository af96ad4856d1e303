// Named points of the forward pass where a caller may read or change
// activations.

#ifndef GEMMA_TAPS_H_
#define GEMMA_TAPS_H_

#include <cstddef>
#include <functional>

#include "absl/types/span.h"

namespace gemma {

// The points, in the order of computation. The mix is attention or recurrence.
// Inputs and hidden values are the activations that weights multiply: all of a
// block's, except those for the recurrence's gates, for the router of experts,
// and for what only Gemma 3n has: AltUp's matrices and the second one of
// LAuReL. A layer without experts or per-layer embeddings has no such points.
//
// In Gemma 3n, the residual stream is the first of AltUp's streams: as a layer
// predicts it, up to kFfwOutput, then as the layer corrects it.
enum class TapPoint {
  kEmbedding,    // [rows, model_dim]: the scaled embeddings; layer 0
  kMixInput,     // [rows, model_dim]: the residual stream after the norm
  kMixHidden,    // [rows, num_heads * head_dim]: the heads' values, or
                 // [rows, lru_width]: the gated states
  kMixOutput,    // [rows, model_dim]: the mix's addition to the residual stream
  kMixedStream,  // [rows, model_dim]: the residual stream with the mix added;
                 // in Gemma 3n also with LAuReL, over sqrt(2)
  kFfwInput,     // [rows, model_dim]: the residual stream after the norm
  kFfwHidden,    // [rows, ffw_dim]: gelu(gate) * up
  kExpertInput,  // [rows, model_dim]: in layers with experts, the input of
                 // those: the residual stream after a norm of its own
  kExpertChoice,  // [rows, 2 * experts_used]: the index of each expert that the
                  // row uses, in ascending order, and then the factor of its
                  // result; changes of an index have no effect
  kExpertHidden,  // [rows, experts_used * expert_dim]: gelu(gate) * up of these
                  // experts, in the order of kExpertChoice
  kFfwOutput,     // [rows, model_dim]: the feed-forward layer's addition to the
                  // residual stream, that of experts included
  kPerLayerInput,   // [rows, model_dim]: the residual stream with the
                    // feed-forward layer added, in models with per-layer
                    // embeddings; in Gemma 3n corrected and scaled
  kPerLayerHidden,  // [rows, per_layer_dim]: gelu(gate) * per-layer embedding
  kPerLayerOutput,  // [rows, model_dim]: its addition to the residual stream;
                    // in Gemma 3n to each stream but the first
  kBlockOutput,     // [rows, model_dim]: the residual stream after the block
  kHeadInput,  // [rows, model_dim]: the residual stream after the last block
               // and the last norm, even if no logits are computed
};

// The origin of activations.
struct TapSite {
  TapPoint point = TapPoint::kBlockOutput;  // the kind of activations
  size_t layer = 0;     // 0-based; for kHeadInput the number of layers, for
                        // kEmbedding 0
  size_t position = 0;  // of the first row
  size_t num_rows = 0;  // at consecutive positions
};

// A function that receives activations [num_rows, columns], row-major, on the
// thread that called Forward. TapPoint defines the columns. Changes to the
// activations take effect, except where TapPoint says otherwise. The number of
// rows in a call depends on the prefill chunk; the set of all rows does not.
//
// The model computes nothing else during the call. On the tap's thread, these
// fail with FailedPrecondition: functions that compute with the model (Forward,
// Append, Generate, Embed, ...), change a session of it (Rewind, Checkpoint) or
// copy one (Fork, Save), and Ticket::Wait of its engines. Session::Create,
// SetTap, Engine::Submit and other models may be used. A tap must not wait for
// another thread that computes with the model, or with one of the same
// ThreadPool: that thread waits for the tap.
//
// If the function throws, Forward fails with Internal and the exception's text,
// or with ResourceExhausted for std::bad_alloc; see Session.
using TapFunction =
    std::function<void(const TapSite& site, absl::Span<float> activations)>;

}  // namespace gemma

#endif  // GEMMA_TAPS_H_
