// System calls that fail.

#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gemma/gemma.h"
#include "gemma/quantize.h"
#include "gemma/verify_file.h"
#include "gtest/gtest.h"
#include "src/quantize/activation_sums.h"
#include "src/quantize/importance.h"
#include "tests/fault/fault_toys.h"
#include "tests/fault/faults.h"
#include "tests/scope/toy_autoencoders.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

// An operation that reads or writes one file, or the files of one folder.
struct FileUser {
  std::string path;  // must be in the error message
  std::function<absl::Status()> use;
};

// Runs each user once for each error of each of its calls of this kind.
void SweepUsers(const std::vector<FileUser>& users, FaultKind kind,
                const std::vector<int>& errors) {
  for (const FileUser& user : users) {
    SCOPED_TRACE(user.path);
    for (const int error : errors) {
      SweepSystem(kind, error, user.path,
                  [&](Injector& faults) { return faults(user.use); });
    }
  }
}

FileUser Loading(const std::string& path) {
  return {path, [path] { return Model::Load(path, FaultOptions()).status(); }};
}

std::vector<FileUser> AllReaders(const std::string& directory) {
  WriteTinyDirectory(directory + "/hf", TinyConfig("gemma2"),
                     TinyHfTensors("gemma2"));
  const std::string packed = WriteFaultPacked(directory, "gemma3");
  const auto model = std::make_shared<Model>(LoadOrDie(packed, FaultOptions()));
  const std::string session = directory + "/session";
  EXPECT_TRUE(NewSession(*model, {.max_tokens = 8}).Save(session).ok());
  SparseAutoencoderOptions options;
  options.site = FeatureSite{};
  options.num_threads = 1;
  const std::string npz = ScopePath("arrays/params.npz");
  return {
      Loading(directory + "/hf"),
      Loading(directory + "/gemma3.gguf"),
      Loading(packed),
      Loading(WriteFaultSbs(directory)),
      {session, [=] { return Session::Restore(*model, session).status(); }},
      {packed, [=] { return VerifyFile(packed, {.num_threads = 1}).status(); }},
      {npz, [=] { return SparseAutoencoder::Load(npz, options).status(); }}};
}

TEST(SystemFaults, OpeningFiles) {
  SweepUsers(AllReaders(TestDirectory()), FaultKind::kOpen,
             {EIO, EMFILE, EACCES, EINTR});
}

TEST(SystemFaults, MappingFiles) {
  SweepUsers(AllReaders(TestDirectory()), FaultKind::kMap,
             {ENOMEM, EAGAIN, ENODEV});
}

// ---------------------------------------------------------------------------
// Writing

class WriterFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    source_ = WriteFaultGguf(directory_, "gemma3");
    std::filesystem::create_directories(directory_ + "/out");
    model_.emplace(LoadOrDie(source_, FaultOptions()));
    session_.emplace(NewSession(*model_, {.max_tokens = 8}));
    session_->SetTap([this](const TapSite& site, absl::Span<float> x) {
      sums_.Add(site, x);
    });
    ASSERT_TRUE(session_->Append({2, 17}).ok());
  }

  // Returns all operations that write a file.
  std::vector<std::function<absl::Status()>> Writers() {
    return {
        [this] {
          QuantizeOptions options;
          options.type = WeightType::kQ4;
          options.overwrite = true;
          options.num_threads = 1;
          return Quantize(source_, target_, options);
        },
        [this] { return session_->Save(target_); },
        [this] { return sums_.Write(model_->config(), false, {}, target_); }};
  }

  // Makes each call of each writer fail. After an error the target must be
  // unchanged; after a success it must be complete. Its folder must contain no
  // other file.
  void Sweep(FaultKind kind, const std::vector<int>& errors) {
    for (const auto& write : Writers()) {
      ASSERT_EQ(ErrorOf(write()), "OK");
      const std::string expected = ContentsOf(target_);
      for (const int error : errors) {
        SweepSystem(kind, error, target_, [&](Injector& faults) {
          WriteFile(target_, "as it was");
          const absl::Status status = faults(write);
          EXPECT_TRUE(ContentsOf(target_) ==
                      (status.ok() ? expected : "as it was"));
          EXPECT_EQ(FileNames(directory_ + "/out"),
                    std::vector<std::string>{"target"});
          return status;
        });
      }
    }
  }

  const std::string directory_ = TestDirectory();
  const std::string target_ = directory_ + "/out/target";
  std::string source_;
  std::optional<Model> model_;
  std::optional<Session> session_;
  ActivationSums sums_;
};

