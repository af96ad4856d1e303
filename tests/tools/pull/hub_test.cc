#include "tools/gemma/pull/hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "tools/gemma/pull/model_record.h"

namespace gemma::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Listing() {
  return absl::StrCat(
      R"({"sha": ")", std::string(40, 'c'), R"(", "siblings": [)",
      R"({"rfilename": "config.json", "size": 7, "blobId": ")",
      std::string(40, 'a'), R"("}, {"rfilename": "d/m.gguf", "size": 9, )",
      R"("blobId": "x", "lfs": {"sha256": ")", std::string(64, 'b'),
      R"("}}]})");
}

std::vector<std::string> Choose(const std::vector<std::string>& paths,
                                const std::string& file = "") {
  HubListing listing;
  for (const std::string& path : paths) listing.files.push_back({.path = path});
  ModelSource source;
  source.text = "hf://o/r";
  source.repository = "o/r";
  source.file = file;
  const auto files = ChooseFiles(listing, source);
  if (!files.ok()) return {std::string(files.status().message())};
  std::vector<std::string> chosen;
  for (const HubFile& chosen_file : *files) chosen.push_back(chosen_file.path);
  return chosen;
}

TEST(HubListing, ReadsNamesSizesHashes) {
  const absl::StatusOr<HubListing> listing = ParseListing(Listing(), "hub");
  ASSERT_TRUE(listing.ok()) << listing.status();
  EXPECT_EQ(listing->commit, std::string(40, 'c'));
  ASSERT_EQ(listing->files.size(), 2);
  EXPECT_EQ(listing->files[0].path, "config.json");
  EXPECT_EQ(listing->files[0].bytes, 7);
  EXPECT_EQ(listing->files[0].digest,
            (Digest{DigestKind::kGitBlob, std::string(40, 'a')}));
  EXPECT_EQ(listing->files[1].path, "d/m.gguf");
  EXPECT_EQ(listing->files[1].digest,
            (Digest{DigestKind::kSha256, std::string(64, 'b')}));
}

TEST(HubListing, RefusesEveryTruncation) {
  const std::string good = Listing();
  for (size_t size = 0; size < good.size(); ++size) {
    const absl::Status status =
        ParseListing(good.substr(0, size), "hub").status();
    EXPECT_THAT(status.message(), HasSubstr("hub: ")) << size;
  }
}

TEST(HubListing, IsLimited) {
  const std::string deep(size_t{64} << 20, '[');
  EXPECT_THAT(ParseListing(deep, "hub").status().message(),
              HasSubstr("nested more than 32 deep"));
  std::string wide = R"({"siblings": [0)";
  for (int i = 0; i < 1 << 20; ++i) wide += ",0";
  EXPECT_THAT(ParseListing(wide, "hub").status().message(),
              HasSubstr("more than 1048576 values"));
  EXPECT_THAT(ParseListing(deep + "[", "hub").status().message(),
              HasSubstr("wanted at most 67108864"));
}

TEST(HubListing, NamesWhatIsWrong) {
  const std::string file =
      R"({"rfilename": "a", "size": 1, "blobId": ")" + std::string(40, 'a');
  const auto error = [](const std::string& entry) {
    return std::string(ParseListing(R"({"sha": ")" + std::string(40, 'c') +
                                        R"(", "siblings": [)" + entry + "]}",
                                    "hub")
                           .status()
                           .message());
  };
  EXPECT_EQ(error(file + R"("}, {"rfilename": "b"})"),
            "hub: the server's list of files: 'siblings[1]': no key 'size'");
  EXPECT_EQ(error(file + R"(", "lfs": {"sha256": "x\u009b"}})"),
            "hub: the server's list of files: 'siblings[0].lfs.sha256' is the "
            "string 'x\\xc2\\x9b', wanted SHA-256");
  EXPECT_EQ(
      error(R"({"rfilename": "a\u009b2J"})"),
      "hub: the server's list of files: 'siblings[0]': 'a\\xc2\\x9b2J' is "
      "not a path inside of a repository");
}

TEST(HubListing, SurvivesChangedBytes) {
  const std::string good = Listing();
  for (size_t i = 0; i < good.size(); ++i) {
    for (const char c : {'\0', '"', '}', '/', '.', '\xFF'}) {
      std::string bad = good;
      bad[i] = c;
      const absl::StatusOr<HubListing> listing = ParseListing(bad, "hub");
      if (!listing.ok()) {
        EXPECT_THAT(listing.status().message(), HasSubstr("hub: ")) << i;
        continue;
      }
      for (const HubFile& file : listing->files) {
        EXPECT_NE(file.path, "");
        EXPECT_NE(file.path[0], '/');
      }
    }
  }
}

TEST(ChooseFiles, TakesSoleGgufFile) {
  EXPECT_THAT(Choose({"README.md", "config.json", "d/m.gguf", "mmproj-x.gguf",
                      "m-mmproj.gguf"}),
              ElementsAre("d/m.gguf"));
  EXPECT_THAT(Choose({"a.gguf", "b.gguf"})[0], HasSubstr("a.gguf, b.gguf"));
  EXPECT_THAT(Choose({"a.gguf", "b.gguf"}, "b.gguf"), ElementsAre("b.gguf"));
  EXPECT_THAT(Choose({"a.gguf"}, "b.gguf")[0], HasSubstr("no file b.gguf"));
}

