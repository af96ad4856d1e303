// Writes the first inputs of each fuzz target.
//
//   fuzz_seeds FOLDER   writes FOLDER/TARGET/NAME

#include <cstdio>

#include "tests/fuzz/seeds.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: fuzz_seeds FOLDER\n", stderr);
    return 2;
  }
  gemma::internal::WriteModelSeeds(argv[1]);
  gemma::internal::WriteOtherSeeds(argv[1]);
}
