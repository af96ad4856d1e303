// Ends a text before the first of several strings.

#ifndef GEMMA_SRC_GENERATE_STOP_FILTER_H_
#define GEMMA_SRC_GENERATE_STOP_FILTER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace gemma::internal {

// Passes text on, but not a stop string nor what may become one.
class StopFilter {
 public:
  using TextFunction = std::function<bool(std::string_view text)>;

  // Both must outlive the filter. Stop strings are not empty.
  StopFilter(const std::vector<std::string>& stops, const TextFunction& on_text)
      : stops_(stops), on_text_(on_text) {}

  bool stopped() const { return stopped_; }  // a stop string came
  bool refused() const { return refused_; }  // on_text wants no more

  void Append(std::string_view text);

  // Passes on what was held back: nothing follows that would complete it.
  void Flush();

 private:
  // Size of the longest end of held_ with which a stop string begins.
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
