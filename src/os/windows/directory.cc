#include <dirent.h>
#include <windows.h>

#include <new>
#include <string>

#include "src/os/windows/wide.h"

namespace gemma::internal {

struct DIR {
  HANDLE search;
  WIN32_FIND_DATAW found;  // the next entry
  bool has_found;
  dirent entry;
};

DIR* opendir(const char* path) {
  DIR* directory = new (std::nothrow) DIR{};
  if (directory == nullptr) {
    errno = ENOMEM;
    return nullptr;
  }
  directory->search =
      FindFirstFileW((WidePath(path) + L"\\*").c_str(), &directory->found);
  if (directory->search == INVALID_HANDLE_VALUE) {
    SetErrno();
    delete directory;
    return nullptr;
  }
  directory->has_found = true;
  return directory;
}

dirent* readdir(DIR* directory) {
  if (!directory->has_found) return nullptr;
  const std::string name = FromWide(directory->found.cFileName);
  const size_t size =
      name.copy(directory->entry.d_name, sizeof(directory->entry.d_name) - 1);
  directory->entry.d_name[size] = '\0';
  directory->has_found =
      FindNextFileW(directory->search, &directory->found) != 0;
  return &directory->entry;
}

int closedir(DIR* directory) {
  FindClose(directory->search);
  delete directory;
  return 0;
}

}  // namespace gemma::internal
