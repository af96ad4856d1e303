// Ctrl-C stops what the command is doing, not the process; pressed again before
// that happened, the process.

#ifndef GEMMA_TOOLS_GEMMA_IO_SIGNALS_H_
#define GEMMA_TOOLS_GEMMA_IO_SIGNALS_H_

namespace gemma::tools {

// Lets SIGINT, SIGTERM and SIGHUP (unless the caller had them ignored) set the
// flag below, and ignores SIGPIPE and SIGXFSZ (a limit of file sizes): a write
// then fails, and tells why. Once, before there are threads.
void InstallSignalHandlers();

// Whether a signal came since the last ClearInterrupt, and which (0: none).
bool Interrupted();
int InterruptSignal();
void ClearInterrupt();

// Calls `action` before a second signal ends the process; nullptr: nothing. It
// runs in the signal's handler.
void SetLastAction(void (*action)());
// Calls it, for other handlers that end the process.
void RunLastAction();

// A file descriptor that poll() finds readable while Interrupted(); -1 if there
// is none.
int InterruptFd();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_SIGNALS_H_
