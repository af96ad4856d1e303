#include "src/text/tokenizer/tokenizer_json.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/text/tokenizer/added_tokens.h"

namespace gemma::internal {
namespace {

// Reads the name of a token in tokenizer_config.json, a text or an object.
absl::Status ReadTokenName(const Json& config, std::string_view key,
                           std::string& name) {
  const auto value = config.Find(key);
  if (!value.has_value()) return absl::OkStatus();
  if (value->is_null()) {
    name.clear();
    return absl::OkStatus();
  }
  return value->is_object() ? value->ReadRequired("content", name)
                            : value->Get(name);
}

// Reads an object of tokenizer.json or tokenizer_config.json that describes an
// added token, except its id.
absl::Status ReadAddedToken(const Json& json, AddedToken& token) {
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("content", token.content));
  GEMMA_RETURN_IF_ERROR(json.Read("special", token.special));
  token.normalized = !token.special;  // the default of tokenizers
  GEMMA_RETURN_IF_ERROR(json.Read("single_word", token.single_word));
  GEMMA_RETURN_IF_ERROR(json.Read("lstrip", token.lstrip));
  GEMMA_RETURN_IF_ERROR(json.Read("rstrip", token.rstrip));
  return json.Read("normalized", token.normalized);
}

// ---------------------------------------------------------------------------
// Normalizers

// Reads a pattern, which must be a text: {"String": " "}.
absl::Status ReadPattern(const Json& json, std::string& pattern) {
  GEMMA_ASSIGN_OR_RETURN(const auto object, json.Object("pattern"));
  if (!object.has_value()) return json.Unexpected("an object with a pattern");
  if (!object->Has("String")) return object->Unexpected("a 'String'");
  GEMMA_RETURN_IF_ERROR(object->ReadRequired("String", pattern));
  return pattern.empty() ? object->Find("String")->Unexpected("a text")
                         : absl::OkStatus();
}

absl::Status ReadNormalizer(const Json& json,
                            std::vector<NormalizerStep>& steps) {
  using Type = NormalizerStep::Type;
  std::string type;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("type", type));
  if (type == "Sequence") {
    GEMMA_ASSIGN_OR_RETURN(const auto list, json.Array("normalizers"));
    if (!list.has_value()) return json.Unexpected("a list 'normalizers'");
    for (const Json& element : list->Elements()) {
      GEMMA_RETURN_IF_ERROR(ReadNormalizer(element, steps));
    }
    return absl::OkStatus();
  }
  if (type == "Replace") {
    NormalizerStep& step = steps.emplace_back();
    GEMMA_RETURN_IF_ERROR(ReadPattern(json, step.pattern));
    return json.ReadRequired("content", step.content);
  }
  if (type == "Prepend") {
    NormalizerStep& step = steps.emplace_back();
    step.type = Type::kPrepend;
    return json.ReadRequired("prepend", step.content);
  }
  if (type == "Strip") {
    bool left = false, right = false;
    GEMMA_RETURN_IF_ERROR(json.ReadRequired("strip_left", left));
    GEMMA_RETURN_IF_ERROR(json.ReadRequired("strip_right", right));
    if (left) steps.push_back({Type::kStripLeft, "", ""});
    if (right) steps.push_back({Type::kStripRight, "", ""});
    return absl::OkStatus();
  }
  return json.Find("type")->Unexpected(
      "'Replace', 'Prepend', 'Strip' or 'Sequence', the normalizers that this "
      "library knows");
}

// ---------------------------------------------------------------------------
// Pre-tokenizers

