#include "src/batch/memory_account.h"

#include <utility>

#include "src/base/format_text.h"
#include "src/base/no_throw.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"

namespace gemma {
namespace internal {

MemoryAccount::MemoryAccount(std::shared_ptr<MemoryBudget::Impl> budget,
                             uint64_t max_bytes, uint64_t base, uint64_t least)
    : budget_(std::move(budget)),
      max_bytes_(max_bytes == 0 ? UINT64_MAX : max_bytes),
      base_(base),
      least_(least),
      held_(base) {}

MemoryAccount::~MemoryAccount() {
  if (!joined_) return;
  const Lock lock(*this);
  budget_->accounts_.remove(this);
  LeaveLine();
}

absl::Status MemoryAccount::Join() {
  const Lock lock(*this);
  GEMMA_RETURN_IF_ERROR(budget_->CheckFits(least_));
  budget_->accounts_.push_back(this);
  joined_ = true;
  // What others keep for reuse makes room for what is held from now on.
  MakeRoom(0);
  return absl::OkStatus();
}

uint64_t MemoryAccount::Now() { return ++budget_->clock_; }

MemoryAccount::Lock::Lock(const MemoryAccount& account)
    : budget_(*account.budget_) {
  budget_.mutex_.lock();
}

MemoryAccount::Lock::~Lock() {
  budget_.bytes_.store(budget_.Total(), std::memory_order_relaxed);
  budget_.mutex_.unlock();
}

uint64_t MemoryAccount::Kept() const {
  uint64_t bytes = 0;
  for (const Droppable* droppable : droppables_) bytes += droppable->bytes();
  return bytes;
}

MemoryAccount::Room MemoryAccount::MakeRoom(uint64_t more) {
  const auto fits = [more](uint64_t bytes, uint64_t limit) {
    return bytes <= limit && more <= limit - bytes;
  };
  if (!fits(held_, max_bytes_)) return Room::kAccountFull;
  if (!fits(budget_->Held(), budget_->limit())) return Room::kBudgetFull;
  while (!fits(held_ + Kept(), max_bytes_)) {
    if (!MemoryBudget::Impl::DropOldest({this})) break;
  }
  while (!fits(budget_->Total(), budget_->limit())) {
    if (!MemoryBudget::Impl::DropOldest(budget_->accounts_)) break;
  }
  return Room::kMade;
}

void MemoryAccount::WaitInLine() {
  std::list<const MemoryAccount*>& line = budget_->line_;
  if (std::ranges::find(line, this) == line.end()) line.push_back(this);
}

void MemoryAccount::LeaveLine() { budget_->line_.remove(this); }

bool MemoryAccount::others_wait() const {
  return !budget_->line_.empty() && budget_->line_.front() != this;
}

bool MemoryAccount::others_run() const {
  return std::ranges::any_of(budget_->accounts_, [this](const auto* other) {
    return other != this && other->held_ > other->base_;
  });
}

}  // namespace internal

uint64_t MemoryBudget::Impl::Held() const {
  uint64_t bytes = reserved_;
  for (const MemoryAccount* account : accounts_) bytes += account->held_;
  return bytes;
}

uint64_t MemoryBudget::Impl::Total() const {
  uint64_t bytes = reserved_;
  for (const MemoryAccount* account : accounts_) {
    bytes += account->held_ + account->Kept();
  }
  return bytes;
}

absl::Status MemoryBudget::Impl::CheckFits(uint64_t more) const {
  uint64_t needed = reserved_;
  for (const MemoryAccount* account : accounts_) needed += account->least_;
  if (Sum({needed, more}) <= limit()) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      FormatText("%u more bytes are needed beside %u, and the budget is %u",
                 more, needed, max_bytes_));
}

bool MemoryBudget::Impl::DropOldest(const std::list<MemoryAccount*>& accounts) {
  Droppable* oldest = nullptr;
  uint64_t used = UINT64_MAX;
  for (const MemoryAccount* account : accounts) {
    for (Droppable* droppable : account->droppables_) {
      const std::optional<uint64_t> time = droppable->oldest();
      if (!time.has_value() || *time > used) continue;
      oldest = droppable;
      used = *time;
    }
  }
  if (oldest == nullptr) return false;
  oldest->DropOldest();
  return true;
}

absl::Status MemoryBudget::Impl::Reserve(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  GEMMA_RETURN_IF_ERROR(CheckFits(bytes));
  reserved_ += bytes;
  while (Total() > limit() && DropOldest(accounts_)) {
  }
  bytes_.store(Total(), std::memory_order_relaxed);
  return absl::OkStatus();
}

void MemoryBudget::Impl::Release(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  reserved_ -= std::min(bytes, reserved_);
  bytes_.store(Total(), std::memory_order_relaxed);
}

MemoryBudget::MemoryBudget(std::shared_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
MemoryBudget::~MemoryBudget() = default;
MemoryBudget::MemoryBudget(const MemoryBudget&) noexcept = default;
MemoryBudget& MemoryBudget::operator=(const MemoryBudget&) noexcept = default;
MemoryBudget::MemoryBudget(MemoryBudget&&) noexcept = default;
MemoryBudget& MemoryBudget::operator=(MemoryBudget&&) noexcept = default;

absl::StatusOr<MemoryBudget> MemoryBudget::Create(uint64_t max_bytes) {
  return NoThrow([&]() -> absl::StatusOr<MemoryBudget> {
    return MemoryBudget(std::make_shared<Impl>(max_bytes));
  });
}

absl::Status MemoryBudget::Reserve(uint64_t bytes) {
  return NoThrow([&] { return impl_->Reserve(bytes); });
}

void MemoryBudget::Release(uint64_t bytes) { impl_->Release(bytes); }

uint64_t MemoryBudget::bytes() const { return impl_->bytes(); }
uint64_t MemoryBudget::max_bytes() const { return impl_->max_bytes(); }

}  // namespace gemma
