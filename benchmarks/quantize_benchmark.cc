// The error of each format on given weights, and the time to encode them.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <ios>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "benchmarks/command_line.h"
#include "benchmarks/weights.h"
#include "compression/codec.h"
#include "compression/quantize.h"
#include "ops/workers.h"

namespace gemma::internal {
namespace {

constexpr char kUsage[] =
    "usage: quantize_benchmark FILE ROWS COLS [--threads N]\n\n"
    "Encodes the matrix of FILE, float32 and row-major, in every format that\n"
    "has an encoder, and prints a JSON object:\n"
    "  {format: {\"bits\": for each weight,\n"
    "            \"error\": root of the mean square of what is lost, over "
    "that\n"
    "                     of the weights,\n"
    "            \"weights_per_second\": of all the threads}}\n"
    "  --threads N   default: all the CPUs\n";

std::vector<float> ReadWeights(const char* path, size_t size) {
  std::ifstream file(path, std::ios::binary);
  std::vector<float> weights(size);
  const auto bytes = static_cast<std::streamsize>(size * sizeof(float));
  if (!file.read(reinterpret_cast<char*>(weights.data()), bytes) ||
      file.peek() != std::ifstream::traits_type::eof()) {
    Fail(absl::StrCat(path, ": wanted ", bytes, " bytes"));
  }
  return weights;
}

std::vector<uint8_t> Encode(const WeightView& weights, Format format,
                            size_t row_bytes, Workers& workers) {
  constexpr size_t kTaskRows = 64;
  std::vector<uint8_t> encoded(weights.rows * row_bytes);
  workers.ForEach(
      (weights.rows + kTaskRows - 1) / kTaskRows, [&](size_t task, size_t) {
        const size_t begin = task * kTaskRows;
        const size_t end = std::min(begin + kTaskRows, weights.rows);
        if (QuantizeRows(weights, format, {}, begin, end,
                         encoded.data() + begin * row_bytes)) {
          Fail("a weight is not finite");
        }
      });
  return encoded;
}

// Returns the root mean square error relative to that of the weights.
double Error(absl::Span<const float> weights, const WeightView& encoded) {
  std::vector<float> row(encoded.cols);
  double lost = 0;
  double power = 0;
  for (size_t i = 0; i < encoded.rows; ++i) {
    DecodeRow(encoded, i, row.data());
    for (size_t j = 0; j < encoded.cols; ++j) {
      const double weight = weights[i * encoded.cols + j];
      lost += (row[j] - weight) * (row[j] - weight);
      power += weight * weight;
    }
  }
  return std::sqrt(lost / power);
}

// Returns the format's JSON entry.
std::string Measure(absl::Span<const float> weights, const WeightView& view,
                    Format format, Workers& workers) {
  WeightView encoded = {format, view.rows, view.cols, nullptr};
  const size_t row_bytes = encoded.RowBytes();
  const auto start = std::chrono::steady_clock::now();
  const std::vector<uint8_t> bytes = Encode(view, format, row_bytes, workers);
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - start;
  encoded.data = bytes.data();
  return absl::StrFormat(
      "\"%s\": {\"bits\": %.9g, \"error\": %.9g, \"weights_per_second\": %.4g}",
      FormatName(format), 8.0 * row_bytes / view.cols, Error(weights, encoded),
      weights.size() / took.count());
}

void Run(const char* path, size_t rows, size_t cols, Workers& workers) {
  const std::vector<float> weights = ReadWeights(path, rows * cols);
  const WeightView view = {Format::kF32, rows, cols,
                           reinterpret_cast<const uint8_t*>(weights.data())};
  std::vector<std::string> entries;
  for (const Format format : kAllFormats) {
    if (CanQuantize(format) && cols % BlockValues(format) == 0) {
      entries.push_back(Measure(weights, view, format, workers));
    }
  }
  std::puts(absl::StrCat("{", absl::StrJoin(entries, ",\n "), "}").c_str());
}

}  // namespace
}  // namespace gemma::internal

int main(int argc, char** argv) {
  if (gemma::internal::TakeFlag("--help", &argc, argv)) {
    std::fputs(gemma::internal::kUsage, stdout);
    return 0;
  }
  const size_t threads = gemma::internal::TakeThreads(&argc, argv);
  if (threads == 0) return 2;
  size_t rows = 0;
  size_t cols = 0;
  if (argc != 4 || !absl::SimpleAtoi(argv[2], &rows) ||
      !absl::SimpleAtoi(argv[3], &cols) || rows == 0 || cols == 0) {
    std::fputs(gemma::internal::kUsage, stderr);
    return 2;
  }
  gemma::internal::Workers workers(threads);
  gemma::internal::Run(argv[1], rows, cols, workers);
  return 0;
}
