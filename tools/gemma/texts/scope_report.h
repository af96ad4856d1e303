// Reports the features of a text's tokens, as a table and as JSON.

#ifndef GEMMA_TOOLS_GEMMA_TEXTS_SCOPE_REPORT_H_
#define GEMMA_TOOLS_GEMMA_TEXTS_SCOPE_REPORT_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/gemma.h"

namespace gemma::tools {

// An autoencoder that read the text.
struct ScopedAutoencoder {
  std::string file;  // as the command line names it
  std::string site;  // see FeatureSiteText
  size_t num_features = 0;
};

// A token, and its features by each autoencoder.
struct ScopedToken {
  TokenId token = 0;
  std::string_view piece;                      // the model owns it
  bool is_control = false;                     // it has no text
  std::vector<std::vector<Feature>> features;  // of each autoencoder
};

// A text. The first token is BOS.
struct ScopedText {
  std::string name;             // a file, or how the text begins, in quotes
  nlohmann::ordered_json head;  // see ReportHead, with the options
  std::string model;
  std::vector<ScopedAutoencoder> autoencoders;
  std::vector<ScopedToken> tokens;
  // If not empty, report only these features, active or not, in ascending
  // order. Else each token has its active features, in any order.
  std::vector<size_t> wanted;
};

// Sorts features, the strongest first; of equally strong ones, the one with the
// lower index comes first. Keeps only the first `top`; 0: all.
void KeepStrongest(size_t top, std::vector<Feature>* features);

// A table for each autoencoder, with the `top` strongest features of a token.
std::string ScopeTable(const ScopedText& text, size_t top);

// The JSON object of gemma scope, and a newline. `top`: 0 for all active
// features.
std::string ScopeJson(const ScopedText& text, size_t top);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_TEXTS_SCOPE_REPORT_H_
