#include "src/text/tokenizer/vocabulary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "tests/support/error_of.h"
#include "tests/support/model_proto.h"
#include "tests/support/toy_vocab.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::string_view kVocabularyPath = "dir/toy.file";

absl::Span<const uint8_t> BytesOf(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Vocabulary Toy() {
  return *VocabularyFromGguf(ToyVocabulary().gguf(), kVocabularyPath);
}

PieceType TypeOf(const Vocabulary& vocabulary, std::string_view text) {
  for (const Vocabulary::Piece& piece : vocabulary.pieces) {
    if (piece.text == text) return piece.type;
  }
  ADD_FAILURE() << "no piece " << text;
  return PieceType::kNormal;
}

// Returns the message of a failed load, which must print nothing.
std::string LoadError(const Vocabulary& vocabulary) {
  testing::internal::CaptureStderr();
  const absl::StatusOr<Tokenizer> tokenizer =
      MakeTokenizer(vocabulary, kVocabularyPath);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_FALSE(tokenizer.ok());
  return std::string(tokenizer.status().message());
}

TEST(Vocabulary, SourcesAgreeOnPieces) {
  const VocabularyForms forms = ToyVocabulary();
  const auto gguf = VocabularyFromGguf(forms.gguf(), kVocabularyPath);
  const auto proto =
      VocabularyFromModelProto(BytesOf(forms.model_proto), kVocabularyPath);
  const auto hf = VocabularyFromHf(forms.hf, kVocabularyPath);
  ASSERT_TRUE(gguf.ok()) << gguf.status();
  ASSERT_TRUE(proto.ok()) << proto.status();
  ASSERT_TRUE(hf.ok()) << hf.status();

  EXPECT_EQ(gguf->pieces, proto->pieces);
  ASSERT_EQ(gguf->pieces.size(), hf->pieces.size());
  for (size_t i = 0; i < gguf->pieces.size(); ++i) {
    EXPECT_EQ(gguf->pieces[i].text, hf->pieces[i].text) << i;
    EXPECT_EQ(gguf->pieces[i].type, hf->pieces[i].type) << i;
  }
  for (const Vocabulary* vocabulary : {&*gguf, &*proto, &*hf}) {
    EXPECT_EQ(vocabulary->pad, 0);
    EXPECT_EQ(vocabulary->eos, 1);
    EXPECT_EQ(vocabulary->bos, 2);
    EXPECT_EQ(vocabulary->unk, 3);
    EXPECT_FALSE(vocabulary->add_space_prefix);
  }
}

TEST(Vocabulary, TypesFollowCommonRule) {
  const Vocabulary toy = Toy();
  for (std::string_view text :
       {"<pad>", "<eos>", "<bos>", "<mask>", "[multimodal]", "<unused0>",
        "<unused2>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>",
        "<end_of_image>", "<image_soft_token>", "<|fim_prefix|>",
        "<|file_separator|>"}) {
    EXPECT_EQ(TypeOf(toy, text), PieceType::kControl) << text;
  }
  EXPECT_EQ(TypeOf(toy, "<unk>"), PieceType::kUnknown);
  for (std::string_view text : {"\n", "\n\n\n", "\u2581\u2581", "\t", "\t\t",
                                "<h1>", "</h1>", "<table>"}) {
    EXPECT_EQ(TypeOf(toy, text), PieceType::kUserDefined) << text;
  }
  for (std::string_view text : {"<0x00>", "<0x09>", "<0xFF>"}) {
    EXPECT_EQ(TypeOf(toy, text), PieceType::kByte) << text;
  }
  for (std::string_view text : {"\u2581", "\u2581the", "<", "0"}) {
    EXPECT_EQ(TypeOf(toy, text), PieceType::kNormal) << text;
  }
}

// Even if their names look like those of control tokens.
TEST(Vocabulary, NormalPiecesStayNormal) {
  Vocabulary toy = Toy();
  toy.pieces.push_back({"<|x|>", -1000.0f, PieceType::kNormal});
  toy.pieces.push_back({"<|y|>", 0.0f, PieceType::kUserDefined});
  toy.pieces.push_back({"<unusedX>", 0.0f, PieceType::kUserDefined});
  ASSERT_TRUE(Canonicalize(toy, kVocabularyPath).ok());
  EXPECT_EQ(TypeOf(toy, "<|x|>"), PieceType::kNormal);
  EXPECT_EQ(TypeOf(toy, "<|y|>"), PieceType::kControl);
  EXPECT_EQ(TypeOf(toy, "<unusedX>"), PieceType::kUserDefined);
}

TEST(Vocabulary, CanonicalizeChangesNothingTwice) {
  const Vocabulary once = Toy();
  Vocabulary twice = once;
  ASSERT_TRUE(Canonicalize(twice, kVocabularyPath).ok());
  EXPECT_EQ(once.pieces, twice.pieces);
}

TEST(Vocabulary, ModelProtoKeepsEverything) {
  Vocabulary toy = Toy();
  toy.add_space_prefix = true;
  toy.pad = -1;
  const std::string proto = SerializeModelProto(toy);
  const auto read = VocabularyFromModelProto(BytesOf(proto), kVocabularyPath);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->pieces, toy.pieces);
  EXPECT_EQ(read->bos, toy.bos);
  EXPECT_EQ(read->eos, toy.eos);
  EXPECT_EQ(read->unk, toy.unk);
  EXPECT_TRUE(read->add_space_prefix);
}

