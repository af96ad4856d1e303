#include "src/serve/routes/metrics.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gemma/engine_metrics.h"
#include "src/serve/answer/answer_writer.h"
#include "src/serve/served.h"

namespace gemma::internal {
namespace {

// Bounds in seconds, as in vLLM, so that dashboards fit.
constexpr std::array kFirstTokenBounds = {
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,  0.25,  0.5,   0.75,
    1.0,   2.5,   5.0,  7.5,  10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0};
constexpr std::array kInterTokenBounds = {
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,  0.3,  0.4, 0.5,
    0.75, 1.0,   2.5,  5.0,   7.5, 10.0, 20.0, 40.0, 80.0};
constexpr std::array kRequestBounds = {
    0.3,  0.5,  0.8,  1.0,  1.5,   2.0,   2.5,   5.0,   10.0,   15.0,  20.0,
    30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0};

using TimePoint = RequestTimes::TimePoint;

// Adds the time between two moments, if both happened.
void AddBetween(const std::optional<TimePoint>& begin,
                const std::optional<TimePoint>& end, Histogram& histogram) {
  if (!begin.has_value() || !end.has_value()) return;
  histogram.Add(std::chrono::duration<double>(*end - *begin).count());
}

// Writes families of samples, each with its type before it.
class MetricsWriter {
 public:
  using Models = std::vector<std::shared_ptr<Served>>;

  explicit MetricsWriter(const Models& models) : models_(models) {}

  void Family(std::string_view name, std::string_view type,
              std::string_view help) {
    name_ = absl::StrCat("gemma:", name);
    absl::StrAppend(&text_, "# HELP ", name_, " ", help, "\n# TYPE ", name_,
                    " ", type, "\n");
  }

  // Writes a sample. `labels` come after the model's name: `,a="b"`.
  void Sample(const Served& served, double value, std::string_view labels = "",
              std::string_view suffix = "") {
    const std::string label = absl::StrReplaceAll(
        served.name, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}});
    absl::StrAppend(&text_, name_, suffix, "{model_name=\"", label, "\"",
                    labels, "} ", JsonWriter().Value(value).Take(), "\n");
  }

  // Writes a family with a sample for each model.
  void Each(std::string_view name, std::string_view type, std::string_view help,
            const std::function<double(const Served&)>& value) {
    Family(name, type, help);
    for (const auto& served : models_) Sample(*served, value(*served));
  }

  // Writes a gauge of the whole server.
  void Total(std::string_view name, std::string_view help, uint64_t value) {
    Family(name, "gauge", help);
    absl::StrAppend(&text_, name_, " ",
                    JsonWriter().Value(static_cast<double>(value)).Take(),
                    "\n");
  }

  void Histograms(std::string_view name, std::string_view help,
                  Histogram Latencies::*member) {
    Family(name, "histogram", help);
    for (const auto& served : models_) {
      const Latencies latencies = served->metrics.latencies();
      const Histogram& histogram = latencies.*member;
      Ranges(*served, histogram.bounds(), histogram.counts(), histogram.sum());
    }
  }

  // Writes a histogram of one model, whose family is written: how often a value
  // was in each range up to a bound, and in the last one, and their sum.
  void Ranges(const Served& served, const auto& bounds, const auto& counts,
              double sum) {
    uint64_t all = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      all += counts[i];
      const std::string bound =
          i < bounds.size() ? JsonWriter().Value(bounds[i]).Take() : "+Inf";
      Sample(served, static_cast<double>(all),
             absl::StrCat(",le=\"", bound, "\""), "_bucket");
    }
    Sample(served, sum, "", "_sum");
    Sample(served, static_cast<double>(all), "", "_count");
  }

  const Models& models() const { return models_; }
  std::string Take() { return std::move(text_); }

 private:
  const Models& models_;
  std::string name_;
  std::string text_;
};

EngineSnapshot SnapshotOf(const Served& served) {
  return served.engine->Snapshot();
}

