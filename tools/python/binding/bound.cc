#include "tools/python/binding/bound.h"

#include <pthread.h>

#include <atomic>

namespace gemma::python {
namespace {

std::atomic<uint64_t> num_forks = 0;

}  // namespace

uint64_t Birth::NumForks() {
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { num_forks.fetch_add(1); });
  (void)registered;
  return num_forks.load();
}

bool Birth::forked() const { return num_forks_ != NumForks(); }

void Birth::Check(const char* what) const {
  if (!forked()) return;
  throw StatusError(absl::FailedPreconditionError(
      std::string(what) +
      " was loaded before this process was forked; load it again in the "
      "child"));
}

}  // namespace gemma::python
