// The calls of POSIX that we use, for Windows. Files of ours include the
// headers that POSIX has; on Windows, those of the folder posix/ come first and
// include this one. Code in our namespaces then finds these functions before
// those of Windows's C library. They take and return what POSIX says and set
// errno; texts are UTF-8, and files are never translated.

#ifndef GEMMA_SRC_OS_WINDOWS_CALLS_H_
#define GEMMA_SRC_OS_WINDOWS_CALLS_H_

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/internal.h"

#undef stat
#undef fstat
// Flags of open. Descriptors are never inherited; others only ask for what
// Windows does anyway.
#define O_CLOEXEC 0
#define O_NONBLOCK 0
#define O_DIRECTORY 0
#define O_NOFOLLOW 0x01000000
#define AT_FDCWD (-100)
#define AT_SYMLINK_FOLLOW 0x400
#define F_GETFD 1
#define RENAME_NOREPLACE 1

#define S_IFLNK 0120000
#define S_ISLNK(mode) (((mode)&0170000) == S_IFLNK)
#define S_ISSOCK(mode) (false)
#ifndef S_IROTH
#define S_IROTH 0
#endif

#define LOCK_EX 2
#define LOCK_NB 4

#define PROT_READ 1
#define MAP_PRIVATE 2
#define MAP_FAILED (reinterpret_cast<void*>(-1))
#define MADV_RANDOM 1
#define MADV_DONTNEED 4

// As in <winsock2.h>, which some files include, too.
#define POLLRDNORM 0x0100
#define POLLRDBAND 0x0200
#define POLLIN (POLLRDNORM | POLLRDBAND)
#define POLLWRNORM 0x0010
#define POLLOUT (POLLWRNORM)

#define TIOCGWINSZ 1
#define RLIMIT_AS 1
#define RLIMIT_NOFILE 2
#define RLIM_INFINITY UINT64_MAX
#define RUSAGE_SELF 0
#define _SC_PAGESIZE 1
#define _SC_NPROCESSORS_ONLN 2
#define _SC_PHYS_PAGES 3
#define _SC_AVPHYS_PAGES 4

namespace gemma::internal {

int open(const char* path, int flags, int mode = 0);
// A terminal receives and gives UTF-8.
ssize_t read(int fd, void* buffer, size_t size);
ssize_t write(int fd, const void* bytes, size_t size);
ssize_t pread(int fd, void* buffer, size_t size, off_t offset);
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset);
int ftruncate(int fd, off_t size);
int fsync(int fd);
// Locks the file, not its bytes. Only LOCK_EX | LOCK_NB.
int flock(int fd, int operation);
int isatty(int fd);
// Only F_GETFD.
int fcntl(int fd, int command);

// Another than the C library's, which numbers no files.
struct stat {
  uint64_t st_dev, st_ino;
  unsigned st_mode;
  unsigned st_nlink;
  off_t st_size;
  time_t st_atime, st_mtime, st_ctime;
};
int stat(const char* path, struct stat* info);
int lstat(const char* path, struct stat* info);
int fstat(int fd, struct stat* info);
int access(const char* path, int mode);
int unlink(const char* path);
int rename(const char* path, const char* target);
int link(const char* path, const char* target);
int linkat(int from, const char* path, int to, const char* target, int flags);
int renameat2(int from, const char* path, int to, const char* target,
              unsigned flags);
// `resolved` has PATH_MAX bytes.
char* realpath(const char* path, char* resolved);

struct dirent {
  char d_name[1024];  // 255 units of UTF-16 have fewer bytes
};
struct DIR;
DIR* opendir(const char* path);
dirent* readdir(DIR* directory);
int closedir(DIR* directory);

char* getenv(const char* name);
int setenv(const char* name, const char* value, int replace);
int unsetenv(const char* name);

struct pollfd {
  int fd;
  short events;
  short revents;
};
// Waits for pipes and terminals. Writes never wait.
int poll(pollfd* fds, size_t count, int timeout);

// Only PROT_READ and MAP_PRIVATE.
void* mmap(void* address, size_t size, int protection, int flags, int fd,
           off_t offset);
int munmap(void* address, size_t size);
int madvise(void* address, size_t size, int advice);

struct winsize {
  unsigned short ws_row, ws_col;
};
int ioctl(int fd, unsigned long request, winsize* size);

using rlim_t = uint64_t;
struct rlimit {
  rlim_t rlim_cur, rlim_max;
};
// No process has such limits.
int getrlimit(int resource, rlimit* limit);
int setrlimit(int resource, const rlimit* limit);

struct rusage {
  long ru_maxrss;  // kibibytes
};
// Only RUSAGE_SELF.
int getrusage(int who, rusage* usage);

long sysconf(int name);

struct utsname {
  char sysname[32];
  char release[32];
};
int uname(utsname* system);

struct statvfs {
  uint64_t f_bavail, f_frsize;
};
// Also for std::filesystem::path, which holds UTF-16.
int statvfs(const char* path, struct statvfs* disk);
int statvfs(const wchar_t* path, struct statvfs* disk);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_WINDOWS_CALLS_H_
