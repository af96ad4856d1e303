// Results of gemma bench, with the field names of llama.cpp's llama-bench, so
// that the same scripts read both.

#ifndef GEMMA_TOOLS_GEMMA_MEASURE_BENCH_REPORT_H_
#define GEMMA_TOOLS_GEMMA_MEASURE_BENCH_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace gemma::tools {

// The result of one test: n_prompt tokens at once, or n_gen tokens one by one
// in each of n_parallel sequences. The cache already holds n_depth tokens.
struct BenchResult {
  nlohmann::ordered_json head;     // see ReportHead
  nlohmann::ordered_json options;  // see OptionsJson
  std::string model_filename;
  std::string model_type;       // for example "gemma3 268.10 M Q4_K"
  uint64_t model_size = 0;      // bytes of the weights in the file
  uint64_t model_n_params = 0;  // weights
  size_t n_ubatch = 0;          // tokens computed at once, at most
  size_t n_threads = 0;
  std::string simd;      // SimdUse::chosen
  std::string simd_cap;  // SimdUse::cap
  std::string type_kv;   // of the cache
  size_t n_prompt = 0;
  size_t n_gen = 0;
  size_t n_depth = 0;
  size_t n_parallel = 1;
  size_t n_autoencoders = 0;  // that read each sequence's activations
  std::string test_time;      // ISO 8601
  std::vector<uint64_t> samples_ns;
  double load_ms = 0;
  uint64_t peak_memory_bytes = 0;  // of the process so far
};

enum class BenchFormat { kMarkdown, kJson, kCsv };

std::string ShowResults(const std::vector<BenchResult>& results,
                        BenchFormat format);

// The largest resident memory of this process so far, or 0 if it is unknown.
uint64_t PeakMemoryBytes();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MEASURE_BENCH_REPORT_H_