TEST(Vocabulary, BytePieces) {
  EXPECT_EQ(ByteOfPiece("<0x0A>"), 10);
  EXPECT_EQ(ByteOfPiece("<0xFF>"), 255);
  for (std::string_view text :
       {"<0x0a>", "<0x0A", "<0x0>", "<0x00A>", "<0xG0>", "0x0A>>", ""}) {
    EXPECT_EQ(ByteOfPiece(text), std::nullopt) << text;
  }
}

// ----------------------------------------------------------------- ModelProto

TEST(VocabularyFromModelProto, RejectsEveryTruncation) {
  const std::string good = ToyVocabulary().model_proto;
  ASSERT_TRUE(VocabularyFromModelProto(BytesOf(good), kVocabularyPath).ok());
  testing::internal::CaptureStderr();
  for (size_t size = 0; size < good.size(); ++size) {
    // A copy of the exact size lets ASan find reads beyond its end.
    const std::vector<uint8_t> cut(good.begin(), good.begin() + size);
    EXPECT_FALSE(VocabularyFromModelProto(cut, kVocabularyPath).ok())
        << "first " << size << " bytes";
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

// A changed byte may still give a valid file. It must never cause a crash or
// print anything.
TEST(VocabularyFromModelProto, ChangedByteNamesFile) {
  const std::string good = ToyVocabulary().model_proto;
  testing::internal::CaptureStderr();
  size_t num_loaded = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    // Tests all bytes at both ends and samples the middle, as each load takes
    // milliseconds.
    const bool is_end = i < 100 || i + 200 >= good.size();
    for (uint8_t mask : {0xFF, 0x80, 0x06}) {
      if (!is_end && mask != 0xFF) break;
      std::vector<uint8_t> bad(good.begin(), good.end());
      bad[i] ^= mask;
      absl::StatusOr<Vocabulary> vocabulary =
          VocabularyFromModelProto(bad, kVocabularyPath);
      if (!vocabulary.ok()) {
        EXPECT_THAT(vocabulary.status().message(), HasSubstr(kVocabularyPath));
        continue;
      }
      if (!is_end && i % 31 != 0) continue;
      const absl::StatusOr<Tokenizer> tokenizer =
          MakeTokenizer(*std::move(vocabulary), kVocabularyPath);
      if (!tokenizer.ok()) {
        EXPECT_THAT(tokenizer.status().message(), HasSubstr(kVocabularyPath));
        continue;
      }
      ++num_loaded;
      const auto tokens = tokenizer->Encode(" the user\n\nx <h1>");
      if (tokens.ok()) tokenizer->Decode(*tokens);
    }
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_GT(num_loaded, 50u);
}

TEST(VocabularyFromModelProto, SurvivesRandomBytes) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const std::string text = FuzzedText(seed, 40);
    const std::vector<uint8_t> bytes(text.begin(), text.end());
    EXPECT_FALSE(VocabularyFromModelProto(bytes, kVocabularyPath).ok());
  }
}

