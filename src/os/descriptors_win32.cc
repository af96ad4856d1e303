#include <fcntl.h>
#include <io.h>

#include "src/os/descriptors.h"

namespace gemma::internal {

// A read waits for bytes also with Blocking::kFail: callers ask poll() first,
// and write less than a pipe holds. For sockets, see src/os/windows/sockets.cc.
bool OpenPipe(int ends[2], Blocking) {
  constexpr unsigned kBytes = 65536;
  if (_pipe(ends, kBytes, _O_BINARY | _O_NOINHERIT) == 0) return true;
  ends[0] = ends[1] = -1;
  return false;
}

}  // namespace gemma::internal
