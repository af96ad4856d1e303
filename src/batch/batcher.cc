#include "src/batch/batcher.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "src/batch/running_request.h"

namespace gemma::internal {
namespace {

// The most tokens between two checkpoints of a prompt, unless a pass is longer.
constexpr size_t kCheckpointInterval = 256;

// The fewest common tokens that justify waiting, dividing a pass, or copying.
constexpr size_t kWorthSharing = 32;

// How many words of the prompt `other` has with the same bits once it has
// computed its whole prompt.
size_t SharedPrompt(const RunningRequest& request,
                    const RunningRequest& other) {
  return SharedPrefix(request.prompt(), request.pieces(), other.prompt(),
                      other.pieces());
}

}  // namespace

size_t Batcher::NumRows(absl::Span<const Part> parts) {
  size_t rows = 0;
  for (const Part& part : parts) rows += part.segment.words.size();
  return rows;
}

Batcher::Batcher(const Model& model, const Tokenizer& tokenizer,
                 Executor& executor, const EngineOptions& options,
                 EngineMeter& meter, MemoryAccount& account)
    : model_(model),
      tokenizer_(tokenizer),
      executor_(executor),
      reuse_bytes_(options.reuse_bytes),
      most_logits_(MostLogits(model.config(), executor.few_rows(), options)),
      meter_(meter),
      account_(account),
      between_passes_(options.between_passes),
      pool_(model, SequenceOptions(options), options.reuse_bytes, account) {
  const MemoryAccount::Lock lock(account_);
  account_.Add(*this);
}

Batcher::~Batcher() {
  const MemoryAccount::Lock lock(account_);
  account_.Remove(*this);
}

SessionOptions Batcher::SequenceOptions(const EngineOptions& options) {
  SessionOptions sequence;
  sequence.max_tokens = options.max_tokens;
  sequence.cache_format = options.cache_format;
  // The pool limits their number.
  sequence.max_checkpoints = Session::Impl::kMaxCheckpoints;
  return sequence;
}

void Batcher::Add(std::shared_ptr<Ticket::State> ticket) noexcept {
  absl::Status status = Guarded([&] {
    auto request =
        std::make_unique<RunningRequest>(ticket, model_, tokenizer_, executor_);
    {
      const MemoryAccount::Lock lock(account_);
      request->ExpectReuse(FindSource(*request).size);
    }
    running_.push_back(std::move(request));
  });
  if (status.ok()) return;
  meter_.Ended(EngineMeter::Stage::kQueue, std::nullopt);
  ticket->Finish(std::move(status));
}

void Batcher::Step() {
  for (const auto& request : running_) {
    if (!request->started()) request->CheckInterruption();
  }
  Sweep();
  std::vector<Part> answers;
  for (const auto& request : running_) {
    if (!request->started() || request->in_prompt()) continue;
    answers.push_back({request.get(), request->NextAfterPrompt()});
  }
  std::vector<absl::Span<const Part>> passes = DivideAnswers(answers);
  // The pieces of prompts join the pass of the last answers, if they fit.
  const size_t room =
      executor_.few_rows() - (passes.empty() ? 0 : NumRows(passes.back()));
  const std::vector<Part> pieces = NextPieces(room);
  const bool alone =
      pieces.empty() || answers.empty() || NumRows(pieces) > room;
  for (const absl::Span<const Part> pass : passes) {
    if (alone || pass.data() != passes.back().data()) RunPass(pass);
  }
  if (!alone) {
    std::vector<Part> last(passes.back().begin(), passes.back().end());
    last.insert(last.end(), pieces.begin(), pieces.end());
    RunPass(last);
  } else if (!pieces.empty()) {
    RunPass(pieces);
  }
  for (const Part& piece : pieces) ExpectReuseOf(*piece.request);
  Sweep();
  const MemoryAccount::Lock lock(account_);
  MeterMemory();
}

std::vector<absl::Span<const Batcher::Part>> Batcher::DivideAnswers(
    absl::Span<const Part> answers) const {
  std::vector<absl::Span<const Part>> passes;
  for (size_t begin = 0; begin < answers.size();) {
    size_t rows = 0;
    size_t of_choices = 0;
    size_t end = begin;
    for (; end < answers.size(); ++end) {
      const size_t more = answers[end].segment.words.size();
      const size_t more_of_choices = more > 1 ? more : 0;
      if (rows + more > executor_.few_rows() ||
          of_choices + more_of_choices > kMostChoiceRows) {
        break;
      }
      rows += more;
      of_choices += more_of_choices;
    }
    passes.push_back(answers.subspan(begin, end - begin));
    begin = end;
  }
  return passes;
}

bool Batcher::Start(RunningRequest& request, RunningRequest** waits_for) {
  const MemoryAccount::Lock lock(account_);
  request.set_waits_for_memory(account_.others_wait());
  if (request.waits_for_memory()) {
    UpdateLine();
    return false;
  }
  absl::StatusOr<std::optional<Session>> session = Begin(request, waits_for);
  const bool begins = session.ok() && session->has_value();
  // The engine has had its turn. Its other requests wait for the next one.
  if (begins) account_.LeaveLine();
  UpdateLine();
  if (begins) {
    request.Start(**std::move(session));
    CountMemory();
    meter_.Reused(request.position());
    return true;
  }
  // If others run, wait: they may leave it their memory.
  if (!session.ok() && !AnyRuns() && !request.waits_for_memory()) {
    request.Fail(session.status());
  }
  return false;
}

bool Batcher::AnyRuns() const {
  return std::any_of(running_.begin(), running_.end(),
                     [](const auto& other) { return other->started(); });
}

bool Batcher::waits_for_memory() const { return in_line_ && !AnyRuns(); }

void Batcher::UpdateLine() {
  in_line_ = std::any_of(
      running_.begin(), running_.end(),
      [](const auto& request) { return request->waits_for_memory(); });
  if (in_line_) {
    account_.WaitInLine();
  } else {
    account_.LeaveLine();
  }
}

Batcher::Source Batcher::FindSource(const RunningRequest& request) {
  // A scored prompt needs the logits of all its tokens, so compute all of it. A
  // tap sees all tokens.
  if (request.scored() || request.has_tap()) return {};
  Source source;
  source.kept = pool_.Find(request.prompt(), request.pieces());
  source.size = source.kept.size;
  source.branch = source.kept.shared;
  for (const auto& other : running_) {
    if (!other->started() || other->has_tap()) continue;
    const size_t shared =
        SharedPrefix(request.prompt(), request.pieces(),
                     other->session().words(), other->pieces());
    const size_t reusable =
        ReusablePrefix(shared, request.pieces(), other->session());
    source.branch = std::max(source.branch, shared);
    if (reusable <= source.size) continue;
    source.size = reusable;
    source.from = other.get();
  }
  return source;
}

absl::StatusOr<std::optional<Session>> Batcher::Begin(
    RunningRequest& request, RunningRequest** waits_for) {
  if (request.scored() || request.has_tap()) return BeginNew(request);
  const auto [kept, from, size, branch] = FindSource(request);
  for (const auto& each : running_) {
    if (!each->started() || !each->in_prompt() || each->has_tap()) continue;
    const size_t shared = SharedPrompt(request, *each);
    if (shared > each->position() && shared >= size + kWorthSharing) {
      *waits_for = each.get();
      return std::nullopt;
    }
  }
  request.set_branch(branch);
  if (size < kWorthSharing) return BeginNew(request);
  // A kept sequence that begins to run needs no room.
  if (from == nullptr && !SequencePool::Copies(kept)) return pool_.Use(kept);
  if (from == nullptr) pool_.Touch(kept);
  GEMMA_RETURN_IF_ERROR(MakeRoom(request));
  if (from != nullptr) return pool_.Fork(from->session(), size);
  // If any kept sequence is left, so is the best.
  if (pool_.usage().sequences == 0) return pool_.New();
  return pool_.Use(kept);
}

absl::StatusOr<std::optional<Session>> Batcher::BeginNew(
    RunningRequest& request) {
  GEMMA_RETURN_IF_ERROR(MakeRoom(request));
  return pool_.New();
}

size_t Batcher::PieceEnd(const RunningRequest& request, size_t room) const {
  const PromptPieces& pieces = request.pieces();
  const size_t begin = request.position();
  size_t end = pieces.End(begin);
  if (!pieces.matter() && !request.scored()) {
    // A pass of half as many rows takes more than half the time.
    const size_t max_rows = executor_.max_rows();
    end =
        begin + WordView(request.prompt())
                    .From(begin)
                    .PassSize(room >= max_rows / 2 ? room : max_rows, max_rows);
  }
  for (const size_t branch : Branches(request)) {
    if (branch >= begin + kWorthSharing && branch < end &&
        pieces.MayCut(begin, branch)) {
      end = branch;
    }
  }
  return end;
}

std::vector<size_t> Batcher::Branches(const RunningRequest& request) const {
  std::vector<size_t> branches = {request.branch()};
  if (request.has_tap()) return branches;
  for (const auto& other : running_) {
    if (other->started() || other->scored() || other->has_tap()) continue;
    branches.push_back(SharedPrompt(*other, request));
  }
  return branches;
}

bool Batcher::IsBranch(const RunningRequest& request, size_t position) const {
  const std::vector<size_t> branches = Branches(request);
  return position >= kWorthSharing &&
         std::find(branches.begin(), branches.end(), position) !=
             branches.end();
}

void Batcher::RunPass(absl::Span<const Part> parts) {
  std::vector<Segment> segments;
  std::vector<Session::Impl*> sessions;
  size_t rows = 0;
  for (const Part& part : parts) {
    segments.push_back(part.segment);
    sessions.push_back(&part.request->session());
    rows += NumLogits(part.segment);
  }
  // If the pass has a single part, its needed logits can be found faster than
  // all; see Transformer.
  if (parts.size() == 1) segments[0].needed = parts[0].request->needed();
  const size_t vocab_size = model_.config().vocab_size;
  if (rows * vocab_size > logits_.size()) {
    // Twice as many as before: the next pass often has one answer more.
    const size_t most = most_logits_ / sizeof(float);
    const size_t size =
        std::max(rows * vocab_size, std::min(2 * logits_.size(), most));
    logits_ = {};
    logits_.resize(size);
  }
  if (between_passes_) between_passes_();
  const Stopwatch stopwatch;
  const absl::Status status = Session::Impl::RunPass(
      sessions, segments, {logits_.data(), rows, vocab_size});
  if (!status.ok()) {
    for (const Part& part : parts) part.request->Fail(status);
    return;
  }
  Count(parts, stopwatch.seconds());
  float* logits = logits_.data();
  for (const Part& part : parts) {
    const size_t count = NumLogits(part.segment);
    const size_t tokens = part.request->num_tokens();
    part.request->Took(part.segment, {logits, count, vocab_size});
    meter_.Chose(part.request->num_tokens() - tokens);
    logits += count * vocab_size;
    if (!part.request->ended()) AddCheckpoint(*part.request);
  }
}

void Batcher::Count(absl::Span<const Part> parts, double seconds) {
  size_t prompt_rows = 0;
  for (const Part& part : parts) {
    if (part.segment.position < part.request->prompt().size()) {
      prompt_rows += part.segment.words.size();
    }
  }
  meter_.Passed(NumRows(parts), prompt_rows, seconds);
}

// A checkpoint also serves the positions before it that a rollback can reach.
// The first one at or after the end of the prompt is the last: later ones would
// only serve answers.
void Batcher::AddCheckpoint(RunningRequest& request) {
  Session::Impl& session = request.session();
  const size_t position = request.position();
  const size_t last = session.last_checkpoint();
  const size_t prompt_size = request.prompt().size();
  if (last >= prompt_size) return;
  const size_t next_rows = request.in_prompt() ? executor_.max_rows() : 1;
  const bool due =
      position - last + next_rows > kCheckpointInterval ||
      (position == prompt_size && session.rollback() < kCheckpointInterval) ||
      (position <= prompt_size && IsBranch(request, position));
  if (!due) return;
  {
    const MemoryAccount::Lock lock(account_);
    if (account_.MakeRoom(pool_.checkpoint_bytes()) !=
            MemoryAccount::Room::kMade ||
        !pool_.MakeRoom(CheckpointBytes() + pool_.checkpoint_bytes())) {
      return;
    }
    CountMemory(pool_.checkpoint_bytes());
  }
  // Other engines need not wait for the copy. If memory runs out, other
  // requests reuse less.
  session.AddCheckpoint().IgnoreError();
  const MemoryAccount::Lock lock(account_);
  CountMemory();
}

void Batcher::CancelAll() noexcept {
  for (const auto& request : running_) {
    request->Cancel();
    request->CheckInterruption();
  }
  Sweep();
}

void Batcher::FailAll(const absl::Status& status) noexcept {
  for (const auto& request : running_) request->Fail(status);
  Sweep();
}

void Batcher::Sweep() noexcept {
  for (auto it = running_.begin(); it != running_.end();) {
    if (!(*it)->ended()) {
      ++it;
      continue;
    }
    const std::unique_ptr<RunningRequest> request = std::move(*it);
    it = running_.erase(it);
    request->Finish(meter_, [&](std::optional<Session> session) {
      const MemoryAccount::Lock lock(account_);
      CountMemory();
      if (session.has_value() && !request->has_tap()) {
        // If memory runs out, no request reuses the sequence.
        Guarded([&] {
          pool_.Keep(*std::move(session), request->pieces(), NumCheckpoints());
        }).IgnoreError();
      }
      session.reset();
      CountMemory();
      MeterMemory();
    });
  }
  if (!in_line_) return;
  const MemoryAccount::Lock lock(account_);
  UpdateLine();
}

}  // namespace gemma::internal
