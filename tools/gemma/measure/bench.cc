// gemma bench: measures the speed of prefill and decode.

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/simd_option.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/logit_rows.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/file_type.h"
#include "tools/gemma/machine/memory.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/machine/summary.h"
#include "tools/gemma/measure/bench_report.h"
#include "tools/gemma/texts/autoencoders.h"

namespace gemma::tools {
namespace {

constexpr size_t kMaxRepetitions = 10000;
constexpr size_t kTopFeatures = 10;  // an autoencoder's features for a token

struct BenchOptions {
  ModelOptions model;
  std::vector<size_t> prompts = {512};
  std::vector<size_t> generated = {128};
  std::vector<size_t> depths = {0};
  std::vector<size_t> batches = {1};
  std::vector<size_t> threads = {0};
  std::vector<std::string> autoencoders;
  std::string sae_type = "bfloat16";
  size_t top_k = 1;
  size_t repetitions = 5;
  std::string format = "md";
};

// One measurement. Either `prompt` or `generated` is 0.
struct BenchTest {
  size_t prompt = 0;
  size_t generated = 0;
  size_t depth = 0;
  size_t batch = 1;

  // Timed tokens in each sequence.
  size_t tokens() const { return prompt + generated; }
};

// llama-bench calls the tokens of a prompt that are read at once so.
constexpr std::string_view kOtherBatch = "llama-bench's -b is --chunk here";

// Reads numbers of sequences. Returns "", or what was wanted.
std::string ParseBatches(const std::string& text,
                         std::vector<size_t>* batches) {
  batches->clear();
  for (const std::string_view part : absl::StrSplit(text, ',')) {
    const std::string wanted =
        ParseCount(part, 1, kMaxSequences, &batches->emplace_back());
    if (!wanted.empty()) return absl::StrCat(wanted, "; ", kOtherBatch);
  }
  return "";
}

std::vector<BenchTest> Tests(const BenchOptions& options) {
  std::vector<BenchTest> tests;
  for (const size_t depth : options.depths) {
    for (const size_t prompt : options.prompts) {
      if (prompt > 0) tests.push_back({prompt, 0, depth});
    }
    for (const size_t generated : options.generated) {
      for (const size_t batch : options.batches) {
        if (generated > 0) tests.push_back({0, generated, depth, batch});
      }
    }
  }
  return tests;
}

// BOS and then random ids, the same in every run.
std::vector<TokenId> RandomTokens(const ModelConfig& config, size_t count) {
  std::mt19937_64 random(/*seed=*/1);
  std::vector<TokenId> tokens(count);
  for (TokenId& token : tokens) {
    token = static_cast<TokenId>(random() % config.vocab_size);
  }
  if (count > 0) tokens[0] = config.bos_token;
  return tokens;
}

absl::Status Fill(Session& session, absl::Span<const TokenId> tokens) {
  if (tokens.empty()) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(
      session.Append(tokens, [](size_t) { return !Interrupted(); }));
  return Interrupted() ? InterruptedError() : absl::OkStatus();
}

// OK if all sequences of the test fit in memory together.
absl::Status CheckTest(const Model& model, const ModelOptions& options,
                       const BenchTest& test) {
  MemoryPlan plan =
      PlanOf(model, options, test.depth + test.tokens(), test.batch);
  plan.may_lower_context = false;  // the test needs it
  plan.use = [&, sessions = plan.use](const Amounts& amounts) {
    MemoryUse use = sessions(amounts);
    use.scratch +=
        amounts.sequences * model.config().vocab_size * sizeof(float);
    return use;
  };
  return CheckMemory(options, plan);
}

// The sequences of a test, filled to its depth.
class Sequences {
 public:
  // `readers`: autoencoders that read the activations of each sequence.
  static absl::StatusOr<Sequences> Create(
      const Model& model, const BenchOptions& options, const BenchTest& test,
      const std::vector<FeatureReader>& readers) {
    const size_t total = test.depth + test.tokens();
    GEMMA_RETURN_IF_ERROR(CheckTest(model, options.model, test));
    Sequences result(RandomTokens(model.config(), total), test, options.top_k);
    const absl::Span<const TokenId> tokens = result.tokens_;
    for (size_t i = 0; i < test.batch; ++i) {
      GEMMA_ASSIGN_OR_RETURN(Session session,
                             CreateSession(model, options.model, total));
      if (!readers.empty()) {
        GEMMA_ASSIGN_OR_RETURN(
            TapFunction tap,
            FeatureTap(model, {.readers = readers,
                               .on_features = [](const TokenFeatures&) {}}));
        session.SetTap(std::move(tap));
      }
      GEMMA_RETURN_IF_ERROR(CheckFits(session, total));
      GEMMA_RETURN_IF_ERROR(Fill(session, tokens.first(test.depth)));
      // Makes Rewind to this depth cheap.
      GEMMA_RETURN_IF_ERROR(session.Checkpoint());
      result.sessions_.push_back(std::move(session));
    }
    result.logits_.resize(test.batch * model.config().vocab_size);
    return result;
  }

