// Added tokens, normalizers and pre-tokenizers of tokenizer.json.

#include <fstream>
#include <ostream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/text/tokenizer/load_tokenizer.h"
#include "src/text/tokenizer/tokenizer_json.h"
#include "src/text/tokenizer/unicode_classes.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Tokens = std::vector<TokenId>;

// What Hugging Face's tokenizers says; see tools/reference/added_tokens.py.
const json& Golden() {
  static const json golden = [] {
    std::ifstream file(GEMMA_TESTDATA_DIR "/text/added_tokens.json");
    return json::parse(file);
  }();
  return golden;
}

// A directory with this tokenizer.json and no weights to speak of.
absl::StatusOr<Tokenizer> LoadJson(const json& fields) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, TinyConfig("gemma"), TinyHfTensors("gemma"));
  WriteFile(directory + "/tokenizer.json", fields.dump());
  return Tokenizer::Load(directory);
}

// The first case of the golden values with some fields replaced.
json Changed(const json& patch) {
  json fields = Golden()["cases"][0]["fields"];
  fields["model"] = Golden()["model"];
  fields.merge_patch(patch);
  return fields;
}

void ExpectGolden(const Tokenizer& tokenizer, const json& golden) {
  for (size_t i = 0; i < golden["texts"].size(); ++i) {
    const std::string text = golden["texts"][i];
    EXPECT_EQ(*tokenizer.Encode(text, ControlTokens::kParse),
              golden["ids"][i].get<Tokens>())
        << text;
    EXPECT_EQ(*tokenizer.Encode(text, ControlTokens::kAsText),
              golden["as_text"][i].get<Tokens>())
        << text;
  }
}

TEST(AddedTokens, EqualTokenizers) {
  ASSERT_GE(Golden()["cases"].size(), 16u);
  for (const json& golden : Golden()["cases"]) {
    SCOPED_TRACE(golden["name"].get<std::string>());
    json fields = golden["fields"];
    fields["model"] = Golden()["model"];
    const absl::StatusOr<Tokenizer> tokenizer = LoadJson(fields);
    ASSERT_EQ(ErrorOf(tokenizer), "OK");
    ExpectGolden(*tokenizer, golden);
  }
}

// Texts with added tokens cost nothing where a plain search finds the same.
TEST(AddedTokens, PlainVocabularyLacksRules) {
  for (const json& golden : Golden()["cases"]) {
    json fields = golden["fields"];
    fields["model"] = Golden()["model"];
    const absl::StatusOr<Tokenizer> tokenizer = LoadJson(fields);
    ASSERT_EQ(ErrorOf(tokenizer), "OK");
    const bool is_plain = golden["name"] == "plain" ||
                          golden["name"] == "normalized" ||
                          golden["name"] == "metaspace never False";
    EXPECT_EQ(tokenizer->impl().has_rules(), !is_plain) << golden["name"];
  }
}

TEST(AddedTokens, RulesSurviveAsJson) {
  for (const json& golden : Golden()["cases"]) {
    json fields = golden["fields"];
    fields["model"] = Golden()["model"];
    const absl::StatusOr<Tokenizer> tokenizer = LoadJson(fields);
    ASSERT_EQ(ErrorOf(tokenizer), "OK");
    Vocabulary vocabulary = tokenizer->impl().vocabulary();
    if (!vocabulary.rules.has_value()) continue;
    const absl::StatusOr<Json> text =
        Json::Parse(TextRulesToJson(*vocabulary.rules), "rules");
    ASSERT_EQ(ErrorOf(text), "OK");
    TextRules rules;
    ASSERT_EQ(ErrorOf(ReadTextRules(*text, rules, rules.added)), "OK");
    vocabulary.rules = rules;
    const absl::StatusOr<Tokenizer> again = MakeTokenizer(vocabulary, "again");
    ASSERT_EQ(ErrorOf(again), "OK");
    ExpectGolden(*again, golden);
  }
}

TEST(AddedTokens, KnowsWordsAndSpace) {
  for (const char* text : {"a", "Z", "7", "_", "\u00E9", "\u0301", "\u200D",
                           "\u65E5", "\u203F", "\u0660", "\U00020000"}) {
    EXPECT_TRUE(BeginsWithWord(text)) << text;
    EXPECT_TRUE(EndsWithWord(std::string("-") + text)) << text;
  }
  for (const char* text : {"", "-", ".", " ", "\u2581", "\u00B7x", "\u3000",
                           "\u20AC", "\U0001F600", "\u00B2"}) {
    EXPECT_FALSE(BeginsWithWord(text)) << text;
  }
  EXPECT_EQ(LeadingSpace(" \n\u00A0\u3000x "), 7u);
  EXPECT_EQ(TrailingSpace(" x\u2003\t \u0085"), 7u);
  EXPECT_EQ(LeadingSpace("\u200B"), 0u);
  EXPECT_EQ(TrailingSpace("\u2581"), 0u);
  EXPECT_EQ(TrailingSpace("\u1680 "), 4u);
}

