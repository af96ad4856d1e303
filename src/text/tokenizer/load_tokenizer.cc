#include "src/text/tokenizer/load_tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/internal.h"
#include "src/base/json.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/formats/directory.h"
#include "src/formats/wrong_file.h"
#include "src/os/mapped_file.h"
#include "src/text/tokenizer/added_tokens.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "src/text/tokenizer/tokenizer_json.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma {
namespace {

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

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

// Appends the pieces without a row in the embedding table.
absl::Status ReadExtraTokens(const GgufMetadata& metadata,
                             std::vector<std::string_view>& tokens,
                             std::vector<float>& scores,
                             std::vector<int32_t>& types) {
  std::vector<std::string_view> extra;
  std::vector<int32_t> extra_types;
  GEMMA_RETURN_IF_ERROR(metadata.Read(kExtraTokensKey, extra));
  GEMMA_RETURN_IF_ERROR(metadata.Read(kExtraTypesKey, extra_types));
  tokens.insert(tokens.end(), extra.begin(), extra.end());
  scores.resize(scores.size() + extra.size());
  types.insert(types.end(), extra_types.begin(), extra_types.end());
  return absl::OkStatus();
}

absl::StatusOr<Tokenizer> FromGguf(const Checkpoint& checkpoint,
                                   size_t num_rows) {
  const GgufMetadata& metadata = *checkpoint.metadata;
  if (!metadata.Has("tokenizer.ggml.tokens")) {
    return NoTokenizer(checkpoint, "no key 'tokenizer.ggml.tokens'");
  }
  GgufTokenizerData data;
  std::vector<std::string_view> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  std::vector<std::string_view> merges;
  GEMMA_RETURN_IF_ERROR(metadata.Read("tokenizer.ggml.model", data.model));
  GEMMA_RETURN_IF_ERROR(metadata.Read("tokenizer.ggml.tokens", tokens));
  if (data.model == "gemma4") {
    GEMMA_RETURN_IF_ERROR(metadata.Read("tokenizer.ggml.merges", merges));
  } else {
    GEMMA_RETURN_IF_ERROR(metadata.Read("tokenizer.ggml.scores", scores));
  }
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
  GEMMA_RETURN_IF_ERROR(ReadExtraTokens(metadata, tokens, scores, types));
  data.tokens = tokens;
  data.scores = scores;
  data.types = types;
  data.merges = merges;
  GEMMA_ASSIGN_OR_RETURN(Vocabulary vocabulary,
                         VocabularyFromGguf(data, checkpoint.path));
  std::string_view rules;
  GEMMA_RETURN_IF_ERROR(metadata.Read(kTextRulesKey, rules));
  if (!rules.empty()) {
    GEMMA_ASSIGN_OR_RETURN(
        const Json json,
        Json::Parse(rules, absl::StrCat(checkpoint.path, ": ", kTextRulesKey)));
    TextRules read;
    GEMMA_RETURN_IF_ERROR(ReadTextRules(json, read, read.added));
    SetRules(std::move(read), vocabulary);
  }
  return MakeTokenizer(std::move(vocabulary), checkpoint.path, num_rows);
}

absl::StatusOr<Tokenizer> FromModelProto(absl::Span<const uint8_t> bytes,
                                         const std::string& path,
                                         size_t num_rows) {
  GEMMA_ASSIGN_OR_RETURN(Vocabulary vocabulary,
                         VocabularyFromModelProto(bytes, path));
  return MakeTokenizer(std::move(vocabulary), path, num_rows);
}

absl::StatusOr<Tokenizer> FromModelProto(const std::string& path,
                                         size_t num_rows) {
  GEMMA_ASSIGN_OR_RETURN(const MappedFile file, OpenModelFile(path));
  return FromModelProto(file.bytes(), path, num_rows);
}

// Reads the tokenizer from the file of gemma.cpp, or else from a file in the
// same directory with the name that older releases or Hugging Face use.
absl::StatusOr<Tokenizer> FromSbs(const Checkpoint& checkpoint,
                                  size_t num_rows) {
  constexpr std::string_view kNone = "unavailable";  // gemma.cpp's placeholder
  const auto& blob = checkpoint.sbs->tokenizer;
  if (blob.has_value() &&
      !std::equal(blob->begin(), blob->end(), kNone.begin(), kNone.end())) {
    return FromModelProto(
        *blob, absl::StrCat(checkpoint.sbs->path, ": blob 'tokenizer'"),
        num_rows);
  }
  for (const char* name : {"/tokenizer.spm", "/tokenizer.model"}) {
    const std::string path = absl::StrCat(checkpoint.directory, name);
    if (Exists(path)) return FromModelProto(path, num_rows);
  }
  return NoTokenizer(checkpoint,
                     "no blob 'tokenizer', and neither tokenizer.spm nor "
                     "tokenizer.model beside it");
}

// ---------------------------------------------------------------------------
// Hugging Face directories

// What the small files of a directory say about its tokenizer.
struct HfFiles {
  HfTokenizerData data;           // names of roles; with a tokenizer.json, all
  std::vector<AddedToken> added;  // of tokenizer_config.json and
                                  // added_tokens.json, not in data.added
  std::string added_path;         // the file that has them
  bool has_decoder = false;       // tokenizer_config.json has them
  std::vector<std::string> notes;
};

// Removes the tokens of `from` whose contents others have.
void RemoveKnown(const std::vector<AddedToken>& others,
                 std::vector<AddedToken>& from) {
  HashSet<std::string_view> known;
  for (const AddedToken& token : others) known.insert(token.content);
  std::erase_if(from, [&](const AddedToken& token) {
    return known.contains(token.content);
  });
}

// Gives tokens the flags that tokenizer_config.json has for them: transformers
// adds them to those of tokenizer.json once more.
void UseFlags(const std::vector<AddedToken>& from,
              std::vector<AddedToken>& tokens) {
  HashMap<std::string_view, const AddedToken*> known;
  for (const AddedToken& token : from) known[token.content] = &token;
  for (AddedToken& token : tokens) {
    const auto it = known.find(token.content);
    if (it == known.end()) continue;
    token.single_word = it->second->single_word;
    token.lstrip = it->second->lstrip;
    token.rstrip = it->second->rstrip;
  }
}

// Before tokenizer_config.json had "added_tokens_decoder", two more files
// listed the added tokens and those of them that are special. As in
// transformers, they are only read without that key.
absl::StatusOr<HfFiles> ReadSmallFiles(const Checkpoint& checkpoint) {
  HfFiles files;
  std::vector<Json> configs;
  if (checkpoint.tokenizer_config.has_value()) {
    configs.push_back(*checkpoint.tokenizer_config);
    files.added_path = configs[0].Where();
    GEMMA_RETURN_IF_ERROR(
        ReadTokenizerConfig(configs[0], files.data, files.added));
    files.has_decoder = configs[0].Has("added_tokens_decoder");
    if (files.has_decoder) return files;
  }
  GEMMA_ASSIGN_OR_RETURN(
      const std::optional<Json> special,
      ReadObject(checkpoint.directory, "special_tokens_map.json"));
  if (special.has_value()) {
    GEMMA_RETURN_IF_ERROR(ReadRoles(*special, files.data));
    configs.push_back(*special);
  }
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> added,
                         ReadObject(checkpoint.directory, "added_tokens.json"));
  if (added.has_value()) {
    files.added_path = added->Where();
    GEMMA_RETURN_IF_ERROR(ReadAddedTokensJson(*added, configs, files.added));
  }
  return files;
}

