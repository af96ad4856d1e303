#include "src/scope/autoencoder_file.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compression/codec.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/formats/npz.h"
#include "src/formats/safetensors.h"
#include "src/formats/wrong_file.h"

namespace gemma::internal {
namespace {

namespace fs = std::filesystem;

// Far above the published sizes: residual streams of up to 5,376 values and a
// million features.
constexpr size_t kMaxDim = size_t{1} << 16;
constexpr size_t kMaxFeatures = size_t{1} << 22;

// Weights shrink by a few percent when deflated. A large array with a higher
// ratio than this would only fill memory.
constexpr uint64_t kSmallArray = uint64_t{1} << 20;
constexpr uint64_t kMaxDeflateRatio = 64;

constexpr std::string_view kNpzName = "params.npz";
constexpr std::string_view kSafetensorsName = "params.safetensors";

std::string ShapeText(absl::Span<const size_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// Releases the pages of one array of a file as they are read.
class ReadPages {
 public:
  explicit ReadPages(const MappedFile& file) : file_(file) {}

  // read: all bytes read so far, from the start of the array.
  void Release(absl::Span<const uint8_t> read) {
    constexpr size_t kAtLeast = size_t{4} << 20;
    if (read.size() - released_ < kAtLeast) return;
    file_.Release(read.subspan(released_));
    released_ = read.size();
  }

 private:
  const MappedFile& file_;
  size_t released_ = 0;
};

class NpzReader : public ArrayReader {
 public:
  NpzReader(const MappedFile& file, NpzArray array)
      : pages_(file), array_(std::move(array)) {}

  absl::Status Read(absl::Span<float> values) override {
    GEMMA_RETURN_IF_ERROR(array_.Read(values));
    pages_.Release(array_.packed_read());
    return absl::OkStatus();
  }
  absl::Status Finish() override { return array_.Finish(); }

 private:
  ReadPages pages_;
  NpzArray array_;
};

class TensorReader : public ArrayReader {
 public:
  TensorReader(const MappedFile& file, const Tensor& tensor)
      : pages_(file), tensor_(tensor) {}

  absl::Status Read(absl::Span<float> values) override {
    const WeightView view = {tensor_.format, 1, values.size(),
                             tensor_.data + read_bytes_};
    if (view.RowBytes() > tensor_.bytes - read_bytes_) {
      return absl::OutOfRangeError("no more values");
    }
    DecodeRow(view, 0, values.data());
    read_bytes_ += view.RowBytes();
    pages_.Release({tensor_.data, read_bytes_});
    return absl::OkStatus();
  }
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  ReadPages pages_;
  Tensor tensor_;
  size_t read_bytes_ = 0;
};

// Opens the arrays of a file by name.
class Arrays {
 public:
  virtual ~Arrays() = default;
  virtual bool Has(std::string_view name) const = 0;
  virtual absl::StatusOr<ArrayInFile> Open(std::string_view name) const = 0;
};

class NpzArrays : public Arrays {
 public:
  static absl::StatusOr<NpzArrays> Parse(const MappedFile& file) {
    GEMMA_ASSIGN_OR_RETURN(Npz npz, Npz::Parse(file.bytes(), file.path()));
    return NpzArrays(file, std::move(npz));
  }

  bool Has(std::string_view name) const override { return npz_.Has(name); }

  absl::StatusOr<ArrayInFile> Open(std::string_view name) const override {
    GEMMA_ASSIGN_OR_RETURN(NpzArray array, npz_.Open(name));
    ArrayInFile out;
    out.where = absl::StrCat(file_.path(), ": array ", Quoted(name));
    const NpyHeader& header = array.header();
    out.shape.assign(header.shape.begin(), header.shape.end());
    if (!IsFloat(header.type)) {
      return absl::InvalidArgumentError(
          absl::StrCat(out.where, " is of ", NpyTypeName(header.type),
                       ", wanted float32, float16 or float64"));
    }
    if (header.data_bytes > kSmallArray &&
        header.data_bytes / kMaxDeflateRatio > array.packed_bytes()) {
      return absl::InvalidArgumentError(absl::StrCat(
          out.where, " has ", header.data_bytes, " bytes, deflated to ",
          array.packed_bytes(), ": weights are not so uniform"));
    }
    out.values = std::make_unique<NpzReader>(file_, std::move(array));
    return out;
  }

 private:
  NpzArrays(const MappedFile& file, Npz npz)
      : file_(file), npz_(std::move(npz)) {}

  const MappedFile& file_;
  Npz npz_;
};

class SafetensorsArrays : public Arrays {
 public:
  static absl::StatusOr<SafetensorsArrays> Parse(const MappedFile& file) {
    GEMMA_ASSIGN_OR_RETURN(SafetensorsFile tensors,
                           ParseSafetensors(file.bytes(), file.path()));
    return SafetensorsArrays(file, std::move(tensors));
  }

  bool Has(std::string_view name) const override {
    return tensors_.tensors.contains(name) || tensors_.skipped.contains(name);
  }

  absl::StatusOr<ArrayInFile> Open(std::string_view name) const override {
    ArrayInFile out;
    out.where = absl::StrCat(file_.path(), ": tensor ", Quoted(name));
    const auto found = tensors_.tensors.find(name);
    if (found == tensors_.tensors.end()) {
      const auto skipped = tensors_.skipped.find(name);
      return skipped != tensors_.skipped.end()
                 ? OtherType(out.where, skipped->second)
                 : absl::InvalidArgumentError(absl::StrCat(
                       file_.path(), ": no tensor ", Quoted(name)));
    }
    const Format format = found->second.format;
    if (format != Format::kF32 && format != Format::kBF16 &&
        format != Format::kF16) {
      return OtherType(out.where, FormatName(format));
    }
    out.shape = found->second.shape;
    out.values = std::make_unique<TensorReader>(file_, found->second);
    return out;
  }

 private:
  static absl::Status OtherType(std::string_view where, std::string_view type) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, " is of type ", type, ", wanted F32, BF16 or F16"));
  }