TEST(ChooseFiles, TakesWantedType) {
  HubListing listing;
  for (const char* path :
       {"m-Q4_0.gguf", "m-Q4_0_4_4.gguf", "m-UD-Q4_K_XL.gguf",
        "Q8_0/m-Q8_0-00001-of-00001.gguf", "config.json"}) {
    listing.files.push_back({.path = path});
  }
  const auto choose = [&listing](const char* type) {
    const auto files = ChooseFiles(listing, {.text = "t", .type = type});
    return files.ok() ? (*files)[0].path
                      : std::string(files.status().message());
  };
  EXPECT_EQ(choose("q4_0"), "m-Q4_0.gguf");
  EXPECT_EQ(choose("Q4_K_XL"), "m-UD-Q4_K_XL.gguf");
  EXPECT_EQ(choose("Q8_0"), "Q8_0/m-Q8_0-00001-of-00001.gguf");
  EXPECT_THAT(choose("Q5_K_M"), HasSubstr("no GGUF file of the type Q5_K_M"));
  EXPECT_THAT(choose("Q4"), HasSubstr("no GGUF file of the type Q4"));
}

TEST(ChooseFiles, TakesAllParts) {
  const std::vector<std::string> parts = {"m-00001-of-00002.gguf",
                                          "m-00002-of-00002.gguf"};
  EXPECT_EQ(Choose({parts[1], parts[0]}), parts);
  EXPECT_EQ(Choose({parts[0], parts[1], "x.gguf"}, parts[1]), parts);
  EXPECT_THAT(Choose({parts[0]})[0], HasSubstr("no file " + parts[1]));
}

TEST(ChooseFiles, ElseTakesDirectoryFiles) {
  EXPECT_THAT(
      Choose({".gitattributes", "README.md", "added_tokens.json",
              "chat_template.jinja", "config.json", "generation_config.json",
              "model.safetensors", "d/model.safetensors",
              "optimizer.safetensors", "evil.py", "pytorch_model.bin",
              "tokenizer.json", "tokenizer.model", "tokenizer_config.json"}),
      ElementsAre("added_tokens.json", "chat_template.jinja", "config.json",
                  "generation_config.json", "model.safetensors",
                  "tokenizer.json", "tokenizer.model",
                  "tokenizer_config.json"));
  EXPECT_THAT(Choose({"config.json", "model-00001-of-00002.safetensors",
                      "model-00002-of-00002.safetensors",
                      "model.safetensors.index.json"}),
              ElementsAre("config.json", "model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors",
                          "model.safetensors.index.json"));
  EXPECT_THAT(Choose({"model.safetensors"})[0], HasSubstr("neither"));
  EXPECT_THAT(Choose({"config.json"})[0], HasSubstr("neither"));
}

TEST(HubFileUrl, EscapesSpecialCharacters) {
  ModelSource source;
  source.repository = "o/r";
  EXPECT_EQ(HubFileUrl("https://h", source, "c", "a b/c?d#e%.gguf"),
            "https://h/o/r/resolve/c/a%20b/c%3Fd%23e%25.gguf");
}

StoredModel Model() {
  return {.name = "m",
          .source = "hf://o/r",
          .revision = "c",
          .main_file = "m.gguf",
          .pulled_at = "2026-01-31T12:00:00Z",
          .complete = true,
          .files = {{"m.gguf", 9, "ab", "\"e\""}}};
}

TEST(ModelRecord, ReadsWhatItWrote) {
  const auto model = ParseRecord(RecordToText(Model()), "m", "record");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(RecordToText(*model), RecordToText(Model()));
  EXPECT_EQ(model->files[0].etag, "\"e\"");
}

TEST(ModelRecord, RefusesEveryTruncation) {
  const std::string good = RecordToText(Model());
  for (size_t size = 0; size + 1 < good.size(); ++size) {
    const auto model = ParseRecord(good.substr(0, size), "m", "record");
    EXPECT_THAT(model.status().message(), HasSubstr("record: ")) << size;
  }
}

TEST(ModelRecord, NamesNoFileElsewhere) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("../x"),
        std::string("/x"), std::string("a/"), std::string("a/../b"),
        std::string("../b"), std::string("a/b/c"), std::string("./b"),
        std::string("a\\b"), std::string("a/gemma-pull.json"),
        std::string("a\nb"), std::string("a\0b", 3), std::string("a\u009b2J"),
        std::string(kRecordFile), std::string(201, 'x')}) {
    EXPECT_FALSE(IsPlainFileName(name)) << name;
    StoredModel model = Model();
    model.files[0].name = name;
    EXPECT_FALSE(ParseRecord(RecordToText(model), "m", "record").ok()) << name;
  }
  EXPECT_FALSE(IsPlainFileName("a\xff"));
  EXPECT_TRUE(IsPlainFileName("model-00001-of-00002.safetensors"));
  EXPECT_FALSE(IsPlainFileName("2_Dense/model.safetensors"));
  EXPECT_TRUE(IsStoredFileName("2_Dense/model.safetensors"));
}

TEST(ModuleFiles, AreKnown) {
  for (const char* path : {"1_Pooling/config.json", "2_Dense/model.safetensors",
                           "10_Dense/config.json"}) {
    EXPECT_TRUE(IsModuleFile(path)) << path;
  }
  for (const char* path :
       {"config.json", "2_Dense/pytorch_model.bin", "onnx/config.json",
        "_Dense/config.json", "2Dense/config.json", "2_Dense/a/config.json",
        "2_Dense/", "2", ""}) {
    EXPECT_FALSE(IsModuleFile(path)) << path;
  }
}

}  // namespace
}  // namespace gemma::tools
