#include "gemma/quantize.h"

#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "ops/targets.h"
#include "ops/workers.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/formats/checkpoint.h"
#include "src/formats/checkpoint_files.h"
#include "src/model/config/num_threads.h"
#include "src/os/path.h"
#include "src/quantize/write_model.h"

namespace gemma {
namespace {

// Checks that GGUF has the type.
absl::Status CheckIsOfGguf(const char* field, WeightType type,
                           const char* cure) {
  if (type != WeightType::kQ5 && type != WeightType::kQ4S) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      FormatText("%s is %s, which GGUF cannot store, wanted another type%s",
                 field, WeightTypeName(type), cure));
}

absl::Status CheckOptions(const QuantizeOptions& options) {
  GEMMA_RETURN_IF_ERROR(CheckThreads("num_threads", options.num_threads));
  if (options.layout == FileLayout::kGguf) {
    constexpr char kCure[] = " or layout packed";
    GEMMA_RETURN_IF_ERROR(CheckIsOfGguf("type", options.type, kCure));
    if (options.expert_type.has_value()) {
      GEMMA_RETURN_IF_ERROR(
          CheckIsOfGguf("expert_type", *options.expert_type, kCure));
    }
  }
  if (options.table_type.has_value()) {
    GEMMA_RETURN_IF_ERROR(
        CheckIsOfGguf("table_type", *options.table_type,
                      ", because tables are stored row by row"));
  }
  if (options.bits != 0 && !(options.bits >= 1 && options.bits <= 32)) {
    return absl::InvalidArgumentError(
        FormatText("bits is %g, wanted 0 (none) or 1 to 32", options.bits));
  }
  return absl::OkStatus();
}

// Checks that the target does not exist or may be replaced.
absl::Status CheckTarget(const std::string& target, bool overwrite) {
  GEMMA_RETURN_IF_ERROR(CheckFileName(target));
  struct stat info;
  if (lstat(target.c_str(), &info) != 0) return absl::OkStatus();
  if (!overwrite) {
    return absl::AlreadyExistsError(absl::StrCat(target, ": already exists"));
  }
  if (stat(target.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(
        target, ": is a directory or a special file, wanted a regular file"));
  }
  return absl::OkStatus();
}

// Checks that the target would not replace a source, because the written model
// may be less exact.
absl::Status CheckIsNoSource(const std::string& target,
                             const std::string& source,
                             const QuantizeOptions& options) {
  GEMMA_ASSIGN_OR_RETURN(std::vector<std::string> files,
                         CheckpointFiles(source));
  if (!options.importance.empty()) files.push_back(options.importance);
  for (const Adapter& adapter : options.adapters) {
    GEMMA_ASSIGN_OR_RETURN(const std::vector<std::string> of_adapter,
                           CheckpointFiles(adapter.path));
    files.insert(files.end(), of_adapter.begin(), of_adapter.end());
  }
  return CheckIsNoneOf(target, files);
}

}  // namespace

absl::Status Quantize(std::string_view source, std::string_view target,
                      const QuantizeOptions& options) {
  return NoThrow([&]() -> absl::Status {
    GEMMA_RETURN_IF_ERROR(CheckOptions(options));
    const std::string path(target);
    const std::string from(source);
    absl::Status status = CheckTarget(path, options.overwrite);
    if (status.ok()) status = CheckIsNoSource(path, from, options);
    if (!status.ok()) return WithReason(status, ErrorReason::kOutputFile);
    GEMMA_ASSIGN_OR_RETURN(Checkpoint checkpoint, OpenCheckpoint(from));
    Workers workers(NumThreads(options.num_threads));
    FixSimd();
    return WriteModel(std::move(checkpoint), path, options, workers);
  });
}

}  // namespace gemma
