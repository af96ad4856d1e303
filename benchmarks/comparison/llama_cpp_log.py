"""The log of llama.cpp, for the processes that call its C API."""
import ctypes

import llama_cpp as llama

LEVEL_ERROR = 4


class Log:
    """Keeps llama.cpp's log instead of printing it."""

    def __init__(self):
        self.errors = []
        self.buffers = []
        self._callback = llama.llama_log_callback(self._add)  # must live as long as the log
        llama.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _add(self, level, text, _):
        line = text.decode(errors="replace").strip()
        if level == LEVEL_ERROR and line:
            self.errors.append(line)
        if "buffer size" in line:
            self.buffers.append(line)
