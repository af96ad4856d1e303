#include "src/serve/background.h"

#include <utility>

namespace gemma::internal {

void Background::Run(std::function<void()> function) {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
  waiting_.push_back(std::move(function));
  changed_.notify_one();
}

void Background::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Background::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stops_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    std::function<void()> function = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    function();
    function = nullptr;  // what it owns may need time to end
    lock.lock();
  }
}

}  // namespace gemma::internal
