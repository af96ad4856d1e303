// Which prompts are read next.

#include <algorithm>
#include <limits>

#include "src/batch/batcher.h"

namespace gemma::internal {
namespace {

// Most pieces go to the prompt with the least left, so that answers begin
// early: if prompts of equal length took turns, all would end last. One of so
// many goes to the prompt that has waited longest, so that none starves.
constexpr size_t kStepsPerTurn = 4;

}  // namespace

std::vector<Batcher::Part> Batcher::NextPieces(size_t room) {
  constexpr size_t kAny = std::numeric_limits<size_t>::max();
  const size_t few = executor_.few_rows();
  const bool in_turn = num_turns_ % kStepsPerTurn == kStepsPerTurn - 1;
  RunningRequest* request = NextInPrompt(in_turn, kAny, {});
  if (request == nullptr) return {};
  ++num_turns_;
  std::vector<Part> parts;
  const auto add = [&](size_t end) {
    parts.push_back({request, request->NextOfPrompt(end)});
  };
  add(PieceEnd(*request, room == 0 ? few : room));
  // Where the number of rows matters, each piece keeps to its own.
  if (request->pieces().matter() || request->scored()) return parts;
  // What is left of short prompts goes with it.
  const size_t most = NumRows(parts) > room ? few : room;
  while (NumRows(parts) < most) {
    const size_t rest = most - NumRows(parts);
    request = NextInPrompt(/*in_turn=*/false, rest, parts);
    if (request == nullptr) break;
    const size_t end = PieceEnd(*request, rest);
    if (end - request->position() > rest) break;
    add(end);
  }
  return parts;
}

RunningRequest* Batcher::NextInPrompt(bool in_turn, size_t most,
                                      absl::Span<const Part> parts) {
  const auto in_parts = [&](const RunningRequest* request) {
    return std::ranges::any_of(
        parts, [&](const Part& part) { return part.request == request; });
  };
  std::vector<Running::iterator> waiting;
  for (auto it = running_.begin(); it != running_.end(); ++it) {
    const RunningRequest& request = **it;
    if (request.started() && !request.in_prompt()) continue;
    if (request.left() > most || in_parts(&request)) continue;
    if (parts.empty() || !request.scored()) waiting.push_back(it);
  }
  if (!in_turn) {
    std::ranges::stable_sort(
        waiting, {}, [](Running::iterator it) { return (*it)->left(); });
  }
  for (Running::iterator it : waiting) {
    RunningRequest* other = nullptr;
    if (!(*it)->started() && !Start(**it, &other)) {
      // Trying all that wait for each further piece would take long.
      if (!parts.empty()) return nullptr;
      if (other == nullptr) continue;
      it = std::ranges::find(running_, other, &Running::value_type::get);
    }
    RunningRequest& request = **it;
    if (!request.in_prompt() || request.left() > most) continue;
    running_.splice(running_.end(), running_, it);
    return &request;
  }
  return nullptr;
}

void Batcher::ExpectReuseOf(const RunningRequest& request) {
  if (request.has_tap()) return;
  for (const auto& other : running_) {
    if (other->started() || other->scored() || other->has_tap()) continue;
    const size_t shared = SharedPrefix(other->prompt(), other->pieces(),
                                       request.prompt(), request.pieces());
    other->ExpectReuse(std::min(shared, request.position()));
  }
}

}  // namespace gemma::internal
