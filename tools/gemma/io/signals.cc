#include "tools/gemma/io/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

#include "src/base/internal.h"
#include "src/os/descriptors.h"

namespace gemma::tools {
namespace {

std::atomic<int> g_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free, "used by a handler");

std::atomic<bool> g_hangup = false;
static_assert(std::atomic<bool>::is_always_lock_free, "used by a handler");

std::atomic<void (*)()> g_last_action = nullptr;
static_assert(std::atomic<void (*)()>::is_always_lock_free);

// Handlers write to [1], poll() waits for [0].
int g_pipe[2] = {-1, -1};

// Wakes those who poll. If the pipe is full, it is already readable.
void WritePipe() {
  const int saved_errno = errno;
  const char byte = 0;
  [[maybe_unused]] const ssize_t written = write(g_pipe[1], &byte, 1);
  errno = saved_errno;
}

void ReadPipe() {
  char bytes[16];
  while (read(g_pipe[0], bytes, sizeof(bytes)) > 0) {
  }
}

void OnSignal(int signal_number) {
  if (g_signal.exchange(signal_number) != 0) {
    RunLastAction();
    _exit(128 + signal_number);
  }
  WritePipe();
}

void OnHangup(int) {
  g_hangup.store(true);
  WritePipe();
}

void SetHandler(int signal_number, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal_number, &action, nullptr);
}

void Handle(int signal_number) {
  struct sigaction old = {};
  if (sigaction(signal_number, nullptr, &old) != 0) return;
  if (old.sa_handler == SIG_IGN) return;  // nohup, or a shell's background job
  SetHandler(signal_number, OnSignal);
}

}  // namespace

void InstallSignalHandlers() {
  OpenPipe(g_pipe, Blocking::kFail);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  Handle(SIGINT);
  Handle(SIGTERM);
  Handle(SIGHUP);
}

bool Interrupted() { return g_signal.load() != 0; }

int InterruptSignal() { return g_signal.load(); }

void ClearInterrupt() {
  ReadPipe();
  g_signal.store(0);
}

void AskOnHangup() { SetHandler(SIGHUP, OnHangup); }

bool TakeHangup() {
  // What an interruption wrote goes too, but its flag stays. A signal after
  // this is seen below, and its byte wakes the next poll for nothing.
  ReadPipe();
  return g_hangup.exchange(false);
}

void SetLastAction(void (*action)()) { g_last_action.store(action); }

void RunLastAction() {
  if (void (*const action)() = g_last_action.load()) action();
}

int InterruptFd() { return g_pipe[0]; }

}  // namespace gemma::tools
