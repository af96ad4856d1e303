// Ctrl-C stops the command's current work, but not the process. A second Ctrl-C
// before the work has stopped ends the process.

#ifndef GEMMA_TOOLS_GEMMA_IO_SIGNALS_H_
#define GEMMA_TOOLS_GEMMA_IO_SIGNALS_H_

namespace gemma::tools {

// Makes SIGINT, SIGTERM and SIGHUP set the flag below, except those that the
// caller ignores. Ignores SIGPIPE and SIGXFSZ (the limit of file sizes), so
// that a write fails with an error instead. Call this once, before there are
// threads.
void InstallSignalHandlers();

// Return whether a signal came since the last ClearInterrupt, and its number
// (0: no signal).
bool Interrupted();
int InterruptSignal();
void ClearInterrupt();

// From now on, SIGHUP does not interrupt the command, also if the caller
// ignores it: it asks for files to be read again. TakeHangup returns whether it
// came since the last call. InterruptFd() is readable until then.
void AskOnHangup();
bool TakeHangup();

// Sets an action that runs before a second signal ends the process; nullptr: no
// action. It runs in the signal handler.
void SetLastAction(void (*action)());
// Runs that action. Other handlers that end the process call this.
void RunLastAction();

// Returns a file descriptor that poll() finds readable while Interrupted() and
// before TakeHangup(), or -1 if it could not be made.
int InterruptFd();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_SIGNALS_H_
