// The records in gemma.cpp's files: fields without names, 32-bit words in a
// fixed order.
//   record   its size in words, itself not counted, then its fields
//   string   its size in words, then ASCII bytes, padded with zeros
//   list     the number of its elements, then the elements
// A record may lack the last fields, if its writer was older, or have more
// fields than are known here.

#ifndef GEMMA_SRC_FORMATS_SBS_FIELDS_H_
#define GEMMA_SRC_FORMATS_SBS_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace gemma::internal {

// Reads the fields of nested records in order. If a record lacks a field, its
// value stays unchanged. Messages name the file, the blob and the field.
class SbsFields {
 public:
  // `where` is for messages: "file: blob 'config'".
  SbsFields(absl::Span<const uint8_t> bytes, std::string where)
      : bytes_(bytes), where_(std::move(where)) {}

  // Whether all bytes are read. Valid only between records.
  bool AtEnd() const { return position_ == bytes_.size(); }

  // Begin and end a record, which must lie within the enclosing record. Leave
  // skips unread fields.
  absl::Status Enter(std::string_view name);
  void Leave();

  absl::Status Read(std::string_view name, uint32_t& value);
  absl::Status Read(std::string_view name, size_t& value);
  absl::Status Read(std::string_view name, bool& value);   // 0 or 1
  absl::Status Read(std::string_view name, float& value);  // finite
  absl::Status Read(std::string_view name, std::string& value);
  // Reads the number of a list's elements, each at least one word.
  absl::Status ReadCount(std::string_view name, size_t& count);
  absl::Status Skip(std::string_view name);

  // Returns an InvalidArgument error that begins with `where`.
  absl::Status Error(std::string_view what) const;

 private:
  size_t End() const { return ends_.empty() ? bytes_.size() : ends_.back(); }
  // Reads the next word. Returns false at the end of the record.
  bool Next(uint32_t& word);

  absl::Span<const uint8_t> bytes_;
  std::string where_;
  size_t position_ = 0;  // in bytes, at most End()
  std::vector<size_t> ends_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_SBS_FIELDS_H_
