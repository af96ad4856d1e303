#include "src/batch/request_queue.h"

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

RequestQueue::Item FromClient(std::string client, TokenId token = 2) {
  Request request;
  request.prompt = {token};
  request.client = std::move(client);
  return std::make_shared<Ticket::State>(std::move(request), std::thread::id());
}

// The clients of the next requests, in order.
std::string Drain(RequestQueue& queue) {
  std::string clients;
  while (const RequestQueue::Item item = queue.Pop()) {
    clients += item->request().client;
  }
  return clients;
}

TEST(RequestQueue, ClientsTakeTurns) {
  RequestQueue queue(100, 100);
  for (const char* client : {"a", "a", "a", "b", "c", "a", "c"}) {
    ASSERT_TRUE(queue.Push(FromClient(client)).ok());
  }
  EXPECT_EQ(Drain(queue), "abcacaa");
  EXPECT_TRUE(queue.empty());
}

TEST(RequestQueue, OldestOfClientFirst) {
  RequestQueue queue(100, 100);
  for (TokenId i = 0; i < 5; ++i) {
    ASSERT_TRUE(queue.Push(FromClient("a", i)).ok());
  }
  for (TokenId i = 0; i < 5; ++i) {
    EXPECT_EQ(queue.Pop()->prompt().tokens()[0], i);
  }
}

// A client that had its turn goes to the end of the queue.
TEST(RequestQueue, GreedyClientDelaysNobody) {
  RequestQueue queue(100, 100);
  std::string order;
  for (size_t i = 0; i < 6; ++i) {
    for (size_t j = 0; j < 10; ++j) {
      ASSERT_TRUE(queue.Push(FromClient("a")).ok());
    }
    ASSERT_TRUE(queue.Push(FromClient("b")).ok());
    order += queue.Pop()->request().client;
    order += queue.Pop()->request().client;
  }
  EXPECT_EQ(order, "abababababab");
}

TEST(RequestQueue, IsBounded) {
  RequestQueue queue(3, 2);
  ASSERT_TRUE(queue.Push(FromClient("a")).ok());
  ASSERT_TRUE(queue.Push(FromClient("a")).ok());
  absl::Status status = queue.Push(FromClient("a"));
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(status.message(),
            "2 requests of client 'a' wait already, which is "
            "max_queued_per_client");
  ASSERT_TRUE(queue.Push(FromClient("b")).ok());
  status = queue.Push(FromClient("c"));
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(status.message(), "3 requests wait already, which is max_queued");
  // One request leaves, so one fits.
  queue.Pop();
  EXPECT_TRUE(queue.Push(FromClient("c")).ok());
  EXPECT_FALSE(queue.Push(FromClient("c")).ok());
}

TEST(RequestQueue, RemovesFromTheMiddle) {
  RequestQueue queue(3, 3);
  const RequestQueue::Item item = FromClient("b");
  ASSERT_TRUE(queue.Push(FromClient("a")).ok());
  ASSERT_TRUE(queue.Push(item).ok());
  ASSERT_TRUE(queue.Push(FromClient("c")).ok());
  EXPECT_EQ(queue.items().size(), 3u);
  queue.Remove(item);
  queue.Remove(item);
  EXPECT_TRUE(queue.Push(FromClient("d")).ok());
  EXPECT_EQ(Drain(queue), "acd");
}

}  // namespace
}  // namespace gemma::internal