absl::Status ReadMetaspace(const Json& json, Metaspace& metaspace) {
  using Prefix = Metaspace::Prefix;
  std::string replacement(kBlank);
  GEMMA_RETURN_IF_ERROR(json.Read("replacement", replacement));
  if (replacement != kBlank) {
    return json.Find("replacement")->Unexpected("'\u2581'");
  }
  metaspace.split = true;
  GEMMA_RETURN_IF_ERROR(json.Read("split", metaspace.split));
  // Files of tokenizers before 0.15 have only the second key.
  std::string scheme;
  bool add_prefix = true;
  GEMMA_RETURN_IF_ERROR(json.Read("prepend_scheme", scheme));
  GEMMA_RETURN_IF_ERROR(json.Read("add_prefix_space", add_prefix));
  if (scheme.empty()) scheme = add_prefix ? "always" : "never";
  constexpr std::array<std::pair<std::string_view, Prefix>, 3> kSchemes = {
      {{"never", Prefix::kNever},
       {"first", Prefix::kFirst},
       {"always", Prefix::kAlways}}};
  for (const auto& [name, prefix] : kSchemes) {
    if (name != scheme) continue;
    if (!add_prefix && prefix != Prefix::kNever) {
      return json.Find("add_prefix_space")
          ->Unexpected("true, as 'prepend_scheme' says");
    }
    metaspace.prefix = prefix;
    return absl::OkStatus();
  }
  return json.Find("prepend_scheme")
      ->Unexpected("'always', 'first' or 'never'");
}

// `has_blanks`: whether a text may still have blanks. Metaspace replaces them.
absl::Status ReadPreTokenizer(const Json& json, bool& has_blanks,
                              Metaspace& metaspace) {
  std::string type;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("type", type));
  if (type == "Sequence") {
    GEMMA_ASSIGN_OR_RETURN(const auto list, json.Array("pretokenizers"));
    if (!list.has_value()) return json.Unexpected("a list 'pretokenizers'");
    if (list->size() > 1) return list->Unexpected("one pre-tokenizer");
    for (const Json& element : list->Elements()) {
      GEMMA_RETURN_IF_ERROR(ReadPreTokenizer(element, has_blanks, metaspace));
    }
    return absl::OkStatus();
  }
  if (type == "Metaspace") {
    has_blanks = false;
    return ReadMetaspace(json, metaspace);
  }
  if (type == "Split") {
    std::string pattern;
    bool invert = false;
    GEMMA_RETURN_IF_ERROR(ReadPattern(json, pattern));
    GEMMA_RETURN_IF_ERROR(json.Read("invert", invert));
    if (invert) return json.Find("invert")->Unexpected("false");
    // In Gemma's files, it looks for blanks after they were replaced.
    if (pattern == " " && !has_blanks) return absl::OkStatus();
    return json.Find("pattern")->Unexpected(
        "a blank, after a normalizer has replaced all blanks");
  }
  return json.Find("type")->Unexpected(
      "'Split' or 'Metaspace', the pre-tokenizers that this library knows");
}

// A hostile normalizer could make a short text fill all memory.
constexpr size_t kMaxGrowth = 256;

absl::Status ReadSteps(const Json& json, TextRules& rules) {
  GEMMA_ASSIGN_OR_RETURN(const auto normalizer, json.Object("normalizer"));
  if (normalizer.has_value()) {
    GEMMA_RETURN_IF_ERROR(ReadNormalizer(*normalizer, rules.normalizer));
  }
  bool has_blanks = true;
  size_t growth = 1;
  for (const NormalizerStep& step : rules.normalizer) {
    const size_t size = std::max(step.pattern.size(), size_t{1});
    growth *= std::max((step.content.size() + size - 1) / size, size_t{1});
    if (growth > kMaxGrowth) {
      return absl::InvalidArgumentError(
          FormatText("%s: makes texts more than %d times as long, wanted less",
                     normalizer->Where(), kMaxGrowth));
    }
    if (step.pattern == " ") has_blanks = false;
    if (step.content.find(' ') != std::string::npos) has_blanks = true;
  }
  GEMMA_ASSIGN_OR_RETURN(const auto pre, json.Object("pre_tokenizer"));
  if (pre.has_value()) {
    GEMMA_RETURN_IF_ERROR(ReadPreTokenizer(*pre, has_blanks, rules.metaspace));
  }
  if (!has_blanks) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      json.Where(),
      ": neither 'normalizer' nor 'pre_tokenizer' replaces blanks, wanted "
      "'\u2581' for each, as in all of Gemma's vocabularies"));
}

// ---------------------------------------------------------------------------
// The model

