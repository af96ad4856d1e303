#include <fcntl.h>
#include <io.h>
#include <windows.h>

#include <shellapi.h>

#include <string>
#include <vector>

#include "src/base/internal.h"
#include "src/os/windows/console.h"
#include "src/os/windows/wide.h"
#include "tools/gemma/cli/command_line.h"

namespace gemma::tools {
namespace {

// The words of the command line, in UTF-8: those that main() gets have lost the
// characters that the system's code page lacks.
std::vector<std::string> Words() {
  int count = 0;
  wchar_t** const wide = CommandLineToArgvW(GetCommandLineW(), &count);
  std::vector<std::string> words;
  for (int i = 0; i < count; ++i) words.push_back(FromWide(wide[i]));
  LocalFree(wide);
  return words;
}

int Main() {
  // Bytes stay as they are, also those that the C library writes.
  for (const int fd : {0, 1, 2}) _setmode(fd, _O_BINARY);
  // A disk that is missing is an error, not a question to the user.
  SetErrorMode(SEM_FAILCRITICALERRORS);
  AllowEscapeSequences();
  std::vector<std::string> words = Words();
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return RunCommandLine(static_cast<int>(words.size()), pointers.data());
}

}  // namespace
}  // namespace gemma::tools

int main() { return gemma::tools::Main(); }
