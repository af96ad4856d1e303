#include "tools/gemma/io/child_process.h"

#include <fcntl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <vector>

#include <poll.h>
#include <spawn.h>
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/descriptors.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/signals.h"

extern "C" char** environ;  // POSIX leaves this to programs

namespace gemma::tools {
namespace {

constexpr size_t kMaxErrorBytes = size_t{64} << 10;
constexpr int kWaitMilliseconds = 200;
// From SIGTERM until SIGKILL.
constexpr int kGraceMilliseconds = 2000;

class Pipe {
 public:
  Pipe() { valid_ = OpenPipe(fds_, Blocking::kWait); }
  ~Pipe() {
    CloseInput();
    if (valid_) close(fds_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  bool valid() const { return valid_; }
  int output() const { return fds_[0]; }
  int input() const { return fds_[1]; }
  void CloseInput() {
    if (valid_ && fds_[1] >= 0) close(fds_[1]);
    fds_[1] = -1;
  }

 private:
  int fds_[2] = {-1, -1};
  bool valid_;
};

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Returns our variables, extended and overridden by those of `command`.
std::vector<std::string> Environment(const ChildCommand& command) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    bool is_set = false;
    for (const auto& [name, value] : command.environment) {
      is_set |= absl::StartsWith(*variable, absl::StrCat(name, "="));
    }
    if (!is_set) variables.emplace_back(*variable);
  }
  for (const auto& [name, value] : command.environment) {
    variables.push_back(absl::StrCat(name, "=", value));
  }
  return variables;
}

// Starts the child. Returns 0 or the system's error number. The child leads its
// own process group: Ctrl-C in a terminal reaches only us, and we can end the
// whole group.
int Spawn(const ChildCommand& command, const Pipe& out, const Pipe& err,
          pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (command.input >= 0) {
    posix_spawn_file_actions_adddup2(&actions, command.input, STDIN_FILENO);
  } else {
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                     O_RDONLY, 0);
  }
  posix_spawn_file_actions_adddup2(&actions, out.input(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.input(), STDERR_FILENO);
  posix_spawn_file_actions_addchdir_np(&actions, command.directory.c_str());

  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  sigaddset(&defaults, SIGXFSZ);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigdefault(&attributes, &defaults);

  std::vector<std::string> arguments = command.arguments;
  std::vector<std::string> environment = Environment(command);
  const int error_number =
      posix_spawnp(pid, arguments[0].c_str(), &actions, &attributes,
                   Pointers(arguments).data(), Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error_number;
}

// A running program. The destructor ends it if it still runs.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() { End(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool HasExited() {
    if (!has_exited_) has_exited_ = waitpid(pid_, &state_, WNOHANG) == pid_;
    return has_exited_;
  }

  // The exit code, or 128 plus the number of the signal that ended the program.
  // Valid only after HasExited() returned true.
  int exit_code() const {
    return WIFEXITED(state_) ? WEXITSTATUS(state_)
                             : kExitSignal + WTERMSIG(state_);
  }

  // Ends the program, if it still runs, and its whole process group.
  void End() {
    if (HasExited()) return;
    kill(-pid_, SIGTERM);
    constexpr int kStep = 10;
    for (int waited = 0; waited < kGraceMilliseconds; waited += kStep) {
      if (HasExited()) return;
      poll(nullptr, 0, kStep);
    }
    kill(-pid_, SIGKILL);
    while (waitpid(pid_, &state_, 0) < 0 && errno == EINTR) {
    }
    has_exited_ = true;
  }

 private:
  const pid_t pid_;
  bool has_exited_ = false;
  int state_ = 0;
};

using TakeOutput = std::function<absl::Status(std::string_view)>;

// Reads some output and passes it to `take`. Returns false at the end.
absl::StatusOr<bool> Drain(int fd, const TakeOutput& take) {
  std::array<char, 64 << 10> buffer;
  const ssize_t got = read(fd, buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) return true;
  if (got < 0) return SystemError("cannot read from a child process", errno);
  if (got == 0) return false;
  GEMMA_RETURN_IF_ERROR(take({buffer.data(), static_cast<size_t>(got)}));
  return true;
}

// Passes on the child's output until the child has exited.
absl::Status Listen(const Pipe& out, const Pipe& err, Child& child,
                    const TakeOutput& on_output, const TakeOutput& on_errors,
                    const std::function<void()>& on_wait) {
  pollfd fds[3] = {{out.output(), POLLIN, 0},
                   {err.output(), POLLIN, 0},
                   {InterruptFd(), POLLIN, 0}};
  // A child that has closed its outputs will exit soon, but poll() does not
  // report when: check again after growing waits.
  for (int wait = 1;; wait = std::min(2 * wait, kWaitMilliseconds)) {
    // Ask before reading the pipes: if it has exited, they hold all its output.
    const bool has_exited = child.HasExited();
    const bool is_open = fds[0].fd >= 0 || fds[1].fd >= 0;
    const int timeout = has_exited ? 0 : is_open ? kWaitMilliseconds : wait;
    if (poll(fds, 3, timeout) < 0 && errno != EINTR) {
      return SystemError("cannot wait for a child process", errno);
    }
    if (Interrupted()) return InterruptedError();
    bool was_read = false;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      GEMMA_ASSIGN_OR_RETURN(const bool goes_on,
                             Drain(fds[i].fd, i == 0 ? on_output : on_errors));
      if (!goes_on) fds[i].fd = -1;
      fds[i].revents = 0;
      was_read = true;
    }
    if (has_exited && !was_read) return absl::OkStatus();
    on_wait();
  }
}

}  // namespace

absl::StatusOr<ChildResult> RunChild(
    const ChildCommand& command,
    const std::function<absl::Status(std::string_view)>& on_output,
    const std::function<void()>& on_wait) {
  Pipe out;
  Pipe err;
  if (!out.valid() || !err.valid()) return SystemError("cannot pipe", errno);
  const std::string& name = command.arguments[0];
  pid_t pid = 0;
  const int error_number = Spawn(command, out, err, &pid);
  if (error_number == ENOENT) {
    return absl::NotFoundError(absl::StrCat(name, ": not installed"));
  }
  if (error_number != 0) return SystemError(name, error_number);
  Child child(pid);
  out.CloseInput();
  err.CloseInput();

  ChildResult result;
  const auto keep_end = [&result](std::string_view text) {
    result.errors.append(text);
    if (result.errors.size() > kMaxErrorBytes) {
      result.errors.erase(0, result.errors.size() - kMaxErrorBytes);
    }
    return absl::OkStatus();
  };
  GEMMA_RETURN_IF_ERROR(Listen(out, err, child, on_output, keep_end, on_wait));
  result.exit_code = child.exit_code();
  return result;
}

}  // namespace gemma::tools
