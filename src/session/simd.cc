#include "gemma/simd.h"

#include <utility>

#include "ops/cpu.h"
#include "ops/products/kernel_table.h"
#include "ops/targets.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/listing.h"
#include "src/base/messages.h"
#include "src/base/no_throw.h"

namespace gemma {
namespace {

// ", wanted one of 'avx2', 'avx512'"
std::string Wanted() {
  const std::vector<std::string> caps = PossibleCaps();
  return caps.empty() ? "; this build has kernels without a cap only"
                      : FormatText(", wanted one of %s", QuotedListing(caps));
}

absl::Status Cap(std::string_view name) {
  switch (SetSimdCap(name)) {
    case CapResult::kOk:
      return absl::OkStatus();
    case CapResult::kUnknown:
      return absl::InvalidArgumentError(
          FormatText("simd: %s is unknown%s", Quoted(name), Wanted()));
    case CapResult::kImpossible:
      return absl::InvalidArgumentError(FormatText(
          "simd: this CPU or this build lacks %s%s", Quoted(name), Wanted()));
    case CapResult::kTooLate:
      break;
  }
  const std::string_view cap = CurrentCap();
  return absl::FailedPreconditionError(FormatText(
      "simd: %s comes after the first model, which uses %s; before the first "
      "model, the cap may be one of %s",
      Quoted(name),
      cap.empty() ? std::string("all that the CPU has") : Quoted(cap),
      QuotedListing(PossibleCaps())));
}

}  // namespace

absl::Status CapSimd(std::string_view name) {
  return NoThrow([&] { return Cap(name); });
}

SimdUse GetSimdUse() {
  SimdUse use;
  use.cpu = FeatureNames(FeaturesOfCpu());
  use.compiled = CompiledTargets();
  use.caps = PossibleCaps();
  use.cap = CurrentCap();
  use.chosen = ChosenTarget();
  for (ProductKernels& kernels : KernelsInUse()) {
    use.products.push_back({std::move(kernels.weights),
                            std::move(kernels.decode),
                            std::move(kernels.prefill)});
  }
  if (!CapHasKernels()) {
    use.note = FormatText(
        "this build has no kernels for the cap %s alone; those for %s run",
        Quoted(use.cap), use.chosen);
  }
  return use;
}

std::vector<std::string> SimdNames() {
  std::vector<std::string> names;
  for (const SimdCap& cap : SimdCaps()) {
    // All CPUs of an architecture share the first features.
    const bool is_ours = (cap.features & FeaturesOfCpu()) != 0;
    if (is_ours) names.emplace_back(cap.name);
  }
  return names;
}

}  // namespace gemma
