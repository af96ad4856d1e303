// gemma scope: prints the features of a text's tokens.

#include <zlib.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/os/atomic_file.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/output_check.h"
#include "tools/gemma/cli/simd_option.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/logit_rows.h"
#include "tools/gemma/io/output_file.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/model_error.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/texts/autoencoders.h"
#include "tools/gemma/texts/scope_html.h"
#include "tools/gemma/texts/scope_report.h"

namespace gemma::tools {
namespace {

constexpr size_t kMaxFeature = size_t{1} << 32;
constexpr size_t kMaxTop = 1 << 20;
constexpr size_t kTableTop = 5;       // features of a token in a table
constexpr size_t kMaxTitleText = 40;  // bytes of the text in a title

struct ScopeOptions {
  ModelOptions model;
  std::vector<std::string> autoencoders;
  std::string sae_type = "bfloat16";
  std::string text = std::string(kStdinArgument);
  std::string file;  // empty: use `text`
  bool parse_control = false;
  std::vector<size_t> features;
  size_t top = 0;  // 0: kTableTop for a table, all for JSON; kMaxTop: all
  std::string format = "text";
  std::string html;  // empty: no page
  bool force = false;
};

absl::Status Check(const ScopeOptions& options) {
  if (!options.file.empty() && options.text != kStdinArgument) {
    return Exclude("--file", "TEXT");
  }
  return options.text == kStdinArgument
             ? absl::OkStatus()
             : AsUsageError(CheckUtf8(options.text, "TEXT"));
}

absl::StatusOr<std::string> ReadScopeText(const ScopeOptions& options) {
  if (options.file.empty() && options.text != kStdinArgument) {
    return options.text;
  }
  return ReadUtf8(options.file.empty() ? options.text : options.file, kWaiting);
}

// The features of a token that the report lists, the strongest; 0: all.
size_t ReportedTop(const ScopeOptions& options) {
  if (options.top == kMaxTop) return 0;
  if (options.top != 0 || options.format == "json") return options.top;
  return kTableTop;
}

// What titles call the text.
std::string NameOf(const ScopeOptions& options, std::string_view text) {
  if (!options.file.empty() && options.file != kStdinArgument) {
    return options.file.substr(options.file.rfind('/') + 1);
  }
  return absl::StrCat("\"", Printable(text, kMaxTitleText), "\"");
}

// The loaded autoencoders of --sae, and their descriptions for reports.
struct Readers {
  std::vector<FeatureReader> readers;
  std::vector<ScopedAutoencoder> named;
};

absl::StatusOr<Readers> LoadReaders(const ScopeOptions& options,
                                    Autoencoders* autoencoders) {
  Readers result;
  for (const std::string& text : options.autoencoders) {
    GEMMA_ASSIGN_OR_RETURN(const AutoencoderName name,
                           ParseAutoencoder("--sae", text));
    GEMMA_ASSIGN_OR_RETURN(const SparseAutoencoder* autoencoder,
                           autoencoders->Load(name));
    const size_t num_features = autoencoder->num_features();
    for (const size_t feature : options.features) {
      if (feature < num_features) continue;
      return OptionError(
          {"--features"},
          absl::StrCat("--features: ", feature, " is not from 0 to ",
                       num_features - 1, ", the features of ", text));
    }
    size_t top = options.features.empty() ? ReportedTop(options) : 0;
    // A page has more features than a table.
    if (top != 0 && !options.html.empty()) {
      top = std::max(top, kMaxPageFeatures);
    }
    result.readers.push_back({autoencoder, top, options.features});
    result.named.push_back(
        {name.path, FeatureSiteText(autoencoder->site()), num_features});
  }
  return result;
}

// BOS and the text's tokens.
absl::StatusOr<std::vector<TokenId>> TokensOf(const ScopeOptions& options,
                                              const Tokenizer& tokenizer,
                                              std::string_view text) {
  GEMMA_ASSIGN_OR_RETURN(
      std::vector<TokenId> tokens,
      tokenizer.Encode(text, options.parse_control ? ControlTokens::kParse
                                                   : ControlTokens::kAsText));
  tokens.insert(tokens.begin(), tokenizer.bos());
  return tokens;
}

// Reads the tokens with a session that has room for them.
absl::StatusOr<ScopedText> Read(const ScopeOptions& options,
                                std::string_view name, const Model& model,
                                const Tokenizer& tokenizer, Readers readers,
                                absl::Span<const TokenId> tokens) {
  GEMMA_ASSIGN_OR_RETURN(
      Session session,
      CreateSession(model, options.model,
                    std::min(tokens.size(), model.config().max_context)));
  GEMMA_RETURN_IF_ERROR(CheckFits(session, tokens.size()));
  const size_t num_readers = readers.readers.size();
  ScopedText text = {.name = std::string(name),
                     .head = ReportHead(options.model, model),
                     .model = options.model.path,
                     .autoencoders = std::move(readers.named),
                     .tokens = {},
                     .wanted = options.features};
  text.head["options"] =
      OptionsJson(options.model, model,
                  SessionOptionsOf(options.model, tokens.size()).max_tokens);
  text.head["options"].update({{"sae_type", options.sae_type},
                               {"parse_control", options.parse_control},
                               {"features", options.features}});
  for (const TokenId token : tokens) {
    text.tokens.push_back({token, tokenizer.Piece(token),
                           tokenizer.IsControl(token),
                           std::vector<std::vector<Feature>>(num_readers)});
  }
  FeatureTapOptions tap;
  tap.readers = std::move(readers.readers);
  tap.on_features = [&text](const TokenFeatures& of) {
    text.tokens[of.position].features[of.reader].assign(of.features.begin(),
                                                        of.features.end());
  };
  GEMMA_ASSIGN_OR_RETURN(TapFunction function,
                         FeatureTap(model, std::move(tap)));
  session.SetTap(std::move(function));
  Progress progress("reading the text", "tok");
  GEMMA_RETURN_IF_ERROR(session.Append(tokens, [&](size_t done) {
    progress.Update(done, tokens.size());
    return !Interrupted();
  }));
  if (Interrupted()) return InterruptedError();
  return text;
}

// 1018 as "1,018".
std::string Grouped(size_t number) {
  std::string digits = absl::StrCat(number);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

// "f.html: 1,018 tokens, 256 features"
std::string PageLine(std::string_view path, const ScopedText& text) {
  size_t features = 0;
  for (const ScopedAutoencoder& of : text.autoencoders) {
    features += of.num_features;
  }
  return absl::StrCat(Printable(path, kUncut), ": ",
                      Grouped(text.tokens.size()), " tokens, ",
                      Grouped(features), " features");
}

// An error if --html would overwrite an input.
absl::Status CheckPage(const ScopeOptions& options) {
  std::vector<std::string> files = {options.file};
  for (const std::string& text : options.autoencoders) {
    GEMMA_ASSIGN_OR_RETURN(const AutoencoderName name,
                           ParseAutoencoder("--sae", text));
    files.push_back(name.path);
  }
  GEMMA_RETURN_IF_ERROR(
      CheckOutput(options.html, ModelPaths(options.model), std::move(files)));
  return CheckReplaces(options.html, options.force);
}

absl::Status Scope(ScopeOptions options) {
  GEMMA_RETURN_IF_ERROR(Check(options));
  std::sort(options.features.begin(), options.features.end());
  GEMMA_RETURN_IF_ERROR(CheckPage(options));
  std::optional<AtomicFile> page;
  if (!options.html.empty()) {
    GEMMA_ASSIGN_OR_RETURN(AtomicFile file,
                           AtomicFile::CreateOutput(options.html));
    page.emplace(std::move(file));
  }
  GEMMA_ASSIGN_OR_RETURN(const std::string text, ReadScopeText(options));
  GEMMA_RETURN_IF_ERROR(ApplySimd(options.model.simd));
  Autoencoders autoencoders(options.sae_type);
  GEMMA_ASSIGN_OR_RETURN(Readers readers, LoadReaders(options, &autoencoders));
  GEMMA_ASSIGN_OR_RETURN(const Model model, LoadModel(options.model));
  for (size_t i = 0; i < readers.readers.size(); ++i) {
    GEMMA_RETURN_IF_ERROR(
        CheckFits(model, *readers.readers[i].autoencoder,
                  absl::StrCat("--sae ", options.autoencoders[i])));
  }
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, TokenizerOf(model));
  GEMMA_ASSIGN_OR_RETURN(const std::vector<TokenId> tokens,
                         TokensOf(options, *tokenizer, text));
  GEMMA_ASSIGN_OR_RETURN(const ScopedText scoped,
                         Read(options, NameOf(options, text), model, *tokenizer,
                              std::move(readers), tokens));
  if (page.has_value()) {
    GEMMA_RETURN_IF_ERROR(page->Write(ScopePage(scoped)));
    GEMMA_RETURN_IF_ERROR(page->Commit());
    if (options.format != "json") {
      return WriteSummary(PageLine(options.html, scoped));
    }
  }
  return WriteOutput(options.format == "json"
                         ? ScopeJson(scoped, ReportedTop(options))
                         : ScopeTable(scoped, ReportedTop(options)));
}

}  // namespace

void AddScope(CLI::App& app, Action* action) {
  auto options = std::make_shared<ScopeOptions>();
  options->model.activations = "float32";
  CLI::App* command = app.add_subcommand(
      "scope", "Show which features a text activates (Gemma Scope)");
  AddModelOptions(*command, &options->model, "the length of the text");
  AddText(*command, "TEXT", "", &options->text,
          "The text; if missing or \"-\": standard input, unchanged");
  AddText(*command, "-f,--file", "FILE", &options->file,
          "Read the text from FILE; \"-\": standard input");
  command->add_flag("--parse-control", options->parse_control,
                    "Read names of control tokens, such as\n"
                    "<start_of_turn>, as those tokens instead of as text");
  AddTexts(*command, "--sae", "FILE[:SITE]", &options->autoencoders,
           "An autoencoder (gemma help sae explains FILE and SITE);\n"
           "may be repeated")
      ->required();
  AddFeatureWeights(*command, &options->sae_type);
  AddNumbers(*command, "--features", &options->features, 0, kMaxFeature,
             "Report only these features, active or not")
      ->default_str("all");
  AddParsed(*command, "--top", "N",
            "Number of strongest features to print for each token;\n0: all",
            [options](const std::string& text) {
              const std::string wanted =
                  ParseCount(text, 0, kMaxTop, &options->top);
              if (options->top == 0) options->top = kMaxTop;
              return wanted;
            })
      ->default_str(absl::StrCat(kTableTop, "; with --json: all active ones"));
  AddForms(*command, &options->format);
  AddText(*command, "--html", "FILE.html", &options->html,
          "Write a page that colours the text by the strength of\n"
          "a feature; it works without a network");
  AddForce(*command, &options->force);
  command->footer(
      std::string(kAutoencoderHelp) +
      R"(Prints a line for each token, beginning with BOS: its position, its
piece and its strongest features as index:value. Values of BOS are far
from those of all other tokens.

With --json, standard output receives an object with all active features
of each token, or the strongest with --top; the page json.md of gemma's
sources describes each field. With --html, it receives only a line about
the page, unless --json is given, too.

Examples:
  gemma scope gemma-2-2b/ "The cat sat." \
    --sae layer_12/width_16k/average_l0_82/params.npz:res@12
  gemma scope gemma-2-2b/ --file text.txt --sae params.npz:mlp@5 \
    --html features.html
  gemma run gemma-2-2b/ "I am" --steer params.npz:res@12:345=80

)");
  command->callback([=] { *action = [=] { return Scope(*options); }; });
}

Versions ScopeVersions() { return {{"zlib", zlibVersion()}}; }

}  // namespace gemma::tools