struct BadProto {
  std::string_view name, bytes, message;

  friend void PrintTo(const BadProto& proto, std::ostream* out) {
    *out << proto.name;
  }
};

class VocabularyFromModelProtoRejects
    : public testing::TestWithParam<BadProto> {};

TEST_P(VocabularyFromModelProtoRejects, WithAMessage) {
  const absl::Status status =
      VocabularyFromModelProto(BytesOf(GetParam().bytes), kVocabularyPath)
          .status();
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr(kVocabularyPath), HasSubstr(GetParam().message)));
}

using std::literals::string_view_literals::operator""sv;

INSTANTIATE_TEST_SUITE_P(
    All, VocabularyFromModelProtoRejects,
    testing::Values(
        BadProto{"Empty", ""sv, "has 0 pieces"},
        BadProto{"LengthPastTheEnd", "\x0A\x7F"sv, "is 127 bytes long"},
        BadProto{"HugeLength", "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"sv,
                 "18446744073709551615 bytes long, but 0 are left"},
        BadProto{"EndlessVarint",
                 "\x18\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"sv,
                 "ends inside a field"},
        BadProto{"FieldZero", "\x02\x00"sv, "field number 0"},
        BadProto{"Group", "\x0B\x0C"sv, "wire type 3"},
        BadProto{"PiecesAsNumber", "\x08\x01"sv,
                 "pieces of the sentencepiece model has wire type 0, wanted 2"},
        BadProto{"PieceWithoutText", "\x0A\x02\x18\x01"sv,
                 "piece of pieces[0] is empty"},
        BadProto{"PieceType", "\x0A\x05\x0A\x01x\x18\x07"sv,
                 "type of pieces[0] is 7, wanted 1 to 6"},
        BadProto{"ScoreAsNumber", "\x0A\x05\x0A\x01x\x10\x01"sv,
                 "score of pieces[0] has wire type 0, wanted 5"},
        BadProto{"Unigram", "\x0A\x03\x0A\x01x\x12\x02\x18\x01"sv,
                 "trainer_spec.model_type is 1, wanted 2 (BPE)"},
        BadProto{"NoModelType", "\x0A\x03\x0A\x01x\x12\x00"sv,
                 "trainer_spec.model_type is 1"},
        BadProto{"NoByteFallback", "\x0A\x03\x0A\x01x\x12\x02\x18\x02"sv,
                 "byte_fallback is false"},
        BadProto{"CharsMap", "\x0A\x03\x0A\x01x\x1A\x05\x12\x03xyz"sv,
                 "precompiled_charsmap has 3 bytes"},
        BadProto{"BlanksRemoved", "\x0A\x03\x0A\x01x\x1A\x02\x20\x01"sv,
                 "remove_extra_whitespaces is true"}),
    [](const auto& test) { return std::string(test.param.name); });

// ----------------------------------------------------------------------- GGUF

TEST(VocabularyFromGguf, FindsUnknownToken) {
  VocabularyForms forms = ToyVocabulary();
  GgufTokenizerData data = forms.gguf();
  data.unk.reset();  // found by name
  EXPECT_EQ(VocabularyFromGguf(data, kVocabularyPath)->unk, 3);

  forms.types[5] = static_cast<int32_t>(PieceType::kUnknown);
  EXPECT_EQ(VocabularyFromGguf(data, kVocabularyPath)->unk, 5);

  data.unk = 4;
  const Vocabulary vocabulary = *VocabularyFromGguf(data, kVocabularyPath);
  EXPECT_EQ(vocabulary.unk, 4);
  EXPECT_EQ(vocabulary.pieces[5].type, PieceType::kControl);
  EXPECT_TRUE(MakeTokenizer(vocabulary, kVocabularyPath).ok());
}

