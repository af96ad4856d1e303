#include "src/batch/grammar_cache.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// Equal for equal sources only: each part begins with its size.
std::string KeyOf(const GrammarSource& source) {
  std::string key = std::to_string(static_cast<int>(source.kind));
  const auto add = [&](const std::string& part) {
    key += ' ' + std::to_string(part.size()) + ' ' + part;
  };
  add(source.text);
  for (const std::string& choice : source.choices) add(choice);
  if (source.kind != GrammarSource::Kind::kTools) return key;
  const ToolRules& rules = source.rules;
  for (const int rule :
       {static_cast<int>(rules.dialect), static_cast<int>(rules.choice),
        static_cast<int>(rules.parallel), static_cast<int>(rules.thinking)}) {
    key += ' ' + std::to_string(rule);
  }
  for (const std::string& name : rules.names) add(name);
  return key;
}

}  // namespace

GrammarCache::GrammarCache(uint64_t max_bytes, EngineMeter& meter,
                           MemoryAccount& account)
    : max_bytes_(max_bytes), meter_(meter), account_(account) {
  const MemoryAccount::Lock lock(account_);
  account_.Add(*this);
}

GrammarCache::~GrammarCache() {
  const MemoryAccount::Lock lock(account_);
  account_.Remove(*this);
}

absl::StatusOr<Grammar> GrammarCache::Get(const GrammarSource& source) {
  const std::shared_ptr<Entry> entry = EntryOf(KeyOf(source));
  const std::lock_guard lock(entry->compiling);
  if (entry->grammar.has_value()) {
    meter_.Compiled(/*found=*/true);
    return *entry->grammar;
  }
  absl::StatusOr<Grammar> grammar = Grammar::FromSource(source);
  if (!grammar.ok()) {
    Forget(*entry);
    meter_.Compiled(/*found=*/false);
    return grammar;
  }
  entry->grammar = *grammar;
  Keep(entry, grammar->bytes() + entry->key.capacity() + sizeof(Entry));
  meter_.Compiled(/*found=*/false);
  return grammar;
}

uint64_t GrammarCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

GrammarCache::Entries::iterator GrammarCache::Find(const std::string& key) {
  return std::find_if(entries_.begin(), entries_.end(),
                      [&](const auto& entry) { return entry->key == key; });
}

std::shared_ptr<GrammarCache::Entry> GrammarCache::EntryOf(
    const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = Find(key);
  if (found == entries_.end()) {
    entries_.push_front(std::make_shared<Entry>(key));
  } else {
    entries_.splice(entries_.begin(), entries_, found);
  }
  entries_.front()->used = account_.Now();
  return entries_.front();
}

void GrammarCache::Keep(const std::shared_ptr<Entry>& entry, uint64_t bytes) {
  const MemoryAccount::Lock account_lock(account_);
  const bool has_room = bytes <= max_bytes_ &&
                        account_.MakeRoom(bytes) == MemoryAccount::Room::kMade;
  const std::lock_guard lock(mutex_);
  // Another thread may have forgotten the entry.
  const auto place = std::find(entries_.begin(), entries_.end(), entry);
  if (place == entries_.end()) return;
  if (!has_room) {
    entries_.erase(place);
    return;
  }
  while (bytes_ > max_bytes_ - bytes) {
    const auto oldest = Oldest();
    bytes_ -= (*oldest)->bytes;
    entries_.erase(oldest);
  }
  entry->bytes = bytes;
  bytes_ += bytes;
  Count();
}

void GrammarCache::Forget(const Entry& entry) {
  const std::lock_guard lock(mutex_);
  entries_.remove_if([&](const auto& kept) { return kept.get() == &entry; });
}

GrammarCache::Entries::const_iterator GrammarCache::Oldest() const {
  // Entries without bytes are being compiled by other threads.
  auto it = entries_.end();
  while (it != entries_.begin()) {
    if ((*--it)->bytes != 0) return it;
  }
  return entries_.end();
}

std::optional<uint64_t> GrammarCache::oldest() const {
  const std::lock_guard lock(mutex_);
  const auto oldest = Oldest();
  if (oldest == entries_.end()) return std::nullopt;
  return (*oldest)->used;
}

void GrammarCache::DropOldest() {
  const std::lock_guard lock(mutex_);
  const auto oldest = Oldest();
  bytes_ -= (*oldest)->bytes;
  entries_.erase(oldest);
  Count();
}

void GrammarCache::Count() const {
  const size_t kept = static_cast<size_t>(
      std::count_if(entries_.begin(), entries_.end(),
                    [](const auto& entry) { return entry->bytes != 0; }));
  meter_.KeepsGrammars(kept, bytes_);
}

}  // namespace gemma::internal
