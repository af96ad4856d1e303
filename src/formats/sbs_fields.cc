#include "src/formats/sbs_fields.h"

#include <bit>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "src/base/checked_reader.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

constexpr size_t kWordBytes = sizeof(uint32_t);
constexpr size_t kMaxStringWords = 64;
constexpr size_t kMaxElements = 65536;

}  // namespace

absl::Status SbsFields::Error(std::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(where_, ": ", what));
}

bool SbsFields::Next(uint32_t& word) {
  CheckedReader reader(bytes_.subspan(position_, End() - position_));
  if (!reader.Read(word)) return false;
  position_ += reader.position();
  return true;
}

absl::Status SbsFields::Enter(std::string_view name) {
  uint32_t words = 0;
  // A missing record counts as an empty one.
  if (!Next(words)) words = 0;
  const size_t remaining = (End() - position_) / kWordBytes;
  if (words > remaining) {
    return Error(absl::StrCat("record '", name, "' has ", words, " words, but ",
                              remaining, " remain"));
  }
  ends_.push_back(position_ + words * kWordBytes);
  return absl::OkStatus();
}

void SbsFields::Leave() {
  position_ = ends_.back();
  ends_.pop_back();
}

absl::Status SbsFields::Read(std::string_view, uint32_t& value) {
  Next(value);
  return absl::OkStatus();
}

absl::Status SbsFields::Read(std::string_view, size_t& value) {
  uint32_t word = 0;
  if (Next(word)) value = word;
  return absl::OkStatus();
}

absl::Status SbsFields::Read(std::string_view name, bool& value) {
  uint32_t word = 0;
  if (!Next(word)) return absl::OkStatus();
  if (word > 1) {
    return Error(absl::StrCat("'", name, "' is ", word, ", wanted 0 or 1"));
  }
  value = word == 1;
  return absl::OkStatus();
}

absl::Status SbsFields::Read(std::string_view name, float& value) {
  uint32_t word = 0;
  if (!Next(word)) return absl::OkStatus();
  const float number = std::bit_cast<float>(word);
  if (!std::isfinite(number)) {
    return Error(
        absl::StrCat("'", name, "' is ", number, ", wanted a finite number"));
  }
  value = number;
  return absl::OkStatus();
}

absl::Status SbsFields::Read(std::string_view name, std::string& value) {
  uint32_t words = 0;
  if (!Next(words)) return absl::OkStatus();
  const size_t remaining = (End() - position_) / kWordBytes;
  if (words > kMaxStringWords || words > remaining) {
    return Error(absl::StrCat("string '", name, "' has ", words,
                              " words, wanted at most ", kMaxStringWords,
                              ", and ", remaining, " remain"));
  }
  value.assign(reinterpret_cast<const char*>(bytes_.data()) + position_,
               words * kWordBytes);
  position_ += value.size();
  value.resize(value.find_last_not_of('\0') + 1);
  for (const char c : value) {
    if (c < ' ' || c > '~') {
      return Error(absl::StrCat("string '", name, "' is ", Quoted(value),
                                ", wanted printable ASCII"));
    }
  }
  return absl::OkStatus();
}

absl::Status SbsFields::ReadCount(std::string_view name, size_t& count) {
  count = 0;
  GEMMA_RETURN_IF_ERROR(Read(name, count));
  const size_t remaining = (End() - position_) / kWordBytes;
  if (count <= kMaxElements && count <= remaining) return absl::OkStatus();
  return Error(absl::StrCat("list '", name, "' has ", count,
                            " elements, wanted at most ", kMaxElements,
                            ", and ", remaining, " words remain"));
}

absl::Status SbsFields::Skip(std::string_view name) {
  uint32_t unused = 0;
  return Read(name, unused);
}

}  // namespace gemma::internal