void WriteCounts(MetricsWriter& out) {
  const auto each = [&](std::string_view name, std::string_view type,
                        std::string_view help, auto member) {
    out.Each(name, type, help, [member](const Served& served) {
      return static_cast<double>(SnapshotOf(served).*member);
    });
  };
  using S = EngineSnapshot;
  each("num_requests_running", "gauge", "Requests that run.", &S::running);
  each("num_requests_waiting", "gauge", "Requests that wait.", &S::queued);
  each("num_tokens_waiting", "gauge", "Tokens of prompts that wait.",
       &S::queued_tokens);
  out.Each("kv_cache_usage_perc", "gauge",
           "Part of the caches that running requests use, from 0 to 1.",
           [](const Served& served) {
             const S now = SnapshotOf(served);
             const double most = static_cast<double>(now.max_sequences) *
                                 static_cast<double>(served.context());
             return most == 0 ? 0
                              : static_cast<double>(now.running_tokens) / most;
           });
  const auto prompt_tokens = [](const Served& served) {
    const S now = SnapshotOf(served);
    return static_cast<double>(now.computed_tokens + now.reused_tokens);
  };
  out.Each("prefix_cache_queries_total", "counter",
           "Tokens of prompts that were looked up in caches.", prompt_tokens);
  each("prefix_cache_hits_total", "counter",
       "Tokens of prompts that were found in caches.", &S::reused_tokens);
  out.Each("prompt_tokens_total", "counter",
           "Tokens of prompts that were read, computed or from caches.",
           prompt_tokens);
  each("prompt_tokens_computed_total", "counter",
       "Tokens of prompts that were computed.", &S::computed_tokens);
  each("prompt_tokens_cached_total", "counter",
       "Tokens of prompts that were not computed.", &S::reused_tokens);
  each("generation_tokens_total", "counter", "Tokens of answers.",
       &S::new_tokens);
  each("passes_total", "counter", "Passes of the model.", &S::passes);
  each("rows_total", "counter", "Tokens in all passes.", &S::rows);
  each("rows_per_pass", "gauge", "Tokens in the last pass.", &S::last_rows);
  each("pass_seconds_total", "counter", "Seconds that all passes took.",
       &S::pass_seconds);
  out.Family("iteration_tokens_total", "histogram", "Tokens of each pass.");
  for (const auto& served : out.models()) {
    const S now = SnapshotOf(*served);
    out.Ranges(*served, S::row_bounds, now.passes_by_rows,
               static_cast<double>(now.rows));
  }
  each("reuse_bytes", "gauge", "Bytes of caches and grammars kept for reuse.",
       &S::reuse_bytes);
  out.Each("remembered_bytes", "gauge",
           "Bytes of the tokens of chats, for prompts that continue them.",
           [](const Served& served) {
             return static_cast<double>(served.memory.bytes());
           });
  each("request_failure_total", "counter", "Requests that ended with an error.",
       &S::failed);
}

void WriteReasons(MetricsWriter& out) {
  out.Family("request_success_total", "counter",
             "Requests that ended with an answer.");
  for (const auto& served : out.models()) {
    const EngineSnapshot now = SnapshotOf(*served);
    for (size_t i = 0; i < kNumStopReasons; ++i) {
      const auto reason = static_cast<StopReason>(i);
      if (reason == StopReason::kCancelled) continue;
      out.Sample(
          *served, static_cast<double>(now.ended[i]),
          absl::StrCat(",finished_reason=\"", FinishReason(reason, false),
                       "\",stop_reason=\"", StopReasonName(reason), "\""));
    }
  }
  out.Family("cancelled_total", "counter",
             "Requests that were cancelled or late, by what they did.");
  for (const auto& served : out.models()) {
    const EngineSnapshot now = SnapshotOf(*served);
    for (const auto& [where, count] :
         {std::pair("queue", now.interrupted_in_queue),
          std::pair("prefill", now.interrupted_in_prompt),
          std::pair("decode", now.interrupted_in_answer)}) {
      out.Sample(*served, static_cast<double>(count),
                 absl::StrCat(",where=\"", where, "\""));
    }
  }
  out.Family("admission_rejections_total", "counter",
             "Requests that were refused before they were read.");
  for (const auto& served : out.models()) {
    out.Sample(*served, static_cast<double>(served->metrics.refused()),
               ",reason=\"queue_full\"");
  }
}

