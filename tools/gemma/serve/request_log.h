// The log of a server, on standard error.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_REQUEST_LOG_H_
#define GEMMA_TOOLS_GEMMA_SERVE_REQUEST_LOG_H_

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace gemma::tools {

enum class LogLevel {
  kQuiet,     // nothing
  kRequests,  // a line for each request
  kAll,       // connections, too
};

// One line of the log.
struct LoggedRequest {
  std::string peer;
  std::string method;
  std::string target;  // without its query
  int status = 0;
  size_t bytes = 0;  // of the response's body
  double seconds = 0;
  std::string id;          // X-Request-Id, or ""
  std::string_view ended;  // why it ended before its response did, or ""
  std::string body;        // of the request, with --log-prompts
};

// Writes lines on a thread of its own, because the reader of standard error may
// be slow, and the server must not wait for it. Lines that find no room, or
// no memory, are counted instead. Any thread may call its functions.
class RequestLog {
 public:
  explicit RequestLog(LogLevel level);
  // Waits until all lines are written, if somebody reads them.
  ~RequestLog();

  void Request(const LoggedRequest& request) noexcept;
  // Something that happened to a connection.
  void Event(std::string_view peer, std::string_view what) noexcept;

 private:
  // Adds the line that a function makes.
  template <class Function>
  void Add(const Function& line) noexcept;
  void Write();
  // Returns the lines to write now. Needs the lock.
  std::string TakeLines();
  void Show(std::string_view lines);

  const LogLevel level_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string waiting_;
  size_t num_lost_ = 0;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_REQUEST_LOG_H_
