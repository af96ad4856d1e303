// The response of an exchange, between those who write it and its reader.

#ifndef GEMMA_SRC_SERVE_EXCHANGE_STATE_H_
#define GEMMA_SRC_SERVE_EXCHANGE_STATE_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "gemma/serve.h"
#include "src/base/internal.h"

namespace gemma {

// Any thread may call any function, and none waits: the reader takes what is
// there, and a stream that nobody reads ends when its buffer is full.
class Exchange::State {
 public:
  // `max_stream_bytes`: the most bytes of a stream that wait for the reader.
  State(std::function<void()> on_ready, size_t max_stream_bytes)
      : on_ready_(std::move(on_ready)), max_stream_bytes_(max_stream_bytes) {}

  // Adds a header to the response, whatever it will be. Call this before the
  // response begins.
  void AddHeader(std::string_view name, std::string_view value);

  // Writes a whole response.
  void Respond(int status, std::string_view content_type, std::string body);
  // Writes the response of an error. In a stream, this is its last event. Ends
  // the response even if memory runs out.
  void Fail(const absl::Status& error);

  // Begins a stream of events. The reader gets nothing of it until Release:
  // until then, Fail discards the events and makes a response of its own.
  void BeginStream();
  // Does nothing if the response is not streamed.
  void Release();
  // Adds an event to the stream: "data: <data>".
  void Event(std::string_view data);
  // Ends the stream after "data: [DONE]".
  void EndStream();

  // Whether the reader has gone, or is too slow.
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  // For the reader.
  Output Take();
  void Cancel();
  void Ping();
  // Cancels. After it, on_ready is not called any more.
  void Detach();

 private:
  void TellError(const absl::Status& error);

  // These need the lock.
  void Write(std::string_view bytes);
  void End();
  void Wake();  // calls on_ready, except while the stream is held

  std::mutex mutex_;  // guards all but cancelled_
  std::function<void()> on_ready_;
  const size_t max_stream_bytes_;
  Output output_;
  HttpHeaders headers_;
  bool is_stream_ = false;
  bool is_held_ = false;  // a stream before Release
  bool began_ = false;
  bool ended_ = false;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace gemma

#endif  // GEMMA_SRC_SERVE_EXCHANGE_STATE_H_
