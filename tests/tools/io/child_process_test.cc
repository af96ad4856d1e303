#include "tools/gemma/io/child_process.h"

#include <signal.h>
#include <sys/types.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"

namespace gemma::tools {
namespace {

using ::testing::HasSubstr;

ChildCommand Shell(const std::string& script) {
  return {
      .arguments = {"sh", "-c", script}, .directory = "/", .environment = {}};
}

struct Outcome {
  absl::StatusOr<ChildResult> result;
  std::string output;
};

// Runs a script. If `at_output` is an error, the first output ends the script.
Outcome RunScript(const std::string& script,
                  const absl::Status& at_output = absl::OkStatus()) {
  Outcome outcome;
  outcome.result = RunChild(
      Shell(script),
      [&](std::string_view text) {
        outcome.output += text;
        return at_output;
      },
      [] {});
  return outcome;
}

// Ends a process that a script left running.
void KillProcess(std::string_view pid) {
  pid_t number = 0;
  ASSERT_TRUE(absl::SimpleAtoi(pid, &number)) << pid;
  kill(number, SIGKILL);
}

TEST(ChildProcess, ReturnsOutputErrorsCode) {
  const Outcome outcome = RunScript("echo out; echo bad >&2; exit 3");
  ASSERT_TRUE(outcome.result.ok()) << outcome.result.status();
  EXPECT_EQ(outcome.output, "out\n");
  EXPECT_EQ(outcome.result->errors, "bad\n");
  EXPECT_EQ(outcome.result->exit_code, 3);
  EXPECT_EQ(RunScript("kill -9 $$").result->exit_code, 128 + SIGKILL);
}

TEST(ChildProcess, ReadsAllOutput) {
  // More than a pipe holds, so that much is left to read when the child exits.
  EXPECT_EQ(RunScript("head -c 1000000 /dev/zero").output.size(), 1000000u);
  EXPECT_EQ(
      RunScript("exec >&-; exec 2>&-; sleep 0.1; exit 5").result->exit_code, 5);
}

TEST(ChildProcess, NamesAMissingProgram) {
  const auto result = RunChild(
      {.arguments = {"gemma-no-such-program"},
       .directory = "/",
       .environment = {}},
      [](std::string_view) { return absl::OkStatus(); }, [] {});
  EXPECT_TRUE(absl::IsNotFound(result.status()));
}

TEST(ChildProcess, KillsWhenSigtermIgnored) {
  const Outcome outcome =
      RunScript("trap '' TERM; echo $$; while :; do sleep 1; done",
                absl::DataLossError("enough"));
  EXPECT_EQ(outcome.result.status(), absl::DataLossError("enough"));
  pid_t pid = 0;
  ASSERT_TRUE(absl::SimpleAtoi(outcome.output, &pid));
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(ChildProcess, LeavesAGrandchildsPipe) {
  const Outcome outcome =
      RunScript("sleep 100 & echo $!; echo bad >&2; exit 4");
  KillProcess(outcome.output);
  ASSERT_TRUE(outcome.result.ok()) << outcome.result.status();
  EXPECT_EQ(outcome.result->exit_code, 4);
  EXPECT_EQ(outcome.result->errors, "bad\n");
}

}  // namespace
}  // namespace gemma::tools
