// Queue of waiting requests.

#ifndef GEMMA_SRC_BATCH_REQUEST_QUEUE_H_
#define GEMMA_SRC_BATCH_REQUEST_QUEUE_H_

#include <cstddef>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "src/batch/ticket_state.h"

namespace gemma::internal {

// Bounded and fair: clients take turns, each with its oldest request.
class RequestQueue {
 public:
  using Item = std::shared_ptr<Ticket::State>;

  RequestQueue(size_t max_size, size_t max_per_client)
      : max_size_(max_size), max_per_client_(max_per_client) {}

  // Adds a request. If the queue is full, returns ResourceExhausted, which
  // names the limit. If it throws, nothing has changed.
  absl::Status Push(Item item);

  // Removes and returns the next request, or null if the queue is empty.
  Item Pop();

  // Removes the request if it is in the queue.
  void Remove(const Item& item);

  std::vector<Item> items() const;
  bool empty() const { return clients_.empty(); }

 private:
  struct Client {
    std::string name;
    std::deque<Item> items;  // never empty
  };

  const size_t max_size_;
  const size_t max_per_client_;
  std::list<Client> clients_;  // the next one first
  size_t size_ = 0;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_REQUEST_QUEUE_H_
