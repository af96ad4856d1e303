// Files and what is in them.

#include <fcntl.h>
#include <io.h>
#include <sys/stat.h>
#include <unistd.h>
#include <windows.h>

#include <algorithm>
#include <string>

#include "src/os/windows/console.h"
#include "src/os/windows/handle.h"
#include "src/os/windows/wide.h"

namespace gemma::internal {
namespace {

// Others may read, write, rename and remove a file that we have open, as POSIX
// has it.
constexpr DWORD kShareAll =
    FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

// A byte that no file has. A lock of Windows would keep others from reading
// what it covers.
constexpr DWORD kLockedByte = 0x7FFFFFFF;

// Windows reads and writes fewer than 4 GiB at once.
constexpr size_t kMostBytes = size_t{1} << 30;

DWORD Creation(int flags) {
  if (flags & O_EXCL) return CREATE_NEW;
  if (flags & O_TRUNC)
    return flags & O_CREAT ? CREATE_ALWAYS : TRUNCATE_EXISTING;
  return flags & O_CREAT ? OPEN_ALWAYS : OPEN_EXISTING;
}

bool IsDirectory(const std::wstring& path) {
  const DWORD attributes = GetFileAttributesW(path.c_str());
  return attributes != INVALID_FILE_ATTRIBUTES &&
         (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

// Opens what the path names, or a link itself, to ask about it.
Handle OpenToAsk(const char* path, DWORD flags) {
  return Handle(CreateFileW(WidePath(path).c_str(), FILE_READ_ATTRIBUTES,
                            kShareAll, nullptr, OPEN_EXISTING,
                            FILE_FLAG_BACKUP_SEMANTICS | flags, nullptr));
}

time_t TimeOf(const FILETIME& time) {
  constexpr uint64_t kSecond = 10'000'000;
  constexpr uint64_t kFrom1601To1970 = 11'644'473'600;
  const uint64_t ticks =
      uint64_t{time.dwHighDateTime} << 32 | time.dwLowDateTime;
  return static_cast<time_t>(ticks / kSecond) -
         static_cast<time_t>(kFrom1601To1970);
}

int Describe(HANDLE file, struct stat* info) {
  *info = {};
  switch (GetFileType(file)) {
    case FILE_TYPE_CHAR:
      info->st_mode = S_IFCHR;
      return 0;
    case FILE_TYPE_PIPE:
      info->st_mode = S_IFIFO;
      return 0;
  }
  BY_HANDLE_FILE_INFORMATION found;
  if (!GetFileInformationByHandle(file, &found)) return SetErrno();
  const DWORD attributes = found.dwFileAttributes;
  const bool is_directory = (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
  info->st_mode = is_directory ? S_IFDIR | 0700 : S_IFREG | 0600;
  info->st_dev = found.dwVolumeSerialNumber;
  info->st_ino = uint64_t{found.nFileIndexHigh} << 32 | found.nFileIndexLow;
  info->st_nlink = found.nNumberOfLinks;
  info->st_size = static_cast<off_t>(uint64_t{found.nFileSizeHigh} << 32 |
                                     found.nFileSizeLow);
  info->st_mtime = TimeOf(found.ftLastWriteTime);
  info->st_atime = TimeOf(found.ftLastAccessTime);
  info->st_ctime = TimeOf(found.ftCreationTime);
  return 0;
}

// Where in a file to read or write.
OVERLAPPED At(off_t offset) {
  OVERLAPPED at = {};
  at.Offset = static_cast<DWORD>(offset);
  at.OffsetHigh = static_cast<DWORD>(static_cast<uint64_t>(offset) >> 32);
  return at;
}

// Puts the position of a file back where it was: reads and writes at an offset
// move it on Windows.
class KeepPosition {
 public:
  explicit KeepPosition(HANDLE file) : file_(file) {
    SetFilePointerEx(file_, {}, &position_, FILE_CURRENT);
  }
  ~KeepPosition() { SetFilePointerEx(file_, position_, nullptr, FILE_BEGIN); }
  KeepPosition(const KeepPosition&) = delete;
  KeepPosition& operator=(const KeepPosition&) = delete;

 private:
  HANDLE file_;
  LARGE_INTEGER position_ = {};
};

}  // namespace

HANDLE HandleOf(int fd) { return reinterpret_cast<HANDLE>(_get_osfhandle(fd)); }

int open(const char* path, int flags, int) {
  const int kind = flags & (O_WRONLY | O_RDWR);
  const DWORD wanted = kind == O_RDWR     ? GENERIC_READ | GENERIC_WRITE
                       : kind == O_WRONLY ? GENERIC_WRITE
                                          : GENERIC_READ;
  const DWORD link = flags & O_NOFOLLOW ? FILE_FLAG_OPEN_REPARSE_POINT : 0;
  const std::wstring wide = WidePath(path);
  Handle file(CreateFileW(wide.c_str(), wanted, kShareAll, nullptr,
                          Creation(flags), FILE_ATTRIBUTE_NORMAL | link,
                          nullptr));
  if (!file.valid()) {
    SetErrno();
    if (errno == EACCES && IsDirectory(wide)) errno = EISDIR;
    return -1;
  }
  BY_HANDLE_FILE_INFORMATION found;
  if (link != 0 && GetFileInformationByHandle(file.get(), &found) &&
      (found.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) {
    errno = ELOOP;
    return -1;
  }
  const int fd =
      _open_osfhandle(reinterpret_cast<intptr_t>(file.get()),
                      _O_BINARY | _O_NOINHERIT | (flags & (O_APPEND | kind)));
  if (fd >= 0) file.Release();
  return fd;
}

ssize_t read(int fd, void* buffer, size_t size) {
  if (isatty(fd)) return ReadFromConsole(HandleOf(fd), buffer, size);
  DWORD count = 0;
  if (!ReadFile(HandleOf(fd), buffer,
                static_cast<DWORD>(std::min(size, kMostBytes)), &count,
                nullptr)) {
    // The writer of a pipe has closed it.
    return GetLastError() == ERROR_BROKEN_PIPE ? 0 : SetErrno();
  }
  return count;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  const HANDLE file = HandleOf(fd);
  if (isatty(fd)) return WriteToConsole(file, bytes, size);
  if (size > 0 && GetFileType(file) == FILE_TYPE_DISK) {
    // Knows whether the descriptor appends.
    return ::_write(fd, bytes,
                    static_cast<unsigned>(std::min(size, kMostBytes)));
  }
  DWORD count = 0;
  if (!WriteFile(file, bytes, static_cast<DWORD>(std::min(size, kMostBytes)),
                 &count, nullptr)) {
    return SetErrno();
  }
  return count;
}

ssize_t pread(int fd, void* buffer, size_t size, off_t offset) {
  const KeepPosition keep(HandleOf(fd));
  OVERLAPPED at = At(offset);
  DWORD count = 0;
  if (!ReadFile(HandleOf(fd), buffer,
                static_cast<DWORD>(std::min(size, kMostBytes)), &count, &at)) {
    return GetLastError() == ERROR_HANDLE_EOF ? 0 : SetErrno();
  }
  return count;
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  const KeepPosition keep(HandleOf(fd));
  OVERLAPPED at = At(offset);
  DWORD count = 0;
  if (!WriteFile(HandleOf(fd), bytes,
                 static_cast<DWORD>(std::min(size, kMostBytes)), &count, &at)) {
    return SetErrno();
  }
  return count;
}

int ftruncate(int fd, off_t size) {
  FILE_END_OF_FILE_INFO end;
  end.EndOfFile.QuadPart = size;
  return SetFileInformationByHandle(HandleOf(fd), FileEndOfFileInfo, &end,
                                    sizeof(end))
             ? 0
             : SetErrno();
}

int fsync(int fd) { return FlushFileBuffers(HandleOf(fd)) ? 0 : SetErrno(); }

int flock(int fd, int) {
  OVERLAPPED at = {};
  at.OffsetHigh = kLockedByte;
  return LockFileEx(HandleOf(fd),
                    LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1,
                    0, &at)
             ? 0
             : SetErrno();
}

int fcntl(int fd, int) {
  if (HandleOf(fd) != INVALID_HANDLE_VALUE) return 0;
  errno = EBADF;
  return -1;
}

int stat(const char* path, struct stat* info) {
  const Handle file = OpenToAsk(path, 0);
  return file.valid() ? Describe(file.get(), info) : SetErrno();
}

int lstat(const char* path, struct stat* info) {
  const DWORD attributes = GetFileAttributesW(WidePath(path).c_str());
  if (attributes == INVALID_FILE_ATTRIBUTES ||
      (attributes & FILE_ATTRIBUTE_REPARSE_POINT) == 0) {
    return stat(path, info);
  }
  const Handle link = OpenToAsk(path, FILE_FLAG_OPEN_REPARSE_POINT);
  if (!link.valid()) return SetErrno();
  FILE_ATTRIBUTE_TAG_INFO tag = {};
  GetFileInformationByHandleEx(link.get(), FileAttributeTagInfo, &tag,
                               sizeof(tag));
  // Other kinds, such as files that are still in a cloud, are no links.
  if (tag.ReparseTag != IO_REPARSE_TAG_SYMLINK &&
      tag.ReparseTag != IO_REPARSE_TAG_MOUNT_POINT) {
    return stat(path, info);
  }
  if (Describe(link.get(), info) != 0) return -1;
  info->st_mode = S_IFLNK | 0700;
  return 0;
}

int fstat(int fd, struct stat* info) {
  const HANDLE file = HandleOf(fd);
  if (file == INVALID_HANDLE_VALUE) {
    errno = EBADF;
    return -1;
  }
  return Describe(file, info);
}

int access(const char* path, int mode) {
  const DWORD attributes = GetFileAttributesW(WidePath(path).c_str());
  if (attributes == INVALID_FILE_ATTRIBUTES) return SetErrno();
  constexpr DWORD kKinds = FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_READONLY;
  if ((mode & W_OK) && (attributes & kKinds) == FILE_ATTRIBUTE_READONLY) {
    errno = EACCES;
    return -1;
  }
  return 0;
}

int unlink(const char* path) {
  return DeleteFileW(WidePath(path).c_str()) ? 0 : SetErrno();
}

int rename(const char* path, const char* target) {
  return MoveFileExW(WidePath(path).c_str(), WidePath(target).c_str(),
                     MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)
             ? 0
             : SetErrno();
}

int renameat2(int, const char* path, int, const char* target, unsigned) {
  return MoveFileExW(WidePath(path).c_str(), WidePath(target).c_str(),
                     MOVEFILE_WRITE_THROUGH)
             ? 0
             : SetErrno();
}

int link(const char* path, const char* target) {
  return CreateHardLinkW(WidePath(target).c_str(), WidePath(path).c_str(),
                         nullptr)
             ? 0
             : SetErrno();
}

// For files without a name, which Windows has not got.
int linkat(int, const char*, int, const char*, int) {
  errno = ENOSYS;
  return -1;
}

char* realpath(const char* path, char* resolved) {
  const Handle file = OpenToAsk(path, 0);
  std::wstring wide(PATH_MAX, L'\0');
  const DWORD size =
      file.valid() ? GetFinalPathNameByHandleW(file.get(), wide.data(),
                                               PATH_MAX, FILE_NAME_NORMALIZED)
                   : 0;
  if (size == 0) {
    SetErrno();
    return nullptr;
  }
  wide.resize(std::min<size_t>(size, PATH_MAX));
  // WidePath adds the prefix again to paths that need it.
  constexpr std::wstring_view kPrefix = L"\\\\?\\";
  constexpr std::wstring_view kNetwork = L"\\\\?\\UNC\\";
  if (wide.starts_with(kNetwork)) {
    wide.replace(0, kNetwork.size(), L"\\\\");
  } else if (wide.starts_with(kPrefix)) {
    wide.erase(0, kPrefix.size());
  }
  const std::string text = FromWide(wide);
  if (size >= PATH_MAX || text.size() >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return nullptr;
  }
  text.copy(resolved, text.size());
  resolved[text.size()] = '\0';
  return resolved;
}

}  // namespace gemma::internal
