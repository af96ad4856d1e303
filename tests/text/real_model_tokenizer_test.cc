// The vocabulary of the real Gemma 3 270M, in all three containers.

#include <sentencepiece_processor.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gemma/chat_template.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/formats/gguf.h"
#include "src/os/mapped_file.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "tests/support/toy_vocab.h"

namespace gemma::internal {
namespace {

using Tokens = std::vector<TokenId>;

struct RealVocabulary {
  MappedFile file;
  VocabularyForms forms;  // views into `file`
  Vocabulary gguf, proto, hf;
  Tokenizer gguf_tokenizer, proto_tokenizer, hf_tokenizer;
};

absl::StatusOr<std::unique_ptr<const RealVocabulary>> Load(std::string path) {
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return file.status();
  const absl::StatusOr<GgufFile> gguf = ParseGguf(file->bytes(), path);
  if (!gguf.ok()) return gguf.status();
  std::vector<std::string_view> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  absl::Status status =
      gguf->metadata.ReadRequired("tokenizer.ggml.tokens", tokens);
  status.Update(gguf->metadata.ReadRequired("tokenizer.ggml.scores", scores));
  status.Update(
      gguf->metadata.ReadRequired("tokenizer.ggml.token_type", types));
  if (!status.ok()) return status;
  VocabularyForms forms =
      FormsOfGguf(std::move(tokens), std::move(scores), std::move(types));

  const absl::Span<const uint8_t> proto_bytes(
      reinterpret_cast<const uint8_t*>(forms.model_proto.data()),
      forms.model_proto.size());
  absl::StatusOr<Vocabulary> from_gguf = VocabularyFromGguf(forms.gguf(), path);
  absl::StatusOr<Vocabulary> from_proto =
      VocabularyFromModelProto(proto_bytes, path);
  absl::StatusOr<Vocabulary> from_hf = VocabularyFromHf(forms.hf, path);
  for (const absl::Status& s :
       {from_gguf.status(), from_proto.status(), from_hf.status()}) {
    if (!s.ok()) return s;
  }
  absl::StatusOr<Tokenizer> gguf_tokenizer = MakeTokenizer(*from_gguf, path);
  absl::StatusOr<Tokenizer> proto_tokenizer = MakeTokenizer(*from_proto, path);
  absl::StatusOr<Tokenizer> hf_tokenizer = MakeTokenizer(*from_hf, path);
  for (const absl::Status& s :
       {gguf_tokenizer.status(), proto_tokenizer.status(),
        hf_tokenizer.status()}) {
    if (!s.ok()) return s;
  }
  return std::make_unique<const RealVocabulary>(RealVocabulary{
      *std::move(file), std::move(forms), *std::move(from_gguf),
      *std::move(from_proto), *std::move(from_hf), *std::move(gguf_tokenizer),
      *std::move(proto_tokenizer), *std::move(hf_tokenizer)});
}

class RealModelTokenizer : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* path = std::getenv("GEMMA_TEST_MODEL");
    ASSERT_NE(path, nullptr)
        << "GEMMA_TEST_MODEL must name the GGUF file of Gemma 3 270M; see "
           "tools/fetch_model.sh";
    absl::StatusOr<std::unique_ptr<const RealVocabulary>> loaded = Load(path);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    real_ = loaded->release();
  }
  static void TearDownTestSuite() {
    delete real_;
    real_ = nullptr;
  }
  void SetUp() override { ASSERT_NE(real_, nullptr); }

  static void ExpectTokens(
      std::string_view text, const Tokens& expected,
      ControlTokens control_tokens = ControlTokens::kAsText) {
    for (const Tokenizer* tokenizer :
         {&real_->gguf_tokenizer, &real_->proto_tokenizer,
          &real_->hf_tokenizer}) {
      EXPECT_EQ(*tokenizer->Encode(text, control_tokens), expected) << text;
    }
  }

  static const RealVocabulary* real_;
};

const RealVocabulary* RealModelTokenizer::real_ = nullptr;

TEST_F(RealModelTokenizer, SourcesAgreeOnVocabulary) {
  EXPECT_EQ(real_->gguf.pieces.size(), 262144u);
  EXPECT_TRUE(real_->gguf.pieces == real_->proto.pieces);
  EXPECT_EQ(real_->hf.pieces.size(), real_->gguf.pieces.size());
  size_t counts[7] = {};
  for (size_t i = 0; i < real_->gguf.pieces.size(); ++i) {
    const Vocabulary::Piece& piece = real_->gguf.pieces[i];
    ++counts[static_cast<int>(piece.type)];
    ASSERT_EQ(real_->hf.pieces[i].text, piece.text) << i;
    ASSERT_EQ(real_->hf.pieces[i].type, piece.type) << i << " " << piece.text;
  }
  // 5 + [multimodal] + 6242 unused + 2 turn markers + 2 image markers, minus
  // the unknown token.
  EXPECT_EQ(counts[static_cast<int>(PieceType::kControl)], 6251u);
  EXPECT_EQ(counts[static_cast<int>(PieceType::kUnknown)], 1u);
  EXPECT_EQ(counts[static_cast<int>(PieceType::kByte)], 256u);
  // 31 runs of newlines, 30 of blanks, 31 of tabs, 70 tags.
  EXPECT_EQ(counts[static_cast<int>(PieceType::kUserDefined)], 162u);
  EXPECT_EQ(counts[static_cast<int>(PieceType::kUnused)], 0u);
  EXPECT_EQ(real_->gguf_tokenizer.bos(), 2);
  EXPECT_EQ(real_->gguf_tokenizer.eos(), 1);
  EXPECT_EQ(real_->gguf_tokenizer.Find("<start_of_turn>"), 105);
  EXPECT_EQ(real_->gguf_tokenizer.Find("<end_of_turn>"), 106);
  EXPECT_EQ(real_->gguf_tokenizer.Piece(138), "\u2581\u2581");
}

