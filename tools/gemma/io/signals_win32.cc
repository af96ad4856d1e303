#include "tools/gemma/io/signals.h"

#include <poll.h>
#include <unistd.h>
#include <windows.h>

#include <atomic>
#include <csignal>

#include "src/base/internal.h"
#include "src/os/descriptors.h"

namespace gemma::tools {
namespace {

// What the shells of POSIX call a program that asks others to end.
constexpr int kTerminate = SIGTERM;

std::atomic<int> g_signal = 0;
std::atomic<void (*)()> g_last_action = nullptr;

// The handler, which is a thread of its own, writes to [1], poll() waits for
// [0].
int g_pipe[2] = {-1, -1};

void ReadPipe() {
  pollfd now = {g_pipe[0], POLLIN, 0};
  char bytes[16];
  while (poll(&now, 1, /*timeout=*/0) == 1) {
    if (read(g_pipe[0], bytes, sizeof(bytes)) <= 0) return;
  }
}

BOOL WINAPI OnEvent(DWORD event) {
  const int signal_number = event == CTRL_C_EVENT ? SIGINT : kTerminate;
  if (g_signal.exchange(signal_number) != 0) {
    RunLastAction();
    _exit(128 + signal_number);
  }
  const char byte = 0;
  if (write(g_pipe[1], &byte, 1) < 0) return FALSE;
  // Once the handler returns from one of the others, Windows ends the process.
  if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT) Sleep(INFINITE);
  return TRUE;
}

}  // namespace

void InstallSignalHandlers() {
  OpenPipe(g_pipe, Blocking::kFail);
  // Not SetConsoleCtrlHandler(nullptr, ...): Ctrl-C stays ignored if the caller
  // wants it so.
  SetConsoleCtrlHandler(OnEvent, TRUE);
}

bool Interrupted() { return g_signal.load() != 0; }

int InterruptSignal() { return g_signal.load(); }

void ClearInterrupt() {
  ReadPipe();
  g_signal.store(0);
}

// Windows has no such signal.
void AskOnHangup() {}
bool TakeHangup() { return false; }

void SetLastAction(void (*action)()) { g_last_action.store(action); }

void RunLastAction() {
  if (void (*const action)() = g_last_action.load()) action();
}

int InterruptFd() { return g_pipe[0]; }

}  // namespace gemma::tools