// A field of "model" with a value that changes encoding, and the only value
// that is read.
absl::Status CheckModel(const Json& model) {
  std::string type = "BPE";
  GEMMA_RETURN_IF_ERROR(model.Read("type", type));
  if (type != "BPE") return model.Find("type")->Unexpected("'BPE'");
  bool byte_fallback = false;
  GEMMA_RETURN_IF_ERROR(model.Read("byte_fallback", byte_fallback));
  if (!byte_fallback) {
    return model.Has("byte_fallback")
               ? model.Find("byte_fallback")->Unexpected("true")
               : absl::InvalidArgumentError(absl::StrCat(
                     model.Where(), " has no 'byte_fallback', wanted true"));
  }
  bool ignore_merges = false;
  GEMMA_RETURN_IF_ERROR(model.Read("ignore_merges", ignore_merges));
  if (ignore_merges) return model.Find("ignore_merges")->Unexpected("false");
  float dropout = 0.0f;
  GEMMA_RETURN_IF_ERROR(model.Read("dropout", dropout));
  if (dropout != 0.0f) return model.Find("dropout")->Unexpected("0");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    std::string affix;
    GEMMA_RETURN_IF_ERROR(model.Read(key, affix));
    if (!affix.empty()) return model.Find(key)->Unexpected("an empty text");
  }
  return absl::OkStatus();
}

absl::StatusOr<Json> ModelOf(const Json& json) {
  GEMMA_ASSIGN_OR_RETURN(const auto model, json.Object("model"));
  if (model.has_value()) return *model;
  return absl::InvalidArgumentError(
      absl::StrCat(json.Where(), ": no object 'model'"));
}

absl::Status ReadMerges(const Json& merges, HfTokenizerData& data) {
  data.merges.reserve(merges.size());
  for (const Json& merge : merges.Elements()) {
    if (merge.is_array()) {
      std::vector<std::string> pair;
      GEMMA_RETURN_IF_ERROR(merge.Get(pair));
      if (pair.size() != 2) return merge.Unexpected("two pieces");
      data.merges.emplace_back(std::move(pair[0]), std::move(pair[1]));
      continue;
    }
    std::string_view both;
    GEMMA_RETURN_IF_ERROR(merge.Get(both));
    // Blanks inside pieces are U+2581, so the only blank separates the pieces.
    const size_t blank = both.find(' ');
    if (blank == std::string_view::npos) return merge.Unexpected("two pieces");
    data.merges.emplace_back(both.substr(0, blank), both.substr(blank + 1));
  }
  return absl::OkStatus();
}

// ---------------------------------------------------------------------------
// Fields that are not honoured

// Returns the tokens that a post-processor adds to a text: "<bos> A". Empty if
// they are unknown.
std::string TemplateOf(const Json& processor) {
  const auto single = processor.Find("single");
  if (!single.has_value()) return "";
  std::string text;
  for (const Json& element : single->Elements()) {
    for (const auto& [kind, value] : element.Members()) {
      std::string id;
      if (!value.Read("id", id).ok()) return "";
      absl::StrAppend(&text, text.empty() ? "" : " ", id);
    }
  }
  return text;
}

