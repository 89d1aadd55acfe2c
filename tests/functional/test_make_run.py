"""`make run`, the README's first command: a private instance that sends itself a message and serves until Ctrl-C."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from matador import BUILD, MATADOR, free_port, wait_for

SCRIPT = pathlib.Path(__file__).parents[2] / "tools" / "run-private-instance"


class Run:
    """The script in a folder of its own, as a plain user."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="matador-test-"))
        self.who = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self.output = self.folder / "output"
        self.script = None

    def start(self):
        environment = {**os.environ, "RUN_FOLDER": str(self.folder / "run"), "RUN_PORT": str(free_port())}
        with open(self.output, "wb") as output:
            self.script = subprocess.Popen([SCRIPT, BUILD], stdout=output, stderr=subprocess.STDOUT, env=environment,
                                           stdin=subprocess.DEVNULL, start_new_session=True, **self.who)
        return self

    def told(self):
        return self.output.read_text(errors="replace")

    def wait_told(self, text):
        wait_for(lambda: text in self.told() or self.script.poll() is not None, 30, text)
        assert text in self.told(), self.told()

    def is_up(self):
        return subprocess.run([MATADOR, "-c", self.folder / "run" / "etc", "status"], capture_output=True, check=False,
                              **self.who).returncode == 0

    def interrupt(self):
        """Ctrl-C, which reaches all that the terminal's user started."""
        os.killpg(self.script.pid, signal.SIGINT)
        return self.script.wait(30)

    def close(self):
        if self.script and self.script.poll() is None:
            self.interrupt()
        shutil.rmtree(self.folder)


@pytest.fixture
def run():
    made = Run()
    yield made
    made.close()


def test_make_run_shows_the_way_of_its_message_in_a_fresh_folder_and_in_a_used_one(run):
    ids = []
    for _ in range(2):
        run.start().wait_told("until Ctrl-C")
        told = run.told()
        ids += re.findall(r"250 2\.0\.0 Message accepted for delivery (\S+)", told)
        way = told[told.index("--- its way"):told.index("--- delivered")]
        assert set(re.findall(r" id=(\S+)", way)) == {ids[-1]}, told
        assert all(event in way for event in ("message-accepted", "mail-file-written", "message-done")), told
        assert "It works." in told
        assert run.is_up()
        assert run.interrupt() == 0, run.told()
        assert not run.is_up()
    assert len(set(ids)) == 2


def test_make_run_refuses_a_folder_in_use_and_leaves_who_serves_there_alone(run):
    run.start().wait_told("until Ctrl-C")
    first = run.script
    settings = (run.folder / "run" / "etc" / "servers.conf").read_text()
    assert run.start().script.wait(30) == 75
    assert "another instance serves" in run.told()
    assert (run.folder / "run" / "etc" / "servers.conf").read_text() == settings
    run.script = first
    assert run.is_up()


def test_make_run_that_fails_halfway_leaves_nothing_running(run):
    run.start()
    wait_for(run.is_up, 30, "the instance")
    run.script.terminate()
    assert run.script.wait(30) == 0, run.told()
    assert not run.is_up()
