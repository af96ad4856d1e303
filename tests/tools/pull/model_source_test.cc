#include "tools/gemma/pull/model_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "src/base/internal.h"
#include "tools/gemma/pull/catalogue.h"
#include "tools/gemma/pull/digest.h"
#include "tools/gemma/pull/http.h"
#include "tools/gemma/pull/hub.h"
#include "tools/gemma/pull/model_store.h"
#include "tools/gemma/pull/url.h"

namespace gemma::tools {
namespace {

using ::testing::HasSubstr;

ModelSource Parse(std::string_view text) {
  const absl::StatusOr<ModelSource> source = ParseSource(text);
  EXPECT_TRUE(source.ok()) << source.status();
  return source.value_or(ModelSource());
}

TEST(ModelSource, ReadsRepositories) {
  ModelSource source = Parse("hf://google/gemma-3-1b-it");
  EXPECT_EQ(source.kind, SourceKind::kHub);
  EXPECT_EQ(source.repository, "google/gemma-3-1b-it");
  EXPECT_EQ(source.file, "");
  EXPECT_EQ(source.revision, "main");
  EXPECT_EQ(source.name, "gemma-3-1b-it");
  EXPECT_EQ(source.text, "hf://google/gemma-3-1b-it");

  source = Parse("hf://o/r/q4/m-00002-of-00003.gguf@refs/pr/1");
  EXPECT_EQ(source.repository, "o/r");
  EXPECT_EQ(source.file, "q4/m-00002-of-00003.gguf");
  EXPECT_EQ(source.revision, "refs/pr/1");
  EXPECT_EQ(source.name, "m");
  EXPECT_EQ(source.text, "hf://o/r/q4/m-00002-of-00003.gguf@refs/pr/1");
}

TEST(ModelSource, ReadsOtherSpellings) {
  for (const std::string_view text :
       {"google/gemma-3-1b-it", "huggingface.co/google/gemma-3-1b-it",
        "https://huggingface.co/google/gemma-3-1b-it",
        "https://huggingface.co/google/gemma-3-1b-it/",
        "https://hf.co/google/gemma-3-1b-it?library=x#use",
        "https://huggingface.co/google/gemma-3-1b-it/tree/main"}) {
    EXPECT_EQ(Parse(text).text, "hf://google/gemma-3-1b-it") << text;
  }
  EXPECT_EQ(Parse("https://huggingface.co/o/r/tree/v2").text, "hf://o/r@v2");
  EXPECT_EQ(Parse("https://huggingface.co/o/r/blob/main/d/m.gguf").text,
            "hf://o/r/d/m.gguf");
  // A link to download stays one.
  EXPECT_EQ(Parse("https://huggingface.co/o/r/resolve/main/m.gguf").kind,
            SourceKind::kUrl);
}

TEST(ModelSource, ReadsTypes) {
  const ModelSource source = Parse("hf://unsloth/gemma-3-1b-it-GGUF:Q4_K_M");
  EXPECT_EQ(source.repository, "unsloth/gemma-3-1b-it-GGUF");
  EXPECT_EQ(source.type, "Q4_K_M");
  EXPECT_EQ(source.file, "");
  EXPECT_EQ(source.name, "gemma-3-1b-it-q4_k_m");
  EXPECT_EQ(source.text, "hf://unsloth/gemma-3-1b-it-GGUF:Q4_K_M");
  EXPECT_EQ(Parse("hf.co/o/r:q8_0@v1").text, "hf://o/r:q8_0@v1");
  EXPECT_EQ(Parse("o/r:Q8_0").type, "Q8_0");
}

TEST(ModelSource, SameSourceSameText) {
  EXPECT_EQ(Parse("hf://o/r@main").text, Parse("hf://o/r").text);
  EXPECT_NE(Parse("hf://o/r@v1").text, Parse("hf://o/r").text);
}

TEST(ModelSource, UrlTextHidesSecret) {
  const ModelSource source = Parse("https://h/a/b.gguf?token=secret#x");
  EXPECT_EQ(source.kind, SourceKind::kUrl);
  EXPECT_EQ(source.url, "https://h/a/b.gguf?token=secret#x");
  EXPECT_EQ(source.text, "https://h/a/b.gguf");
  EXPECT_EQ(source.name, "b");
}

TEST(ModelSource, RefusesWhatIsNone) {
  for (const std::string_view text : {"",
                                      "name",
                                      "hf://",
                                      "hf://o",
                                      "hf://o/",
                                      "hf://o//r",
                                      "hf:///r",
                                      "hf://o/..",
                                      "hf://o/r/../x.gguf",
                                      "hf://o/r/x.bin",
                                      "hf://o/r:",
                                      "hf://o/r:a/b",
                                      "hf://o/r/m.gguf:Q4_0",
                                      "o/r/x",
                                      "https://huggingface.co/o",
                                      "hf://o/r@",
                                      "hf://o/r@a b",
                                      "hf://o/r@../x",
                                      "hf://o/r@-x",
                                      "hf://o/r\\x/y.gguf",
                                      "hf://o/r/x\n.gguf",
                                      "ftp://h/x.gguf",
                                      "file:///x.gguf",
                                      "http://",
                                      "http://h/x.bin"}) {
    const absl::StatusOr<ModelSource> source = ParseSource(text);
    EXPECT_FALSE(source.ok()) << text;
    EXPECT_THAT(source.status().message(), HasSubstr("wanted")) << text;
  }
}

TEST(ModelSource, TextHoldsNoPassword) {
  const absl::StatusOr<ModelSource> source =
      ParseSource("http://user:password@h/x.gguf?key=secret");
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->text, "http://h/x.gguf");
}

TEST(EscapeUrlPart, KeepsPlainCharacters) {
  EXPECT_EQ(EscapeUrlPart("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(EscapeUrlPart("a/b c\u00e4%"), "a%2Fb%20c%C3%A4%25");
}

TEST(PublicPart, CutsSecretsOnly) {
  EXPECT_EQ(PublicPart("http://h/a@b"), "http://h/a@b");
  EXPECT_EQ(PublicPart("http://u@h/a"), "http://h/a");
  EXPECT_EQ(PublicPart("http://u:p@h"), "http://h");
  EXPECT_EQ(PublicPart("a@b"), "a@b");
}

TEST(Catalogue, EntriesCanBePulled) {
  for (const CatalogueEntry& entry : Catalogue()) {
    SCOPED_TRACE(entry.name);
    EXPECT_TRUE(IsModelName(entry.name));
    EXPECT_EQ(FindInCatalogue(entry.name), &entry);
    const ModelSource source = Parse(entry.source);
    // Packages, and only they, need the file's name in the catalogue.
    EXPECT_EQ(source.kind == SourceKind::kPip, !entry.file.empty());
    EXPECT_EQ(!entry.file.empty(), IsDigest(DigestKind::kSha256, entry.sha256));
  }
  EXPECT_EQ(FindInCatalogue("other"), nullptr);
}

TEST(Catalogue, SmallestThatChatsFirst) {
  EXPECT_EQ(DefaultModel().name, "gemma-3-270m");
  EXPECT_EQ(&SmallestChatModel(), &Catalogue()[0]);
  EXPECT_EQ(SmallestChatModel().gated, Gated::kNo);
  const auto sibling = [](std::string_view model) {
    const CatalogueEntry* found = TunedSibling(model);
    return found == nullptr ? "" : found->name;
  };
  EXPECT_EQ(sibling("a/gemma-3-1b-pt/"), "gemma-3-1b-it-q4");
  EXPECT_EQ(sibling("gemma-3-270m-q4_k_m.gguf"), "gemma-3-270m-it-q8");
  EXPECT_EQ(sibling("gemma-4-e2b"), "gemma-4-e2b-it-q4");
  EXPECT_EQ(sibling("gemma-3-1b5"), "");
}

}  // namespace
}  // namespace gemma::tools
