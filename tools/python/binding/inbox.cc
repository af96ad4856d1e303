#include "tools/python/binding/inbox.h"

#ifdef __linux__
#include <sys/eventfd.h>
#else
#include <fcntl.h>
#endif
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/gil.h"

namespace gemma::python {
namespace {

constexpr std::chrono::milliseconds kSignalPause{100};

// Opens what makes `ends[0]` readable once `ends[1]` is written to. They are
// equal if one descriptor is enough. Returns whether it succeeded.
bool OpenWaker(int ends[2]) {
#ifdef __linux__
  ends[0] = ends[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return ends[0] >= 0;
#else
  if (pipe(ends) != 0) return false;
  for (const int* end = ends; end != ends + 2; ++end) {
    fcntl(*end, F_SETFD, FD_CLOEXEC);
    fcntl(*end, F_SETFL, O_NONBLOCK);
  }
  return true;
#endif
}

}  // namespace

Inbox::State::~State() {
  if (descriptor >= 0) close(descriptor);
  if (wakes >= 0 && wakes != descriptor) close(wakes);
}

Inbox::Inbox(bool with_descriptor) {
  if (!with_descriptor) return;
  int ends[2] = {-1, -1};
  if (OpenWaker(ends)) {
    state_->descriptor = ends[0];
    state_->wakes = ends[1];
    return;
  }
  throw StatusError(absl::ResourceExhaustedError(
      absl::StrCat("no descriptor for an event loop: ", std::strerror(errno))));
}

void Inbox::State::Wake() {
  if (descriptor < 0) {
    filled.notify_all();
    return;
  }
  const uint64_t one = 1;
  // Fails only if the descriptor is readable already.
  (void)!write(wakes, &one, sizeof(one));
}

Inbox::Sleepers& Inbox::ThisThread() {
  static thread_local Sleepers sleepers;
  return sleepers;
}

void Inbox::Put(uint64_t tag) const {
  Sleepers& sleepers = ThisThread();
  // Newest first: requests of one event loop often come one after another.
  const auto& states = sleepers.states;
  if (sleepers.is_engine &&
      std::find(states.rbegin(), states.rend(), state_) == states.rend()) {
    sleepers.states.push_back(state_);
  }
  {
    const std::lock_guard lock(state_->mutex);
    state_->tags.push_back(tag);
  }
  if (!sleepers.is_engine) state_->Wake();
}

void Inbox::WakeAll() {
  Sleepers& sleepers = ThisThread();
  sleepers.is_engine = true;
  for (const auto& state : sleepers.states) state->Wake();
  sleepers.states.clear();
}

std::vector<uint64_t> Inbox::Take() const {
  birth_.Check("the engine");
  if (state_->descriptor >= 0) {
    uint64_t count = 0;
    ssize_t got = 0;
    do {  // an eventfd has one count, a pipe may have several
      got = read(state_->descriptor, &count, sizeof(count));
    } while (got > 0 && state_->wakes != state_->descriptor);
  }
  const std::lock_guard lock(state_->mutex);
  return std::exchange(state_->tags, {});
}

std::vector<uint64_t> Inbox::Wait(std::optional<double> seconds) const {
  using Clock = std::chrono::steady_clock;
  birth_.Check("the engine");
  const Clock::time_point begin = Clock::now();
  while (true) {
    {
      const WithoutGil release;
      std::unique_lock lock(state_->mutex);
      Clock::duration pause = kSignalPause;
      if (seconds.has_value()) {
        const std::chrono::duration<double> left =
            std::chrono::duration<double>(*seconds) - (Clock::now() - begin);
        if (left.count() <= 0) return std::exchange(state_->tags, {});
        if (left < pause) {
          pause = std::chrono::duration_cast<Clock::duration>(left);
        }
      }
      const bool any = state_->filled.wait_for(
          lock, pause, [this] { return !state_->tags.empty(); });
      if (any) return std::exchange(state_->tags, {});
    }
    if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
  }
}

}  // namespace gemma::python
