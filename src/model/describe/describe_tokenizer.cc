// Metadata of a GGUF file from a vocabulary and a model's special tokens.

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/types/span.h"
#include "src/model/config/read_config.h"
#include "src/model/describe/describe.h"
#include "src/text/tokenizer/control_names.h"
#include "src/text/tokenizer/load_tokenizer.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "src/text/tokenizer/tokenizer_json.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {
namespace {

// The score of all pieces in files that llama.cpp's converter writes. Nothing
// reads it.
constexpr float kGemma4Score = -1000.0f;

// Returns the text of a piece as the file stores it. User-defined pieces are
// matched before blanks are replaced, so their blanks stay.
std::string StoredText(const Vocabulary::Piece& piece) {
  if (piece.type != PieceType::kUserDefined) return piece.text;
  return absl::StrReplaceAll(piece.text, {{kBlank, " "}});
}

// Sets our own keys for pieces that have no row in the embedding table.
// llama.cpp wants as many tokens as rows.
void DescribeExtraPieces(absl::Span<const Vocabulary::Piece> pieces,
                         GgufFileWriter& out) {
  if (pieces.empty()) return;
  std::vector<std::string> texts;
  std::vector<int32_t> types;
  for (const Vocabulary::Piece& piece : pieces) {
    texts.push_back(StoredText(piece));
    types.push_back(static_cast<int32_t>(piece.type));
  }
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  out.SetStrings(kExtraTokensKey, views);
  out.SetInt32s(kExtraTypesKey, types);
}

// Whether the vocabulary is Gemma 4's. llama.cpp's converter gives it a type of
// its own, with merges.
bool IsGemma4(const Tokenizer& tokenizer) {
  return tokenizer.Find(kGemma4Turns.open).has_value() &&
         tokenizer.Find(kGemma4Turns.close).has_value();
}

// A piece of Gemma 4 as llama.cpp's converter writes it: user-defined if
// llama.cpp's programs look for it in answers, and normal if it is a run of
// blanks or if no merge makes it.
Vocabulary::Piece StoredPiece(const Vocabulary::Piece& piece) {
  Vocabulary::Piece stored = piece;
  stored.score = kGemma4Score;
  if (IsPrintedControl(piece.text)) {
    stored.type = PieceType::kUserDefined;
  } else if (IsUnreachable(piece) || (piece.type == PieceType::kUserDefined &&
                                      IsRunOfBlanks(piece.text))) {
    stored.type = PieceType::kNormal;
  }
  return stored;
}

void DescribePieces(const Tokenizer& tokenizer, size_t vocab_size,
                    GgufFileWriter& out) {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<int32_t> types;
  const absl::Span<const Vocabulary::Piece> pieces =
      tokenizer.impl().vocabulary().pieces;
  const absl::Span<const Vocabulary::Piece> stored =
      pieces.subspan(0, vocab_size);
  const std::vector<std::string> merges =
      IsGemma4(tokenizer) ? MergesOf(stored) : std::vector<std::string>();
  const bool has_merges = !merges.empty();
  for (const Vocabulary::Piece& own : stored) {
    const Vocabulary::Piece piece = has_merges ? StoredPiece(own) : own;
    texts.push_back(StoredText(piece));
    scores.push_back(piece.score);
    types.push_back(static_cast<int32_t>(piece.type));
  }
  out.SetString("tokenizer.ggml.model", has_merges ? "gemma4" : "llama");
  if (has_merges) {
    const std::vector<std::string_view> merge_views(merges.begin(),
                                                    merges.end());
    out.SetStrings("tokenizer.ggml.merges", merge_views);
  }
  if (pieces.size() > vocab_size) {
    DescribeExtraPieces(pieces.subspan(vocab_size), out);
  }
  while (texts.size() < vocab_size) {
    std::string text = absl::StrCat("[PAD", texts.size(), "]");
    // No two tokens may have the same text.
    while (tokenizer.Find(text).has_value()) text.insert(text.begin(), '[');
    texts.push_back(std::move(text));
    scores.push_back(0.0f);
    types.push_back(static_cast<int32_t>(PieceType::kUnused));
  }
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  out.SetStrings("tokenizer.ggml.tokens", views);
  out.SetFloat32s("tokenizer.ggml.scores", scores);
  out.SetInt32s("tokenizer.ggml.token_type", types);
}

void SetToken(std::string_view key, TokenId token, GgufFileWriter& out) {
  if (token >= 0) out.SetUint32(key, static_cast<uint32_t>(token));
}

std::vector<TokenId> Sorted(std::vector<TokenId> tokens) {
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

// Sets the tokens that begin and end a text. Our own keys say what llama.cpp's
// cannot.
void DescribeEnds(const Tokenizer* tokenizer, const ModelConfig& config,
                  GgufFileWriter& out) {
  TokenId bos = config.bos_token;
  // config.stop_tokens holds the defaults, which readers always assume, and
  // then those from the files.
  std::vector<TokenId> stops = ModelConfig().stop_tokens;
  TokenId eos = config.stop_tokens.size() > stops.size()
                    ? config.stop_tokens[stops.size()]
                    : stops[0];
  if (tokenizer != nullptr) {
    bos = tokenizer->bos();
    eos = tokenizer->eos();
    for (const std::string_view name :
         {kGemma3Turns.close, kGemma4Turns.close}) {
      const auto end_of_turn = tokenizer->Find(name);
      if (!end_of_turn.has_value()) continue;
      SetToken("tokenizer.ggml.eot_token_id", *end_of_turn, out);
      stops.push_back(*end_of_turn);
      break;
    }
  }
  stops.push_back(eos);
  SetToken("tokenizer.ggml.bos_token_id", bos, out);
  SetToken("tokenizer.ggml.eos_token_id", eos, out);
  if (bos != config.bos_token) SetToken(kBosTokenKey, config.bos_token, out);
  if (Sorted(stops) != Sorted(config.stop_tokens)) {
    out.SetInt32s(kStopTokensKey, Sorted(config.stop_tokens));
  }
  if (!config.suppress_tokens.empty()) {
    out.SetInt32s(kSuppressTokensKey, Sorted(config.suppress_tokens));
  }
}

}  // namespace

void DescribeTokenizer(const Tokenizer* tokenizer, const ModelConfig& config,
                       GgufFileWriter& out) {
  DescribeEnds(tokenizer, config, out);
  if (tokenizer == nullptr) {
    out.SetString("tokenizer.ggml.model", "no_vocab");
    return;
  }
  const Vocabulary& vocabulary = tokenizer->impl().vocabulary();
  out.SetString("tokenizer.ggml.pre", "default");
  DescribePieces(*tokenizer, config.vocab_size, out);
  SetToken("tokenizer.ggml.unknown_token_id", vocabulary.unk, out);
  SetToken("tokenizer.ggml.padding_token_id", vocabulary.pad, out);
  out.SetBool("tokenizer.ggml.add_bos_token", true);
  out.SetBool("tokenizer.ggml.add_eos_token", config.pooling != Pooling::kNone);
  out.SetBool("tokenizer.ggml.add_space_prefix", vocabulary.add_space_prefix);
  if (vocabulary.rules.has_value()) {
    out.SetString(kTextRulesKey, TextRulesToJson(*vocabulary.rules));
  }
}

}  // namespace gemma::internal
