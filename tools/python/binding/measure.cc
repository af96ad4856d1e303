// Numbers about texts: logits, probabilities, vectors, policies.

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "tools/python/binding/arguments.h"
#include "tools/python/binding/arrays.h"
#include "tools/python/binding/bound.h"
#include "tools/python/binding/cache_format.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/gil.h"
#include "tools/python/binding/model.h"
#include "tools/python/binding/module.h"
#include "tools/python/binding/signals.h"
#include "tools/python/binding/text.h"

namespace gemma::python {
namespace {

// The probabilities of a text's tokens, in nats.
struct TokenScores {
  std::vector<std::optional<double>> log_probabilities;
  std::vector<std::vector<std::pair<TokenId, double>>> alternatives;
};

TokenScores ScoreTokens(const BoundModel& model, const nb::object& text,
                        size_t alternatives, const std::string& cache) {
  const std::vector<TokenId> tokens = Tokens("tokens", text);
  SessionOptions size;
  size.max_tokens = tokens.size();
  size.cache_format = ParseCacheFormat(cache);
  TokenScores scores;
  SignalCheck signals;
  GenerateOptions options;
  options.prompt_only = true;
  options.score_prompt = true;
  options.num_alternatives = alternatives;
  options.cancelled = [&] { return signals.Raised(); };
  options.on_token = [&](const ScoredToken& token) {
    scores.log_probabilities.push_back(token.log_probability);
    auto& others = scores.alternatives.emplace_back();
    for (const TokenProbability& other : token.alternatives) {
      others.emplace_back(other.token, other.log_probability);
    }
  };
  const std::shared_ptr<Model> shared = model.get();
  const absl::Status status = [&] {
    const WithoutGil release;
    absl::StatusOr<Session> session = Session::Create(*shared, size);
    if (!session.ok()) return session.status();
    return Generate(*session, tokens, options,
                    [](std::string_view) { return true; })
        .status();
  }();
  signals.Throw();
  ThrowIfError(status);
  return scores;
}

// Vectors of texts, and counts.
nb::tuple EmbedTexts(const Bound<Embedder>& self,
                     const std::vector<std::string>& texts,
                     const std::optional<std::string>& prompt,
                     const std::string& title, size_t dimensions,
                     bool normalize, nb::object progress) {
  EmbedOptions options;
  options.use_default_prompt = !prompt.has_value() || !prompt->empty();
  options.prompt = prompt.value_or("");
  options.title = title;
  options.dimensions = dimensions;
  options.normalize = normalize;
  const std::shared_ptr<Embedder> embedder = self.get();
  ProgressCall call(std::move(progress));
  options.progress = [&](size_t done) { return call(done); };
  absl::StatusOr<Embeddings> embeddings = [&] {
    const WithoutGil release;
    return embedder->Embed(texts, options);
  }();
  call.Throw();
  ThrowIfError(embeddings.status());
  return nb::make_tuple(Floats(std::move(embeddings->values), texts.size(),
                               embeddings->dimensions),
                        embeddings->num_tokens, embeddings->truncated);
}

using TextPair = std::pair<std::string, std::optional<std::string>>;

// A classifier, which one thread at a time may use.
class BoundClassifier {
 public:
  BoundClassifier(const Model& model, const std::string& wording,
                  size_t max_tokens, const std::string& cache) {
    ClassifierOptions options;
    if (wording == "hub") {
      options.wording = ShieldWording::kHubTemplate;
    } else if (wording == "example") {
      options.wording = ShieldWording::kExampleCode;
    } else {
      throw StatusError(absl::InvalidArgumentError(
          absl::StrCat("wording: '", wording, "' is not hub or example")));
    }
    options.max_tokens = max_tokens;
    options.cache_format = ParseCacheFormat(cache);
    options.progress = [this](size_t done, size_t total) {
      return (*progress_)(done, total);
    };
    classifier_.emplace("the classifier", ValueOrThrow(Classifier::Create(
                                              model, std::move(options))));
  }
  BoundClassifier(const BoundClassifier&) = delete;
  BoundClassifier& operator=(const BoundClassifier&) = delete;

