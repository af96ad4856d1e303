// Reads short texts of the system: variables, and files such as those in /proc.

#ifndef GEMMA_TOOLS_GEMMA_IO_SYSTEM_TEXT_H_
#define GEMMA_TOOLS_GEMMA_IO_SYSTEM_TEXT_H_

#include <string>
#include <string_view>

namespace gemma::tools {

// The value of an environment variable, or "".
std::string EnvironmentValue(const std::string& name);

// The first line of a file, or "".
std::string ReadFirstLine(const std::string& path);

// The value of the file's first line "key : value" with this key, or "".
std::string ReadField(const std::string& path, std::string_view key);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_SYSTEM_TEXT_H_
