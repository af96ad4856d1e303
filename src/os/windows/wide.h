// Texts and errors of Windows, as ours: UTF-8 and errno.

#ifndef GEMMA_SRC_OS_WINDOWS_WIDE_H_
#define GEMMA_SRC_OS_WINDOWS_WIDE_H_

#include <string>
#include <string_view>

namespace gemma::internal {

// Bytes that are not UTF-8, and halves of surrogates, become U+FFFD.
std::wstring ToWide(std::string_view text);
std::string FromWide(std::wstring_view text);

// A path as Windows takes it: /dev/null is NUL, and a long path gets the prefix
// that allows it.
std::wstring WidePath(std::string_view path);

// Sets errno from an error of Windows. Returns -1.
int SetErrno(unsigned long error);
// From GetLastError().
int SetErrno();

// The words for a value of errno. The C library knows only the older ones.
std::string ErrnoText(int error);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_WINDOWS_WIDE_H_
