// What /metrics says about a model.

#ifndef GEMMA_SRC_SERVE_ROUTES_METRICS_H_
#define GEMMA_SRC_SERVE_ROUTES_METRICS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "gemma/engine.h"
#include "gemma/memory_budget.h"

namespace gemma::internal {

// Counts of values up to each of some bounds, as Prometheus has them.
class Histogram {
 public:
  explicit Histogram(absl::Span<const double> bounds)
      : bounds_(bounds), counts_(bounds.size() + 1) {}

  void Add(double value);

  absl::Span<const double> bounds() const { return bounds_; }
  // Values in each range: up to the first bound, ..., above the last one.
  absl::Span<const uint64_t> counts() const { return counts_; }
  double sum() const { return sum_; }

 private:
  absl::Span<const double> bounds_;
  std::vector<uint64_t> counts_;
  double sum_ = 0;
};

// Times of a model's answers, in seconds.
struct Latencies {
  Latencies();

  Histogram first_token;  // from the queue to the first token
  Histogram inter_token;  // between tokens
  Histogram whole;        // from the queue to the end
  Histogram queue;        // from the queue to the prompt
  Histogram prefill;      // from the prompt to the first token
  Histogram decode;       // from the first token to the last
};

// Any thread may call its functions.
class Metrics {
 public:
  // Takes an answer that has ended.
  void Record(const Completion& answer);
  // Takes a request that the admission refused.
  void Refused();

  Latencies latencies() const;
  uint64_t refused() const;

 private:
  mutable std::mutex mutex_;  // guards what follows
  Latencies latencies_;
  uint64_t refused_ = 0;
};

struct Served;

// Returns the metrics of the models in Prometheus's text format, with the names
// of vLLM after "gemma:", and what the models hold of the budget. Never waits
// for a pass.
std::string MetricsText(const std::vector<std::shared_ptr<Served>>& models,
                        const MemoryBudget& budget);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_ROUTES_METRICS_H_
