// The catalogue of operations that a forward pass is made of. Plain C++: which
// SIMD instructions run is decided inside, per call, by what the CPU has.
//
// A row's result never depends on the number of rows, of threads, or on what
// the other rows are: the order of every sum is fixed by the shape alone. (Only
// Arithmetic::kFastest may differ between few and many rows.)

#ifndef GEMMA_OPS_OPS_H_
#define GEMMA_OPS_OPS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compression/weight_view.h"
#include "ops/aligned_buffer.h"
#include "ops/matrix_view.h"
#include "ops/workers.h"

namespace gemma {

// What the products of a MatMul are made of.
enum class Arithmetic {
  // The values of w and x, multiplied and summed in float32.
  kFloat32,
  // Quantized w: x is rounded to int8, one scale for each 32 columns, and
  // products of codes are exact. Other w: as kFloat32.
  kInt8,
  // As kInt8, but where the CPU has tiles for bfloat16, many rows of x are
  // rounded to it, and w too. Then a row's result is not the same bits in a
  // call of many rows as in one of few.
  kFastest,
};

// Where products run, and memory for rounded activations.
class MatMulContext {
 public:
  // Has room for x of up to max_rows rows and max_cols columns.
  MatMulContext(Arithmetic arithmetic, size_t max_rows, size_t max_cols,
                Workers& workers);
  bool ok() const { return buffer_.data() != nullptr; }

  // What the buffer takes.
  static size_t Bytes(size_t max_rows, size_t max_cols);

  Arithmetic arithmetic() const { return arithmetic_; }
  Workers& workers() const { return *workers_; }
  std::span<uint8_t> buffer() const {
    return {buffer_.data(), buffer_.bytes()};
  }

 private:
  Arithmetic arithmetic_;
  Workers* workers_;
  AlignedBuffer buffer_;
};

// One product of a call of MatMul: out = x w^T + bias.
struct MatMulJob {
  MatrixView<const float> x;    // [rows, w.cols]
  PackedView w;                 // [w.rows, w.cols]
  std::span<const float> bias;  // [w.rows], or empty
  MatrixView<float> out;        // [rows, w.rows], not overlapping x
};

// Runs all jobs, which have the same x. In kFloat32, out[t][r] is the sum over
// columns in ascending order of x[t][col] * w[r][col], one fused multiply-add
// each, starting at 0; then the bias is added.
void MatMul(std::span<const MatMulJob> jobs, MatMulContext& context);

// Calls of fewer rows of x give a row the bits that it has alone. From so many
// on they may be others, but the same for any such number, if this is true of
// one of w.
inline constexpr size_t kMinTileRows = 32;
bool RowsMatter(const PackedView& w, Arithmetic arithmetic);

// As MatMul, bit for bit, but for some panels of w only, of kPanelRows rows
// each, which differ. The rest of out is left alone.
void MatMulPanels(const MatMulJob& job, std::span<const size_t> panels,
                  MatMulContext& context);

// Finds the largest products of one row of x, reading less of w than MatMul
// does. Holds scratch.
class TopProducts {
 public:
  // Whether Find may be called: for codes of 8 bits (Layout::kU8Split), and
  // activations rounded to int8.
  static bool Supports(const PackedView& w, Arithmetic arithmetic);

  // Whether Find is likely to be faster than MatMul. After it left out too few
  // rows, no for a call of this function, then yes for another try; if that
  // fails too, no for twice as many calls, and so on.
  bool Pays();

  // Writes x w^T, soft-capped if soft_cap is not 0, to out [w.rows], as MatMul
  // and SoftCap do, bit for bit, wherever a row may be among those with the k
  // largest results (of equal ones, all), and -infinity elsewhere. Returns
  // false, and leaves out alone, if fewer than k products are finite, or if k
  // exceeds a sixteenth of the rows.
  bool Find(std::span<const float> x, const PackedView& w, size_t k,
            float soft_cap, MatMulContext& context, std::span<float> out);

