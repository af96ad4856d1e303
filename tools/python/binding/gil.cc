#include "tools/python/binding/gil.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

namespace gemma::python {
namespace {

// Never destroyed, because threads may wait when the process ends.
struct Gate {
  std::mutex mutex;
  bool closed = false;
  std::thread::id keeper;       // the thread that closed it
  std::atomic<int> asking = 0;  // threads that ask for the GIL
};

Gate& TheGate() {
  static Gate* const gate = new Gate;
  return *gate;
}

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

WithoutGil::~WithoutGil() {
  Gate& gate = TheGate();
  Enter(gate);
  PyEval_RestoreThread(state_);
  --gate.asking;
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
