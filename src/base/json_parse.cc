// Builds the document of a JSON text, strictly and within Json::Limits.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/json_document.h"
#include "src/base/messages.h"

namespace gemma::internal {

class Json::Document::Builder {
 public:
  Builder(Document& document, const Limits& limits)
      : document_(document), limits_(limits) {}

  const absl::Status& status() const { return status_; }

  bool null() { return Add({JsonKind::kNull, 0, 0}); }
  bool boolean(bool value) { return Add({JsonKind::kBool, 0, value}); }
  bool number_integer(int64_t value) {
    return Add({value < 0 ? JsonKind::kNegative : JsonKind::kUnsigned, 0,
                static_cast<uint64_t>(value)});
  }
  bool number_unsigned(uint64_t value) {
    return Add({JsonKind::kUnsigned, 0, value});
  }
  // Also gets integers of more than 64 bits.
  bool number_float(double value, const std::string& text) {
    if (text.find_first_of(".eE") == std::string::npos) {
      return AddText(JsonKind::kLargeInteger, text);
    }
    return Add({JsonKind::kFloat, 0, std::bit_cast<uint64_t>(value)});
  }
  bool string(const std::string& text) {
    return AddText(JsonKind::kString, text);
  }
  bool binary(nlohmann::json::binary_t& /*value*/) { return false; }

  bool start_object(size_t /*size*/) { return Open(JsonKind::kObject); }
  bool start_array(size_t /*size*/) { return Open(JsonKind::kArray); }
  bool end_array() { return Close(); }
  bool key(std::string& name) {
    const size_t start = document_.strings.size();
    document_.strings += name;
    // An object counts its keys. Its values are not counted again.
    if (!Append(
            {JsonKind::kString, static_cast<uint32_t>(name.size()), start})) {
      return false;
    }
    ++document_.nodes[open_.back()].size;
    return true;
  }
  bool end_object() {
    const size_t object = open_.back();
    HashSet<std::string_view> names;
    names.reserve(document_.nodes[object].size);
    for (size_t name = object + 1; name < document_.nodes.size();
         name = document_.Next(name + 1)) {
      if (!names.insert(document_.Text(name)).second) {
        return Fail(absl::StrCat("two keys ", Quoted(document_.Text(name)),
                                 ", wanted each key once"));
      }
    }
    return Close();
  }

  bool parse_error(size_t /*position*/, const std::string& /*last_token*/,
                   const std::exception& error) {
    // An example: "[json.exception.parse_error.101] parse error at line 1,
    // column 2: ..."
    std::string_view what = error.what();
    if (const size_t end = what.find("] "); end != std::string_view::npos) {
      what.remove_prefix(end + 2);
    }
    status_ = absl::InvalidArgumentError(absl::StrCat(
        document_.path, ": is not JSON: ", Printable(what, /*max_size=*/240)));
    return false;
  }

 private:
  bool Fail(std::string_view message) {
    std::string place;
    for (size_t i = 0; i + 1 < open_.size(); ++i) {
      const JsonNode& parent = document_.nodes[open_[i]];
      if (parent.kind == JsonKind::kArray) {
        AppendJsonIndex(place, parent.size - 1);
      } else {
        AppendJsonName(place, document_.Text(open_[i + 1] - 1));
      }
    }
    status_ = absl::InvalidArgumentError(
        absl::StrCat(JsonPlace(document_.path, place), ": ", message));
    return false;
  }

  bool Append(const JsonNode& node) {
    if (document_.nodes.size() >= limits_.max_values) {
      return Fail(FormatText("more than %d values", limits_.max_values));
    }
    document_.nodes.push_back(node);
    return true;
  }

  // Appends an element, the value of a member or the outermost value.
  bool Add(const JsonNode& node) {
    if (!open_.empty()) {
      JsonNode& container = document_.nodes[open_.back()];
      if (container.kind == JsonKind::kArray) ++container.size;
    }
    return Append(node);
  }

  bool AddText(JsonKind kind, const std::string& text) {
    const size_t start = document_.strings.size();
    document_.strings += text;
    return Add({kind, static_cast<uint32_t>(text.size()), start});
  }

  bool Open(JsonKind kind) {
    if (open_.size() >= limits_.max_depth) {
      return Fail(FormatText("nested more than %d deep, wanted less",
                             limits_.max_depth));
    }
    if (!Add({kind, 0, 0})) return false;
    open_.push_back(document_.nodes.size() - 1);
    return true;
  }

  bool Close() {
    document_.nodes[open_.back()].value = document_.nodes.size();
    open_.pop_back();
    return true;
  }

  Document& document_;
  const Limits& limits_;
  std::vector<size_t> open_;  // nodes of containers not yet closed
  absl::Status status_;
};

absl::StatusOr<Json> Json::Parse(std::string_view text, std::string path,
                                 const Limits& limits) {
  // Nodes store sizes in 32 bits.
  constexpr size_t kMaxBytes = std::numeric_limits<uint32_t>::max();
  const size_t max_bytes = std::min(limits.max_bytes, kMaxBytes);
  if (text.size() > max_bytes) {
    return absl::InvalidArgumentError(
        FormatText("%s: %d bytes of JSON, wanted at most %d", path, text.size(),
                   max_bytes));
  }
  // The parser would skip a byte order mark.
  if (text.substr(0, 3) == "\xEF\xBB\xBF") {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is not JSON: begins with a byte order mark"));
  }
  // The parser would take a zero byte for the end of the text.
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos) {
    return absl::InvalidArgumentError(
        FormatText("%s: is not JSON: byte %d is zero", path, zero));
  }
  auto document = std::make_shared<Document>();
  document->path = std::move(path);
  Document::Builder builder(*document, limits);
  // The parser reports errors to the builder. It throws only if memory runs
  // out.
  try {
    if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
      return builder.status().ok() ? absl::InvalidArgumentError(absl::StrCat(
                                         document->path, ": is not JSON"))
                                   : builder.status();
    }
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat(document->path, ": ", error.what()));
  }
  document->nodes.shrink_to_fit();
  document->strings.shrink_to_fit();
  return Json(std::move(document), 0);
}

}  // namespace gemma::internal
