#include <algorithm>
#include <atomic>
#include <ctime>
#include <mutex>
#include <optional>
#include <random>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "src/base/format_text.h"
#include "src/base/listing.h"
#include "src/base/messages.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/serve/call.h"
#include "src/serve/request/feature_fields.h"

namespace gemma {
namespace {

// Bounds of a request's JSON: a prompt may be an array of tokens.
constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxValues = size_t{1} << 18;

constexpr size_t kMaxIdBytes = 128;
constexpr std::string_view kModels = "/v1/models";

std::string_view HeaderOf(const HttpRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.headers) {
    if (absl::EqualsIgnoreCase(key, name)) return value;
  }
  return "";
}

// Whether a client's id can stand in a header and in a log.
bool IsId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes &&
         std::ranges::all_of(id, absl::ascii_isgraph);
}

// Returns the text with the byte of each "%XX". Others stay as they are.
std::string PercentDecoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        absl::ascii_isxdigit(text[i + 1]) &&
        absl::SimpleHexAtoi(text.substr(i + 1, 2), &byte)) {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

// Returns the value of a name in the query of a target; nothing without it.
std::optional<std::string> QueryValue(std::string_view target,
                                      std::string_view name) {
  const size_t begin = target.find('?');
  if (begin == std::string_view::npos) return std::nullopt;
  for (const std::string_view part :
       absl::StrSplit(target.substr(begin + 1), '&')) {
    const std::pair<std::string_view, std::string_view> pair =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (pair.first != name) continue;
    return PercentDecoded(absl::StrReplaceAll(pair.second, {{"+", " "}}));
  }
  return std::nullopt;
}

// What a route asks of a model. A request without the name of a model is for
// the only one that does this, or else for the only one.
using Does = bool (*)(const Served& served);
bool Embeds(const Served& served) { return served.embedder.has_value(); }
bool Moderates(const Served& served) { return served.classifier.has_value(); }
bool Answers(const Served& served) {
  return !Embeds(served) && !Moderates(served);
}

// A route that needs a model and has a body.
struct ModelRoute {
  std::string_view path;
  Does does;
  absl::Status (*run)(const std::shared_ptr<Served>& served, Call& call,
                      Fields& fields);
};

constexpr ModelRoute kModelRoutes[] = {
    {"/v1/chat/completions", Answers, Chat},
    {"/v1/completions", Answers, Complete},
    {"/v1/embeddings", Embeds, Embed},
    {"/v1/moderations", Moderates, Moderate},
    {"/v1/score", Answers, ScoreChoices},
    {"/v1/features", Answers, ShowFeatures},
    {"/infill", Answers, Infill},
    {"/tokenize", Answers, Tokenize},
    {"/detokenize", Answers, Detokenize},
};

// What a request without these fields has.
void WriteDefaults(JsonWriter& json) {
  const SamplingOptions options;
  json.Object().Member("temperature", options.temperature);
  json.Member("top_k", options.top_k).Member("top_p", options.top_p);
  json.Member("min_p", options.min_p).Member("typical_p", options.typical_p);
  json.Member("repetition_penalty", options.repetition_penalty);
  json.Member("frequency_penalty", options.frequency_penalty);
  json.Member("presence_penalty", options.presence_penalty);
  json.Member("penalty_window", options.penalty_window).Close();
}

void WriteModel(const Served& served, int64_t created, JsonWriter& json) {
  json.Object().Member("id", served.name).Member("object", "model");
  json.Member("created", created).Member("owned_by", "gemma");
  json.Member("max_model_len", served.context());
  json.Member("embeds", served.embedder.has_value());
  json.Member("moderates", served.classifier.has_value());
  const bool chats = !served.embedder.has_value() && served.turns.ok();
  json.Member("chats", chats);
  json.Member("instruction_tuned", served.model.is_instruction_tuned());
  json.Member("thinks", chats && served.thinks());
  json.Member("tool_dialect", ToolDialectName(served.tool_dialect()));
  json.Key("sampling");
  WriteDefaults(json);
  if (!served.autoencoders.empty()) {
    json.Key("autoencoders").Array();
    for (const ServedAutoencoder& one : served.autoencoders) {
      WriteAutoencoder(one, json.Object());
      json.Close();
    }
    json.Close();
  }
  json.Close();
}

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, MemoryBudget budget)
      : options_(options),
        budget_(std::move(budget)),
        created_(std::time(nullptr)) {
    std::random_device device;
    random_.seed((uint64_t{device()} << 32) | device());
  }

  ~Impl() {
    // Requests share their models.
    for (const std::shared_ptr<Served>& served : models_) served->Stop();
  }

  absl::Status Add(ServedModel model) {
    const std::lock_guard adding(add_mutex_);
    // Only this function changes models_.
    if (Find(model.name) != nullptr) {
      return absl::AlreadyExistsError(absl::StrCat(
          "a model is served as ", Quoted(model.name), " already"));
    }
    GEMMA_ASSIGN_OR_RETURN(std::shared_ptr<Served> served,
                           Served::Create(std::move(model), options_, budget_));
    const std::unique_lock lock(mutex_);
    models_.push_back(std::move(served));
    return absl::OkStatus();
  }

  void SetOpen(bool open) { open_.store(open); }

  Exchange Handle(HttpRequest request, std::function<void()> on_ready) {
    const auto out = std::make_shared<Exchange::State>(
        std::move(on_ready), options_.max_stream_bytes);
    Exchange exchange(out);
    Call call = {.request = request,
                 .options = options_,
                 .out = out,
                 .random = Random(),
                 .begin = std::chrono::steady_clock::now()};
    const std::string_view id = HeaderOf(request, "x-request-id");
    call.id = IsId(id) ? std::string(id) : FormatText("req-%016x", call.random);
    out->AddHeader("x-request-id", call.id);
    const absl::Status status = NoThrow([&] { return Route(call); });
    if (!status.ok()) out->Fail(status);
    return exchange;
  }

 private:
  absl::Status Route(Call& call) {
    const std::string_view target = call.request.target;
    const std::string_view path = target.substr(0, target.find('?'));
    for (const ModelRoute& route : kModelRoutes) {
      if (path == route.path) {
        GEMMA_RETURN_IF_ERROR(Need("POST", call));
        return RunOnModel(route, call);
      }
    }
    if (path == "/metrics") {
      GEMMA_RETURN_IF_ERROR(Need("GET", call));
      const std::shared_lock lock(mutex_);
      call.out->Respond(200, "text/plain; version=0.0.4; charset=utf-8",
                        MetricsText(models_, budget_));
      return absl::OkStatus();
    }
    std::string json;
    if (path == "/health" || path == "/v1/health") {
      json = R"({"status":"ok"})";
    } else if (path == "/ready") {
      if (!open_.load()) return NotOpen();
      json = R"({"status":"ready"})";
    } else if (path == kModels) {
      json = Models();
    } else if (absl::StartsWith(path, absl::StrCat(kModels, "/"))) {
      GEMMA_ASSIGN_OR_RETURN(
          json, ModelNamed(PercentDecoded(path.substr(kModels.size() + 1))));
    } else if (path == "/tokenizer_info") {
      if (!open_.load()) return NotOpen();
      GEMMA_ASSIGN_OR_RETURN(const std::shared_ptr<Served> served,
                             ModelFor(QueryValue(target, "model"), Answers));
      json = TokenizerInfo(*served);
    } else {
      return ApiError(404, "unknown_path",
                      absl::StrCat("the server has no path ", Quoted(path)));
    }
    GEMMA_RETURN_IF_ERROR(Need("GET", call));
    call.Respond(std::move(json));
    return absl::OkStatus();
  }

  static absl::Status Need(std::string_view method, const Call& call) {
    if (call.request.method == method) return absl::OkStatus();
    call.out->AddHeader("allow", method);
    return ApiError(405, "method_not_allowed",
                    absl::StrCat("the method is ", Quoted(call.request.method),
                                 ", wanted ", method));
  }

  static absl::Status NotOpen() {
    return ApiError(503, "not_ready",
                    "the server is loading its models, or it stops");
  }

  absl::Status RunOnModel(const ModelRoute& route, Call& call) {
    GEMMA_RETURN_IF_ERROR(ReadBody(call));
    if (!open_.load()) return NotOpen();
    GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(*call.body));
    std::optional<std::string> name;
    GEMMA_RETURN_IF_ERROR(fields.Read("model", name));
    GEMMA_ASSIGN_OR_RETURN(const std::shared_ptr<Served> served,
                           ModelFor(name, route.does));
    return route.run(served, call, fields);
  }

  absl::Status ReadBody(Call& call) const {
    const HttpRequest& request = call.request;
    std::string_view type = HeaderOf(request, "content-type");
    type = absl::StripAsciiWhitespace(type.substr(0, type.find(';')));
    if (!absl::EqualsIgnoreCase(type, "application/json")) {
      return ApiError(415, "wrong_content_type",
                      absl::StrCat("Content-Type is ", Quoted(type),
                                   ", wanted 'application/json'"));
    }
    if (request.body.size() > options_.max_body_bytes) {
      return ApiError(413, "body_too_large",
                      FormatText("the body has %u bytes, wanted at most %u",
                                 request.body.size(), options_.max_body_bytes));
    }
    const Json::Limits limits = {.max_bytes = options_.max_body_bytes,
                                 .max_depth = kMaxDepth,
                                 .max_values = kMaxValues};
    GEMMA_ASSIGN_OR_RETURN(call.body,
                           Json::Parse(request.body, "the request", limits));
    return absl::OkStatus();
  }

  // Returns the model of a request: that of the name, or, if the request has
  // no name or an empty one, as some editors send it, the only one.
  absl::StatusOr<std::shared_ptr<Served>> ModelFor(
      const std::optional<std::string>& name, Does does) const {
    const std::shared_lock lock(mutex_);
    if (name.has_value() && !name->empty()) {
      if (std::shared_ptr<Served> served = Find(*name)) return served;
      return Unknown(*name);
    }
    if (models_.size() == 1) return models_[0];
    std::shared_ptr<Served> only;
    size_t count = 0;
    for (const auto& served : models_) {
      if (!does(*served)) continue;
      only = served;
      ++count;
    }
    if (count == 1) return only;
    return AtParam(absl::InvalidArgumentError(
                       absl::StrCat("'model' is missing", WantedNames())),
                   "model");
  }

  absl::StatusOr<std::string> ModelNamed(std::string_view name) const {
    const std::shared_lock lock(mutex_);
    const std::shared_ptr<Served> served = Find(name);
    if (served == nullptr) return Unknown(name);
    JsonWriter json;
    WriteModel(*served, created_, json);
    return json.Take();
  }

  std::string Models() const {
    const std::shared_lock lock(mutex_);
    JsonWriter json;
    json.Object().Member("object", "list").Key("data").Array();
    for (const auto& served : models_) WriteModel(*served, created_, json);
    return json.Close().Close().Take();
  }

  // These need the lock.
  std::shared_ptr<Served> Find(std::string_view name) const {
    for (const auto& served : models_) {
      if (served->name == name) return served;
    }
    return nullptr;
  }
  std::string WantedNames() const {
    if (models_.empty()) return "; the server has no models yet";
    return absl::StrCat(", wanted one of ",
                        Listing(models_, [](const auto& served) {
                          return Quoted(served->name);
                        }));
  }
  absl::Status Unknown(std::string_view name) const {
    return AtParam(ApiError(404, "model_not_found",
                            absl::StrCat("the server has no model ",
                                         Quoted(name), WantedNames())),
                   "model");
  }

  uint64_t Random() {
    const std::lock_guard lock(random_mutex_);
    return random_();
  }

  const ServerOptions options_;
  const MemoryBudget budget_;  // of all models
  const int64_t created_;
  std::atomic<bool> open_ = false;
  std::mutex add_mutex_;             // held while a model is added
  mutable std::shared_mutex mutex_;  // guards models_
  std::vector<std::shared_ptr<Served>> models_;
  std::mutex random_mutex_;  // guards random_
  std::mt19937_64 random_;
};

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;

absl::StatusOr<Server> Server::Create(ServerOptions options) {
  return NoThrow([&]() -> absl::StatusOr<Server> {
    GEMMA_ASSIGN_OR_RETURN(MemoryBudget budget,
                           MemoryBudget::Create(options.max_memory_bytes));
    return Server(std::make_shared<Impl>(options, std::move(budget)));
  });
}

absl::Status Server::Add(ServedModel model) {
  return NoThrow([&] { return impl_->Add(std::move(model)); });
}

void Server::Open() { impl_->SetOpen(true); }
void Server::Drain() { impl_->SetOpen(false); }

absl::StatusOr<Exchange> Server::Handle(HttpRequest request,
                                        std::function<void()> on_ready) {
  return NoThrow([&]() -> absl::StatusOr<Exchange> {
    return impl_->Handle(std::move(request), std::move(on_ready));
  });
}

}  // namespace gemma