  // Returns, for each input, a list of probabilities or a StatusError to throw.
  nb::list Classify(const std::vector<TextPair>& inputs,
                    const std::vector<Policy>& policies, nb::object progress) {
    std::vector<ClassifierInput> views;
    for (const TextPair& input : inputs) {
      views.push_back({input.first, std::nullopt});
      if (input.second.has_value()) views.back().response = *input.second;
    }
    CheckOutside();
    const std::shared_ptr<Classifier> classifier = classifier_->get();
    ProgressCall call(std::move(progress));
    std::vector<absl::StatusOr<std::vector<double>>> results;
    {
      const WithoutGil release;
      const std::lock_guard<std::mutex> lock(mutex_);
      user_ = std::this_thread::get_id();
      progress_ = &call;
      results = classifier->ClassifyAll(views, policies);
      user_ = std::thread::id();
    }
    call.Throw();
    if (results.size() != inputs.size()) {
      ThrowIfError(absl::ResourceExhaustedError(
          "no memory for the results of the texts"));
    }
    nb::list all;
    for (size_t i = 0; i < results.size(); ++i) {
      if (!results[i].ok() && results.size() > 1) {
        ThrowIfError(absl::Status(
            results[i].status().code(),
            absl::StrCat("text ", i, ": ", results[i].status().message())));
      }
      all.append(ValueOrThrow(std::move(results[i])));
    }
    return all;
  }

  std::vector<TokenId> Prompt(const TextPair& input, const Policy& policy) {
    ClassifierInput view = {input.first, std::nullopt};
    if (input.second.has_value()) view.response = *input.second;
    return ValueOrThrow(classifier_->get()->Prompt(view, policy));
  }

  nb::dict Stats() {
    CheckOutside();
    const std::shared_ptr<Classifier> classifier = classifier_->get();
    ClassifierStats stats;
    {
      const WithoutGil release;
      const std::lock_guard<std::mutex> lock(mutex_);
      stats = classifier->stats();
    }
    nb::dict counts;
    counts["prompts"] = stats.num_prompts;
    counts["prompt_tokens"] = stats.prompt_tokens;
    counts["computed_tokens"] = stats.computed_tokens;
    counts["answer_mass"] = stats.least_answer_mass;
    return counts;
  }

 private:
  // Throws if this thread is in Classify already.
  void CheckOutside() const {
    if (user_ != std::this_thread::get_id()) return;
    throw StatusError(absl::FailedPreconditionError(
        "the classifier is in use: its progress function asks"));
  }

