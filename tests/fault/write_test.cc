// Allocations that fail while files are written and checked.

#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "gemma/quantize.h"
#include "gemma/verify_file.h"
#include "gtest/gtest.h"
#include "src/base/no_throw.h"
#include "src/quantize/activation_sums.h"
#include "src/quantize/importance.h"
#include "tests/fault/fault_toys.h"
#include "tests/fault/faults.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

// Quantizes over an existing file, with a fault at each allocation. After an
// error the file must be unchanged; after a success it must be complete. The
// folder must contain no other file.
void SweepQuantize(const std::string& source, const std::string& directory,
                   QuantizeOptions options) {
  const std::string path = directory + "/target";
  options.num_threads = 1;
  options.overwrite = true;
  ASSERT_EQ(ErrorOf(Quantize(source, path, options)), "OK");
  const std::string expected = ContentsOf(path);
  SweepMemory([&](Injector& faults) -> absl::Status {
    WriteFile(path, "as it was");
    const absl::Status status =
        faults([&] { return Quantize(source, path, options); });
    EXPECT_TRUE(ContentsOf(path) == (status.ok() ? expected : "as it was"));
    EXPECT_EQ(FileNames(directory), std::vector<std::string>{"target"});
    return status;
  });
}

// Writes a model and sweeps Quantize from it to another folder.
void SweepQuantizeGguf(const std::string& architecture,
                       QuantizeOptions options) {
  const std::string directory = TestDirectory();
  std::filesystem::create_directory(directory + "/out");
  SweepQuantize(WriteFaultGguf(directory, architecture), directory + "/out",
                std::move(options));
}

TEST(WriteFaults, Packed) {
  SweepQuantizeGguf("gemma3", {.type = WeightType::kQ4});
}

TEST(WriteFaults, PackedDirectory) {
  const std::string directory = TestDirectory();
  std::filesystem::create_directory(directory + "/out");
  SweepQuantize(WriteFaultDirectory(directory), directory + "/out",
                {.type = WeightType::kQ8});
}

TEST(WriteFaults, Gguf) {
  SweepQuantizeGguf("recurrentgemma",
                    {.type = WeightType::kBF16, .layout = FileLayout::kGguf});
}

TEST(WriteFaults, Planned) { SweepQuantizeGguf("gemma2", {.bits = 20}); }

TEST(WriteFaults, CheckedFile) {
  const std::string path = WriteFaultPacked(TestDirectory(), "gemma3");
  SweepMemory([&](Injector& faults) -> absl::Status {
    const auto check =
        faults([&] { return VerifyFile(path, {.num_threads = 1}); });
    if (!check.ok()) return check.status();
    EXPECT_TRUE(check->has_checksums);
    return absl::OkStatus();
  });
}

TEST(WriteFaults, Importance) {
  const std::string directory = TestDirectory();
  const Model model =
      LoadOrDie(WriteFaultGguf(directory, "gemma3"), FaultOptions());
  const std::string path = directory + "/importance";
  ActivationSums sums;
  Session session = NewSession(model, {.max_tokens = 16});
  session.SetTap(
      [&](const TapSite& site, absl::Span<float> x) { sums.Add(site, x); });
  ASSERT_TRUE(session.Append(kFaultTokens).ok());
  SweepMemory([&](Injector& faults) -> absl::Status {
    std::remove(path.c_str());
    return faults([&] {
      return NoThrow([&]() -> absl::Status {
        absl::Status written = sums.Write(model.config(), false, {}, path);
        return written.ok() ? Importance::Load(path).status() : written;
      });
    });
  });
}

}  // namespace
}  // namespace gemma::internal