// Sets the tokens that tokenizer_config.json names. A name without a piece has
// no id.
void SetRoles(const HfTokenizerData& data, Vocabulary& vocabulary) {
  const HfTokenizerData defaults;
  struct Role {
    std::string_view name, default_name;
    TokenId& id;
  };
  for (const Role& role :
       {Role{data.bos_token, defaults.bos_token, vocabulary.bos},
        Role{data.eos_token, defaults.eos_token, vocabulary.eos},
        Role{data.pad_token, defaults.pad_token, vocabulary.pad}}) {
    if (role.name.empty()) continue;
    if (role.name == role.default_name && role.id != -1) continue;
    for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
      Vocabulary::Piece& piece = vocabulary.pieces[i];
      if (piece.text != role.name) continue;
      role.id = static_cast<TokenId>(i);
      if (!IsControlType(piece.type)) piece.type = PieceType::kControl;
    }
  }
}

// Adds the tokens of all files to a vocabulary.
absl::Status Complete(const HfFiles& files, Vocabulary& vocabulary) {
  GEMMA_RETURN_IF_ERROR(AddTokens(files.added, files.added_path, vocabulary));
  SetRoles(files.data, vocabulary);
  TextRules rules = files.data.rules;
  rules.added = files.data.added;
  rules.added.insert(rules.added.end(), files.added.begin(), files.added.end());
  SetRules(std::move(rules), vocabulary);
  vocabulary.notes = files.notes;
  return absl::OkStatus();
}