  // Runs the test once, from its depth on. Returns the time in nanoseconds.
  absl::StatusOr<uint64_t> Measure() {
    if (Interrupted()) return InterruptedError();
    for (Session& session : sessions_) {
      GEMMA_RETURN_IF_ERROR(session.Rewind(test_.depth));
    }
    const absl::Span<const TokenId> tokens =
        absl::MakeSpan(tokens_).subspan(test_.depth);
    const Stopwatch stopwatch;
    if (test_.prompt > 0) {
      GEMMA_RETURN_IF_ERROR(sessions_[0].ForwardTop(tokens, top_k_).status());
    }
    for (size_t i = 0; i < test_.generated; ++i) {
      if (Interrupted()) return InterruptedError();
      GEMMA_RETURN_IF_ERROR(Append(tokens.subspan(i, 1)));
    }
    return static_cast<uint64_t>(stopwatch.seconds() * 1e9);
  }

 private:
  Sequences(std::vector<TokenId> tokens, const BenchTest& test, size_t top_k)
      : tokens_(std::move(tokens)), test_(test), top_k_(top_k) {}

  // Appends the tokens to each sequence.
  absl::Status Append(absl::Span<const TokenId> tokens) {
    if (sessions_.size() == 1) {
      return sessions_[0].ForwardTop(tokens, top_k_).status();
    }
    std::vector<Session::Continuation> batch;
    for (Session& session : sessions_) batch.push_back({&session, tokens});
    return Session::ForwardBatch(batch, absl::MakeSpan(logits_));
  }

