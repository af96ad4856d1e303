#include "tools/gemma/io/npy.h"

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/formats/npy_header.h"
#include "src/os/atomic_file.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

// Data begins at a multiple of this.
constexpr size_t kAlignment = 64;

}  // namespace

absl::StatusOr<NpyWriter> NpyWriter::Create(const std::string& path,
                                            size_t rows, size_t cols) {
  std::string header =
      absl::StrCat("{'descr': '<f4', 'fortran_order': False, 'shape': (", rows,
                   ", ", cols, "), }");
  const size_t used = kNpyPrefixBytes + header.size() + 1;
  header.append((kAlignment - used % kAlignment) % kAlignment, ' ');
  header.push_back('\n');
  std::string prefix = absl::StrCat(kNpyMagic, std::string_view("\x01\x00", 2));
  prefix.push_back(static_cast<char>(header.size() & 0xFF));
  prefix.push_back(static_cast<char>(header.size() >> 8));

  GEMMA_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::CreateOutput(path));
  GEMMA_RETURN_IF_ERROR(file.Write(prefix));
  GEMMA_RETURN_IF_ERROR(file.Write(header));
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
