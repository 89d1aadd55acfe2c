"""The two ends of what is measured: the sink that takes mail and throws it away, the source that sends it."""

import pathlib
import queue
import shutil
import subprocess
import tempfile
import threading

from servers import compile_here
import matador

WARM_UP = 60
PATIENCE = 600      # seconds for what was accepted to come to the sink: mail that is lost fails the run


def compile_ends(folder):
    Sink.program = compile_here("sink.c", pathlib.Path(folder) / "sink")
    source.program = compile_here("source.c", pathlib.Path(folder) / "source")


class Sink:
    """The far end. expect("warm") and done() wait until so many messages came."""

    program = None

    def __init__(self, count, warm_up=WARM_UP, port=None, delay=0):
        self.port = port or matador.free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-sink-"))
        self.process = subprocess.Popen([Sink.program, str(self.port), str(warm_up), str(count), self.folder / "times", str(delay)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = queue.Queue()
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()
        self.expect("ready")
        self.file = open(self.folder / "times", "rb")
        self.first = {}         # by Message-ID: when it came first,
        self.recipients = {}    # how many recipients it came for so far, in all its copies,
        self.last = {}          # and when the last of those

    def listen(self):
        for line in self.process.stdout:
            self.said.put(line.split())

    def expect(self, word, seconds=PATIENCE):
        try:
            said = self.said.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"the sink did not say {word!r} within {seconds} s: mail is missing") from None
        assert said[0] == word, f"sink: {said} instead of {word}"
        return said[1:]

    def done(self):
        """The wall time of the last arrival."""
        last, copies = self.expect("done")
        assert copies == "0", f"{copies} messages came twice"
        return float(last)

    def look(self):
        """Takes in what came since the last look, a moment late."""
        while (line := self.file.readline()).endswith(b"\n"):
            time_of, recipients, identifier = line.decode().split()
            self.first.setdefault(identifier, float(time_of))
            self.last[identifier] = float(time_of)
            self.recipients[identifier] = self.recipients.get(identifier, 0) + int(recipients)
        self.file.seek(self.file.tell() - len(line))

    def close(self):
        self.file.close()
        self.process.stdin.close()
        self.process.wait(10)
        self.listener.join()
        self.process.stdout.close()
        shutil.rmtree(self.folder)


def source(port, count, sessions, size, reuse, recipient="b@sink.test"):
    result = subprocess.run([source.program, *(str(number) for number in (port, count, sessions, size)), "reuse" if reuse else "new", recipient],
                            stderr=subprocess.PIPE, text=True, timeout=1800, check=False)
    assert result.returncode == 0, result.stderr
