#include "tools/gemma/texts/scope_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr size_t kMaxPieceWidth = 24;  // of the table's column

// The features that a report lists for a token: the `top` strongest (0: all),
// or all wanted ones.
std::vector<Feature> ToTell(const ScopedText& text, const ScopedToken& token,
                            size_t autoencoder, size_t top) {
  const std::vector<Feature>& active = token.features[autoencoder];
  std::vector<Feature> all;
  if (text.wanted.empty()) {
    all = active;
    KeepStrongest(top, &all);
    return all;
  }
  for (const size_t index : text.wanted) {
    const auto found = std::find_if(
        active.begin(), active.end(),
        [index](const Feature& feature) { return feature.index == index; });
    all.push_back({index, found == active.end() ? 0.0f : found->value});
  }
  return all;
}

// A piece on one line.
std::string PieceText(std::string_view piece) {
  return Printable(piece, kUncut);
}

// Number of UTF-8 characters.
size_t Width(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

// Appends the lines of one autoencoder.
void AppendTable(const ScopedText& text, size_t autoencoder, size_t top,
                 std::string* out) {
  const ScopedAutoencoder& of = text.autoencoders[autoencoder];
  absl::StrAppend(out, of.file, ": ", of.num_features, " features, ", of.site,
                  "\n");
  size_t widest = 0;
  for (const ScopedToken& token : text.tokens) {
    widest = std::max(widest, Width(PieceText(token.piece)));
  }
  widest = std::min(widest, kMaxPieceWidth);
  for (size_t i = 0; i < text.tokens.size(); ++i) {
    const std::string piece = PieceText(text.tokens[i].piece);
    const size_t padding = widest - std::min(widest, Width(piece));
    std::string line =
        absl::StrFormat("%5u  %s%s ", i, piece, std::string(padding, ' '));
    for (const Feature& feature :
         ToTell(text, text.tokens[i], autoencoder, top)) {
      absl::StrAppendFormat(&line, " %u:%.4g", feature.index, feature.value);
    }
    absl::StrAppend(out, line.substr(0, line.find_last_not_of(' ') + 1), "\n");
  }
}

}  // namespace

void KeepStrongest(size_t top, std::vector<Feature>* features) {
  std::sort(features->begin(), features->end(),
            [](const Feature& a, const Feature& b) {
              return a.value != b.value ? a.value > b.value : a.index < b.index;
            });
  if (top != 0 && top < features->size()) features->resize(top);
}

std::string ScopeTable(const ScopedText& text, size_t top) {
  std::string out;
  for (size_t i = 0; i < text.autoencoders.size(); ++i) {
    if (i > 0) out += "\n";
    AppendTable(text, i, top, &out);
  }
  return out;
}

std::string ScopeJson(const ScopedText& text, size_t top) {
  OrderedJson autoencoders = OrderedJson::array();
  for (const ScopedAutoencoder& of : text.autoencoders) {
    autoencoders.push_back(
        {{"file", of.file}, {"site", of.site}, {"features", of.num_features}});
  }
  OrderedJson tokens = OrderedJson::array();
  for (const ScopedToken& token : text.tokens) {
    OrderedJson features = OrderedJson::array();
    for (size_t i = 0; i < token.features.size(); ++i) {
      OrderedJson told = OrderedJson::array();
      for (const Feature& feature : ToTell(text, token, i, top)) {
        told.push_back({{"index", feature.index}, {"value", feature.value}});
      }
      features.push_back(std::move(told));
    }
    tokens.push_back({{"id", token.token},
                      {"piece", token.piece},
                      {"features", std::move(features)}});
  }
  OrderedJson json = text.head;
  json.update({{"top", top == 0 ? OrderedJson() : OrderedJson(top)},
               {"autoencoders", std::move(autoencoders)},
               {"tokens", std::move(tokens)}});
  return ToText(json);
}

}  // namespace gemma::tools