absl::StatusOr<Vocabulary> FromModelFile(const std::string& path) {
  GEMMA_ASSIGN_OR_RETURN(const MappedFile file, OpenModelFile(path));
  return VocabularyFromModelProto(file.bytes(), path);
}

// Reads tokenizer.json. If the tokenizer.model beside it (`model_path`, or
// empty) has the same pieces, they are read from there, which takes a tenth of
// the time; tokenizer.json adds tokens and names.
absl::StatusOr<Vocabulary> FromTokenizerJson(const std::string& path,
                                             const std::string& model_path,
                                             HfFiles& files) {
  HfTokenizerData& data = files.data;
  GEMMA_ASSIGN_OR_RETURN(const MappedFile file, OpenModelFile(path));
  const TokenizerJsonParts parts = TakeApart(file.text());
  {
    GEMMA_ASSIGN_OR_RETURN(const Json rest, Json::Parse(parts.rest, path));
    GEMMA_RETURN_IF_ERROR(ReadTokenizerRules(rest, data, files.notes));
  }
  if (files.has_decoder) UseFlags(files.added, data.added);
  RemoveKnown(data.added, files.added);
  if (!model_path.empty()) {
    GEMMA_ASSIGN_OR_RETURN(Vocabulary vocabulary, FromModelFile(model_path));
    if (HasSamePieces(parts.vocab, data.added, vocabulary)) {
      GEMMA_RETURN_IF_ERROR(AddTokens(data.added, path, vocabulary));
      vocabulary.add_space_prefix = false;  // if wanted, the rules say so
      return vocabulary;
    }
  }
  {
    GEMMA_ASSIGN_OR_RETURN(const Json json, Json::Parse(file.text(), path));
    GEMMA_RETURN_IF_ERROR(ReadTokenizerPieces(json, data));
  }
  absl::StatusOr<Vocabulary> vocabulary = VocabularyFromHf(data, path);
  data.vocab = {};
  data.merges = {};
  return vocabulary;
}

absl::StatusOr<Tokenizer> FromHuggingFace(const Checkpoint& checkpoint,
                                          size_t num_rows) {
  const std::string base = absl::StrCat(checkpoint.directory, "/tokenizer.");
  const std::string model = Exists(base + "model") ? base + "model" : "";
  const std::string json = Exists(base + "json") ? base + "json" : "";
  if (model.empty() && json.empty()) {
    return NoTokenizer(checkpoint,
                       "neither tokenizer.model nor tokenizer.json");
  }
  GEMMA_ASSIGN_OR_RETURN(HfFiles files, ReadSmallFiles(checkpoint));
  GEMMA_ASSIGN_OR_RETURN(Vocabulary vocabulary,
                         json.empty() ? FromModelFile(model)
                                      : FromTokenizerJson(json, model, files));
  GEMMA_RETURN_IF_ERROR(Complete(files, vocabulary));
  return MakeTokenizer(std::move(vocabulary), json.empty() ? model : json,
                       num_rows);
}

}  // namespace

absl::StatusOr<Tokenizer> internal::LoadTokenizer(const Checkpoint& checkpoint,
                                                  size_t num_rows) {
  switch (checkpoint.kind) {
    case CheckpointKind::kGguf:
      return FromGguf(checkpoint, num_rows);
    case CheckpointKind::kSbs:
      return FromSbs(checkpoint, num_rows);
    case CheckpointKind::kHuggingFace:
      return FromHuggingFace(checkpoint, num_rows);
  }
  return absl::InternalError("unknown kind of checkpoint");
}

absl::Status internal::CheckTokenizer(const Tokenizer& tokenizer,
                                      const ModelConfig& config,
                                      std::string_view path) {
  const std::vector<Vocabulary::Piece>& pieces =
      tokenizer.impl().vocabulary().pieces;
  for (size_t i = config.vocab_size; i < pieces.size(); ++i) {
    // Merging never makes them, so a model can do without them.
    if (IsControlType(pieces[i].type) ||
        pieces[i].type == PieceType::kUserDefined || pieces[i].text.empty()) {
      continue;
    }
    return absl::InvalidArgumentError(
        FormatText("%s: the tokenizer has %u tokens, the embedding table only "
                   "%u, and token %u is the ordinary piece %s",
                   path, pieces.size(), config.vocab_size, i,
                   QuotedPiece(pieces[i].text)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Tokenizer> Tokenizer::Load(std::string_view path) {
  return NoThrow([&]() -> absl::StatusOr<Tokenizer> {
    GEMMA_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                           OpenCheckpoint(std::string(path)));
    return LoadTokenizer(checkpoint);
  });
}

}  // namespace gemma
