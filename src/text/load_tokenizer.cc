#include "src/text/load_tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/json.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/os/mapped_file.h"
#include "src/text/tokenizer_impl.h"
#include "src/text/vocabulary.h"

namespace gemma {
namespace {

absl::Status NoTokenizer(const Checkpoint& checkpoint, std::string_view lacks) {
  return WithReason(
      absl::NotFoundError(FormatText("%s: %s: the model has no tokenizer",
                                     checkpoint.path, lacks)),
      ErrorReason::kNoTokenizer);
}

absl::Status ReadId(const GgufMetadata& metadata, std::string_view key,
                    std::optional<int64_t>& id) {
  if (!metadata.Has(key)) return absl::OkStatus();
  return metadata.Read(key, id.emplace());
}

absl::StatusOr<Tokenizer> FromGguf(const Checkpoint& checkpoint) {
  const GgufMetadata& metadata = *checkpoint.metadata;
  if (!metadata.Has("tokenizer.ggml.tokens")) {
    return NoTokenizer(checkpoint, "no key 'tokenizer.ggml.tokens'");
  }
  GgufTokenizerData data;
  std::vector<std::string_view> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  GEMMA_RETURN_IF_ERROR(metadata.Read("tokenizer.ggml.model", data.model));
  GEMMA_RETURN_IF_ERROR(metadata.Read("tokenizer.ggml.tokens", tokens));
  GEMMA_RETURN_IF_ERROR(metadata.Read("tokenizer.ggml.scores", scores));
  GEMMA_RETURN_IF_ERROR(metadata.Read("tokenizer.ggml.token_type", types));
  GEMMA_RETURN_IF_ERROR(
      ReadId(metadata, "tokenizer.ggml.bos_token_id", data.bos));
  GEMMA_RETURN_IF_ERROR(
      ReadId(metadata, "tokenizer.ggml.eos_token_id", data.eos));
  GEMMA_RETURN_IF_ERROR(
      ReadId(metadata, "tokenizer.ggml.unknown_token_id", data.unk));
  GEMMA_RETURN_IF_ERROR(
      ReadId(metadata, "tokenizer.ggml.padding_token_id", data.pad));
  GEMMA_RETURN_IF_ERROR(
      metadata.Read("tokenizer.ggml.add_space_prefix", data.add_space_prefix));
  data.tokens = tokens;
  data.scores = scores;
  data.types = types;
  GEMMA_ASSIGN_OR_RETURN(Vocabulary vocabulary,
                         VocabularyFromGguf(data, checkpoint.path));
  return MakeTokenizer(std::move(vocabulary), checkpoint.path);
}

absl::StatusOr<Tokenizer> FromModelProto(absl::Span<const uint8_t> bytes,
                                         const std::string& path) {
  GEMMA_ASSIGN_OR_RETURN(Vocabulary vocabulary,
                         VocabularyFromModelProto(bytes, path));
  return MakeTokenizer(std::move(vocabulary), path);
}

absl::StatusOr<Tokenizer> FromModelProto(const std::string& path) {
  GEMMA_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  return FromModelProto(file.bytes(), path);
}

// Names the pieces that tokenizer.model leaves free and tokenizer_config.json
// describes.
absl::Status NameFreePieces(const Json& config, Vocabulary& vocabulary) {
  GEMMA_ASSIGN_OR_RETURN(const auto added,
                         config.Object("added_tokens_decoder"));
  if (!added.has_value()) return absl::OkStatus();
  for (const auto& [number, token] : added->Members()) {
    int64_t id = 0;
    std::string name;
    bool special = false;
    if (!absl::SimpleAtoi(number, &id)) continue;
    GEMMA_RETURN_IF_ERROR(token.ReadRequired("content", name));
    GEMMA_RETURN_IF_ERROR(token.Read("special", special));
    NameFreePiece(id, name, special, vocabulary);
  }
  return absl::OkStatus();
}

absl::StatusOr<Tokenizer> FromHfModelProto(const Checkpoint& checkpoint,
                                           const std::string& path) {
  GEMMA_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  GEMMA_ASSIGN_OR_RETURN(Vocabulary vocabulary,
                         VocabularyFromModelProto(file.bytes(), path));
  if (checkpoint.tokenizer_config.has_value()) {
    GEMMA_RETURN_IF_ERROR(
        NameFreePieces(*checkpoint.tokenizer_config, vocabulary));
  }
  return MakeTokenizer(std::move(vocabulary), path);
}

// Reads the tokenizer from the file of gemma.cpp, or else from a file in the
// same directory with the name that older releases or Hugging Face use.
absl::StatusOr<Tokenizer> FromSbs(const Checkpoint& checkpoint) {
  constexpr std::string_view kNone = "unavailable";  // gemma.cpp's placeholder
  const auto& blob = checkpoint.sbs->tokenizer;
  if (blob.has_value() &&
      !std::equal(blob->begin(), blob->end(), kNone.begin(), kNone.end())) {
    return FromModelProto(
        *blob, absl::StrCat(checkpoint.sbs->path, ": blob 'tokenizer'"));
  }
  for (const char* name : {"/tokenizer.spm", "/tokenizer.model"}) {
    const std::string path = absl::StrCat(checkpoint.directory, name);
    std::error_code error;
    if (std::filesystem::exists(path, error)) return FromModelProto(path);
  }
  return NoTokenizer(checkpoint,
                     "no blob 'tokenizer', and neither tokenizer.spm nor "
                     "tokenizer.model beside it");
}

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

// Reads whether the tokenizer puts a blank before each text. Gemma's does not.
absl::Status ReadPrefix(const Json& json, HfTokenizerData& data) {
  GEMMA_ASSIGN_OR_RETURN(const auto normalizer, json.Object("normalizer"));
  if (normalizer.has_value()) {
    std::string type;
    GEMMA_RETURN_IF_ERROR(normalizer->Read("type", type));
    if (type == "Prepend") data.add_space_prefix = true;
  }
  GEMMA_ASSIGN_OR_RETURN(const auto pre, json.Object("pre_tokenizer"));
  if (pre.has_value()) {
    std::string type;
    std::string scheme = "never";
    GEMMA_RETURN_IF_ERROR(pre->Read("type", type));
    GEMMA_RETURN_IF_ERROR(pre->Read("prepend_scheme", scheme));
    if (type == "Metaspace" && scheme != "never") data.add_space_prefix = true;
  }
  return absl::OkStatus();
}

absl::Status ReadPieces(const Json& json, HfTokenizerData& data) {
  GEMMA_ASSIGN_OR_RETURN(const auto model, json.Object("model"));
  if (!model.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(json.Where(), ": no object 'model'"));
  }
  std::string type = "BPE";
  GEMMA_RETURN_IF_ERROR(model->Read("type", type));
  if (type != "BPE") return model->Find("type")->Unexpected("'BPE'");
  GEMMA_RETURN_IF_ERROR(ReadTokenName(*model, "unk_token", data.unk_token));
  GEMMA_ASSIGN_OR_RETURN(const auto vocab, model->Object("vocab"));
  GEMMA_ASSIGN_OR_RETURN(const auto merges, model->Array("merges"));
  if (!vocab.has_value() || !merges.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(model->Where(), " has no 'vocab' or no 'merges'"));
  }
  data.vocab.reserve(vocab->size());
  for (const auto& [piece, id] : vocab->Members()) {
    GEMMA_RETURN_IF_ERROR(id.Get(data.vocab.emplace_back(piece, 0).second));
  }
  GEMMA_RETURN_IF_ERROR(ReadMerges(*merges, data));