TEST_F(WriterFaults, Writing) {
  Sweep(FaultKind::kWrite, {EIO, ENOSPC, EDQUOT, EINTR});
}

TEST_F(WriterFaults, ShortWrites) { Sweep(FaultKind::kWrite, {0}); }

TEST_F(WriterFaults, Syncing) { Sweep(FaultKind::kSync, {EIO, ENOSPC, EINTR}); }

TEST_F(WriterFaults, Naming) { Sweep(FaultKind::kName, {EIO, ENOSPC, EROFS}); }

// A model loads also if the files that state the CPU's limits are unreadable.
TEST(SystemFaults, UnreadCpuLimits) {
  const std::string path = WriteFaultGguf(TestDirectory(), "gemma3");
  LoadOptions options = FaultOptions();
  options.num_threads = 0;
  SweepSystem(FaultKind::kRead, EIO, path, [&](Injector& faults) {
    EXPECT_TRUE(faults([&] { return Model::Load(path, options); }).ok());
    return absl::OkStatus();
  });
}

// ---------------------------------------------------------------------------
// Threads

// A model that gets fewer threads computes the same logits.
TEST(ThreadFaults, Loading) {
  const std::string path = WriteFaultGguf(TestDirectory(), "gemma3");
  LoadOptions options = FaultOptions();
  options.num_threads = 3;
  const std::vector<float> expected = FaultLogits(LoadOrDie(path, options));
  SweepSystem(FaultKind::kThread, EAGAIN, path, [&](Injector& faults) {
    const auto model = faults([&] { return Model::Load(path, options); });
    EXPECT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(FaultLogits(*model), expected);
    return absl::OkStatus();
  });
}

TEST(ThreadFaults, Engines) {
  const Model model =
      LoadOrDie(WriteFaultGguf(TestDirectory(), "gemma3"), FaultOptions());
  SweepSystem(FaultKind::kThread, EAGAIN, "thread", [&](Injector& faults) {
    return faults([&] { return Engine::Create(model).status(); });
  });
}

TEST(ThreadFaults, Writing) {
  const std::string directory = TestDirectory();
  const std::string source = WriteFaultGguf(directory, "gemma3");
  QuantizeOptions options;
  options.type = WeightType::kQ4;
  options.num_threads = 3;
  options.overwrite = true;
  const std::string path = directory + "/target";
  SweepSystem(FaultKind::kThread, EAGAIN, path, [&](Injector& faults) {
    EXPECT_TRUE(faults([&] { return Quantize(source, path, options); }).ok());
    return faults(
        [&] { return VerifyFile(path, {.num_threads = 3}).status(); });
  });
}

// num_threads counts the calling thread.
TEST(ThreadFaults, OptionsLimitThreads) {
  const std::string packed = WriteFaultPacked(TestDirectory(), "gemma3");
  SparseAutoencoderOptions autoencoder;
  autoencoder.site = FeatureSite{};
  for (const size_t threads : {1, 3}) {
    autoencoder.num_threads = threads;
    Injector counts({.kind = FaultKind::kThread, .first = UINT64_MAX});
    counts([&] {
      EXPECT_TRUE(VerifyFile(packed, {.num_threads = threads}).ok());
    });
    EXPECT_EQ(counts.calls(), threads - 1);
    counts([&] {
      EXPECT_TRUE(
          SparseAutoencoder::Load(ScopePath("arrays/params.npz"), autoencoder)
              .ok());
    });
    EXPECT_EQ(counts.calls(), 2 * (threads - 1));
  }
  autoencoder.num_threads = 1025;
  EXPECT_EQ(ErrorOf(SparseAutoencoder::Load("any", autoencoder)),
            "num_threads is 1025, wanted 0 (all) to 1024");
}

}  // namespace
}  // namespace gemma::internal
