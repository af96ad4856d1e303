// Requests that wait.

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

  // ResourceExhausted that names the bound if there is no room. Changes nothing
  // if it throws.
  absl::Status Push(Item item);

  // The next one, which leaves the queue; null if it is empty.
  Item Pop();

  // Removes it if it is there.
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