  GEMMA_ASSIGN_OR_RETURN(const auto added, json.Array("added_tokens"));
  if (!added.has_value()) return absl::OkStatus();
  for (const Json& token : added->Elements()) {
    HfTokenizerData::AddedToken& out = data.added.emplace_back();
    GEMMA_RETURN_IF_ERROR(token.ReadRequired("content", out.content));
    GEMMA_RETURN_IF_ERROR(token.ReadRequired("id", out.id));
    GEMMA_RETURN_IF_ERROR(token.Read("special", out.special));
  }
  return absl::OkStatus();
}

absl::StatusOr<Tokenizer> FromTokenizerJson(const Checkpoint& checkpoint,
                                            std::string path) {
  HfTokenizerData data;
  {
    GEMMA_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
    GEMMA_ASSIGN_OR_RETURN(const Json json, Json::Parse(file.text(), path));
    GEMMA_RETURN_IF_ERROR(ReadPieces(json, data));
    GEMMA_RETURN_IF_ERROR(ReadPrefix(json, data));
  }
  if (checkpoint.tokenizer_config.has_value()) {
    const Json& config = *checkpoint.tokenizer_config;
    GEMMA_RETURN_IF_ERROR(ReadTokenName(config, "bos_token", data.bos_token));
    GEMMA_RETURN_IF_ERROR(ReadTokenName(config, "eos_token", data.eos_token));
    GEMMA_RETURN_IF_ERROR(ReadTokenName(config, "pad_token", data.pad_token));
  }
  GEMMA_ASSIGN_OR_RETURN(Vocabulary vocabulary, VocabularyFromHf(data, path));
  data = {};
  return MakeTokenizer(std::move(vocabulary), path);
}

}  // namespace

absl::StatusOr<Tokenizer> internal::LoadTokenizer(
    const Checkpoint& checkpoint) {
  if (checkpoint.kind == CheckpointKind::kGguf) return FromGguf(checkpoint);
  if (checkpoint.kind == CheckpointKind::kSbs) return FromSbs(checkpoint);
  const std::string base = absl::StrCat(checkpoint.directory, "/tokenizer.");
  std::error_code error;
  if (std::filesystem::exists(base + "model", error)) {
    return FromHfModelProto(checkpoint, base + "model");
  }
  if (std::filesystem::exists(base + "json", error)) {
    return FromTokenizerJson(checkpoint, base + "json");
  }
  return NoTokenizer(checkpoint, "neither tokenizer.model nor tokenizer.json");
}

absl::Status internal::CheckTokenizer(const Tokenizer& tokenizer,
                                      const ModelConfig& config,
                                      std::string_view path) {
  if (tokenizer.vocab_size() <= config.vocab_size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      FormatText("%s: the tokenizer has %u tokens, the embedding table only %u",
                 path, tokenizer.vocab_size(), config.vocab_size));
}

absl::StatusOr<Tokenizer> Tokenizer::Load(std::string_view path) {
  return NoThrow([&]() -> absl::StatusOr<Tokenizer> {
    GEMMA_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                           OpenCheckpoint(std::string(path)));
    return LoadTokenizer(checkpoint);
  });
}

}  // namespace gemma
