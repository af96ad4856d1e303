#include "tools/gemma/measure/bench_report.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "gemma/version.h"
#include "tools/gemma/io/system_text.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct Statistics {
  double mean = 0;
  double deviation = 0;  // of a sample: divided by n - 1
};

Statistics Summarize(const std::vector<double>& samples) {
  Statistics result;
  if (samples.empty()) return result;
  const auto count = static_cast<double>(samples.size());
  for (const double sample : samples) result.mean += sample / count;
  if (samples.size() < 2) return result;
  double squares = 0;
  for (const double sample : samples) {
    squares += (sample - result.mean) * (sample - result.mean);
  }
  result.deviation = std::sqrt(squares / (count - 1));
  return result;
}

std::vector<double> Nanoseconds(const BenchResult& result) {
  return {result.samples_ns.begin(), result.samples_ns.end()};
}

std::vector<double> TokensPerSecond(const BenchResult& result) {
  std::vector<double> rates;
  const size_t tokens = result.n_prompt + result.n_gen * result.n_parallel;
  for (const double ns : Nanoseconds(result)) {
    rates.push_back(static_cast<double>(tokens) * 1e9 / ns);
  }
  return rates;
}

OrderedJson ToJson(const BenchResult& result) {
  const Statistics ns = Summarize(Nanoseconds(result));
  const std::vector<double> rates = TokensPerSecond(result);
  const Statistics rate = Summarize(rates);
  OrderedJson json = result.head;
  json.update({
      {"build_commit", GEMMA_VERSION_STRING},
      {"build_number", 0},
      {"cpu_info", ReadField("/proc/cpuinfo", "model name")},
      {"gpu_info", ""},
      {"backends", "CPU"},
      {"model_filename", result.model_filename},
      {"model_type", result.model_type},
      {"model_size", result.model_size},
      {"model_n_params", result.model_n_params},
      {"n_batch", result.n_ubatch},
      {"n_ubatch", result.n_ubatch},
      {"n_threads", result.n_threads},
      {"simd", result.simd},
      {"simd_cap", result.simd_cap},
      {"type_k", result.type_kv},
      {"type_v", result.type_kv},
      {"n_prompt", result.n_prompt},
      {"n_gen", result.n_gen},
      {"n_depth", result.n_depth},
      {"n_parallel", result.n_parallel},
      {"n_autoencoders", result.n_autoencoders},
      {"test_time", result.test_time},
      {"avg_ns", static_cast<uint64_t>(ns.mean)},
      {"stddev_ns", static_cast<uint64_t>(ns.deviation)},
      {"avg_ts", rate.mean},
      {"stddev_ts", rate.deviation},
      {"load_ms", result.load_ms},
      {"peak_memory_bytes", result.peak_memory_bytes},
      {"samples_ns", result.samples_ns},
      {"samples_ts", rates},
  });
  json["options"] = result.options;
  return json;
}

std::string ShowJson(const std::vector<BenchResult>& results) {
  OrderedJson json = OrderedJson::array();
  for (const BenchResult& result : results) json.push_back(ToJson(result));
  return ToText(json);
}

std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

// All fields except the samples and the options, like llama-bench.
std::string ShowCsv(const std::vector<BenchResult>& results) {
  std::string csv;
  for (size_t i = 0; i < results.size(); ++i) {
    std::string names;
    std::string values;
    const OrderedJson json = ToJson(results[i]);
    for (const auto& [key, value] : json.items()) {
      if (value.is_structured()) continue;
      const std::string_view comma = names.empty() ? "" : ",";
      absl::StrAppend(&names, comma, key);
      absl::StrAppend(
          &values, comma,
          Quoted(value.is_string() ? value.get<std::string>() : value.dump()));
    }
    if (i == 0) absl::StrAppend(&csv, names, "\n");
    absl::StrAppend(&csv, values, "\n");
  }
  return csv;
}

std::string TestName(const BenchResult& result) {
  std::string name = result.n_prompt > 0 ? absl::StrCat("pp", result.n_prompt)
                                         : absl::StrCat("tg", result.n_gen);
  if (result.n_parallel > 1) absl::StrAppend(&name, " x ", result.n_parallel);
  if (result.n_depth > 0) absl::StrAppend(&name, " @ d", result.n_depth);
  if (result.n_autoencoders > 0) {
    absl::StrAppend(&name, " + ", result.n_autoencoders, " SAE");
  }
  return name;
}

std::string ShowMarkdown(const std::vector<BenchResult>& results) {
  size_t model_width = 5;
  for (const BenchResult& result : results) {
    model_width = std::max(model_width, result.model_type.size());
  }
  const int width = static_cast<int>(model_width);
  std::string text =
      absl::StrFormat("| %-*s | %10s | %10s | %7s | %15s | %20s |\n", width,
                      "model", "size", "params", "threads", "test", "t/s");
  absl::StrAppend(&text, "| ", std::string(model_width, '-'),
                  " | ---------: | ---------: | ------: | --------------: | "
                  "-------------------: |\n");
  for (const BenchResult& result : results) {
    const Statistics rate = Summarize(TokensPerSecond(result));
    // "±" has two bytes but one column, so the width below is 21.
    const std::string speed =
        absl::StrFormat("%.2f ± %.2f", rate.mean, rate.deviation);
    absl::StrAppendFormat(&text, "| %-*s | %10s | %10s | %7d | %15s | %21s |\n",
                          width, result.model_type, Bytes(result.model_size),
                          Count(result.model_n_params), result.n_threads,
                          TestName(result), speed);
  }
  for (size_t i = 0; i < results.size(); ++i) {
    const bool last_of_load =
        i + 1 == results.size() || results[i + 1].load_ms != results[i].load_ms;
    if (!last_of_load) continue;
    absl::StrAppendFormat(&text,
                          "\nthreads %d: loaded in %.0f ms, peak memory %s\n",
                          results[i].n_threads, results[i].load_ms,
                          Bytes(results[i].peak_memory_bytes));
  }
  return text;
}

}  // namespace

std::string ShowResults(const std::vector<BenchResult>& results,
                        BenchFormat format) {
  switch (format) {
    case BenchFormat::kMarkdown:
      return ShowMarkdown(results);
    case BenchFormat::kJson:
      return ShowJson(results);
    case BenchFormat::kCsv:
      return ShowCsv(results);
  }
  return "";
}

uint64_t PeakMemoryBytes() {
  const std::string line = ReadField("/proc/self/status", "VmHWM");
  uint64_t kib = 0;
  const bool valid =
      absl::SimpleAtoi(std::string_view(line).substr(0, line.find(' ')), &kib);
  return valid ? kib * 1024 : 0;
}

}  // namespace gemma::tools
