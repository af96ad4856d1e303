#include "tools/gemma/io/system_text.h"

#include <stdlib.h>

#include <fstream>

#include "absl/strings/ascii.h"
#include "src/base/internal.h"

namespace gemma::tools {

std::string EnvironmentValue(const std::string& name) {
  const char* value = getenv(name.c_str());
  return value != nullptr ? value : "";
}

std::string ReadFirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string ReadField(const std::string& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string_view view = line;
    if (absl::StripAsciiWhitespace(view.substr(0, colon)) != key) continue;
    return std::string(absl::StripAsciiWhitespace(view.substr(colon + 1)));
  }
  return "";
}

}  // namespace gemma::tools
