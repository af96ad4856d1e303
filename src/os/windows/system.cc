// What the system and its user say.

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <windows.h>

#include <psapi.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "src/os/windows/wide.h"

namespace gemma::internal {
namespace {

bool ReadVariable(const std::string& name, std::string* value) {
  const std::wstring wide = ToWide(name);
  std::wstring text(32768, L'\0');  // no variable is longer
  SetLastError(ERROR_SUCCESS);
  const DWORD size = GetEnvironmentVariableW(wide.c_str(), text.data(),
                                             static_cast<DWORD>(text.size()));
  if (size == 0 && GetLastError() == ERROR_ENVVAR_NOT_FOUND) return false;
  *value = FromWide(std::wstring_view(text).substr(0, size));
  return true;
}

}  // namespace

char* getenv(const char* name) {
  // Callers may keep what was returned.
  static std::mutex mutex;
  static auto& kept = *new std::map<std::string, std::string>();
  std::string value;
  if (!ReadVariable(name, &value)) {
    constexpr std::string_view kHome = "HOME";
    if (name != kHome || !ReadVariable("USERPROFILE", &value)) return nullptr;
  }
  const std::lock_guard lock(mutex);
  std::string& held = kept[name];
  if (held != value) held = value;
  return held.data();
}

int setenv(const char* name, const char* value, int replace) {
  if (replace == 0 && getenv(name) != nullptr) return 0;
  return SetEnvironmentVariableW(ToWide(name).c_str(), ToWide(value).c_str())
             ? 0
             : SetErrno();
}

int unsetenv(const char* name) {
  SetEnvironmentVariableW(ToWide(name).c_str(), nullptr);
  return 0;
}

int getrlimit(int, rlimit* limit) {
  limit->rlim_cur = limit->rlim_max = RLIM_INFINITY;
  return 0;
}

int setrlimit(int, const rlimit*) { return 0; }

int getrusage(int, rusage* usage) {
  PROCESS_MEMORY_COUNTERS counters;
  if (!K32GetProcessMemoryInfo(GetCurrentProcess(), &counters,
                               sizeof(counters))) {
    return SetErrno();
  }
  usage->ru_maxrss = static_cast<long>(counters.PeakWorkingSetSize >> 10);
  return 0;
}

long sysconf(int name) {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  MEMORYSTATUSEX memory = {};
  memory.dwLength = sizeof(memory);
  GlobalMemoryStatusEx(&memory);
  switch (name) {
    case _SC_PAGESIZE:
      return static_cast<long>(info.dwPageSize);
    case _SC_NPROCESSORS_ONLN:
      return static_cast<long>(info.dwNumberOfProcessors);
    case _SC_PHYS_PAGES:
      return static_cast<long>(memory.ullTotalPhys / info.dwPageSize);
    case _SC_AVPHYS_PAGES:
      // Windows refuses memory for which neither it nor its swap file has room.
      return static_cast<long>(
          std::min(memory.ullAvailPhys, memory.ullAvailPageFile) /
          info.dwPageSize);
  }
  errno = EINVAL;
  return -1;
}

int uname(utsname* system) {
  std::snprintf(system->sysname, sizeof(system->sysname), "Windows");
  system->release[0] = '\0';
  // GetVersionEx returns the version that a program was made for.
  using GetVersion = LONG(WINAPI*)(OSVERSIONINFOW*);
  const HMODULE library = GetModuleHandleW(L"ntdll.dll");
  const auto get_version = reinterpret_cast<GetVersion>(
      reinterpret_cast<void*>(GetProcAddress(library, "RtlGetVersion")));
  OSVERSIONINFOW version = {};
  version.dwOSVersionInfoSize = sizeof(version);
  if (get_version == nullptr || get_version(&version) != 0) return -1;
  std::snprintf(system->release, sizeof(system->release), "%lu.%lu.%lu",
                version.dwMajorVersion, version.dwMinorVersion,
                version.dwBuildNumber);
  return 0;
}

int statvfs(const char* path, struct statvfs* disk) {
  return statvfs(WidePath(path).c_str(), disk);
}

int statvfs(const wchar_t* path, struct statvfs* disk) {
  ULARGE_INTEGER free = {};
  if (!GetDiskFreeSpaceExW(path, &free, nullptr, nullptr)) return SetErrno();
  *disk = {free.QuadPart, 1};
  return 0;
}

}  // namespace gemma::internal
