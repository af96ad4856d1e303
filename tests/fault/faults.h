// Makes allocations and system calls fail, either a single call or all calls
// from one on. Tests then check that the library only returns an error. The
// functions that fail are in failing_memory.cc and failing_system.cc; in this
// binary they replace the system's functions.

#ifndef GEMMA_TESTS_FAULT_FAULTS_H_
#define GEMMA_TESTS_FAULT_FAULTS_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace gemma::internal {

// The kind of call that fails.
enum class FaultKind {
  kMemory,  // operator new, malloc, calloc, and zlib's allocations
  kOpen,
  kMap,
  kRead,
  kWrite,
  kSync,
  kName,  // rename, renameat2, link, linkat
  kThread,
};

struct Fault {
  FaultKind kind = FaultKind::kMemory;
  uint64_t first = 0;      // the number of the call that fails, from 0
  bool all_after = false;  // all later calls fail too
  // The errno of a system call. 0: a write is short instead, and no other kind
  // of call fails.
  int error = 0;
};

// Counts the library's calls of one kind and makes some of them fail. Only one
// injector may exist at a time.
class Injector {
 public:
  explicit Injector(Fault fault);
  ~Injector();
  Injector(const Injector&) = delete;
  Injector& operator=(const Injector&) = delete;

  // Calls `body`, which calls the library. Faults happen only during this call,
  // on all threads.
  template <class Body>
  decltype(auto) operator()(Body&& body) {
    const Armed armed;
    return std::forward<Body>(body)();
  }

  // Returns the number of calls of this kind so far.
  uint64_t calls() const;
  // Returns whether any call failed.
  bool fired() const;

 private:
  struct Armed {
    Armed();
    ~Armed();
  };
};

// While it lives, calls on its thread neither count nor fail. For functions of
// the test that the library calls back.
class Exempt {
 public:
  Exempt();
  ~Exempt();
  Exempt(const Exempt&) = delete;
  Exempt& operator=(const Exempt&) = delete;
};

// Counts a call and returns whether it must fail. Called by the functions that
// replace the system's.
bool Fails(FaultKind kind);
// Returns the errno of a call that fails; see Fault::error.
int FaultError();

// Calls the library through the injector and returns the resulting status.
// After a success, checks the result first.
using Operation = absl::FunctionRef<absl::Status(Injector&)>;

// Runs the operation once for each of its allocations, which then fails. A
// second sweep also fails all allocations after it. The operation must return
// OK or kResourceExhausted.
void SweepMemory(Operation operation);

// Runs the operation once for each of its calls of `kind`, which then fails
// with `error`. The operation must return OK or an error that names `path`. It
// must return OK if `error` is EINTR (an interrupted call) or 0 (a short
// write).
void SweepSystem(FaultKind kind, int error, const std::string& path,
                 Operation operation);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_FAULT_FAULTS_H_
