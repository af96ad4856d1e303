#include "gemma/verify_file.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/crc/crc32c.h"
#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "ops/workers.h"
#include "src/base/bytes.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/formats/gguf.h"
#include "src/formats/gguf_writer.h"
#include "src/formats/wrong_file.h"
#include "src/model/config/num_threads.h"
#include "src/model/tensors/finite.h"
#include "src/os/mapped_file.h"

namespace gemma {
namespace {

using NamedTensor = std::pair<std::string_view, const Tensor*>;

// Returns the tensors in the order of the file.
std::vector<NamedTensor> SortedTensors(const TensorTable& table) {
  std::vector<NamedTensor> tensors;
  for (const auto& [name, tensor] : table) tensors.emplace_back(name, &tensor);
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return a.second->data < b.second->data;
  });
  return tensors;
}

// Computes the checksum of everything before the tensor data. The bytes of the
// stored checksum, `own`, count as zeros.
uint32_t HeaderChecksum(absl::Span<const uint8_t> header,
                        absl::Span<const uint8_t> own) {
  constexpr char kZeros[sizeof(uint32_t)] = {};
  const size_t at = static_cast<size_t>(own.data() - header.data());
  absl::crc32c_t sum = absl::ComputeCrc32c(AsText(header.first(at)));
  sum = absl::ExtendCrc32c(sum, {kZeros, sizeof(kZeros)});
  sum = absl::ExtendCrc32c(sum, AsText(header.subspan(at + sizeof(kZeros))));
  return static_cast<uint32_t>(sum);
}

class Verifier {
 public:
  Verifier(const MappedFile& file, const GgufFile& gguf,
           const VerifyOptions& options)
      : file_(file),
        gguf_(gguf),
        tensors_(SortedTensors(gguf.tensors)),
        options_(options) {
    for (const auto& [name, tensor] : tensors_) total_bytes_ += tensor->bytes;
  }

  absl::StatusOr<FileCheck> Verify() {
    FileCheck check;
    check.has_checksums = gguf_.metadata.Has(kTensorChecksumsKey) ||
                          gguf_.metadata.Has(kHeaderChecksumKey);
    if (check.has_checksums) GEMMA_RETURN_IF_ERROR(ReadChecksums());
    Workers workers(NumThreads(options_.num_threads));
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const auto& [name, tensor] = tensors_[i];
      if (check.has_checksums) {
        GEMMA_RETURN_IF_ERROR(CheckSum(name, *tensor, checksums_[i]));
      }
      GEMMA_RETURN_IF_ERROR(CheckFinite(name, *tensor, workers));
      file_.Release({tensor->data, tensor->bytes});
      check.bytes += tensor->bytes;
      ++check.tensors;
      if (options_.progress && !options_.progress(check.bytes, total_bytes_)) {
        return absl::CancelledError("verifying was cancelled");
      }
    }
    return check;
  }

 private:
  absl::Status Damaged(std::string_view what) const {
    return WithReason(
        absl::DataLossError(absl::StrCat(file_.path(), ": ", what)),
        ErrorReason::kDamagedFile);
  }

  // Reads the checksums and checks that of the header.
  absl::Status ReadChecksums() {
    const GgufMetadata& metadata = gguf_.metadata;
    uint32_t wanted = 0;
    std::vector<int64_t> checksums;
    GEMMA_RETURN_IF_ERROR(metadata.ReadRequired(kHeaderChecksumKey, wanted));
    GEMMA_RETURN_IF_ERROR(
        metadata.ReadRequired(kTensorChecksumsKey, checksums));
    const absl::Span<const uint8_t> own = metadata.RawValue(kHeaderChecksumKey);
    if (metadata.TypeOf(kHeaderChecksumKey) != GgufType::kUint32 ||
        checksums.size() != tensors_.size()) {
      return Damaged(FormatText(
          "has %u checksums for %u tensors: another program changed the file",
          checksums.size(), tensors_.size()));
    }
    const uint8_t* data_begin = tensors_.empty()
                                    ? file_.bytes().data() + file_.size()
                                    : tensors_[0].second->data;
    const absl::Span<const uint8_t> header = file_.bytes().first(
        static_cast<size_t>(data_begin - file_.bytes().data()));
    if (HeaderChecksum(header, own.last(sizeof(wanted))) != wanted) {
      return Damaged(
          "the part before the weights (configuration, tokenizer, names) does "
          "not match its checksum: it was changed");
    }
    checksums_.assign(checksums.begin(), checksums.end());
    return absl::OkStatus();
  }

  absl::Status CheckSum(std::string_view name, const Tensor& tensor,
                        int64_t wanted) const {
    const auto found = static_cast<uint32_t>(
        absl::ComputeCrc32c(AsText({tensor.data, tensor.bytes})));
    if (found == wanted) return absl::OkStatus();
    return Damaged(FormatText(
        "tensor %s has the checksum %08x, wanted %08x: it was changed",
        Quoted(name), found, wanted));
  }

  absl::Status CheckFinite(std::string_view name, const Tensor& tensor,
                           Workers& workers) const {
    std::optional<WeightPosition> at;
    if (tensor.packed.has_value()) {
      at = FindInPacked(tensor, workers);
    } else {
      at = FindNonFinite(RowsOf(tensor), workers);
    }
    if (!at.has_value()) return absl::OkStatus();
    return absl::InvalidArgumentError(FormatText(
        "%s: tensor %s has a value that is not finite at row %u, column %u",
        file_.path(), Quoted(name), at->row, at->col));
  }

  // Searches matrices that are packed one after the other. Rows are numbered
  // across all of them.
  static std::optional<WeightPosition> FindInPacked(const Tensor& tensor,
                                                    Workers& workers) {
    const WeightView all = RowsOf(tensor);
    const size_t dims = tensor.shape.size();
    const size_t rows = dims < 2 ? 1 : tensor.shape[dims - 2];
    PackedView matrix = {*tensor.packed, rows, all.cols, tensor.data};
    for (size_t first = 0; first < all.rows; first += rows) {
      if (auto at = FindNonFinite(matrix, workers)) {
        return WeightPosition{first + at->row, at->col};
      }
      matrix.data += matrix.Bytes();
    }
    return std::nullopt;
  }

  const MappedFile& file_;
  const GgufFile& gguf_;
  const std::vector<NamedTensor> tensors_;
  const VerifyOptions& options_;
  std::vector<int64_t> checksums_;  // in the order of tensors_
  uint64_t total_bytes_ = 0;
};

}  // namespace

absl::StatusOr<FileCheck> VerifyFile(std::string_view path,
                                     const VerifyOptions& options) {
  return NoThrow([&]() -> absl::StatusOr<FileCheck> {
    GEMMA_RETURN_IF_ERROR(CheckThreads("num_threads", options.num_threads));
    GEMMA_ASSIGN_OR_RETURN(const MappedFile file,
                           OpenModelFile(std::string(path)));
    GEMMA_ASSIGN_OR_RETURN(const GgufFile gguf,
                           ParseGguf(file.bytes(), file.path()));
    return Verifier(file, gguf, options).Verify();
  });
}

}  // namespace gemma
