// Descriptors that programs started by this process do not inherit. Systems
// without the calls of Linux mark them in a second step, and a program that
// another thread starts between the two inherits them.

#ifndef GEMMA_SRC_OS_DESCRIPTORS_H_
#define GEMMA_SRC_OS_DESCRIPTORS_H_

namespace gemma::internal {

// What reads and writes do when they cannot go on at once.
enum class Blocking { kWait, kFail };

// Opens a pipe: ends[0] reads, ends[1] writes. Returns whether it succeeded; if
// not, errno is set and both are -1.
bool OpenPipe(int ends[2], Blocking blocking);

// As socket(). Returns -1 and sets errno if it fails.
int OpenSocket(int family, int type, int protocol);
void CloseSocket(int fd);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_DESCRIPTORS_H_