  SafetensorsArrays(const MappedFile& file, SafetensorsFile tensors)
      : file_(file), tensors_(std::move(tensors)) {}

  const MappedFile& file_;
  SafetensorsFile tensors_;
};

// Opens the array `name`, or, as in the first files, `name` with a capital
// letter.
absl::StatusOr<ArrayInFile> OpenEither(const Arrays& arrays,
                                       std::string_view path,
                                       std::string_view name) {
  std::string capital(name);
  capital[0] = static_cast<char>(capital[0] - 'a' + 'A');
  if (arrays.Has(name) && arrays.Has(capital)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has both ", Quoted(name), " and ",
                     Quoted(capital), ", wanted one of them"));
  }
  return arrays.Open(arrays.Has(capital) ? capital : name);
}

absl::Status OpenArrays(const Arrays& arrays, AutoencoderFile& out) {
  constexpr std::string_view kSkip = "affine_skip_connection";
  GEMMA_ASSIGN_OR_RETURN(out.w_enc, OpenEither(arrays, out.path, "w_enc"));
  GEMMA_ASSIGN_OR_RETURN(out.w_dec, OpenEither(arrays, out.path, "w_dec"));
  GEMMA_ASSIGN_OR_RETURN(out.b_enc, arrays.Open("b_enc"));
  GEMMA_ASSIGN_OR_RETURN(out.b_dec, arrays.Open("b_dec"));
  GEMMA_ASSIGN_OR_RETURN(out.threshold, arrays.Open("threshold"));
  if (arrays.Has(kSkip)) {
    GEMMA_ASSIGN_OR_RETURN(out.skip, arrays.Open(kSkip));
  }
  return absl::OkStatus();
}