TEST(VocabularyFromGguf, RejectsContradictions) {
  const VocabularyForms forms = ToyVocabulary();
  const auto error = [](const GgufTokenizerData& data) {
    return std::string(
        VocabularyFromGguf(data, kVocabularyPath).status().message());
  };
  GgufTokenizerData data = forms.gguf();
  data.model = "gpt2";
  EXPECT_EQ(error(data),
            "dir/toy.file: tokenizer.ggml.model is 'gpt2', wanted 'llama' or "
            "'gemma4'");

  data = forms.gguf();
  data.scores.remove_suffix(1);
  EXPECT_THAT(error(data), HasSubstr("tokenizer.ggml.scores has "));

  data = forms.gguf();
  data.types = {};
  EXPECT_THAT(error(data), HasSubstr("tokenizer.ggml.token_type 0"));

  data = forms.gguf();
  data.tokens = {};
  EXPECT_THAT(error(data), HasSubstr("tokenizer.ggml.tokens has 0 elements"));

  data = forms.gguf();
  std::vector<int32_t> types = forms.types;
  types[7] = -1;
  data.types = types;
  EXPECT_THAT(error(data),
              HasSubstr("tokenizer.ggml.token_type[7] is -1, wanted 0 to 6"));
}

// llama.cpp uses a default for such an id, too.
// The scores of these files are useless.
TEST(VocabularyFromGguf, RanksByMerges) {
  const VocabularyForms forms = ToyVocabulary();
  std::vector<std::string> merges;
  for (const auto& [left, right] : forms.hf.merges) {
    // In the toy, runs of blanks are spelt otherwise.
    const bool is_there =
        std::count(forms.tokens.begin(), forms.tokens.end(), left + right) != 0;
    if (is_there && left + right != "Hello") {
      merges.push_back(left + " " + right);
    }
  }
  std::vector<std::string_view> views(merges.begin(), merges.end());
  GgufTokenizerData data = forms.gguf();
  data.model = "gemma4";
  data.scores = {};
  data.merges = views;
  const Vocabulary vocabulary = *VocabularyFromGguf(data, kVocabularyPath);
  std::vector<float> scores(vocabulary.pieces.size(), 1.0f);
  for (size_t rank = 0; rank < views.size(); ++rank) {
    const std::string made = absl::StrReplaceAll(views[rank], {{" ", ""}});
    for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
      const Vocabulary::Piece& piece = vocabulary.pieces[i];
      if (piece.text == made && piece.type == PieceType::kNormal &&
          scores[i] == 1.0f) {
        scores[i] = -static_cast<float>(rank);
        EXPECT_EQ(piece.score, scores[i]) << made;
      }
    }
  }
  // No merge makes it, so text never becomes it.
  EXPECT_EQ(TypeOf(vocabulary, "Hello"), PieceType::kUnused);
  const Tokenizer tokenizer = *MakeTokenizer(vocabulary, kVocabularyPath);
  EXPECT_GT(tokenizer.Encode("Hello")->size(), 1u);
  EXPECT_EQ(tokenizer.Decode(*tokenizer.Encode("Hello")), "Hello");

  const auto error = [&](std::vector<std::string_view> wrong) {
    data.merges = wrong;
    return ErrorOf(VocabularyFromGguf(data, kVocabularyPath));
  };
  EXPECT_THAT(error({}), HasSubstr("tokenizer.ggml.merges has 0 elements"));
  for (const std::string_view wrong : {"zq zq", "the", " the", "t h ", ""}) {
    EXPECT_THAT(error({views[0], wrong}),
                HasSubstr("dir/toy.file: tokenizer.ggml.merges[1] is '"));
  }
}

TEST(VocabularyFromGguf, NotesBadIds) {
  VocabularyForms forms = ToyVocabulary();
  for (int64_t id : {int64_t{-1}, static_cast<int64_t>(forms.tokens.size()),
                     int64_t{1} << 32, (int64_t{1} << 32) - 1,
                     std::numeric_limits<int64_t>::max()}) {
    GgufTokenizerData data = forms.gguf();
    data.bos = data.pad = id;
    const auto vocabulary = VocabularyFromGguf(data, kVocabularyPath);
    ASSERT_TRUE(vocabulary.ok()) << vocabulary.status();
    EXPECT_EQ(vocabulary->bos, 2);
    EXPECT_EQ(vocabulary->pad, 0);
    EXPECT_THAT(
        vocabulary->notes,
        testing::ElementsAre(
            HasSubstr(absl::StrCat("tokenizer.ggml.bos_token_id is ", id)),
            HasSubstr(absl::StrCat("tokenizer.ggml.padding_token_id is ", id,
                                   ", wanted the id of a piece"))));
  }
}

