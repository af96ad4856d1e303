"""LLM beside other threads, signals, forks and the end of the process."""
import concurrent.futures
import multiprocessing
import signal
import unittest

from toys import ENDLESS, LONG_CONTEXT, SECONDS, TUNED, load, start_python, wait_until

PREPARE = """
import os, signal, sys, threading, time
import libgemma
llm = libgemma.LLM(sys.argv[1], context=32768, reuse_bytes=0)
ENDLESS = {"min_tokens": 30000, "max_tokens": 30000}
"""


def answer_in_worker(llm):
    return llm.generate("Hi", seed=1, max_tokens=20).tokens


class Threads(unittest.TestCase):

    def test_generate_releases_the_gil(self):
        llm = load(context=LONG_CONTEXT)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(llm.generate, "Hi", **ENDLESS)
            # If generate held the GIL, this thread could not end it.
            wait_until(lambda: llm._engine.snapshot()["running"] == 1)
            llm.close()
            self.assertEqual(answer.result(timeout=SECONDS).stop_reason, "cancelled")


class Signals(unittest.TestCase):

    def interrupt(self, call):
        """Sends SIGINT while a process computes; returns what it prints afterwards."""
        process = start_python(PREPARE + f"""
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    {call}
except KeyboardInterrupt:
    print("interrupted")
print(len(llm.generate("Hi", min_tokens=5, max_tokens=5, seed=1).tokens))
""", TUNED)
        out, errors = process.communicate(timeout=300)
        self.assertEqual((process.returncode, errors), (0, ""))
        return out.split()

    def test_interrupt_ends_generate(self):
        self.assertEqual(self.interrupt("llm.generate('Hi', **ENDLESS)"), ["interrupted", "5"])

    def test_interrupt_ends_streams(self):
        self.assertEqual(self.interrupt("list(llm.stream('Hi', **ENDLESS))"),
                         ["interrupted", "5"])

    def test_interrupt_ends_event_loops(self):
        self.assertEqual(self.interrupt(
            "import asyncio; asyncio.run(llm.agenerate(['Hi'] * 9, **ENDLESS))"),
            ["interrupted", "5"])

    def test_killed_without_handler(self):
        process = start_python(PREPARE + "print('ready', flush=True)\n"
                               "llm.generate('Hi', **ENDLESS)", TUNED)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdin.close)
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=300), -signal.SIGTERM)


class Forks(unittest.TestCase):

    def test_children_are_refused(self):
        process = start_python(PREPARE + """
stream = llm.stream("Hi", **ENDLESS)
next(stream)
child = os.fork()
if child == 0:
    for call in (lambda: llm.generate("Hi"), lambda: next(stream), lambda: llm.tokenize("Hi"),
                 lambda: llm.stream("Hi")):
        try:
            call()
        except libgemma.FailedPreconditionError as error:
            print(str(error).split(" was ", 1)[1], flush=True)
    del stream
    with libgemma.LLM(sys.argv[1]) as again:
        print(again.generate("Hi", seed=1, max_tokens=9).tokens, flush=True)
    sys.exit(7)
status = os.waitpid(child, 0)[1]
print(os.waitstatus_to_exitcode(status))
stream.close()
print(llm.generate("Hi", seed=1, max_tokens=9).tokens)
""", TUNED)
        out, errors = process.communicate(timeout=300)
        self.assertEqual((process.returncode, errors), (0, ""))
        lines = out.splitlines()
        self.assertEqual(lines[:4], ["loaded before this process was forked; load it again in the "
                                     "child"] * 4)
        self.assertEqual(lines[5], "7")
        self.assertEqual(lines[4], lines[6])

    def test_children_end_beside_threads(self):
        process = start_python(PREPARE + """
def work():
    while True:
        llm.tokenize("word " * 20)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
for _ in range(3):
    child = os.fork()
    if child == 0:
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
print("end")
""", TUNED)
        self.addCleanup(process.kill)
        out, errors = process.communicate(timeout=300)
        self.assertEqual((process.returncode, out), (0, "end\n"), errors)


class Ends(unittest.TestCase):

    def test_exit_with_requests(self):
        for script in ("stream = llm.stream('Hi', **ENDLESS); next(stream)",
                       "llm.stream('Hi', **ENDLESS); llm.cycle = llm",
                       "threading.Thread(target=llm.generate, args=('Hi',), kwargs=ENDLESS, "
                       "daemon=True).start(); time.sleep(0.3)",
                       "threading.Thread(target=llm.logits, args=([2] * 30000,), "
                       "daemon=True).start(); time.sleep(0.3)",
                       "session = llm.session(); session.set_tap(llm.tap(lambda site, x: None))\n"
                       "def work():\n    while True: session.append([2] * 20); session.rewind(0)\n"
                       "threading.Thread(target=work, daemon=True).start(); time.sleep(0.3)",
                       "sys.modules['kept'] = [llm, llm.stream('Hi', **ENDLESS)]"):
            with self.subTest(script=script):
                process = start_python(PREPARE + script + "\nprint('end')", TUNED)
                out, errors = process.communicate(timeout=300)
                self.assertEqual((process.returncode, out, errors), (0, "end\n", ""))


class Pickles(unittest.TestCase):

    def test_workers_load_the_file(self):
        with load() as llm:
            with concurrent.futures.ProcessPoolExecutor(
                    1, multiprocessing.get_context("spawn")) as pool:
                tokens = pool.submit(answer_in_worker, llm).result(timeout=300)
            self.assertEqual(tokens, answer_in_worker(llm))


if __name__ == "__main__":
    unittest.main()
