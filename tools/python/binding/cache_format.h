// Names of the formats of keys and values.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_CACHE_FORMAT_H_
#define GEMMA_TOOLS_PYTHON_BINDING_CACHE_FORMAT_H_

#include <string_view>

#include "absl/strings/str_cat.h"
#include "gemma/session.h"
#include "tools/python/binding/errors.h"

namespace gemma::python {

// Returns the format of "auto", "float32", "bfloat16" or "int8". Throws
// InvalidArgument for other names.
inline CacheFormat ParseCacheFormat(std::string_view name) {
  if (name == "auto") return CacheFormat::kAuto;
  if (name == "float32") return CacheFormat::kFloat32;
  if (name == "bfloat16") return CacheFormat::kBFloat16;
  if (name == "int8") return CacheFormat::kInt8;
  throw StatusError(absl::InvalidArgumentError(absl::StrCat(
      "cache is '", name, "', wanted auto, float32, bfloat16, int8")));
}

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_CACHE_FORMAT_H_