// llama.cpp merges pieces of the type 0 and never finds empty ones.
TEST(VocabularyFromGguf, TakesOddPieces) {
  VocabularyForms forms = ToyVocabulary();
  const GgufTokenizerData plain = forms.gguf();
  const Vocabulary before = *VocabularyFromGguf(plain, kVocabularyPath);
  std::vector<int32_t> types = forms.types;
  for (int32_t& type : types) type = type == 1 ? 0 : type;
  std::vector<std::string_view> tokens = forms.tokens;
  tokens[7] = "";  // <unused1>
  GgufTokenizerData data = forms.gguf();
  data.types = types;
  data.tokens = tokens;
  const auto after = VocabularyFromGguf(data, kVocabularyPath);
  ASSERT_TRUE(after.ok()) << after.status();
  for (size_t i = 0; i < before.pieces.size(); ++i) {
    if (i == 7) continue;
    EXPECT_EQ(after->pieces[i], before.pieces[i]) << i;
  }
  EXPECT_EQ(after->pieces[7].type, PieceType::kUnused);
  const auto tokenizer = MakeTokenizer(*after, kVocabularyPath);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ(tokenizer->Decode({7}), "");
}

// GGUF files from mid-2024 call tags normal pieces.
TEST(VocabularyFromGguf, TagsStayWhole) {
  VocabularyForms forms = ToyVocabulary();
  const Vocabulary before = *VocabularyFromGguf(forms.gguf(), kVocabularyPath);
  std::vector<int32_t> types = forms.types;
  for (int32_t& type : types) type = type == 4 ? 1 : type;
  GgufTokenizerData data = forms.gguf();
  data.types = types;
  EXPECT_EQ(VocabularyFromGguf(data, kVocabularyPath)->pieces, before.pieces);
}

// All of Gemma's sentencepiece models have add_dummy_prefix = false.
TEST(VocabularyFromGguf, NoPrefixByDefault) {
  EXPECT_FALSE(GgufTokenizerData().add_space_prefix);
}

// ------------------------------------------------------------- tokenizer.json

TEST(VocabularyFromHf, HolesBecomeUnusedPieces) {
  HfTokenizerData data = ToyVocabulary().hf;
  const int64_t end = static_cast<int64_t>(Toy().pieces.size());
  data.vocab.emplace_back("zzzz", end + 3);
  const auto vocabulary = VocabularyFromHf(data, kVocabularyPath);
  ASSERT_TRUE(vocabulary.ok()) << vocabulary.status();
  EXPECT_EQ(vocabulary->pieces[end].type, PieceType::kUnused);
  EXPECT_EQ(vocabulary->pieces[end].text, "");

  const auto tokenizer = MakeTokenizer(*vocabulary, kVocabularyPath);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ(tokenizer->vocab_size(), static_cast<size_t>(end) + 4);
  EXPECT_EQ(tokenizer->Piece(static_cast<TokenId>(end)), "");
  EXPECT_EQ(tokenizer->Decode({static_cast<TokenId>(end)}), "");
  EXPECT_EQ(tokenizer->Find(""), std::nullopt);
  EXPECT_EQ(tokenizer->Find(absl::StrCat("\xFF", end)), std::nullopt);
  EXPECT_EQ(tokenizer->Find("zzzz"), static_cast<TokenId>(end) + 3);
}

TEST(VocabularyFromHf, FindsTheTabByte) {
  // Gemma 1 has no piece for one tab: a tab stands in place of its byte piece.
  HfTokenizerData data = ToyVocabulary().hf;
  int64_t before = 0;
  for (auto& [text, id] : data.vocab) {
    if (text == "<0x08>") before = id;
  }
  std::erase_if(data.vocab, [](const auto& e) { return e.first == "\t"; });
  std::erase_if(data.added, [](const auto& e) { return e.content == "\t"; });
  std::erase_if(data.merges, [](const auto& e) { return e.first == "\t"; });
  std::erase_if(data.merges, [](const auto& e) { return e.second == "\t"; });
  data.vocab.emplace_back("\t", before + 1);
  const auto vocabulary = VocabularyFromHf(data, kVocabularyPath);
  ASSERT_TRUE(vocabulary.ok()) << vocabulary.status();
  EXPECT_EQ(vocabulary->pieces[before + 1].text, "<0x09>");
  EXPECT_EQ(vocabulary->pieces[before + 1].type, PieceType::kByte);
  const auto tokenizer = MakeTokenizer(*vocabulary, kVocabularyPath);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ(*tokenizer->Encode("\t"),
            std::vector<TokenId>{static_cast<TokenId>(before + 1)});
}

