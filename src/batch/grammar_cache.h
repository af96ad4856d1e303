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
#include "src/batch/memory_account.h"
#include "src/batch/meter.h"

namespace gemma::internal {

// Any thread may use it. A compiled grammar does not depend on a vocabulary;
// what each answer makes of it for one is the answer's own.
class GrammarCache : private Droppable {
 public:
  // Keeps at most max_bytes of grammars and their sources, with room in the
  // account. Tells the meter. Both must outlive the cache.
  GrammarCache(uint64_t max_bytes, EngineMeter& meter, MemoryAccount& account);
  ~GrammarCache() override;

  // Returns the kept grammar of the source, or compiles it. Threads that ask
  // for the same source at the same time wait for one of them to compile it.
  // Errors are those of Grammar::FromSource, and are not kept.
  absl::StatusOr<Grammar> Get(const GrammarSource& source);

  // The bytes of what is kept, at most max_bytes.
  uint64_t bytes() const override;

 private:
  struct Entry {
    explicit Entry(std::string from) : key(std::move(from)) {}

    const std::string key;
    std::mutex compiling;  // held while the grammar is compiled; guards it
    std::optional<Grammar> grammar;
    // These are guarded by mutex_.
    uint64_t bytes = 0;  // 0 until the grammar is kept
    uint64_t used = 0;   // when; see MemoryAccount::Now
  };
  using Entries = std::list<std::shared_ptr<Entry>>;

  Entries::iterator Find(const std::string& key);
  // Returns the entry of the key, and moves it to the front.
  std::shared_ptr<Entry> EntryOf(const std::string& key);
  // Keeps a compiled grammar within the limit, or forgets its entry.
  void Keep(const std::shared_ptr<Entry>& entry, uint64_t bytes);
  void Forget(const Entry& entry);
  // Tells the meter what is kept. Needs mutex_.
  void Count() const;

  // Droppable, with the lock of the account, which comes before mutex_.
  std::optional<uint64_t> oldest() const override;
  void DropOldest() override;
  // The least recently used grammar that is kept. Needs mutex_.
  Entries::const_iterator Oldest() const;

  const uint64_t max_bytes_;
  EngineMeter& meter_;
  MemoryAccount& account_;
  mutable std::mutex mutex_;  // guards the fields below
  Entries entries_;           // most recently used first
  uint64_t bytes_ = 0;        // of all entries
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_GRAMMAR_CACHE_H_