// Expected tokens are from the Python package of sentencepiece.
TEST_F(RealModelTokenizer, KnownTexts) {
  ExpectTokens("Hello world", {9259, 1902});
  ExpectTokens(" Hello", {26352});
  ExpectTokens("The capital of Germany is", {818, 5279, 529, 9405, 563});
  ExpectTokens("a  b", {236746, 138, 236763});
  ExpectTokens("x = 12345",
               {236781, 578, 236743, 236770, 236778, 236800, 236812, 236810});
  ExpectTokens("\n\n\nabc", {109, 28180});
  ExpectTokens("\u65E5\u672C\u8A9E", {94951});
  ExpectTokens("\u00E9", {236859});
  ExpectTokens("e\u0301", {236744, 238288});
  ExpectTokens("<h1>Hi</h1>", {184, 10979, 191});
  ExpectTokens("I don't know.", {236777, 1537, 236789, 236745, 1281, 236761});
  ExpectTokens("\t\tif x:", {255969, 584, 1123, 236787});
  ExpectTokens("\U00013000", {478, 385, 366, 366});
  ExpectTokens("<start_of_turn>user\nhi<end_of_turn>\n",
               {105, 2364, 107, 2202, 106, 107}, ControlTokens::kParse);
}

TEST_F(RealModelTokenizer, Chats) {
  const absl::StatusOr<ChatTemplate> chat =
      ChatTemplate::Create(real_->gguf_tokenizer);
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_EQ(*chat->UserTurn(" hi\n"),
            (Tokens{2, 105, 2364, 107, 2202, 106, 107, 105, 4368, 107}));
  EXPECT_EQ(*chat->NextUserTurn("hi"),
            (Tokens{106, 107, 105, 2364, 107, 2202, 106, 107, 105, 4368, 107}));
  EXPECT_EQ(*chat->UserTurn("hi", "Hello world"),
            (Tokens{2, 105, 2364, 107, 9259, 1902, 108, 2202, 106, 107, 105,
                    4368, 107}));
}

// Texts in many languages, with the tokens of sentencepiece's Python package.
TEST_F(RealModelTokenizer, EqualsTheCorpus) {
  std::ifstream file(std::string(GEMMA_TESTDATA_DIR) +
                     "/real270m/tokenizer_corpus.jsonl");
  ASSERT_TRUE(file.is_open());
  size_t num_tokens = 0;
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json entry = nlohmann::json::parse(line);
    const auto text = entry["text"].get<std::string>();
    const auto expected = entry["ids"].get<Tokens>();
    num_tokens += expected.size();
    ExpectTokens(text, expected);
    std::string blanks = text;  // U+2581 decodes to a blank
    for (size_t i; (i = blanks.find("\u2581")) != std::string::npos;) {
      blanks.replace(i, 3, " ");
    }
    EXPECT_EQ(real_->gguf_tokenizer.Decode(expected), blanks);
  }
  EXPECT_GT(num_tokens, 5000u);
}

TEST_F(RealModelTokenizer, SourcesAgreeWhenFuzzed) {
  sentencepiece::SentencePieceProcessor processor;
  ASSERT_TRUE(processor.LoadFromSerializedProto(real_->forms.model_proto).ok());
  size_t num_compared = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const std::string text = FuzzedText(seed, 24, real_->forms.tokens);
    for (ControlTokens control :
         {ControlTokens::kAsText, ControlTokens::kParse}) {
      const Tokens expected = *real_->gguf_tokenizer.Encode(text, control);
      ASSERT_EQ(*real_->proto_tokenizer.Encode(text, control), expected)
          << seed;
      ASSERT_EQ(*real_->hf_tokenizer.Encode(text, control), expected) << seed;
    }
    const Tokens tokens =
        *real_->gguf_tokenizer.Encode(text, ControlTokens::kAsText);
    for (TokenId token : tokens) {
      ASSERT_FALSE(real_->gguf_tokenizer.IsControl(token)) << seed;
    }

    // Texts without names of control tokens are compared with sentencepiece.
    const Tokens parsed =
        *real_->gguf_tokenizer.Encode(text, ControlTokens::kParse);
    if (std::any_of(parsed.begin(), parsed.end(), [](TokenId token) {
          return real_->gguf_tokenizer.IsControl(token);
        })) {
      continue;
    }
    std::vector<int> expected;
    ASSERT_TRUE(processor.Encode(text, &expected).ok());
    ASSERT_EQ(tokens, expected) << seed;
    std::string decoded;
    ASSERT_TRUE(processor.Decode(expected, &decoded).ok());
    ASSERT_EQ(real_->gguf_tokenizer.Decode(tokens), decoded) << seed;
    ++num_compared;
  }
  EXPECT_GT(num_compared, 500u);
}

}  // namespace
}  // namespace gemma::internal