 private:
  std::vector<float> slack_;        // of each block
  std::vector<float> lower_;        // of each panel
  std::vector<float> upper_;        // of each panel
  std::vector<float> ranked_;       // lower_ in another order
  std::vector<size_t> candidates_;  // panels
  size_t pause_ = 0;                // calls of Pays that say no, in all
  size_t left_ = 0;                 // and from now on
};

// One job on the calling thread, in kFloat32.
void MatMulInline(const MatMulJob& job);

// gelu(x gate^T + gate_bias) * (x up^T + up_bias), the gated feed-forward
// layer's first half. GELU as in GatedGelu.
struct GatedMatMulJob {
  MatrixView<const float> x;         // [rows, model_dim]
  PackedView gate, up;               // [ffw_dim, model_dim]
  std::span<const float> gate_bias;  // [ffw_dim], or empty
  std::span<const float> up_bias;    // [ffw_dim], or empty
  MatrixView<float> scratch;         // [rows, ffw_dim]
  MatrixView<float> out;             // [rows, ffw_dim]
};
void GatedMatMul(const GatedMatMulJob& job, MatMulContext& context);

// gate[i] = gelu(gate[i]) * up[i], the GELU in its tanh form:
// 0.5 z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))). Same sizes.
void GatedGelu(std::span<float> gate, std::span<const float> up);

// out[i] = x[i] * weight[i] / sqrt(mean(x^2) + eps). All of one size; out may
// be x. weight as it multiplies; see src/model/canonicalize.h for checkpoints
// that store it minus one.
void RmsNorm(std::span<const float> x, std::span<const float> weight, float eps,
             std::span<float> out);

// x[i] += y[i].
void AddTo(std::span<const float> y, std::span<float> x);

// The first i >= begin with x[i] > bound, which no NaN is; x.size() if there is
// none.
size_t FindAbove(std::span<const float> x, size_t begin, float bound);

// One of many values, most of which are zero.
struct SparseValue {
  uint32_t index = 0;
  float value = 0.0f;
};

// out[t] becomes what of x[t] w^T + bias exceeds its threshold, indices
// ascending; or the top_k largest of these, the largest first, of equals the
// lower index. NaN exceeds nothing. Products are those of MatMul in kFloat32,
// bit for bit; they are not kept. Returns false if there is no memory.
struct EncodeSparseJob {
  MatrixView<const float> x;         // [rows, w.cols]
  PackedView w;                      // [w.rows, w.cols], fewer than 2^32 rows
  std::span<const float> bias;       // [w.rows]
  std::span<const float> threshold;  // [w.rows]
  size_t top_k = 0;                  // 0: all
  std::span<std::vector<SparseValue>> out;  // [rows]
};
bool EncodeSparse(const EncodeSparseJob& job, Workers& workers);

// out[i] += sum over rows, in their order, of value * w[index][i], one fused
// multiply-add each. w: F32, BF16 or Q8_0, of out.size() columns or more.
void AddRows(const WeightView& w, std::span<const SparseValue> rows,
             std::span<float> out);

// x[i] = cap * tanh(x[i] / cap), cap > 0.
void SoftCap(float cap, std::span<float> x);

// out = scale * row `row` of the table. out: [table.cols].
void Embed(const PackedView& table, size_t row, float scale,
           std::span<float> out);

// The angles of one position: cosines and sines of position * frequency[i],
// the product rounded to float32 as in transformers and DeepMind's code.
// frequency, cos, sin: [rotary_dim / 2].
void RopeAngles(size_t position, std::span<const float> frequency,
                std::span<float> cos, std::span<float> sin);

// Frequencies base^(-2i / rotary_dim) / factor, out: [rotary_dim / 2].
void RopeFrequencies(float base, float factor, std::span<float> out);

// Rotates pairs (i, i + n) of head[0..2n), n being cos.size(); what lies beyond
// stays as it is.
void Rope(std::span<const float> cos, std::span<const float> sin,
          std::span<float> head);

// How keys and values are kept.
enum class CacheType { kF32, kBF16, kI8 };

// Values of a head that share a scale in kI8.
inline constexpr size_t kCacheGroup = 32;

// Bytes of a key, or of a value, of one position.
constexpr size_t CacheRowBytes(CacheType type, size_t head_dim) {
  if (type == CacheType::kF32) return head_dim * 4;
  if (type == CacheType::kBF16) return head_dim * 2;
  return (head_dim + kCacheGroup - 1) / kCacheGroup * (kCacheGroup + 2);
}

// Positions whose keys lie side by side in a cache: of each value of a key as
// many as a vector holds, so that scores need no sums across lanes.
inline constexpr size_t kCacheBlock = 16;
// Positions that attention takes at once, from a multiple of it on.
inline constexpr size_t kCacheTile = 64;

// The keys and values of one key/value head, a ring: position p is in slot
// p % num_slots. num_slots is a multiple of kCacheTile.
//
// kI8: head_dim is filled up with zeros to whole groups. A group of a block of
// keys is int8 [kCacheGroup, kCacheBlock], then a bfloat16 scale of each key; a
// group of a value is int8 [kCacheGroup], then its bfloat16 scale.
struct HeadCache {
  void* keys = nullptr;    // [num_slots / kCacheBlock, head_dim, kCacheBlock]
  void* values = nullptr;  // [num_slots, head_dim]
  CacheType type = CacheType::kF32;
  size_t num_slots = 0;
};

// Writes a position's key and value, both [head_dim], rounding to nearest (even
// for kBF16; for kI8, to 127ths of about the largest magnitude of the group).
void StoreCache(std::span<const float> key, std::span<const float> value,
                size_t position, const HeadCache& cache);

// Attention of the query heads of one key/value head, for the rows of
// consecutive positions:
// out = softmax(soft_cap(query_scale * q.k)) v over the positions
// p - window < key <= p that row p sees, or, of rows that see each other,
// p - window < key < min(p + 1 + ahead, mutual.end). soft_cap 0: none.
//
// All rows are between two multiples of kMaxAttendRows; the cache holds all
// positions that they see. What a row computes depends on its position, its
// window and what it sees, not on the other rows.
inline constexpr size_t kMaxAttendRows = 64;

// Positions [begin, end) that see each other, later ones too; empty: none do.
struct MutualRange {
  size_t begin = 0;
  size_t end = 0;

