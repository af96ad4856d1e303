// Where running requests announce that they have something for Python.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_INBOX_H_
#define GEMMA_TOOLS_PYTHON_BINDING_INBOX_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "tools/python/binding/bound.h"

namespace gemma::python {

// A list of tags of requests, each at most once, that a thread of Python waits
// for, or an event loop, by its descriptor. Copies share the list. The engine's
// thread puts tags in without the GIL.
class Inbox {
 public:
  // `with_descriptor`: for an event loop. ResourceExhausted if the system has
  // no descriptor left.
  explicit Inbox(bool with_descriptor);

  // Puts a tag in, and wakes who waits: at once, or, on the thread of an
  // engine, in the next WakeAll.
  void Put(uint64_t tag) const;

  // Wakes who waits for the inboxes that the calling thread has put tags into.
  // It is EngineOptions::between_passes of every engine, so that tags of one
  // pass wake once.
  static void WakeAll();

  // Takes all tags that are there.
  std::vector<uint64_t> Take() const;

  // Waits without the GIL until a tag is there, and takes all. Signals are
  // looked for ten times a second: an exception of a handler, such as
  // KeyboardInterrupt, ends the wait. Returns an empty list after `seconds`.
  std::vector<uint64_t> Wait(std::optional<double> seconds) const;

  // Returns the descriptor that becomes readable, or -1.
  int descriptor() const { return state_->descriptor; }

 private:
  struct State {
    ~State();
    std::mutex mutex;
    std::condition_variable filled;
    std::vector<uint64_t> tags;
    int descriptor = -1;  // an eventfd, or the end of a pipe that reads
    int wakes = -1;       // what Wake writes to: the same, or the other end

    void Wake();
  };
  // Inboxes to wake, and whether the thread calls WakeAll.
  struct Sleepers {
    bool is_engine = false;
    std::vector<std::shared_ptr<State>> states;
  };
  static Sleepers& ThisThread();

  Birth birth_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_INBOX_H_
