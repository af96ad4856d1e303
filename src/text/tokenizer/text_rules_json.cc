// Writes TextRules as tokenizer.json does.

#include <nlohmann/json.hpp>

#include "src/text/tokenizer/tokenizer_json.h"

namespace gemma::internal {
namespace {

using Object = nlohmann::ordered_json;

Object StepJson(const NormalizerStep& step) {
  switch (step.type) {
    case NormalizerStep::Type::kPrepend:
      return {{"type", "Prepend"}, {"prepend", step.content}};
    case NormalizerStep::Type::kReplace:
      return {{"type", "Replace"},
              {"pattern", {{"String", step.pattern}}},
              {"content", step.content}};
    case NormalizerStep::Type::kStripLeft:
      return {{"type", "Strip"}, {"strip_left", true}, {"strip_right", false}};
    case NormalizerStep::Type::kStripRight:
      return {{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}};
  }
  return nullptr;
}

std::string_view Name(Metaspace::Prefix prefix) {
  switch (prefix) {
    case Metaspace::Prefix::kNever:
      return "never";
    case Metaspace::Prefix::kFirst:
      return "first";
    case Metaspace::Prefix::kAlways:
      return "always";
  }
  return "";
}

}  // namespace

std::string TextRulesToJson(const TextRules& rules) {
  Object added = Object::array();
  for (const AddedToken& token : rules.added) {
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", token.single_word},
                     {"lstrip", token.lstrip},
                     {"rstrip", token.rstrip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  }
  Object steps = Object::array();
  for (const NormalizerStep& step : rules.normalizer) {
    steps.push_back(StepJson(step));
  }
  const Object json = {
      {"added_tokens", added},
      {"normalizer", {{"type", "Sequence"}, {"normalizers", steps}}},
      {"pre_tokenizer",
       {{"type", "Metaspace"},
        {"replacement", kBlank},
        {"prepend_scheme", Name(rules.metaspace.prefix)},
        {"split", rules.metaspace.split}}}};
  return json.dump();
}

}  // namespace gemma::internal