  bool empty() const { return begin == end; }
  bool operator==(const MutualRange&) const = default;
};

struct AttendJob {
  MatrixView<const float> q;  // [rows, heads * head_dim]
  size_t head_dim = 0;
  HeadCache cache;
  size_t position = 0;  // of the first row
  size_t window = 0;    // keys that a row sees at most, its own included
  float query_scale = 1.0f;
  float soft_cap = 0.0f;
  MatrixView<float> out;  // [rows, heads * head_dim]
  MutualRange mutual;     // if not empty: all rows are of it
  size_t ahead = 0;       // keys after its own that a row of it sees at most
};

// scratch: AttendScratchSize(rows * heads, head_dim) floats.
void Attend(const AttendJob& job, std::span<float> scratch);
size_t AttendScratchSize(size_t num_queries, size_t head_dim);

// The same, and the same bits, in pieces that may run at once: the keys are
// divided at fixed positions into at most kMaxAttendSpans spans. Each call of
// AttendSpan writes one of the partial results
// [NumAttendSpans(job), AttendPartialSize(rows * heads, head_dim)], which
// MergeSpans then merges; they are of no use after.
inline constexpr size_t kMaxAttendSpans = 17;
size_t NumAttendSpans(const AttendJob& job);
size_t AttendPartialSize(size_t num_queries, size_t head_dim);
void AttendSpan(const AttendJob& job, size_t span, std::span<float> scratch,
                std::span<float> partial);
void MergeSpans(const AttendJob& job, std::span<float> partials);

// The recurrent block's causal convolution over time, one position, for
// consecutive channels:
// out[c] = bias[c] + sum over taps t of weight[t][c] * input[t][c],
// input[t] being the rows of `taps` [conv_width] oldest first.
// weight: [conv_width, channels].
void Conv1d(std::span<const float* const> taps, MatrixView<const float> weight,
            std::span<const float> bias, std::span<float> out);

// One step of the real-gated linear recurrent unit (Griffin, arXiv 2402.19427,
// section 2.4), for consecutive channels, all spans of one size:
//   log_a = sigmoid(recurrent_gate) * log_a_scale
//   state_out = exp(log_a) * state
//             + sqrt(1 - exp(2 log_a)) * sigmoid(input_gate) * x
// The gates come before their sigmoid. log_a_scale is -8 softplus(a_param).
// `first`: the sequence starts here; state_out is sigmoid(input_gate) * x.
// state_out may be state.
struct RgLruJob {
  std::span<const float> x;
  std::span<const float> input_gate;
  std::span<const float> recurrent_gate;
  std::span<const float> log_a_scale;
  std::span<const float> state;
  std::span<float> state_out;
  bool first = false;
};
void RgLru(const RgLruJob& job);

}  // namespace gemma

#endif  // GEMMA_OPS_OPS_H_
