#include "tools/gemma/io/bus_error.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tools/gemma/io/signals.h"

namespace gemma::tools {
namespace {

// All code below runs in a signal handler, except InstallBusErrorHandler: it
// may use system calls, but must not allocate or lock.

constexpr size_t kMaxLine = 4096 + 128;  // a path and the fields before it

char g_line[kMaxLine];  // a line of /proc/self/maps, ended by a 0

// Reads a hexadecimal number and moves `text` past it.
uintptr_t ReadHex(const char*& text) {
  uintptr_t number = 0;
  for (;; ++text) {
    if (*text >= '0' && *text <= '9') {
      number = number * 16 + static_cast<uintptr_t>(*text - '0');
    } else if (*text >= 'a' && *text <= 'f') {
      number = number * 16 + static_cast<uintptr_t>(*text - 'a' + 10);
    } else {
      return number;
    }
  }
}

// Returns whether g_line, "begin-end ...", describes the mapping that holds the
// address.
bool LineHolds(uintptr_t address) {
  const char* text = g_line;
  const uintptr_t begin = ReadHex(text);
  if (*text != '-') return false;
  ++text;
  const uintptr_t end = ReadHex(text);
  return begin <= address && address < end;
}

// Copies the line of the mapping that holds the address to g_line. Returns
// whether it was found.
bool FindLine(uintptr_t address) {
  const int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (maps < 0) return false;
  size_t size = 0;
  char bytes[1024];
  for (ssize_t count; (count = read(maps, bytes, sizeof(bytes))) > 0;) {
    for (ssize_t i = 0; i < count; ++i) {
      if (bytes[i] != '\n') {
        if (size < kMaxLine - 1) g_line[size++] = bytes[i];
        continue;
      }
      g_line[size] = '\0';
      if (LineHolds(address)) {
        close(maps);
        return true;
      }
      size = 0;
    }
  }
  close(maps);
  return false;
}

// Control characters, which could move the cursor of a terminal, become "?":
// those of ASCII, and U+0080 to U+009F, two bytes in UTF-8.
void MakePrintable(char* text) {
  for (; *text != '\0'; ++text) {
    const auto byte = static_cast<unsigned char>(*text);
    const auto next = static_cast<unsigned char>(text[1]);
    if (byte < 0x20 || byte == 0x7F) *text = '?';
    if (byte == 0xC2 && next >= 0x80 && next < 0xA0) text[0] = text[1] = '?';
  }
}

void Print(const char* text) {
  for (size_t left = std::strlen(text); left > 0;) {
    const ssize_t written = write(STDERR_FILENO, text, left);
    if (written <= 0) return;
    text += written;
    left -= static_cast<size_t>(written);
  }
}

// Several threads may read the missing part at once: the first one prints the
// error, and the others wait for the end of the process.
std::atomic_flag g_speaking;

void OnBusError(int signal_number, siginfo_t* info, void*) {
  while (g_speaking.test_and_set()) pause();
  char* path = nullptr;
  // The kernel's codes are positive: si_addr is valid.
  if (info->si_code > 0 &&
      FindLine(reinterpret_cast<uintptr_t>(info->si_addr))) {
    path = std::strchr(g_line, '/');  // the fields before it have no '/'
  }
  if (path == nullptr) {
    std::signal(signal_number, SIG_DFL);
    raise(signal_number);  // ends the process once this returns
    return;
  }
  RunLastAction();
  MakePrintable(path);
  Print("gemma: ");
  Print(path);
  Print(
      ": was cut, or became unreadable, while it was in use; to replace a file "
      "safely, rename the new file to its name\n");
  _exit(1);
}

}  // namespace

void InstallBusErrorHandler() {
  struct sigaction action = {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO;
  sigfillset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace gemma::tools
