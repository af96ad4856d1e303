// Cuts and changes the files of models byte by byte. Loading may then fail; the
// status must blame and name the file. A model that loads must also run.

#ifndef GEMMA_TESTS_SUPPORT_HOSTILE_FILES_H_
#define GEMMA_TESTS_SUPPORT_HOSTILE_FILES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/support/tiny_files.h"

namespace gemma::internal {

// A directory that is removed after the test. It is in memory (/dev/shm) if the
// system supports that.
class Folder {
 public:
  Folder();
  ~Folder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A file that is changed in place, which is faster than writing a new one.
class ChangingFile {
 public:
  ChangingFile(const std::string& path, const Bytes& bytes);
  ~ChangingFile();

  const Bytes& bytes() const { return bytes_; }
  void Put(size_t offset, uint8_t byte);
  void Cut(size_t size);
  void Restore();

 private:
  Bytes bytes_;
  int file_ = -1;
};

// Loads the model. If it loads, computes three positions and samples a token.
// Returns whether it loaded.
bool LoadAndRun(const std::string& path);

// Cuts the file of the model at `path` at every structural byte, and at some
// bytes of the data after them.
void CutEverywhere(const std::string& path, ChangingFile& file,
                   size_t structure);

// Changes every structural byte, from `begin` to `end`, in four ways. A changed
// file may still be a valid model; the test fails if all of them are.
void ChangeEverywhere(const std::string& path, ChangingFile& file, size_t end,
                      size_t begin = 0);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_HOSTILE_FILES_H_