void WriteMemory(const MemoryBudget& budget, MetricsWriter& out) {
  const auto each = [&](std::string_view name, std::string_view help,
                        const std::function<uint64_t(const Served&)>& value) {
    out.Each(name, "gauge", help, [&](const Served& served) {
      return static_cast<double>(value(served));
    });
  };
  each("weights_bytes", "Bytes of the model's weights.",
       [](const Served& served) { return served.weights_bytes; });
  each("autoencoder_bytes", "Bytes of the model's autoencoders.",
       [](const Served& served) { return served.autoencoder_bytes; });
  each("scratch_bytes", "Bytes that passes need beside caches and logits.",
       [](const Served& served) { return served.scratch_bytes; });
  each("running_cache_bytes", "Bytes of the caches of running requests.",
       [](const Served& served) { return SnapshotOf(served).running_bytes; });
  each("grammar_bytes", "Bytes of grammars kept for reuse.",
       [](const Served& served) { return SnapshotOf(served).grammar_bytes; });
  each("logits_bytes", "Bytes of the logits of passes.",
       [](const Served& served) { return SnapshotOf(served).logits_bytes; });
  out.Total("memory_bytes",
            "Bytes of all models together, without mapped weights and the "
            "engines of models that have a budget of their own.",
            budget.bytes());
  out.Total("memory_max_bytes", "The limit of memory_bytes; 0: none.",
            budget.max_bytes());
}

}  // namespace

void Histogram::Add(double value) {
  // A bound belongs to the range below it.
  const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  ++counts_[static_cast<size_t>(at - bounds_.begin())];
  sum_ += value;
}

Latencies::Latencies()
    : first_token(kFirstTokenBounds),
      inter_token(kInterTokenBounds),
      whole(kRequestBounds),
      queue(kRequestBounds),
      prefill(kRequestBounds),
      decode(kRequestBounds) {}

void Metrics::Record(const Completion& answer) {
  const RequestTimes& times = answer.times;
  const std::lock_guard lock(mutex_);
  AddBetween(times.queued, times.first_token, latencies_.first_token);
  for (size_t i = 1; i < answer.token_seconds.size(); ++i) {
    latencies_.inter_token.Add(answer.token_seconds[i] -
                               answer.token_seconds[i - 1]);
  }
  AddBetween(times.queued, times.ended, latencies_.whole);
  AddBetween(times.queued, times.started, latencies_.queue);
  AddBetween(times.started, times.first_token, latencies_.prefill);
  AddBetween(times.first_token, times.last_token, latencies_.decode);
}

void Metrics::Refused() {
  const std::lock_guard lock(mutex_);
  ++refused_;
}

Latencies Metrics::latencies() const {
  const std::lock_guard lock(mutex_);
  return latencies_;
}

uint64_t Metrics::refused() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

std::string MetricsText(const std::vector<std::shared_ptr<Served>>& models,
                        const MemoryBudget& budget) {
  MetricsWriter out(models);
  WriteCounts(out);
  WriteReasons(out);
  WriteMemory(budget, out);
  out.Histograms("time_to_first_token_seconds",
                 "Seconds from the queue to the first token.",
                 &Latencies::first_token);
  out.Histograms("inter_token_latency_seconds", "Seconds between tokens.",
                 &Latencies::inter_token);
  out.Histograms("e2e_request_latency_seconds",
                 "Seconds from the queue to the end.", &Latencies::whole);
  out.Histograms("request_queue_time_seconds", "Seconds in the queue.",
                 &Latencies::queue);
  out.Histograms("request_prefill_time_seconds",
                 "Seconds from the begin of the prompt to the first token.",
                 &Latencies::prefill);
  out.Histograms("request_decode_time_seconds",
                 "Seconds from the first token to the last.",
                 &Latencies::decode);
  return out.Take();
}

}  // namespace gemma::internal
