#include "tools/gemma/npy.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/gemma/errors.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = 64 << 10;
constexpr size_t kMaxDimensions = 8;
// Data begins at a multiple of this.
constexpr size_t kAlignment = 64;

// The few kinds of Python literals that a header consists of.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  absl::StatusOr<NpyHeader> Parse();

 private:
  absl::Status Invalid(std::string_view wanted) const {
    return absl::InvalidArgumentError(
        absl::StrCat("the header wants ", wanted, " at byte ", at_));
  }

  void SkipBlanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  // Skips blanks and then `token`, if it is there.
  bool Skip(std::string_view token) {
    SkipBlanks();
    if (!absl::StartsWith(text_.substr(at_), token)) return false;
    at_ += token.size();
    return true;
  }

  absl::StatusOr<std::string_view> String();
  absl::Status Descr();
  absl::Status FortranOrder();
  absl::Status Shape();

  std::string_view text_;
  size_t at_ = 0;
  NpyHeader header_;
};

absl::StatusOr<std::string_view> HeaderParser::String() {
  for (const char quote : {'\'', '"'}) {
    if (!Skip(std::string_view(&quote, 1))) continue;
    const size_t end = text_.find(quote, at_);
    if (end == text_.npos) return Invalid("a closing quote");
    const std::string_view value = text_.substr(at_, end - at_);
    at_ = end + 1;
    return value;
  }
  return Invalid("a string");
}

absl::Status HeaderParser::Descr() {
  if (Skip("[")) {
    return absl::InvalidArgumentError(
        "a structured array; wanted float32, int32 or int64");
  }
  GEMMA_TOOLS_ASSIGN_OR_RETURN(const std::string_view descr, String());
  if (descr == "<f4") {
    header_.type = NpyType::kFloat32;
  } else if (descr == "<i4") {
    header_.type = NpyType::kInt32;
  } else if (descr == "<i8") {
    header_.type = NpyType::kInt64;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("type '", descr,
                     "'; wanted '<f4' (float32), '<i4' (int32) or '<i8' "
                     "(int64), no objects"));
  }
  return absl::OkStatus();
}

absl::Status HeaderParser::FortranOrder() {
  if (Skip("False")) return absl::OkStatus();
  if (!Skip("True")) return Invalid("False");
  return absl::InvalidArgumentError(
      "Fortran order; wanted C order (numpy.ascontiguousarray)");
}

absl::Status HeaderParser::Shape() {
  if (!Skip("(")) return Invalid("a shape");
  while (!Skip(")")) {
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    uint64_t extent = 0;
    if (!absl::SimpleAtoi(text_.substr(begin, at_ - begin), &extent)) {
      return Invalid("an extent");
    }
    if (header_.shape.size() == kMaxDimensions) return Invalid("fewer extents");
    header_.shape.push_back(extent);
    if (__builtin_mul_overflow(header_.num_values, extent,
                               &header_.num_values)) {
      return Invalid("smaller extents");
    }
    if (!Skip(",") && !(Skip(")"))) return Invalid("a comma");
    if (text_[at_ - 1] == ')') break;
  }
  return absl::OkStatus();
}

absl::StatusOr<NpyHeader> HeaderParser::Parse() {
  bool descr = false, fortran_order = false, shape = false;
  if (!Skip("{")) return Invalid("a dictionary");
  while (!Skip("}")) {
    GEMMA_TOOLS_ASSIGN_OR_RETURN(const std::string_view key, String());
    if (!Skip(":")) return Invalid("a colon");
    if (key == "descr" && !std::exchange(descr, true)) {
      GEMMA_TOOLS_RETURN_IF_ERROR(Descr());
    } else if (key == "fortran_order" && !std::exchange(fortran_order, true)) {
      GEMMA_TOOLS_RETURN_IF_ERROR(FortranOrder());
    } else if (key == "shape" && !std::exchange(shape, true)) {
      GEMMA_TOOLS_RETURN_IF_ERROR(Shape());
    } else {
      return Invalid("descr, fortran_order and shape, each once,");
    }
    if (!Skip(",")) {
      if (!Skip("}")) return Invalid("a comma");
      break;
    }
  }
  SkipBlanks();
  if (at_ != text_.size()) return Invalid("no more");
  if (!descr || !fortran_order || !shape) {
    return Invalid("descr, fortran_order and shape");
  }
  if (__builtin_mul_overflow(header_.num_values, NpyTypeBytes(header_.type),
                             &header_.data_bytes)) {
    return Invalid("a smaller shape");
  }
  return header_;
}

}  // namespace

size_t NpyTypeBytes(NpyType type) { return type == NpyType::kInt64 ? 8 : 4; }

std::string_view NpyTypeName(NpyType type) {
  switch (type) {
    case NpyType::kFloat32:
      return "float32";
    case NpyType::kInt32:
      return "int32";
    case NpyType::kInt64:
      return "int64";
  }
  return "";
}

std::string ShapeText(const NpyHeader& header) {
  return absl::StrCat("[", absl::StrJoin(header.shape, ", "), "]");
}

absl::StatusOr<size_t> NpyHeaderBytes(absl::Span<const uint8_t> prefix) {
  const std::string_view chars(reinterpret_cast<const char*>(prefix.data()),
                               prefix.size());
  if (prefix.size() < kNpyPrefixBytes || !absl::StartsWith(chars, kMagic)) {
    return absl::InvalidArgumentError("not a NumPy array");
  }
  const int version = prefix[6];
  const size_t low = prefix[8] + size_t{256} * prefix[9];
  if (version == 1) return low;
  if (version != 2 && version != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("NumPy format ", version, "; wanted 1, 2 or 3"));
  }
  // The upper two bytes of the size follow; they must be zero, which
  // ParseNpyHeader sees.
  if (low > kMaxHeaderBytes - 2) {
    return absl::InvalidArgumentError("the header is larger than 64 KiB");
  }
  return low + 2;
}

absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view text) {
  // What is left of version 2's size.
  if (absl::StartsWith(text, std::string_view("\0\0", 2))) {
    text.remove_prefix(2);
  }
  return HeaderParser(text).Parse();
}

absl::StatusOr<NpyWriter> NpyWriter::Create(const std::string& path,
                                            size_t rows, size_t cols) {
  std::string header =
      absl::StrCat("{'descr': '<f4', 'fortran_order': False, 'shape': (", rows,
                   ", ", cols, "), }");
  const size_t used = kNpyPrefixBytes + header.size() + 1;
  header.append((kAlignment - used % kAlignment) % kAlignment, ' ');
  header.push_back('\n');
  std::string prefix = absl::StrCat(kMagic, std::string_view("\x01\x00", 2));
  prefix.push_back(static_cast<char>(header.size() & 0xFF));
  prefix.push_back(static_cast<char>(header.size() >> 8));

  GEMMA_TOOLS_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path));
  GEMMA_TOOLS_RETURN_IF_ERROR(file.Write(prefix));
  GEMMA_TOOLS_RETURN_IF_ERROR(file.Write(header));
  return NpyWriter(std::move(file), uint64_t{rows} * cols);
}

absl::Status NpyWriter::Append(absl::Span<const float> values) {
  if (values.size() > values_left_) {
    return absl::InternalError("more rows than the file was made for");
  }
  values_left_ -= values.size();
  return file_.Write({reinterpret_cast<const char*>(values.data()),
                      values.size() * sizeof(float)});
}

absl::Status NpyWriter::Finish() {
  if (values_left_ != 0) {
    return absl::InternalError("fewer rows than the file was made for");
  }
  return file_.Commit();
}

}  // namespace gemma::tools
