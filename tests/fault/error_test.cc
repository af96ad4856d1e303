// Allocations that fail while errors are made.

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "gemma/gemma.h"
#include "gtest/gtest.h"
#include "tests/fault/fault_toys.h"
#include "tests/fault/faults.h"
#include "tests/support/in_tap.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

// Runs `fail` once for each of its allocations, which then fails. Without a
// fault, it must return an error with this code.
void SweepError(absl::StatusCode code, absl::FunctionRef<absl::Status()> fail) {
  SweepMemory([&](Injector& faults) {
    const absl::Status status = faults([&] { return fail(); });
    return status.code() == code ? absl::OkStatus() : status;
  });
}

TEST(ErrorFaults, Embedders) {
  const Model continues =
      LoadOrDie(WriteFaultGguf(TestDirectory(), "gemma3"), FaultOptions());
  SweepError(absl::StatusCode::kFailedPrecondition,
             [&] { return Embedder::Create(continues).status(); });
  const std::string path = GEMMA_TESTDATA_DIR "/gguf/gemma_embedding.gguf";
  const Model embeds = LoadOrDie(path, FaultOptions());
  SweepError(absl::StatusCode::kInvalidArgument, [&] {
    return Embedder::Create(embeds, {.max_tokens = 1}).status();
  });
  LoadOptions options = FaultOptions();
  options.skip_weights = true;
  const Model planned = LoadOrDie(path, options);
  SweepError(absl::StatusCode::kFailedPrecondition,
             [&] { return Embedder::Create(planned).status(); });
}

// Creates rows of two values. The argument is allocated without faults.
absl::Status CreateRows(const std::vector<float>& values, RowMask mask) {
  std::vector<float> copy;
  {
    const Exempt ours;
    copy = values;
  }
  return InputRows::Create(std::move(copy), 2, mask).status();
}

TEST(ErrorFaults, Rows) {
  const std::vector<float> good = {1, 2};
  const std::vector<float> uneven = {1, 2, 3};
  const std::vector<float> infinite = {1,
                                       std::numeric_limits<float>::infinity()};
  for (const RowMask mask : {RowMask::kCausal, RowMask::kBidirectional}) {
    SweepError(absl::StatusCode::kOk, [&] { return CreateRows(good, mask); });
    SweepError(absl::StatusCode::kInvalidArgument,
               [&] { return CreateRows(uneven, mask); });
    SweepError(absl::StatusCode::kInvalidArgument,
               [&] { return CreateRows(infinite, mask); });
  }
}

TEST(ErrorFaults, Reasons) {
  const absl::Status error = absl::NotFoundError("a text that is not short");
  SweepError(absl::StatusCode::kNotFound,
             [&] { return WithReason(error, ErrorReason::kNoTokenizer); });
}

TEST(ErrorFaults, CallsInTaps) {
  const Model model =
      LoadOrDie(WriteFaultGguf(TestDirectory(), "gemma3"), FaultOptions());
  Session session = NewSession(model, {.max_tokens = 8});
  InTap(session, [&] {
    SweepError(absl::StatusCode::kFailedPrecondition,
               [&] { return session.Checkpoint(); });
    SweepError(absl::StatusCode::kFailedPrecondition,
               [&] { return session.Rewind(0); });
    SweepError(absl::StatusCode::kFailedPrecondition,
               [&] { return session.Fork().status(); });
  });
}

}  // namespace
}  // namespace gemma::internal
