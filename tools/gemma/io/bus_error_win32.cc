#include "tools/gemma/io/bus_error.h"

#include <unistd.h>
#include <windows.h>

#include <psapi.h>

#include <array>
#include <string>

#include "src/base/internal.h"
#include "src/os/windows/wide.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/signals.h"

namespace gemma::tools {
namespace {

// Windows lets nobody cut a file that is mapped, but a disk can fail or leave.
LONG WINAPI OnException(EXCEPTION_POINTERS* exception) {
  const EXCEPTION_RECORD& record = *exception->ExceptionRecord;
  if (record.ExceptionCode != EXCEPTION_IN_PAGE_ERROR ||
      record.NumberParameters < 2) {
    return EXCEPTION_CONTINUE_SEARCH;
  }
  std::array<wchar_t, 4096> path;
  void* const address = reinterpret_cast<void*>(record.ExceptionInformation[1]);
  const DWORD size =
      K32GetMappedFileNameW(GetCurrentProcess(), address, path.data(),
                            static_cast<DWORD>(path.size()));
  RunLastAction();
  // The thread that failed was reading weights, and holds no lock.
  NoteError(absl::DataLossError(FromWide({path.data(), size}) +
                                ": became unreadable while it was in use"));
  _exit(kExitFailure);
}

}  // namespace

void InstallBusErrorHandler() {
  AddVectoredExceptionHandler(/*first=*/0, OnException);
}

}  // namespace gemma::tools