// Adds a note for each field that tokenizers would honour, but that neither
// transformers nor this library does when a prompt is made.
absl::Status NoteOthers(const Json& json, const HfTokenizerData& data,
                        std::vector<std::string>& notes) {
  GEMMA_ASSIGN_OR_RETURN(const auto truncation, json.Object("truncation"));
  if (truncation.has_value()) {
    int64_t max_length = 0;
    GEMMA_RETURN_IF_ERROR(truncation->Read("max_length", max_length));
    notes.push_back(
        FormatText("%s cuts texts after %d tokens: not done here, nor by "
                   "transformers",
                   truncation->Where(), max_length));
  }
  GEMMA_ASSIGN_OR_RETURN(const auto processor, json.Object("post_processor"));
  if (!processor.has_value()) return absl::OkStatus();
  std::string type;
  GEMMA_RETURN_IF_ERROR(processor->Read("type", type));
  if (type == "ByteLevel") return absl::OkStatus();  // changes only offsets
  const std::string found =
      type == "TemplateProcessing" ? TemplateOf(*processor) : std::string();
  for (const std::string& known :
       {std::string("A"), absl::StrCat(data.bos_token, " A"),
        absl::StrCat(data.bos_token, " A ", data.eos_token)}) {
    if (found == known) return absl::OkStatus();
  }
  notes.push_back(absl::StrCat(
      processor->Where(), " is ", Quoted(found.empty() ? type : found),
      ": a prompt here begins with ", Quoted(data.bos_token),
      " and has no other added tokens"));
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadTextRules(const Json& json, TextRules& rules,
                           std::vector<AddedToken>& added) {
  GEMMA_RETURN_IF_ERROR(ReadSteps(json, rules));
  GEMMA_ASSIGN_OR_RETURN(const auto list, json.Array("added_tokens"));
  if (!list.has_value()) return absl::OkStatus();
  for (const Json& token : list->Elements()) {
    AddedToken& out = added.emplace_back();
    GEMMA_RETURN_IF_ERROR(token.ReadRequired("id", out.id));
    GEMMA_RETURN_IF_ERROR(ReadAddedToken(token, out));
  }
  return absl::OkStatus();
}

absl::Status ReadTokenizerRules(const Json& json, HfTokenizerData& data,
                                std::vector<std::string>& notes) {
  GEMMA_ASSIGN_OR_RETURN(const Json model, ModelOf(json));
  GEMMA_RETURN_IF_ERROR(CheckModel(model));
  GEMMA_RETURN_IF_ERROR(ReadTokenName(model, "unk_token", data.unk_token));
  GEMMA_RETURN_IF_ERROR(ReadTextRules(json, data.rules, data.added));
  return NoteOthers(json, data, notes);
}

absl::Status ReadTokenizerPieces(const Json& json, HfTokenizerData& data) {
  GEMMA_ASSIGN_OR_RETURN(const Json model, ModelOf(json));
  GEMMA_ASSIGN_OR_RETURN(const auto vocab, model.Object("vocab"));
  GEMMA_ASSIGN_OR_RETURN(const auto merges, model.Array("merges"));
  if (!vocab.has_value() || !merges.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(model.Where(), " has no 'vocab' or no 'merges'"));
  }
  data.vocab.reserve(vocab->size());
  for (const auto& [piece, id] : vocab->Members()) {
    GEMMA_RETURN_IF_ERROR(id.Get(data.vocab.emplace_back(piece, 0).second));
  }
  return ReadMerges(*merges, data);
}

absl::Status ReadRoles(const Json& config, HfTokenizerData& data) {
  GEMMA_RETURN_IF_ERROR(ReadTokenName(config, "bos_token", data.bos_token));
  GEMMA_RETURN_IF_ERROR(ReadTokenName(config, "eos_token", data.eos_token));
  return ReadTokenName(config, "pad_token", data.pad_token);
}

absl::Status ReadTokenizerConfig(const Json& config, HfTokenizerData& data,
                                 std::vector<AddedToken>& added) {
  GEMMA_RETURN_IF_ERROR(ReadRoles(config, data));
  GEMMA_ASSIGN_OR_RETURN(const auto decoder,
                         config.Object("added_tokens_decoder"));
  if (!decoder.has_value()) return absl::OkStatus();
  for (const auto& [number, json] : decoder->Members()) {
    AddedToken& token = added.emplace_back();
    if (!absl::SimpleAtoi(number, &token.id)) {
      return absl::InvalidArgumentError(
          absl::StrCat(decoder->Where(), " has the key ", Quoted(number),
                       ", wanted the id of a token"));
    }
    GEMMA_RETURN_IF_ERROR(ReadAddedToken(json, token));
  }
  return absl::OkStatus();
}

absl::Status ReadAddedTokensJson(const Json& json,
                                 const std::vector<Json>& configs,
                                 std::vector<AddedToken>& added) {
  HashSet<std::string> special;
  const auto add = [&](const Json& value) {  // a text or an object
    std::string name;
    const std::optional<Json> content = value.Find("content");
    if ((content.has_value() ? *content : value).Get(name).ok()) {
      special.insert(std::move(name));
    }
  };
  for (const Json& config : configs) {
    for (const char* key :
         {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
          "cls_token", "mask_token", "additional_special_tokens",
          "extra_special_tokens"}) {
      const std::optional<Json> value = config.Find(key);
      if (!value.has_value()) continue;
      for (const Json& element : value->Elements()) add(element);
      if (!value->is_array()) add(*value);
    }
  }
  for (const auto& [name, id] : json.Members()) {
    AddedToken& token = added.emplace_back();
    token.content = std::string(name);
    GEMMA_RETURN_IF_ERROR(id.Get(token.id));
    token.special = special.contains(name);
    token.normalized = !token.special;
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal
