// The operations that a forward pass is made of. Plain C++: each call chooses
// the SIMD instructions that the CPU has.
//
// The order of every sum depends on the shape alone, so a row's result never
// depends on the number of rows or threads, nor on the other rows. (Only
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

namespace gemma::internal {

// How MatMul multiplies.
enum class Arithmetic {
  // Multiplies and sums the values of w and x in float32.
  kFloat32,
  // Quantized w: x is rounded to int8, with one scale for each 32 columns, but
  // for outliers. Products of codes are exact. Other w: as kFloat32.
  kInt8,
  // As kInt8, but if w is bfloat16 and the CPU has products of bfloat16, a call
  // with many rows of x rounds x to bfloat16. Then a row's result differs
  // between calls with many rows and calls with few.
  kFastest,
};

// The threads that run products, and memory for rounded activations.
class MatMulContext {
 public:
  // Has room for x of up to max_rows rows and max_cols columns.
  MatMulContext(Arithmetic arithmetic, size_t max_rows, size_t max_cols,
                Workers& workers)
      : MatMulContext(arithmetic, Bytes(max_rows, max_cols), workers) {}
  // Has a buffer of this size: the largest of all that the calls need.
  MatMulContext(Arithmetic arithmetic, size_t bytes, Workers& workers);
  bool ok() const { return buffer_.data() != nullptr; }

  // Returns the size of the buffer.
  static size_t Bytes(size_t max_rows, size_t max_cols);

  Arithmetic arithmetic() const { return arithmetic_; }
  Workers& workers() const { return *workers_; }
  std::span<uint8_t> buffer() const {
    return {buffer_.data(), buffer_.bytes()};
  }

  // Says how many rows the pass has that the rows of later calls belong to.
  // Calls then choose their arithmetic by that number, not by the rows of their
  // x, which may be some of the pass's. 0, the first value: by the rows of x.
  void SetPassRows(size_t rows) { pass_rows_ = rows; }
  size_t pass_rows() const { return pass_rows_; }

 private:
  Arithmetic arithmetic_;
  Workers* workers_;
  size_t pass_rows_ = 0;
  AlignedBuffer buffer_;
};

// One product of a call to MatMul: out = x w^T + bias.
struct MatMulJob {
  MatrixView<const float> x;    // [rows, w.cols]
  PackedView w;                 // [w.rows, w.cols]
  std::span<const float> bias;  // [w.rows], or empty
  MatrixView<float> out;        // [rows, w.rows], not overlapping x
};

// Runs all jobs, which have the same x. In kFloat32, out[t][r] is the sum over
// columns in ascending order of x[t][col] * w[r][col], with one fused
// multiply-add each, starting at 0; then the bias is added.
void MatMul(std::span<const MatMulJob> jobs, MatMulContext& context);

// A call with fewer rows of x gives each row the bits that the row has alone. A
// call with at least this many rows gives the same bits for any such number of
// rows; if RowsMatter returns true for the w of a job, these bits may differ
// from those of a call with fewer rows. MatMulContext::SetPassRows gives calls
// the bits of a different number of rows.
inline constexpr size_t kMinTileRows = 32;
bool RowsMatter(const PackedView& w, Arithmetic arithmetic);

// Computes what MatMul does, bit for bit, but only for the given panels of w,
// of kPanelRows rows each. The panels are distinct. The rest of out is
// unchanged.
void MatMulPanels(const MatMulJob& job, std::span<const size_t> panels,
                  MatMulContext& context);

// Finds the largest products of one row of x, and reads less of w than MatMul
// does. Holds scratch.
class TopProducts {
 public:
  // Whether Find may be called. It needs codes of 8 bits (Layout::kU8Split) and
  // activations rounded to int8.
  static bool Supports(const PackedView& w, Arithmetic arithmetic);

  // Whether Find is likely to be faster than MatMul. After a call of Find left
  // out too few rows, returns false once, then true for another try. Each
  // further failure doubles the number of calls that return false, up to a
  // limit.
  bool Pays();

  // Allocates the scratch that Find needs for matrices like w. Otherwise the
  // first call of Find does.
  void Reserve(const PackedView& w);

  // Finds the k largest results of x w^T, soft-capped if soft_cap is not 0, and
  // all results that equal the last of them. Writes them to out [w.rows] with
  // the bits that MatMul and SoftCap give, perhaps with other results, and
  // -infinity elsewhere. Returns false, and does not change out, if fewer than
  // k products are finite, or if k exceeds a sixteenth of the rows.
  bool Find(std::span<const float> x, const PackedView& w, size_t k,
            float soft_cap, MatMulContext& context, std::span<float> out);

 private:
  std::vector<float> slack_;        // of each block
  std::vector<float> lower_;        // of each panel, the largest of each task
  std::vector<float> upper_;        // as lower_
  std::vector<float> ranked_;       // lower bounds in another order
  std::vector<size_t> candidates_;  // panels
  size_t pause_ = 0;                // length of the current pause, in calls
  size_t left_ = 0;                 // calls of Pays that still return false
};

// Runs one job on the calling thread, in kFloat32.
void MatMulInline(const MatMulJob& job);

// Runs one job in kFloat32, whatever arithmetic other products have: for
// products that decide what is computed.
void ExactMatMul(const MatMulJob& job, Workers& workers);

// The forms of GELU (arXiv 1606.08415).
enum class GeluForm {
  kTanh,   // 0.5 z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))
  kExact,  // z * Phi(z), where Phi is the normal distribution function
};

// The first half of the gated feed-forward layer:
// gelu(x gate^T + gate_bias) * (x up^T + up_bias).
struct GatedMatMulJob {
  MatrixView<const float> x;         // [rows, model_dim]
  PackedView gate, up;               // [ffw_dim, model_dim]
  std::span<const float> gate_bias;  // [ffw_dim], or empty
  std::span<const float> up_bias;    // [ffw_dim], or empty
  MatrixView<float> scratch;         // [rows, ffw_dim]
  MatrixView<float> out;             // [rows, ffw_dim]
  GeluForm gelu = GeluForm::kTanh;
};
void GatedMatMul(const GatedMatMulJob& job, MatMulContext& context);

// Mixtures of experts: ops/experts.h.

// gate[i] = gelu(gate[i]) * up[i]. Both have the same size. Both forms are
// within 4e-7 |gate[i] up[i]| of the exact value. Numbers that are not finite
// give such numbers.
void GatedGelu(std::span<float> gate, std::span<const float> up,
               GeluForm gelu = GeluForm::kTanh);

// out[i] = x[i] * weight[i] / sqrt(mean(x^2) + eps). All have the same size;
// out may be x. An empty weight is 1 everywhere. The weight is the factor
// itself; see src/model/tensors/canonicalize.h for checkpoints that store it
// minus one.
void RmsNorm(std::span<const float> x, std::span<const float> weight, float eps,
             std::span<float> out);

// x[i] += y[i].
void AddTo(std::span<const float> y, std::span<float> x);

// x[i] += factor * y[i], with one fused multiply-add each.
void AddScaledTo(float factor, std::span<const float> y, std::span<float> x);

// Returns the first i >= begin with x[i] > bound, or x.size(). A NaN exceeds
// nothing.
size_t FindAbove(std::span<const float> x, size_t begin, float bound);

// Returns whether no x[i] is NaN or +infinity.
bool AllBelowInfinity(std::span<const float> x);

// A value and its index in a vector that is mostly zeros.
struct SparseValue {
  uint32_t index = 0;
  float value = 0.0f;
};

// Orders structs with a value and an index from the largest value to the
// smallest. The lower index is first among equals.
template <class T>
bool IsStronger(const T& a, const T& b) {
  return a.value != b.value ? a.value > b.value : a.index < b.index;
}

// Writes to out[t] the values of x[t] w^T + bias that exceed their thresholds,
// in ascending order of indices; or, if top_k is not 0, the first top_k of them
// in the order of IsStronger. NaN exceeds nothing. Products have the bits that
// MatMul gives in kFloat32; they are not kept. Returns false if memory runs
// out.
struct EncodeSparseJob {
  MatrixView<const float> x;         // [rows, w.cols]
  PackedView w;                      // [w.rows, w.cols], fewer than 2^32 rows
  std::span<const float> bias;       // [w.rows]
  std::span<const float> threshold;  // [w.rows]
  size_t top_k = 0;                  // 0: all
  std::span<std::vector<SparseValue>> out;  // [rows]
};
bool EncodeSparse(const EncodeSparseJob& job, Workers& workers);

// out[i] += sum over rows, in their order, of value * w[index][i], with one
// fused multiply-add each. w has out.size() columns or more, in F32, BF16 or
// Q8_0.
void AddRows(const WeightView& w, std::span<const SparseValue> rows,
             std::span<float> out);

// x[i] = cap * tanh(x[i] / cap); cap 0: x stays as it is. A number that is not
// finite becomes NaN, so that it is not hidden.
void SoftCap(float cap, std::span<float> x);

// out = scale * row `row` of the table. out: [table.cols].
void Embed(const PackedView& table, size_t row, float scale,
           std::span<float> out);
void Embed(const WeightView& table, size_t row, float scale,
           std::span<float> out);

// Writes the cosines and sines of position * frequency[i] for one position. The
// product is rounded to float32 as in transformers and DeepMind's code.
// frequency, cos, sin: [rotary_dim / 2].
void RopeAngles(size_t position, std::span<const float> frequency,
                std::span<float> cos, std::span<float> sin);

// Writes the frequencies base^(-2i / rotary_dim) / factor, out:
// [rotary_dim / 2].
void RopeFrequencies(float base, float factor, std::span<float> out);

// Rotates pairs (i, i + n) of head[0..2n), where n is cos.size(). Values from
// 2n on stay as they are.
void Rope(std::span<const float> cos, std::span<const float> sin,
          std::span<float> head);

// The types of cached keys and values.
enum class CacheType { kF32, kBF16, kI8 };

// The number of values of a head that share a scale in kI8.
inline constexpr size_t kCacheGroup = 32;

// Returns the bytes of a key, or of a value, of one position.
constexpr size_t CacheRowBytes(CacheType type, size_t head_dim) {
  if (type == CacheType::kF32) return head_dim * 4;
  if (type == CacheType::kBF16) return head_dim * 2;
  return (head_dim + kCacheGroup - 1) / kCacheGroup * (kCacheGroup + 2);
}

// The number of positions whose keys are interleaved in a cache. The same value
// of all these keys is stored side by side and fills a vector, so that scores
// need no sums across lanes.
inline constexpr size_t kCacheBlock = 16;
// The number of positions that attention takes at once; tiles begin at
// multiples of it.
inline constexpr size_t kCacheTile = 64;

// The keys and values of one key/value head, as a ring: position p is in slot
// p % num_slots. num_slots is a multiple of kCacheTile.
//
// In kI8, zeros fill head_dim up to whole groups. A group of a block of keys is
// int8 [kCacheGroup, kCacheBlock], then a bfloat16 scale for each key; a group
// of a value is int8 [kCacheGroup], then its bfloat16 scale.
//
// With num_rotated, keys are values times weights (AttendJob::key_weight),
// except for the pairs (i, i + head_dim / 2) with i < num_rotated. The cache
// holds only these pairs' parts of keys: first all first halves, then all
// second halves.
struct HeadCache {
  void* keys = nullptr;    // [num_slots / kCacheBlock, KeyDim, kCacheBlock]
  void* values = nullptr;  // [num_slots, head_dim]
  CacheType type = CacheType::kF32;
  size_t num_slots = 0;
  size_t num_rotated = 0;  // at most kMaxRotated; 0: keys are whole
};
inline constexpr size_t kMaxRotated = 64;

// Returns the values that are stored of a key.
constexpr size_t KeyDim(size_t head_dim, size_t num_rotated) {
  return num_rotated == 0 ? head_dim : 2 * num_rotated;
}

// Writes a position's key and value, both [head_dim], rounded to nearest (ties
// to even for kBF16; for kI8, to 127ths of about the largest magnitude of the
// group).
void StoreCache(std::span<const float> key, std::span<const float> value,
                size_t position, const HeadCache& cache);

// Attention of the query heads that share one key/value head, for the rows of
// consecutive positions:
// out = softmax(soft_cap(query_scale * q.k)) v over the positions
// p - window < key <= p that row p sees, or, for rows that see each other,
// p - window < key < min(p + 1 + ahead, mutual.end). soft_cap 0: no cap. If a
// score is not finite, the row's results are NaN.
//
// All rows lie between two neighbouring multiples of kMaxAttendRows; the cache
// holds all positions that they see. A row's result depends on its position,
// its window and the positions it sees, not on the other rows.
inline constexpr size_t kMaxAttendRows = 64;

// Positions [begin, end) that see each other, also later ones. May be empty.
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
  size_t window = 0;    // most keys that a row sees, its own included
  float query_scale = 1.0f;
  float soft_cap = 0.0f;
  MatrixView<float> out;  // [rows, heads * head_dim]
  MutualRange mutual;     // if not empty, it contains all rows
  size_t ahead = 0;       // most later keys that a row in `mutual` sees
  std::span<const float> key_weight;  // [head_dim], if cache.num_rotated != 0
};

// scratch: AttendScratchSize(rows * heads, head_dim) floats.
void Attend(const AttendJob& job, std::span<float> scratch);
size_t AttendScratchSize(size_t num_queries, size_t head_dim);

// The same computation, with the same bits, in pieces that may run in parallel:
// the keys are divided at fixed positions into at most kMaxAttendSpans spans.
// Each call of AttendSpan writes one of the partial results
// [NumAttendSpans(job), AttendPartialSize(rows * heads, head_dim)]. MergeSpans
// merges them and overwrites them.
inline constexpr size_t kMaxAttendSpans = 17;
size_t NumAttendSpans(const AttendJob& job);
size_t AttendPartialSize(size_t num_queries, size_t head_dim);
void AttendSpan(const AttendJob& job, size_t span, std::span<float> scratch,
                std::span<float> partial);
void MergeSpans(const AttendJob& job, std::span<float> partials);

// The recurrent block's causal convolution over time, for one position and
// consecutive channels:
// out[c] = bias[c] + sum over taps t of weight[t][c] * input[t][c],
// where input[t] are the rows of `taps` [conv_width], the oldest first. weight:
// [conv_width, channels].
void Conv1d(std::span<const float* const> taps, MatrixView<const float> weight,
            std::span<const float> bias, std::span<float> out);

// One step of the real-gated linear recurrent unit (Griffin, arXiv 2402.19427,
// section 2.4), for consecutive channels. All spans have the same size:
//   log_a = sigmoid(recurrent_gate) * log_a_scale
//   state_out = exp(log_a) * state
//             + sqrt(1 - exp(2 log_a)) * sigmoid(input_gate) * x
// A gate or log_a that is not finite gives NaN. The gates are given without
// their sigmoid. log_a_scale is
// -8 softplus(a_param). If `first`, the sequence starts here and state_out is
// sigmoid(input_gate) * x. state_out may be state.
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

}  // namespace gemma::internal

#endif  // GEMMA_OPS_OPS_H_
