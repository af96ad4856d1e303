#include "tools/python/binding/gil.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <utility>

namespace gemma::python {
namespace {

// Never destroyed, because threads may wait when the process ends.
struct Gate {
  std::mutex mutex;
  bool closed = false;
  std::thread::id keeper;       // the thread that closed it
  std::atomic<int> asking = 0;  // threads that ask for the GIL
};

std::atomic<Gate*> the_gate = nullptr;

// A forked process has a new gate: threads that do not exist there may have
// locked the old one, or counted themselves.
Gate& TheGate() {
  static const int registered = [] {
    the_gate = new Gate;
    return pthread_atfork(nullptr, nullptr, [] { the_gate = new Gate; });
  }();
  (void)registered;
  return *the_gate;
}

// Whether this thread is in a WithoutGil.
thread_local bool outside = false;

// Announces that this thread asks for the GIL. Never returns if it may not.
void Enter(Gate& gate) {
  {
    const std::lock_guard lock(gate.mutex);
    if (!gate.closed || gate.keeper == std::this_thread::get_id()) {
      ++gate.asking;
      return;
    }
  }
  while (true) std::this_thread::sleep_for(std::chrono::hours(1));
}

}  // namespace

WithoutGil::WithoutGil() : state_(PyEval_SaveThread()) { outside = true; }

WithoutGil::~WithoutGil() {
  Gate& gate = TheGate();
  Enter(gate);
  PyEval_RestoreThread(state_);
  --gate.asking;
  outside = false;
}

WithGil::WithGil() : outside_(std::exchange(outside, false)) {
  // A thread of C++ has no state.
  if (!outside_ && PyGILState_GetThisThreadState() != nullptr) {
    state_ = PyGILState_Ensure();
    return;
  }
  Gate& gate = TheGate();
  Enter(gate);
  state_ = PyGILState_Ensure();
  --gate.asking;
}

WithGil::~WithGil() {
  PyGILState_Release(state_);
  outside = outside_;
}

void EndThreads() {
  Gate& gate = TheGate();
  {
    const std::lock_guard lock(gate.mutex);
    gate.closed = true;
    gate.keeper = std::this_thread::get_id();
  }
  PyThreadState* const state = PyEval_SaveThread();
  while (gate.asking != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  PyEval_RestoreThread(state);
}

}  // namespace gemma::python