  std::mutex mutex_;
  std::atomic<std::thread::id> user_;  // the thread that classifies
  ProgressCall* progress_ = nullptr;
  std::optional<Bound<Classifier>> classifier_;
};

void AddEmbedder(nb::module_& m) {
  nb::class_<Bound<Embedder>>(m, "Embedder", "Turns texts into vectors.")
      .def(nb::new_([](const BoundModel& model, size_t max_tokens) {
             return Bound<Embedder>(
                 "the embedder",
                 ValueOrThrow(Embedder::Create(*model.get(),
                                               {.max_tokens = max_tokens})));
           }),
           nb::arg("model"), nb::kw_only(), nb::arg("max_tokens") = 0,
           "max_tokens: the most tokens of a text, which is cut there; 0: as "
           "the model.")
      .def("embed", &EmbedTexts, nb::arg("texts"), nb::kw_only(),
           nb::arg("prompt").none() = nb::none(), nb::arg("title") = "",
           nb::arg("dimensions") = 0, nb::arg("normalize") = true,
           nb::arg("progress").none() = nb::none(),
           "Returns float32 [texts, dimensions], the number of tokens of each "
           "text, and\nthe indices of those that were cut.\n\n"
           "prompt: a name of `prompts`; None: default_prompt; '': no prefix.")
      .def_prop_ro(
          "prompts",
          [](const Bound<Embedder>& self) {
            const std::shared_ptr<Embedder> embedder = self.get();
            nb::dict prompts;
            for (const EmbedPrompt& prompt : embedder->prompts()) {
              prompts[Text(prompt.name)] = Text(prompt.prefix);
            }
            return prompts;
          },
          "The words before a text, by their names.")
      .def_prop_ro(
          "default_prompt",
          [](const Bound<Embedder>& self) {
            const std::shared_ptr<Embedder> embedder = self.get();
            return Text(embedder->default_prompt());
          },
          "The name of the prompt of texts that name none, or ''.")
      .def_prop_ro(
          "dimensions",
          [](const Bound<Embedder>& self) { return self.get()->dimensions(); },
          "The number of values of an uncut vector.")
      .def_prop_ro(
          "has_dense_layers",
          [](const Bound<Embedder>& self) {
            return self.get()->has_dense_layers();
          },
          "Whether the files have the layers after the mean; without "
          "them, compare\nvectors only with each other.")
      .def_prop_ro(
          "max_tokens",
          [](const Bound<Embedder>& self) { return self.get()->max_tokens(); },
          "The most tokens that a text may have before it is cut.");
}

void AddClassifier(nb::module_& m) {
  nb::class_<Policy>(m, "Policy",
                     "A rule that texts must not violate.\n\n"
                     "The model reads it as one principle: \"No <title>\": "
                     "<rule>.")
      .def(
          "__init__",
          [](Policy* self, std::string name, std::string title,
             std::string prompt_rule, std::string response_rule) {
            new (self) Policy{std::move(name), std::move(title),
                              std::move(prompt_rule), std::move(response_rule)};
          },
          nb::arg("name"), nb::arg("title"), nb::kw_only(),
          nb::arg("prompt_rule") = "", nb::arg("response_rule") = "")
      .def_ro("name", &Policy::name)
      .def_ro("title", &Policy::title)
      .def_ro("prompt_rule", &Policy::prompt_rule)
      .def_ro("response_rule", &Policy::response_rule)
      .def("__repr__", [](const Policy& self) {
        return absl::StrCat("<Policy ", self.name, ">");
      });
  m.def(
      "shield_policies", [] { return ShieldPolicies(); },
      "Returns the policies that ShieldGemma was trained on: dangerous, "
      "harassment,\nhate, sexual.");
  m.def(
      "parse_policies",
      [](const std::string& json, const std::string& path) {
        return ValueOrThrow(ParsePolicies(json, path));
      },
      nb::arg("json"), nb::arg("path") = "policies",
      "Returns the policies of a JSON text: an array of objects with name, "
      "title,\nprompt_rule and response_rule.");

  nb::class_<BoundClassifier>(m, "Classifier",
                              "Classifies texts with a ShieldGemma.")
      .def(
          "__init__",
          [](BoundClassifier* self, const BoundModel& model,
             const std::string& wording, size_t max_tokens,
             const std::string& cache) {
            new (self)
                BoundClassifier(*model.get(), wording, max_tokens, cache);
          },
          nb::arg("model"), nb::kw_only(), nb::arg("wording") = "hub",
          nb::arg("max_tokens") = ClassifierOptions().max_tokens,
          nb::arg("cache") = "auto")
      .def("classify", &BoundClassifier::Classify, nb::arg("inputs"),
           nb::arg("policies"), nb::arg("progress").none() = nb::none(),
           "Returns, for each (text, response or None), the probability of "
           "each policy that\nthe response, or else the text, violates it.")
      .def("prompt", &BoundClassifier::Prompt, nb::arg("input"),
           nb::arg("policy"), "Returns the tokens that the model reads.")
      .def_prop_ro("stats", &BoundClassifier::Stats,
                   "Counts since its creation. answer_mass: the least "
                   "probability that Yes and No\nhad together; below 0.5, the "
                   "model is not a ShieldGemma.");
}

}  // namespace

void AddMeasure(nb::module_& m) {
  m.def(
      "score_tokens",
      [](const BoundModel& model, const nb::object& tokens, size_t alternatives,
         const std::string& cache) {
        TokenScores scores = ScoreTokens(model, tokens, alternatives, cache);
        return nb::make_tuple(scores.log_probabilities, scores.alternatives);
      },
      nb::arg("model"), nb::arg("tokens"), nb::kw_only(),
      nb::arg("alternatives") = 0, nb::arg("cache") = "auto",
      "Returns the log-probability of each token after those before it (None "
      "for the\nfirst), and the most probable tokens there.");
  AddEmbedder(m);
  AddClassifier(m);
}

}  // namespace gemma::python
