#include "src/batch/request_queue.h"

#include <algorithm>
#include <utility>

#include "src/base/format_text.h"

namespace gemma::internal {

absl::Status RequestQueue::Push(Item item) {
  if (size_ >= max_size_) {
    return absl::ResourceExhaustedError(
        FormatText("%u requests wait already, which is max_queued", size_));
  }
  const std::string& name = item->request().client;
  auto client = std::find_if(clients_.begin(), clients_.end(),
                             [&](const Client& c) { return c.name == name; });
  const size_t waiting = client == clients_.end() ? 0 : client->items.size();
  if (waiting >= max_per_client_) {
    return absl::ResourceExhaustedError(
        FormatText("%u requests of client '%s' wait already, which is "
                   "max_queued_per_client",
                   waiting, name));
  }
  if (client == clients_.end()) {
    // If this throws, nothing has changed: a client always has items.
    std::list<Client> added;
    added.push_back({name, {std::move(item)}});
    clients_.splice(clients_.end(), added);
  } else {
    client->items.push_back(std::move(item));
  }
  ++size_;
  return absl::OkStatus();
}

RequestQueue::Item RequestQueue::Pop() {
  if (clients_.empty()) return nullptr;
  Client& client = clients_.front();
  Item item = std::move(client.items.front());
  client.items.pop_front();
  --size_;
  if (client.items.empty()) {
    clients_.pop_front();
  } else {
    clients_.splice(clients_.end(), clients_, clients_.begin());
  }
  return item;
}

void RequestQueue::Remove(const Item& item) {
  for (auto client = clients_.begin(); client != clients_.end(); ++client) {
    const auto found =
        std::find(client->items.begin(), client->items.end(), item);
    if (found == client->items.end()) continue;
    client->items.erase(found);
    --size_;
    if (client->items.empty()) clients_.erase(client);
    return;
  }
}

std::vector<RequestQueue::Item> RequestQueue::items() const {
  std::vector<Item> all;
  for (const Client& client : clients_) {
    all.insert(all.end(), client.items.begin(), client.items.end());
  }
  return all;
}

}  // namespace gemma::internal
