#include "src/os/windows/console.h"

#include <unistd.h>
#include <windows.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <string>
#include <utility>

#include "src/os/windows/handle.h"
#include "src/os/windows/wide.h"

namespace gemma::internal {
namespace {

constexpr wchar_t kCtrlD = 4;
constexpr wchar_t kCtrlZ = 26;
constexpr DWORD kMostUnits = 8192;  // that the terminal takes or gives at once

// Returns the number of bytes at the end of `text` that begin a character of
// UTF-8 and do not end it.
size_t UnfinishedBytes(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if (byte < 0x80) return 0;
    if (byte < 0xC0) continue;  // not the first byte
    const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
    return length > back ? back : 0;
  }
  return 0;
}

// What a terminal gave and nobody has read, and the beginnings of characters
// that were written. A process has one terminal.
std::mutex mutex;
std::string unread;
std::string unwritten;

}  // namespace

ssize_t ReadFromConsole(void* console, void* buffer, size_t size) {
  const std::lock_guard lock(mutex);
  if (unread.empty()) {
    std::wstring line(kMostUnits, L'\0');
    CONSOLE_READCONSOLE_CONTROL control = {};
    control.nLength = sizeof(control);
    control.dwCtrlWakeupMask = 1u << kCtrlD;
    DWORD units = 0;
    SetLastError(ERROR_SUCCESS);
    if (!ReadConsoleW(console, line.data(), kMostUnits, &units, &control)) {
      return SetErrno();
    }
    if (units == 0 && GetLastError() == ERROR_OPERATION_ABORTED) {
      errno = EINTR;
      return -1;
    }
    line.resize(units);
    if (line.empty() || line[0] == kCtrlD || line[0] == kCtrlZ) return 0;
    std::erase(line, kCtrlD);
    unread = FromWide(line);
  }
  const size_t taken = unread.copy(static_cast<char*>(buffer), size);
  unread.erase(0, taken);
  return static_cast<ssize_t>(taken);
}

ssize_t WriteToConsole(void* console, const void* bytes, size_t size) {
  const std::lock_guard lock(mutex);
  std::string text = std::exchange(unwritten, "");
  text.append(static_cast<const char*>(bytes), size);
  const size_t unfinished = UnfinishedBytes(text);
  unwritten = text.substr(text.size() - unfinished);
  text.erase(text.size() - unfinished);
  const std::wstring wide = ToWide(text);
  for (size_t at = 0; at < wide.size();) {
    const auto left =
        static_cast<DWORD>(std::min<size_t>(kMostUnits, wide.size() - at));
    DWORD units = 0;
    if (!WriteConsoleW(console, wide.data() + at, left, &units, nullptr)) {
      return SetErrno();
    }
    at += units;
  }
  return static_cast<ssize_t>(size);
}

bool ConsoleHasInput(void* console) {
  {
    const std::lock_guard lock(mutex);
    if (!unread.empty()) return true;
  }
  std::array<INPUT_RECORD, 64> records;
  DWORD count = 0;
  if (!PeekConsoleInputW(console, records.data(), records.size(), &count)) {
    return true;  // the read will say what is wrong
  }
  for (DWORD i = 0; i < count; ++i) {
    const KEY_EVENT_RECORD& key = records[i].Event.KeyEvent;
    if (records[i].EventType == KEY_EVENT && key.bKeyDown &&
        key.uChar.UnicodeChar != 0) {
      return true;
    }
  }
  // The mouse, the window's size, and keys that only shift others.
  ReadConsoleInputW(console, records.data(), count, &count);
  return false;
}

void AllowEscapeSequences() {
  for (const DWORD name : {STD_OUTPUT_HANDLE, STD_ERROR_HANDLE}) {
    const HANDLE console = GetStdHandle(name);
    DWORD mode = 0;
    if (GetConsoleMode(console, &mode)) {
      SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
    }
  }
}

int isatty(int fd) {
  DWORD mode = 0;
  return GetConsoleMode(HandleOf(fd), &mode) ? 1 : 0;
}

int ioctl(int fd, unsigned long, winsize* size) {
  CONSOLE_SCREEN_BUFFER_INFO info;
  if (!GetConsoleScreenBufferInfo(HandleOf(fd), &info)) return SetErrno();
  size->ws_col =
      static_cast<unsigned short>(info.srWindow.Right - info.srWindow.Left + 1);
  size->ws_row =
      static_cast<unsigned short>(info.srWindow.Bottom - info.srWindow.Top + 1);
  return 0;
}

}  // namespace gemma::internal
