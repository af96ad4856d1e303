#include "tools/gemma/texts/scope_html.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kMark = "{{data}}";  // stands for the page's data

// Rounds to four digits; the page shows three.
double Rounded(float value) {
  double rounded = 0;
  return absl::SimpleAtod(absl::StrFormat("%.4g", value), &rounded) ? rounded
                                                                    : 0;
}

// index, value, index, value and so on, the strongest first.
OrderedJson Pairs(std::vector<Feature> features) {
  std::sort(features.begin(), features.end(),
            [](const Feature& a, const Feature& b) {
              return a.value != b.value ? a.value > b.value : a.index < b.index;
            });
  OrderedJson pairs = OrderedJson::array();
  for (const Feature& feature : features) {
    pairs.push_back(feature.index);
    pairs.push_back(Rounded(feature.value));
  }
  return pairs;
}

// The data of the page; scope_page.html describes it.
OrderedJson PageData(const ScopedText& text) {
  OrderedJson autoencoders = OrderedJson::array();
  OrderedJson values = OrderedJson::array();
  for (const ScopedAutoencoder& of : text.autoencoders) {
    autoencoders.push_back(
        {{"file", of.file}, {"site", of.site}, {"features", of.num_features}});
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
  return {{"model", text.model},
          {"autoencoders", std::move(autoencoders)},
          {"tokens", std::move(tokens)},
          {"values", std::move(values)}};
}

}  // namespace

std::string ScopePage(const ScopedText& text) {
  // Inside <script>, only a "<" can end or open an element. JSON has it only in
  // strings, where it can be escaped.
  const std::string data = absl::StrReplaceAll(
      PageData(text).dump(-1, ' ', false,
                          OrderedJson::error_handler_t::replace),
      {{"<", "\\u003c"}});
  const std::string_view page = kScopePage;
  const size_t mark = page.find(kMark);
  return absl::StrCat(page.substr(0, mark), data,
                      page.substr(mark + kMark.size()));
}

}  // namespace gemma::tools