// A piece that no merge makes is a name that the model defines, even if the
// file does not list it among the added tokens.
TEST(VocabularyFromHf, NeedsNoAddedTokens) {
  const HfTokenizerData whole = ToyVocabulary().hf;
  HfTokenizerData data = whole;
  data.added.clear();
  EXPECT_EQ(VocabularyFromHf(data, kVocabularyPath)->pieces,
            VocabularyFromHf(whole, kVocabularyPath)->pieces);
}

TEST(VocabularyFromHf, AddedTokensSuffice) {
  const HfTokenizerData whole = ToyVocabulary().hf;
  HfTokenizerData data = whole;
  std::erase_if(data.vocab, [](const auto& e) { return e.first == "<bos>"; });
  EXPECT_EQ(VocabularyFromHf(data, kVocabularyPath)->pieces,
            VocabularyFromHf(whole, kVocabularyPath)->pieces);
}

TEST(VocabularyFromHf, RejectsContradictions) {
  const HfTokenizerData good = ToyVocabulary().hf;
  const auto error = [](const HfTokenizerData& data) {
    absl::StatusOr<Vocabulary> vocabulary =
        VocabularyFromHf(data, kVocabularyPath);
    if (!vocabulary.ok()) return std::string(vocabulary.status().message());
    return LoadError(*vocabulary);
  };
  HfTokenizerData data = good;
  data.vocab.push_back(data.vocab.front());
  EXPECT_THAT(error(data), HasSubstr("an earlier entry gives it"));

  data = good;
  data.vocab.emplace_back("another", 9);
  EXPECT_THAT(error(data), HasSubstr("model.vocab gives the id 9 to '"));

  for (int64_t id : {int64_t{-1}, static_cast<int64_t>(kMaxPieces),
                     std::numeric_limits<int64_t>::max(),
                     std::numeric_limits<int64_t>::min()}) {
    data = good;
    data.vocab.emplace_back("another", id);
    EXPECT_THAT(error(data),
                HasSubstr(absl::StrCat("gives 'another' the id ", id)));
    data = good;
    data.added.push_back({"another", id, false});
    EXPECT_THAT(error(data), HasSubstr("added_tokens gives 'another'"));
  }

  data = good;
  data.added.push_back({"<bos>", 7, true});
  EXPECT_THAT(error(data), HasSubstr("added_tokens gives '<bos>' the id 7"));

  data = good;
  data.merges.emplace_back("no such", "piece");
  EXPECT_THAT(error(data), HasSubstr("] is 'no such' and 'piece', wanted"));

  data = good;
  data.merges.emplace_back("", "the");
  EXPECT_THAT(error(data), HasSubstr("] is '' and 'the', wanted"));

  data = good;
  data.merges.clear();
  EXPECT_THAT(error(data), HasSubstr("model.merges has 0 elements"));

  EXPECT_THAT(error(HfTokenizerData()), HasSubstr("model.merges has 0"));

  data = good;
  data.unk_token = "nothing";
  std::erase_if(data.vocab, [](const auto& e) { return e.first == "<unk>"; });
  std::erase_if(data.added, [](const auto& e) { return e.content == "<unk>"; });
  EXPECT_THAT(error(data), HasSubstr("no unknown token"));

  // A blank and U+2581 give the same piece.
  data = good;
  data.vocab.emplace_back(" the", 1000);
  EXPECT_THAT(error(data), HasSubstr("wanted each only once"));
}

// ------------------------------------------------------------------- Validate

