#include "tools/gemma/serve/request_log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "src/base/internal.h"
#include "src/base/messages.h"

namespace gemma::tools {
namespace {

constexpr size_t kMaxWaiting = size_t{4} << 20;
constexpr size_t kMaxTarget = 256;
constexpr size_t kMaxBody = size_t{64} << 10;
constexpr int kPollMilliseconds = 200;

std::string Now() {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(),
                          absl::UTCTimeZone());
}

std::string LineOf(const LoggedRequest& request) {
  const std::string_view path =
      std::string_view(request.target).substr(0, request.target.find('?'));
  std::string line =
      absl::StrFormat("%s %s \"%s %s\" %d %d B %.3f s", Now(), request.peer,
                      Printable(request.method), Printable(path, kMaxTarget),
                      request.status, request.bytes, request.seconds);
  if (!request.id.empty()) absl::StrAppend(&line, " ", Printable(request.id));
  if (!request.ended.empty()) absl::StrAppend(&line, " (", request.ended, ")");
  if (!request.body.empty()) {
    absl::StrAppend(&line, " ", Printable(request.body, kMaxBody));
  }
  return line;
}

}  // namespace

RequestLog::RequestLog(LogLevel level) : level_(level) {
  if (level != LogLevel::kQuiet) thread_ = std::thread([this] { Write(); });
}

RequestLog::~RequestLog() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void RequestLog::Request(const LoggedRequest& request) noexcept {
  if (level_ == LogLevel::kQuiet) return;
  Add([&] { return LineOf(request); });
}

void RequestLog::Event(std::string_view peer, std::string_view what) noexcept {
  if (level_ != LogLevel::kAll) return;
  Add([&] { return absl::StrCat(Now(), " ", peer, " ", what); });
}

template <class Function>
void RequestLog::Add(const Function& line) noexcept {
  try {
    const std::string text = absl::StrCat(line(), "\n");
    const std::lock_guard lock(mutex_);
    if (waiting_.size() + text.size() <= kMaxWaiting) {
      waiting_.append(text);
      changed_.notify_one();
      return;
    }
  } catch (const std::bad_alloc&) {
  }
  const std::lock_guard lock(mutex_);
  ++num_lost_;
}

std::string RequestLog::TakeLines() {
  std::string lines = std::exchange(waiting_, std::string());
  if (num_lost_ == 0) return lines;
  try {
    absl::StrAppend(&lines, Now(), " ", num_lost_, " lines were lost here\n");
    num_lost_ = 0;
  } catch (const std::bad_alloc&) {  // later
  }
  return lines;
}

void RequestLog::Write() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const std::string lines = TakeLines();
    lock.unlock();
    Show(lines);
    lock.lock();
  }
}

void RequestLog::Show(std::string_view lines) {
  while (!lines.empty()) {
    pollfd stderr_fd = {STDERR_FILENO, POLLOUT, 0};
    while (poll(&stderr_fd, 1, kPollMilliseconds) == 0) {
      const std::lock_guard lock(mutex_);
      if (ended_) return;  // nobody reads, and the server has ended
    }
    // A pipe that is ready takes so many bytes without waiting.
    const ssize_t size = write(STDERR_FILENO, lines.data(),
                               std::min<size_t>(lines.size(), PIPE_BUF));
    if (size <= 0) return;
    lines.remove_prefix(static_cast<size_t>(size));
  }
}

}  // namespace gemma::tools
