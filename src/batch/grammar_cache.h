// Compiled grammars of an engine, kept for requests with the same source.

#ifndef GEMMA_SRC_BATCH_GRAMMAR_CACHE_H_
#define GEMMA_SRC_BATCH_GRAMMAR_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "gemma/grammar.h"
#include "src/batch/meter.h"

namespace gemma::internal {

// Any thread may use it. A compiled grammar does not depend on a vocabulary;
// what each answer makes of it for one is the answer's own.
class GrammarCache {
 public:
  // Keeps at most max_bytes of grammars and their sources. Tells the meter,
  // which must outlive the cache.
  GrammarCache(uint64_t max_bytes, Meter& meter)
      : max_bytes_(max_bytes), meter_(meter) {}

  // Returns the kept grammar of the source, or compiles it. Threads that ask
  // for the same source at the same time wait for one of them to compile it.
  // Errors are those of Grammar::FromSource, and are not kept.
  absl::StatusOr<Grammar> Get(const GrammarSource& source);

  // The bytes of what is kept, at most max_bytes.
  uint64_t bytes() const;

 private:
  struct Entry {
    explicit Entry(std::string from) : key(std::move(from)) {}

    const std::string key;
    std::mutex compiling;  // held while the grammar is compiled; guards it
    std::optional<Grammar> grammar;
    uint64_t bytes = 0;  // 0 until the grammar is kept; guarded by mutex_
  };
  using Entries = std::list<std::shared_ptr<Entry>>;

  Entries::iterator Find(const std::string& key);
  // Returns the entry of the key, and moves it to the front.
  std::shared_ptr<Entry> EntryOf(const std::string& key);
  // Keeps a compiled grammar within the limit, or forgets its entry.
  void Keep(const std::shared_ptr<Entry>& entry, uint64_t bytes);
  void Forget(const Entry& entry);
  // Adds up what is kept. `found`: as in Meter.
  void Count(bool found);

  const uint64_t max_bytes_;
  Meter& meter_;
  mutable std::mutex mutex_;  // guards the fields below
  Entries entries_;           // most recently used first
  uint64_t bytes_ = 0;        // of all entries
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_GRAMMAR_CACHE_H_
