// Decides whether a model takes another request, before its prompt is encoded.

#ifndef GEMMA_SRC_SERVE_ADMISSION_H_
#define GEMMA_SRC_SERVE_ADMISSION_H_

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/engine.h"

namespace gemma::internal {

// Counts the choices that wait or run, of all requests and of each client, and
// knows how long choices took. Any thread may call its functions.
class Admission {
 public:
  // `options`: the engine's. `max_bytes`: of the bodies of all requests.
  Admission(const EngineOptions& options, size_t max_bytes)
      : max_running_(options.max_sequences),
        max_waiting_(options.max_queued),
        max_per_client_(options.max_queued_per_client),
        max_bytes_(max_bytes) {}

  // What a request takes of the admission, which must outlive it. Movable.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept { *this = std::move(other); }
    Place& operator=(Place&& other) noexcept;
    ~Place() { LeaveAll(); }

    size_t choices() const { return choices_; }  // that have not ended
    // One of the choices has ended.
    void LeaveOne();

   private:
    friend class Admission;
    Place(Admission* admission, std::string client, size_t choices,
          size_t bytes)
        : admission_(admission),
          client_(std::move(client)),
          choices_(choices),
          bytes_(bytes) {}
    void LeaveAll();

    Admission* admission_ = nullptr;
    std::string client_;
    size_t choices_ = 0;
    size_t bytes_ = 0;
  };

  // Takes a request of `client` with `choices` choices and a body of `bytes`
  // bytes. If there is no room, returns the error of status 429, and sets
  // `retry_after` to the seconds until there is probably room, by the speed so
  // far.
  absl::StatusOr<Place> Enter(const std::string& client, size_t choices,
                              size_t bytes, size_t* retry_after);

  // Takes the seconds for which a choice ran.
  void Took(double seconds);

 private:
  void Leave(const std::string& client, size_t choices, size_t bytes) noexcept;
  size_t SecondsUntilRoom() const;  // needs the lock

  const size_t max_running_;
  const size_t max_waiting_;
  const size_t max_per_client_;
  const size_t max_bytes_;

  std::mutex mutex_;  // guards what follows
  size_t choices_ = 0;
  size_t bytes_ = 0;
  std::map<std::string, size_t> of_clients_;  // choices; no zeros
  double mean_seconds_ = 0;                   // of a choice; 0: not known yet
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_ADMISSION_H_
