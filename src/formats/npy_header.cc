#include "src/formats/npy_header.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/bytes.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxNpyHeaderBytes = 64 << 10;
constexpr size_t kMaxDimensions = 8;

struct TypeInfo {
  NpyType type;
  std::string_view descr;
  std::string_view name;
  size_t bytes;
};
constexpr TypeInfo kNpyTypes[] = {
    {NpyType::kFloat16, "<f2", "float16", 2},
    {NpyType::kFloat32, "<f4", "float32", 4},
    {NpyType::kFloat64, "<f8", "float64", 8},
    {NpyType::kInt32, "<i4", "int32", 4},
    {NpyType::kInt64, "<i8", "int64", 8},
};

const TypeInfo& InfoOf(NpyType type) {
  return kNpyTypes[static_cast<size_t>(type)];
}

// Parses the few kinds of Python literals that a header contains.
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

  // Skips blanks, then `token` if it comes next. Returns whether it did.
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
    return absl::InvalidArgumentError("a structured array; wanted numbers");
  }
  GEMMA_ASSIGN_OR_RETURN(const std::string_view descr, String());
  for (const TypeInfo& info : kNpyTypes) {
    if (info.descr != descr) continue;
    header_.type = info.type;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("type ", Quoted(descr),
                   "; wanted '<f2', '<f4', '<f8', '<i4' or '<i8', no objects"));
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
    GEMMA_ASSIGN_OR_RETURN(const std::string_view key, String());
    if (!Skip(":")) return Invalid("a colon");
    if (key == "descr" && !std::exchange(descr, true)) {
      GEMMA_RETURN_IF_ERROR(Descr());
    } else if (key == "fortran_order" && !std::exchange(fortran_order, true)) {
      GEMMA_RETURN_IF_ERROR(FortranOrder());
    } else if (key == "shape" && !std::exchange(shape, true)) {
      GEMMA_RETURN_IF_ERROR(Shape());
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

size_t NpyTypeBytes(NpyType type) { return InfoOf(type).bytes; }
std::string_view NpyTypeName(NpyType type) { return InfoOf(type).name; }

std::string ShapeText(const NpyHeader& header) {
  return absl::StrCat("[", absl::StrJoin(header.shape, ", "), "]");
}

absl::StatusOr<size_t> NpyHeaderBytes(absl::Span<const uint8_t> prefix) {
  if (prefix.size() < kNpyPrefixBytes ||
      !absl::StartsWith(AsText(prefix), kNpyMagic)) {
    return absl::InvalidArgumentError("not a NumPy array");
  }
  const int version = prefix[6];
  const size_t low = prefix[8] + size_t{256} * prefix[9];
  if (version == 1) return low;
  if (version != 2 && version != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("NumPy format ", version, "; wanted 1, 2 or 3"));
  }
  // The upper two bytes of the size are the start of the text. They must be
  // zero; ParseNpyHeader checks them.
  if (low > kMaxNpyHeaderBytes - 2) {
    return absl::InvalidArgumentError("the header is larger than 64 KiB");
  }
  return low + 2;
}

absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view text) {
  // The upper two bytes of the size in versions 2 and 3.
  if (absl::StartsWith(text, std::string_view("\0\0", 2))) {
    text.remove_prefix(2);
  }
  return HeaderParser(text).Parse();
}

}  // namespace gemma::internal
