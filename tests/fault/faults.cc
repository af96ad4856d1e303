#include "tests/fault/faults.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

Fault fault;
std::atomic<bool> armed = false;
std::atomic<uint64_t> num_calls = 0;
std::atomic<bool> any_failed = false;
thread_local int exempt = 0;

std::string NameOf(const Fault& of) {
  return absl::StrCat("fault of kind ", static_cast<int>(of.kind), " at call ",
                      of.first, of.all_after ? " and after" : "", ", errno ",
                      of.error);
}

// Prints which fault ended the process, because std::terminate does not.
[[noreturn]] void Terminate() {
  armed = false;
  std::fprintf(stderr, "terminated by %s\n", NameOf(fault).c_str());
  std::abort();
}

using IsAllowed = absl::FunctionRef<bool(const absl::Status&)>;

// Runs the operation once. Returns whether the fault happened and the test has
// not failed.
bool Bears(const Fault& next, Operation operation, IsAllowed is_allowed) {
  SCOPED_TRACE(NameOf(next));
  Injector injector(next);
  absl::Status status;
  try {
    status = operation(injector);
  } catch (const std::exception& error) {
    ADD_FAILURE() << "threw: " << error.what();
  }
  if (injector.fired()) {
    EXPECT_TRUE(is_allowed(status)) << status;
  } else {
    EXPECT_TRUE(status.ok()) << status;
  }
  return injector.fired() && !testing::Test::HasFailure();
}

void Sweep(Fault next, Operation operation, IsAllowed is_allowed) {
  if (testing::Test::HasFailure()) return;
  for (next.first = 0; Bears(next, operation, is_allowed); ++next.first) {
  }
  EXPECT_GT(next.first, 0u)
      << NameOf(next) << ": the operation made no such call";
}

}  // namespace

Injector::Injector(Fault next) {
  std::set_terminate(Terminate);
  fault = next;
  num_calls = 0;
  any_failed = false;
}

Injector::~Injector() { armed = false; }

uint64_t Injector::calls() const { return num_calls; }

bool Injector::fired() const { return any_failed; }

Injector::Armed::Armed() { armed = true; }
Injector::Armed::~Armed() { armed = false; }

Exempt::Exempt() { ++exempt; }
Exempt::~Exempt() { --exempt; }

bool Fails(FaultKind kind) {
  if (!armed.load(std::memory_order_relaxed) || exempt != 0) return false;
  if (kind != fault.kind) return false;
  const uint64_t call = num_calls.fetch_add(1, std::memory_order_relaxed);
  const bool fails =
      fault.all_after ? call >= fault.first : call == fault.first;
  if (fails) any_failed.store(true, std::memory_order_relaxed);
  return fails;
}

int FaultError() { return fault.error; }

void SweepMemory(Operation operation) {
  const auto is_allowed = [](const absl::Status& status) {
    return status.ok() || absl::IsResourceExhausted(status);
  };
  // Run once without a fault, so that the library creates its static objects
  // before the sweeps.
  Bears({.first = UINT64_MAX}, operation, is_allowed);
  for (const bool all_after : {false, true}) {
    Sweep({.all_after = all_after}, operation, is_allowed);
  }
}

void SweepSystem(FaultKind kind, int error, const std::string& path,
                 Operation operation) {
  const bool must_succeed = error == EINTR || error == 0;
  const auto is_allowed = [&](const absl::Status& status) {
    if (status.ok()) return true;
    return !must_succeed && absl::StrContains(status.message(), path);
  };
  Sweep({.kind = kind, .error = error}, operation, is_allowed);
}

}  // namespace gemma::internal