  std::vector<TokenId> tokens_;
  BenchTest test_;
  size_t top_k_;
  std::vector<Session> sessions_;
  std::vector<float> logits_;  // [batch, vocab_size]
};

absl::StatusOr<std::vector<uint64_t>> RunTest(
    const Model& model, const BenchOptions& options, const BenchTest& test,
    const std::vector<FeatureReader>& readers) {
  Progress progress("measuring");
  GEMMA_ASSIGN_OR_RETURN(Sequences sequences,
                         Sequences::Create(model, options, test, readers));
  // Drops the first run, because it touches memory for the first time.
  std::vector<uint64_t> samples;
  for (size_t i = 0; i <= options.repetitions; ++i) {
    GEMMA_ASSIGN_OR_RETURN(const uint64_t ns, sequences.Measure());
    if (i > 0) samples.push_back(std::max<uint64_t>(ns, 1));
    progress.Update(i + 1, options.repetitions + 1);
  }
  return samples;
}

// Fills in the fields that all tests of a model share.
BenchResult Describe(const BenchOptions& options, const Model& model) {
  const Totals totals = Summarize(model.tensors());
  BenchResult result;
  result.model_filename = options.model.path;
  result.model_type =
      absl::StrCat(model.config().architecture, " ", Count(totals.all.values),
                   " ", FileType(options.model.path, model));
  result.model_size = totals.all.bytes;
  result.model_n_params = totals.all.values;
  result.head = ReportHead(options.model, model);
  result.options = OptionsJson(options.model, model, /*context=*/0);
  result.n_ubatch = options.model.chunk;
  result.n_threads = model.num_threads();
  const SimdUse simd = GetSimdUse();
  result.simd = simd.chosen;
  result.simd_cap = simd.cap;
  const CacheFormat cache =
      CacheFormatFor(model, SessionOptionsOf(options.model, 1).cache_format);
  result.type_kv = cache == CacheFormat::kFloat32 ? "f32"
                   : cache == CacheFormat::kInt8  ? "i8"
                                                  : "bf16";
  return result;
}

// Loads the autoencoders that --sae names.
absl::StatusOr<std::vector<FeatureReader>> LoadReaders(
    const BenchOptions& options, Autoencoders* autoencoders) {
  std::vector<FeatureReader> readers;
  for (const std::string& text : options.autoencoders) {
    GEMMA_ASSIGN_OR_RETURN(const AutoencoderName name,
                           ParseAutoencoder("--sae", text));
    GEMMA_ASSIGN_OR_RETURN(const SparseAutoencoder* autoencoder,
                           autoencoders->Load(name));
    readers.push_back({autoencoder, kTopFeatures});
  }
  return readers;
}

// Runs all tests with one number of threads.
absl::Status BenchModel(const BenchOptions& options,
                        const std::vector<BenchTest>& tests,
                        const std::vector<FeatureReader>& readers,
                        std::vector<BenchResult>* results) {
  const Stopwatch stopwatch;
  GEMMA_ASSIGN_OR_RETURN(const Model model, LoadModel(options.model));
  const double load_ms = stopwatch.seconds() * 1e3;
  for (size_t i = 0; i < readers.size(); ++i) {
    GEMMA_RETURN_IF_ERROR(
        CheckFits(model, *readers[i].autoencoder,
                  absl::StrCat("--sae ", options.autoencoders[i])));
  }
  for (const BenchTest& test : tests) {
    BenchResult result = Describe(options, model);
    result.options["context"] =
        SessionOptionsOf(options.model, test.depth + test.tokens()).max_tokens;
    result.load_ms = load_ms;
    result.n_prompt = test.prompt;
    result.n_gen = test.generated;
    result.n_depth = test.depth;
    result.n_parallel = test.batch;
    result.n_autoencoders = readers.size();
    result.test_time = TimeNow();
    GEMMA_ASSIGN_OR_RETURN(result.samples_ns,
                           RunTest(model, options, test, readers));
    result.peak_memory_bytes = PeakMemoryBytes();
    results->push_back(std::move(result));
  }
  return absl::OkStatus();
}

absl::Status Bench(BenchOptions options) {
  const std::vector<BenchTest> tests = Tests(options);
  if (tests.empty())
    return OptionError({"--n-prompt", "--n-gen"},
                       "-p and -n are 0: nothing to measure");
  GEMMA_RETURN_IF_ERROR(ApplySimd(options.model.simd));
  Autoencoders autoencoders(options.sae_type);
  GEMMA_ASSIGN_OR_RETURN(const std::vector<FeatureReader> readers,
                         LoadReaders(options, &autoencoders));
  std::vector<BenchResult> results;
  for (const size_t threads : options.threads) {
    options.model.threads = threads;
    GEMMA_RETURN_IF_ERROR(BenchModel(options, tests, readers, &results));
  }
  const BenchFormat format = options.format == "json"  ? BenchFormat::kJson
                             : options.format == "csv" ? BenchFormat::kCsv
                                                       : BenchFormat::kMarkdown;
  return WriteOutput(ShowResults(results, format));
}

}  // namespace

void AddBench(CLI::App& app, Action* action) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command =
      app.add_subcommand("bench", "Measure the speed of prefill and decode");
  AddModelOptions(*command, &options->model, "enough for the test",
                  &options->threads);
  AddNumbers(*command, "-p,--n-prompt", &options->prompts, 0, kMaxSessionTokens,
             "Tokens of a prompt, read at once; 0: skip this test",
             ParseTokens);
  AddNumbers(*command, "-n,--n-gen", &options->generated, 0, kMaxSessionTokens,
             "Tokens generated one by one; 0: skip this test", ParseTokens);
  AddNumbers(*command, "-d,--n-depth", &options->depths, 0, kMaxSessionTokens,
             "Tokens in the cache before the test, not timed", ParseTokens);
  const CLI::Option* batch =
      AddParsed(*command, "-b,--batch-size", "N[,N...]",
                "Sequences that generate at once; t/s adds them up",
                [options](const std::string& text) {
                  return ParseBatches(text, &options->batches);
                })
          ->default_str("1");
  AddNumber(*command, "-k,--top-k", &options->top_k, 0, kMaxSessionTokens,
            "Largest logits to compute exactly at each step, in\n"
            "tests with a single sequence; 0: all");
  CLI::Option* sae =
      AddTexts(*command, "--sae", "FILE[:SITE]", &options->autoencoders,
               "Autoencoder that finds the strongest features of\n"
               "each token, see gemma scope --help-all; may be repeated");
  AddFeatureWeights(*command, &options->sae_type)->needs(sae);
  AddNumber(*command, "-r,--repetitions", &options->repetitions, 1,
            kMaxRepetitions, "Timed runs of each test, after a warm-up run");
  AddForms(*command, &options->format,
           {{"json", "Print the result as JSON"},
            {"csv", "Print the result as comma-separated values"}});
  command->footer(
      R"(The result uses the names of llama.cpp's llama-bench. The tokens are
random, but the same in every run, so no tokenizer is needed.

Examples:
  gemma bench gemma-3-270m
  gemma bench gemma-3-270m -p 512 -n 128 -t 1,2 --json

)");
  command->callback([=] {
    *action = [=] {
      // Its value would be taken for another one without a word.
      if (batch->count() > 0) {
        Note(absl::StrCat("-b: sequences decoded together; ", kOtherBatch));
      }
      return Bench(*options);
    };
  });
}

}  // namespace gemma::tools
