// What all fuzz targets share: files in memory, and the checks of what the
// library makes of them.

#ifndef GEMMA_TESTS_FUZZ_HARNESS_H_
#define GEMMA_TESTS_FUZZ_HARNESS_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/gemma.h"

namespace gemma::internal {

// Ends the process if the condition is false. The fuzzer then keeps the input,
// and the replay fails.
void Require(bool condition, std::string_view what);

// Requires that an error blames the input: a code for wrong or large content,
// and a message of one printable line that contains `named`.
void RequireBlame(const absl::Status& status, std::string_view named = "");

inline std::string_view TextOf(absl::Span<const uint8_t> input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

// Returns a number that depends on the whole input.
uint64_t HashOf(absl::Span<const uint8_t> input);

// A folder for the files of one input after the other. It is in memory
// (/dev/shm) if the system supports that, and is removed when the process ends.
class InputFolder {
 public:
  InputFolder();
  ~InputFolder();
  InputFolder(const InputFolder&) = delete;
  InputFolder& operator=(const InputFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string Path(std::string_view name) const;

  // Writes a file. `name` may begin with the name of a folder.
  void Write(std::string_view name, std::string_view contents);
  // Deletes the files that were written, except those in `keep`.
  void Clear(const std::set<std::string>& keep = {});

 private:
  std::string path_;
  std::set<std::string> names_;
};

// The files that an input describes: a line "=== NAME" begins the file NAME,
// and the end of line before it belongs to it. Without such a line at its
// start, the whole input is the first of `names`. Files with other names than
// `names` are left out.
using InputFiles = std::vector<std::pair<std::string, std::string_view>>;
InputFiles SplitInput(std::string_view input,
                      const std::vector<std::string>& names);

// Replaces the files of the folder by those of the input. Files in `keep`
// remain.
void WriteInput(const InputFiles& files, InputFolder& folder,
                const std::set<std::string>& keep = {});

// Loads the model at `path`, and computes some positions or the vector of a
// text. Returns whether it loaded.
bool LoadAndRunModel(const std::string& path);

// Encodes and decodes texts, among them the input, and requires that the
// results agree with each other.
void RunTokenizer(const Tokenizer& tokenizer, std::string_view input);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_FUZZ_HARNESS_H_
