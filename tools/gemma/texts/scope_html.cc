#include "tools/gemma/texts/scope_html.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "src/base/internal.h"
#include "src/base/messages.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

// Stand for the page's data and its title.
constexpr std::string_view kDataMark = "{{data}}";
constexpr std::string_view kTitleMark = "{{title}}";

// Rounds to four digits; the page shows three.
double Rounded(float value) {
  double rounded = 0;
  return absl::SimpleAtod(absl::StrFormat("%.4g", value), &rounded) ? rounded
                                                                    : 0;
}

// index, value, index, value and so on, the strongest first.
OrderedJson Pairs(std::vector<Feature> features) {
  KeepStrongest(kMaxPageFeatures, &features);
  OrderedJson pairs = OrderedJson::array();
  for (const Feature& feature : features) {
    pairs.push_back(feature.index);
    pairs.push_back(Rounded(feature.value));
  }
  return pairs;
}

// Returns plain text as HTML, on one line.
std::string Escaped(std::string_view text) {
  return absl::StrReplaceAll(Printable(text, kUncut),
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

// index, top and so on, for features whose scale of colours ends below their
// largest value: at twice the value that 90 % of the feature's tokens do not
// exceed. Else one outlier would leave all other tokens pale. BOS, the first
// token, has no colour.
OrderedJson Tops(const ScopedText& text, size_t autoencoder) {
  std::map<size_t, std::vector<float>> values;
  for (size_t i = 1; i < text.tokens.size(); ++i) {
    for (const Feature& feature : text.tokens[i].features[autoencoder]) {
      if (feature.value > 0) values[feature.index].push_back(feature.value);
    }
  }
  OrderedJson tops = OrderedJson::array();
  for (auto& [index, of] : values) {
    std::sort(of.begin(), of.end());
    const float top = 2 * of[(of.size() - 1) * 9 / 10];
    if (top >= of.back()) continue;
    tops.push_back(index);
    tops.push_back(Rounded(top));
  }
  return tops;
}

// The data of the page; scope_page.html describes it.
OrderedJson PageData(const ScopedText& text) {
  OrderedJson autoencoders = OrderedJson::array();
  OrderedJson values = OrderedJson::array();
  OrderedJson tops = OrderedJson::array();
  for (const ScopedAutoencoder& of : text.autoencoders) {
    autoencoders.push_back(
        {{"file", of.file}, {"site", of.site}, {"features", of.num_features}});
    tops.push_back(Tops(text, values.size()));
    values.push_back(OrderedJson::array());
  }
  OrderedJson tokens = OrderedJson::array();
  for (const ScopedToken& token : text.tokens) {
    // The vocabulary writes blanks as U+2581.
    tokens.push_back({token.token,
                      absl::StrReplaceAll(token.piece, {{"\u2581", " "}}),
                      token.is_control});
    for (size_t i = 0; i < token.features.size(); ++i) {
      values[i].push_back(Pairs(token.features[i]));
    }
  }
  return {
      {"model", text.model},         {"text", text.name},
      {"limit", kMaxPageFeatures},   {"autoencoders", std::move(autoencoders)},
      {"tokens", std::move(tokens)}, {"values", std::move(values)},
      {"tops", std::move(tops)}};
}

}  // namespace

std::string ScopePage(const ScopedText& text) {
  // Inside <script>, only a "<" can end or open an element. JSON has it only in
  // strings, where it can be escaped.
  const std::string data = absl::StrReplaceAll(
      PageData(text).dump(-1, ' ', false,
                          OrderedJson::error_handler_t::replace),
      {{"<", "\\u003c"}});
  const std::string title =
      Escaped(absl::StrCat(text.name, ": features in ", text.model));
  const std::string_view page = kScopePage;
  const size_t at = page.find(kTitleMark);
  const size_t after = at + kTitleMark.size();
  const size_t data_at = page.find(kDataMark);
  return absl::StrCat(page.substr(0, at), title,
                      page.substr(after, data_at - after), data,
                      page.substr(data_at + kDataMark.size()));
}

}  // namespace gemma::tools
