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

absl::StatusOr<Grammar> GrammarCache::Get(const GrammarSource& source) {
  const std::shared_ptr<Entry> entry = EntryOf(KeyOf(source));
  const std::lock_guard lock(entry->compiling);
  if (entry->grammar.has_value()) {
    Count(/*found=*/true);
    return *entry->grammar;
  }
  absl::StatusOr<Grammar> grammar = Grammar::FromSource(source);
  if (!grammar.ok()) {
    Forget(*entry);
    Count(/*found=*/false);
    return grammar;
  }
  entry->grammar = *grammar;
  Keep(entry, grammar->bytes() + entry->key.capacity() + sizeof(Entry));
  Count(/*found=*/false);
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
  return entries_.front();
}

void GrammarCache::Keep(const std::shared_ptr<Entry>& entry, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  // Another thread may have forgotten the entry.
  const auto place = std::find(entries_.begin(), entries_.end(), entry);
  if (place == entries_.end()) return;
  if (bytes > max_bytes_) {
    entries_.erase(place);
    return;
  }
  // Entries without bytes are being compiled by other threads.
  for (auto it = entries_.end(); bytes_ > max_bytes_ - bytes;) {
    --it;
    if ((*it)->bytes == 0) continue;
    bytes_ -= (*it)->bytes;
    it = entries_.erase(it);
  }
  entry->bytes = bytes;
  bytes_ += bytes;
}

void GrammarCache::Forget(const Entry& entry) {
  const std::lock_guard lock(mutex_);
  entries_.remove_if([&](const auto& kept) { return kept.get() == &entry; });
}

void GrammarCache::Count(bool found) {
  const std::lock_guard lock(mutex_);
  const size_t kept = static_cast<size_t>(
      std::count_if(entries_.begin(), entries_.end(),
                    [](const auto& entry) { return entry->bytes != 0; }));
  meter_.HoldsGrammars(kept, bytes_, found);
}

}  // namespace gemma::internal