// Checks all shapes against those of w_enc and w_dec.
absl::Status CheckShapes(const AutoencoderFile& file) {
  for (const ArrayInFile* matrix : {&file.w_enc, &file.w_dec}) {
    if (matrix->shape.size() != 2) {
      return absl::InvalidArgumentError(
          absl::StrCat(matrix->where, " is ", ShapeText(matrix->shape),
                       ", wanted two dimensions"));
    }
  }
  const size_t input_dim = file.input_dim();
  const size_t num_features = file.num_features();
  const size_t output_dim = file.output_dim();
  const auto check = [](const ArrayInFile& array,
                        const std::vector<size_t>& wanted) {
    if (array.shape == wanted) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(array.where, " is ", ShapeText(array.shape), ", wanted ",
                     ShapeText(wanted)));
  };
  const auto limit = [&](std::string_view what, size_t found, size_t most) {
    if (found >= 1 && found <= most) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        file.path, ": has ", found, " ", what, ", wanted 1 to ", most));
  };
  GEMMA_RETURN_IF_ERROR(limit("columns of input", input_dim, kMaxDim));
  GEMMA_RETURN_IF_ERROR(limit("columns of output", output_dim, kMaxDim));
  GEMMA_RETURN_IF_ERROR(limit("features", num_features, kMaxFeatures));
  GEMMA_RETURN_IF_ERROR(check(file.w_enc, {input_dim, num_features}));
  GEMMA_RETURN_IF_ERROR(check(file.b_enc, {num_features}));
  GEMMA_RETURN_IF_ERROR(check(file.threshold, {num_features}));
  GEMMA_RETURN_IF_ERROR(check(file.b_dec, {output_dim}));
  if (!file.skip.has_value()) return absl::OkStatus();
  return check(*file.skip, {input_dim, output_dim});
}

// Returns the path of the file with the arrays.
absl::StatusOr<std::string> FindFile(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path;
  std::vector<std::string> found;
  for (const std::string_view name : {kNpzName, kSafetensorsName}) {
    const fs::path file = fs::path(path) / name;
    if (fs::exists(file, error)) found.push_back(file.string());
  }
  if (found.size() == 1) return found[0];
  return absl::InvalidArgumentError(absl::StrCat(
      path, found.empty() ? ": has neither " : ": has both ", kNpzName,
      found.empty() ? " nor " : " and ", kSafetensorsName,
      found.empty() ? "" : ", wanted one of them"));
}

absl::StatusOr<std::optional<Json>> ReadConfig(const std::string& path) {
  const fs::path file = fs::path(path).parent_path() / "config.json";
  std::error_code error;
  if (!fs::exists(file, error)) return std::nullopt;
  GEMMA_ASSIGN_OR_RETURN(const MappedFile text, OpenModelFile(file.string()));
  GEMMA_ASSIGN_OR_RETURN(Json config, Json::Parse(text.text(), file.string()));
  if (!config.is_object()) return config.Unexpected("an object");
  return config;
}

bool IsZip(const MappedFile& file) {
  return absl::StartsWith(file.text(), "PK\x03\x04") ||
         absl::EndsWith(file.path(), ".npz");
}

}  // namespace

absl::StatusOr<AutoencoderFile> OpenAutoencoder(const std::string& path) {
  AutoencoderFile out;
  GEMMA_ASSIGN_OR_RETURN(out.path, FindFile(path));
  GEMMA_ASSIGN_OR_RETURN(MappedFile file, OpenModelFile(out.path));
  out.file = std::make_unique<const MappedFile>(std::move(file));
  if (IsZip(*out.file)) {
    GEMMA_ASSIGN_OR_RETURN(const NpzArrays arrays, NpzArrays::Parse(*out.file));
    GEMMA_RETURN_IF_ERROR(OpenArrays(arrays, out));
  } else if (absl::EndsWith(out.path, ".safetensors")) {
    GEMMA_ASSIGN_OR_RETURN(const SafetensorsArrays arrays,
                           SafetensorsArrays::Parse(*out.file));
    GEMMA_RETURN_IF_ERROR(OpenArrays(arrays, out));
    GEMMA_ASSIGN_OR_RETURN(out.config, ReadConfig(out.path));
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        out.path, ": is not an autoencoder, wanted .npz or .safetensors"));
  }
  GEMMA_RETURN_IF_ERROR(CheckShapes(out));
  return out;
}

}  // namespace gemma::internal
