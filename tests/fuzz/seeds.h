// The first inputs of each fuzz target: small valid files of each form.

#ifndef GEMMA_TESTS_FUZZ_SEEDS_H_
#define GEMMA_TESTS_FUZZ_SEEDS_H_

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "src/os/mapped_file.h"
#include "tests/fuzz/harness.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {

// Writes the inputs of one target.
class Corpus {
 public:
  Corpus(const std::string& folder, const char* target)
      : folder_(absl::StrCat(folder, "/", target)) {
    std::filesystem::create_directories(folder_);
  }
  void Add(std::string_view name, std::string_view input) const {
    WriteFile(absl::StrCat(folder_, "/", name), input);
  }
  void Add(std::string_view name, const Bytes& input) const {
    Add(name, TextOf(input));
  }

 private:
  std::string folder_;
};

// Joins files to one input; see SplitInput.
class Files {
 public:
  Files& Add(std::string_view name, std::string_view contents) {
    absl::StrAppend(&input_, input_.empty() ? "" : "\n", "=== ", name, "\n",
                    contents);
    return *this;
  }
  const std::string& input() const { return input_; }

 private:
  std::string input_;
};

inline std::string ReadText(const std::string& path) {
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) std::exit(1);
  return std::string(file->text());
}

// These write FOLDER/TARGET/NAME. The first writes models, the second adapters,
// tokenizers, autoencoders, sessions, grammars, templates and answers.
void WriteModelSeeds(const std::string& folder);
void WriteOtherSeeds(const std::string& folder);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_FUZZ_SEEDS_H_
