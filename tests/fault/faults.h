// Lets allocations and system calls fail, one at a time or from one on, to see
// that nothing but an error comes of it. The functions that fail are in
// failing_memory.cc and failing_system.cc; the binary's own definitions take
// the place of the system's.

#ifndef GEMMA_TESTS_FAULT_FAULTS_H_
#define GEMMA_TESTS_FAULT_FAULTS_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace gemma {

// What fails.
enum class FaultKind {
  kMemory,  // operator new, malloc, calloc, and zlib's
  kOpen,
  kMap,
  kWrite,
  kSync,
  kName,  // rename and its kin
  kThread,
};

struct Fault {
  FaultKind kind = FaultKind::kMemory;
  uint64_t first = 0;      // the call that fails, from 0
  bool all_after = false;  // and those after it
  // Of a system call. 0: a write is short, and no other call fails.
  int error = 0;
};

// Counts the calls of one kind that the library makes, and lets some fail. Only
// one may exist at a time.
class Injector {
 public:
  explicit Injector(Fault fault);
  ~Injector();
  Injector(const Injector&) = delete;
  Injector& operator=(const Injector&) = delete;

  // Calls `body`, which calls the library. Meanwhile faults happen on all
  // threads; otherwise they do not.
  template <class Body>
  decltype(auto) operator()(Body&& body) {
    const Armed armed;
    return std::forward<Body>(body)();
  }

  // Calls of the kind so far.
  uint64_t calls() const;
  // Whether one failed.
  bool fired() const;

 private:
  struct Armed {
    Armed();
    ~Armed();
  };
};

// While it lives, calls of its thread are not the library's: for functions of
// the test that the library calls.
class Exempt {
 public:
  Exempt();
  ~Exempt();
  Exempt(const Exempt&) = delete;
  Exempt& operator=(const Exempt&) = delete;
};

// For the functions that fail: counts a call, and returns whether it fails.
bool Fails(FaultKind kind);
// Its errno.
int FaultError();

// Calls the library by way of the injector. Returns what came of it, after
// checking a success.
using Operation = absl::FunctionRef<absl::Status(Injector&)>;

// Lets each allocation of the operation fail in turn, and in a second sweep
// each and all that follow. The operation must return OK or kResourceExhausted.
void SweepMemory(Operation operation);

// The same for a system call. The operation must return OK, as it must where a
// call is only interrupted or a write is short, or an error that names `path`.
void SweepSystem(FaultKind kind, int error, const std::string& path,
                 Operation operation);

}  // namespace gemma

#endif  // GEMMA_TESTS_FAULT_FAULTS_H_
