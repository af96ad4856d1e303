// Ends a text before the first of several strings.

#ifndef GEMMA_SRC_GENERATE_STOP_FILTER_H_
#define GEMMA_SRC_GENERATE_STOP_FILTER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace gemma::internal {

// Passes text on, except a stop string and the text after it. Holds back text
// that may become a stop string.
class StopFilter {
 public:
  using TextFunction = std::function<bool(std::string_view text)>;

  // Both must outlive the filter. Stop strings are not empty.
  StopFilter(const std::vector<std::string>& stops, const TextFunction& on_text)
      : stops_(stops), on_text_(on_text) {}

  bool stopped() const { return stopped_; }  // a stop string came
  bool refused() const { return refused_; }  // on_text wants no more

  void Append(std::string_view text);
  // Passes on `text`, and what was held back, without looking for stop strings.
  void Pass(std::string_view text);

  // Passes on the text that was held back. Call this when no text follows.
  void Flush();

 private:
  // Returns the size of the longest suffix of held_ that begins a stop string.
  size_t LongestBeginning() const;

  void Emit(size_t size);

  const std::vector<std::string>& stops_;
  const TextFunction& on_text_;
  std::string held_;
  bool stopped_ = false;
  bool refused_ = false;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_STOP_FILTER_H_
