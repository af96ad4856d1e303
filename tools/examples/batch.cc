// Answers each line of a file, several at the same time: batch MODEL PROMPTS

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "gemma/gemma.h"

template <class T>
T ValueOrExit(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::cerr << value.status().message() << "\n";
  std::exit(1);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: batch MODEL PROMPTS\n";
    return 1;
  }
  const gemma::Model model = ValueOrExit(gemma::Model::Load(argv[1]));
  const gemma::ChatTemplate turns = ValueOrExit(model.chat_template());
  gemma::Engine engine = ValueOrExit(
      gemma::Engine::Create(model, {.max_tokens = 2048, .max_sequences = 8}));

  // The engine starts at once. It refuses requests if more than max_queued
  // wait.
  std::vector<gemma::Ticket> tickets;
  std::ifstream prompts(argv[2]);
  for (std::string line; std::getline(prompts, line);) {
    gemma::Request request;
    request.prompt = ValueOrExit(turns.UserTurn(line));
    request.options.max_new_tokens = 256;
    tickets.push_back(ValueOrExit(engine.Submit(std::move(request))));
  }
  for (const gemma::Ticket& ticket : tickets) {
    const absl::StatusOr<gemma::Completion>& completion = ticket.Wait();
    if (completion.ok()) {
      std::cout << completion->text << "\n---\n";
    } else {
      std::cout << "error: " << completion.status().message() << "\n---\n";
    }
  }
}