// ---------------------------------------------------------------------------
// What is not computed is refused by its name.

struct Refused {
  std::string_view patch;
  std::string_view message;

  friend void PrintTo(const Refused& refused, std::ostream* out) {
    *out << refused.patch;
  }
};

class AddedTokensRefuses : public testing::TestWithParam<Refused> {};

TEST_P(AddedTokensRefuses, NamesTheField) {
  const json patch = json::parse(GetParam().patch);
  EXPECT_THAT(ErrorOf(LoadJson(Changed(patch))),
              AllOf(HasSubstr("/tokenizer.json: "),
                    HasSubstr(std::string(GetParam().message))));
}

INSTANTIATE_TEST_SUITE_P(
    All, AddedTokensRefuses,
    testing::Values(
        Refused{
            R"({"normalizer": {"type": "Lowercase"}})",
            "'normalizer.type' is the string 'Lowercase', wanted 'Replace'"},
        Refused{R"({"normalizer": {"type": "Sequence", "normalizers":
                    [{"type": "NFC"}]}})",
                "'normalizer.normalizers[0].type' is the string 'NFC'"},
        Refused{R"({"normalizer": {"type": "NFKC"}})", "'NFKC', wanted"},
        Refused{R"({"normalizer": {"pattern": {"String": null,
                                               "Regex": " +"}}})",
                "'normalizer.pattern'"},
        Refused{R"({"normalizer": {"pattern": {"String": ""}}})",
                "'normalizer.pattern.String' is the string '', wanted a text"},
        Refused{R"({"normalizer": null, "pre_tokenizer": null})",
                "neither 'normalizer' nor 'pre_tokenizer' replaces blanks"},
        Refused{R"({"normalizer": null})", "'pre_tokenizer.pattern'"},
        Refused{R"({"pre_tokenizer": {"type": "WhitespaceSplit"}})",
                "'pre_tokenizer.type' is the string 'WhitespaceSplit', wanted "
                "'Split'"},
        Refused{R"({"pre_tokenizer": {"pattern": {"String": "a"}}})",
                "'pre_tokenizer.pattern'"},
        Refused{R"({"pre_tokenizer": {"type": "Metaspace",
                                      "replacement": "_"}})",
                "'pre_tokenizer.replacement' is the string '_'"},
        Refused{R"({"pre_tokenizer": {"type": "Metaspace",
                                      "prepend_scheme": "last"}})",
                "'pre_tokenizer.prepend_scheme' is the string 'last', wanted "
                "'always'"},
        Refused{R"({"model": {"byte_fallback": false}})",
                "'model.byte_fallback' is false, wanted true"},
        Refused{R"({"model": {"byte_fallback": null}})",
                "'model' has no 'byte_fallback', wanted true"},
        Refused{R"({"model": {"ignore_merges": true}})",
                "'model.ignore_merges' is true, wanted false"},
        Refused{R"({"model": {"dropout": 0.1}})",
                "'model.dropout' is the decimal number 0.1"},
        Refused{R"({"model": {"end_of_word_suffix": "</w>"}})",
                "'model.end_of_word_suffix' is the string '</w>'"},
        Refused{R"({"model": {"type": "Unigram"}})",
                "'model.type' is the string 'Unigram', wanted 'BPE'"}),
    [](const auto& test) { return "Case" + std::to_string(test.index); });

// transformers sets these fields itself, so they only get a note.
TEST(AddedTokens, NotesOtherFields) {
  const auto notes = [](std::string_view patch) {
    const absl::StatusOr<Tokenizer> tokenizer =
        LoadJson(Changed(json::parse(patch)));
    EXPECT_EQ(ErrorOf(tokenizer), "OK");
    const absl::Span<const std::string> lines = tokenizer->notes();
    return std::vector<std::string>(lines.begin(), lines.end());
  };
  EXPECT_THAT(
      notes(R"({"truncation": {"max_length": 512}})"),
      ElementsAre(HasSubstr(
          "/tokenizer.json: 'truncation' cuts texts after 512 tokens")));
  EXPECT_THAT(notes(R"({"post_processor": {"type": "TemplateProcessing",
                        "single": [{"SpecialToken": {"id": "<bos>"}},
                                   {"Sequence": {"id": "A"}}]}})"),
              IsEmpty());
  EXPECT_THAT(notes(R"({"post_processor": {"type": "ByteLevel"}})"), IsEmpty());
  EXPECT_THAT(notes(R"({"post_processor": {"type": "TemplateProcessing",
                        "single": [{"SpecialToken": {"id": "<s>"}},
                                   {"Sequence": {"id": "A"}}]}})"),
              ElementsAre(HasSubstr("'post_processor' is '<s> A'")));
  EXPECT_THAT(notes(R"({"post_processor": {"type": "RobertaProcessing"}})"),
              ElementsAre(HasSubstr("is 'RobertaProcessing'")));
}

}  // namespace
}  // namespace gemma::internal
