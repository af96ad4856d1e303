// How a JSON document is stored. Only for json.cc and json_parse.cc.

#ifndef GEMMA_SRC_BASE_JSON_DOCUMENT_H_
#define GEMMA_SRC_BASE_JSON_DOCUMENT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/json.h"

namespace gemma::internal {

enum class JsonKind : uint8_t {
  kNull,
  kBool,
  kNegative,      // integer
  kUnsigned,      // integer
  kLargeInteger,  // of more than 64 bits
  kFloat,
  kString,
  kArray,
  kObject,
};

// One value. A document stores its values in the order of the file. A container
// is followed by its elements. An object is followed by a string for each key,
// and each key by its value.
struct JsonNode {
  JsonKind kind = JsonKind::kNull;
  uint32_t size = 0;   // bytes of a string or of a large integer; elements or
                       // members
  uint64_t value = 0;  // bool; bits of a number; start of a string or of the
                       // digits of a large integer in `strings`; for a
                       // container, the node after it
};

struct Json::Document {
  std::string path;
  std::vector<JsonNode> nodes;
  std::string strings;

  std::string_view Text(size_t node) const {
    return std::string_view(strings).substr(nodes[node].value,
                                            nodes[node].size);
  }
  // Returns the node after the value at `node` and its elements.
  size_t Next(size_t node) const {
    const JsonKind kind = nodes[node].kind;
    return kind == JsonKind::kArray || kind == JsonKind::kObject
               ? static_cast<size_t>(nodes[node].value)
               : node + 1;
  }

  // Appends the parser's events to a document. A handler returns false to end
  // the parse; `status` then has the reason.
  class Builder;
};

// Appends a member to a path, which looks like "a.b[3]".
void AppendJsonName(std::string& path, std::string_view name);
void AppendJsonIndex(std::string& path, size_t index);

// Returns "file: 'path'", or only the file if the path is empty.
std::string JsonPlace(std::string_view file, std::string_view path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_JSON_DOCUMENT_H_
