// Chats with an instruction-tuned model: chat MODEL

#include <iostream>
#include <string>

#include "gemma/gemma.h"

int Fail(const absl::Status& status) {
  std::cerr << status.message() << "\n";
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 2) return Fail(absl::InvalidArgumentError("usage: chat MODEL"));
  const auto model = gemma::Model::Load(argv[1]);
  if (!model.ok()) return Fail(model.status());
  auto session = gemma::Session::Create(*model, {.max_tokens = 4096});
  if (!session.ok()) return Fail(session.status());
  const auto turns = model->chat_template();
  if (!turns.ok()) return Fail(turns.status());

  std::string line;
  while (std::cout << "> " << std::flush && std::getline(std::cin, line)) {
    const auto prompt = session->position() == 0 ? turns->UserTurn(line)
                                                 : turns->NextUserTurn(line);
    if (!prompt.ok()) return Fail(prompt.status());
    const auto stats =
        gemma::Generate(*session, *prompt, {}, [](std::string_view text) {
          std::cout << text << std::flush;
          return true;  // return false to stop
        });
    if (!stats.ok()) return Fail(stats.status());
    std::cout << "\n";
  }
}