TEST(MakeTokenizer, RejectsBadVocabularies) {
  const Vocabulary good = Toy();
  ASSERT_TRUE(MakeTokenizer(good, kVocabularyPath).ok());

  EXPECT_THAT(LoadError(Vocabulary()), HasSubstr("has 0 pieces"));

  Vocabulary bad = good;
  bad.pieces.resize(kMaxPieces + 1);
  EXPECT_THAT(LoadError(bad), HasSubstr("has 2097153 pieces"));

  bad = good;
  bad.pieces[400].text = "";
  EXPECT_THAT(LoadError(bad), HasSubstr("piece 400 is '', wanted at least"));

  bad = good;
  bad.pieces[400] = bad.pieces[401];
  EXPECT_THAT(LoadError(bad), HasSubstr("wanted each only once"));

  bad = good;
  bad.pieces[400].text = "a\xFF";
  EXPECT_THAT(LoadError(bad), HasSubstr("'a\\xff', wanted UTF-8"));

  bad = good;
  bad.pieces[400].text = std::string(kMaxPieceBytes + 1, 'x');
  EXPECT_THAT(LoadError(bad), HasSubstr("65537 bytes, wanted at most 65536"));

  for (float score : {std::numeric_limits<float>::quiet_NaN(),
                      std::numeric_limits<float>::infinity()}) {
    bad = good;
    bad.pieces[400].score = score;
    EXPECT_THAT(LoadError(bad), HasSubstr("wanted a finite one"));
  }

  bad = good;
  bad.pieces[400].type = PieceType::kByte;
  EXPECT_THAT(LoadError(bad), HasSubstr("a byte piece, wanted '<0x00>'"));

  bad = good;
  for (Vocabulary::Piece& piece : bad.pieces) {
    if (piece.text == "<0x7F>") piece.text = "<0x7f>";
  }
  EXPECT_THAT(LoadError(bad), HasSubstr("'<0x7f>', a byte piece, wanted"));

  bad = good;
  for (Vocabulary::Piece& piece : bad.pieces) {
    if (piece.text == "<0x7F>") piece.type = PieceType::kNormal;
  }
  EXPECT_THAT(LoadError(bad), HasSubstr("255 byte pieces, wanted 256"));

  bad = good;
  bad.pieces[4].type = PieceType::kUnknown;
  EXPECT_THAT(LoadError(bad), HasSubstr("2 unknown pieces, wanted 1"));

  bad = good;
  bad.pieces[3].type = PieceType::kControl;
  EXPECT_THAT(LoadError(bad), HasSubstr("0 unknown pieces, wanted 1"));

  for (TokenId id : {-1, -7, 1 << 30}) {
    bad = good;
    bad.unk = id;
    EXPECT_THAT(LoadError(bad), HasSubstr("wanted 1, with id"));
    bad = good;
    bad.bos = id;
    EXPECT_THAT(LoadError(bad), HasSubstr("the id of the BOS token is"));
    bad = good;
    bad.eos = id;
    EXPECT_THAT(LoadError(bad), HasSubstr("the id of the EOS token is"));
  }
}

// Pieces that sentencepiece refuses.
TEST(MakeTokenizer, TakesOddPieces) {
  Vocabulary odd = Toy();
  const auto end = static_cast<TokenId>(odd.pieces.size());
  odd.pieces.push_back({std::string("a\0b", 3), 9.0f, PieceType::kUserDefined});
  odd.pieces.push_back({"\U0001F600", 0.0f, PieceType::kControl});
  std::string run = "\n\n\n\n\n\n";
  while (run.size() < 200) {
    run += '\n';
    odd.pieces.push_back({run, 0.0f, PieceType::kUserDefined});
  }
  std::string unused = "\u2581the";
  while (unused.size() < 5000) {  // each extends the previous one
    unused += 'x';
    odd.pieces.push_back({unused, 9.0f, PieceType::kUnused});
  }
  const auto tokenizer = MakeTokenizer(odd, kVocabularyPath);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ(*tokenizer->Encode(std::string("a\0b", 3)),
            std::vector<TokenId>{end});
  EXPECT_EQ(tokenizer->Encode("\U0001F600")->size(), 4u);  // its bytes
  EXPECT_EQ(*tokenizer->Encode("\U0001F600", ControlTokens::kParse),
            std::vector<TokenId>{end + 1});
  EXPECT_EQ(tokenizer->Encode(std::string(400, '\n'))->size(), 2u);
  EXPECT_EQ(tokenizer->Encode(" the" + std::string(4000, 'x'))->size(), 4001u);
}

}  // namespace
}  // namespace gemma::internal
