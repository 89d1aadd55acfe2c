"""The benchmark itself, in small: that it works from end to end, and that what it judges can be missed. Its figures mean nothing here."""

import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

import conftest
import matador

BENCH = pathlib.Path(__file__).resolve().parent.parent / "bench"
sys.path.insert(0, str(BENCH))
import bench  # noqa: E402


@pytest.fixture
def spools():
    """A folder that the plain user may write to."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="matador-bench-"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


def test_a_small_run_tells_each_target_whether_it_was_reached(spools):
    command = [sys.executable, BENCH / "bench.py"]
    if os.getuid() == 0:    # as root it would measure Postfix too
        entry = pwd.getpwnam(conftest.PLAIN_USER)
        command = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", *command]
    environment = {**os.environ, "BENCH_ONLY": "accept", "BENCH_SCALE": "0.02", "BENCH_ROUNDS": "1", "BENCH_FOLDER": str(spools),
                   "MATADOR_BUILD": str(matador.BUILD), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=300 * matador.PATIENCE, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    head, _, targets = result.stdout.partition("\n## Targets\n\n| scenario | target | reached | |\n|---|---|---|---|\n")
    assert re.search(r"^\| fdatasync of 4 KiB appended \| [1-9]", head, re.M), head
    assert len(re.findall(r"^\| 4096 \| 20 \| (?:yes|no) \| Matador \| [1-9]", head, re.M)) == len(bench.ACCEPT), head
    verdicts = re.findall(r"^\| accept \| .* \| (met|\*\*missed\*\*|cannot be told here) \|$", targets, re.M)
    assert verdicts[:-1] == ["cannot be told here"] * len(bench.ACCEPT) and verdicts[-1] in ("met", "**missed**"), result.stdout
    assert not list(spools.iterdir())


@pytest.mark.parametrize("a_message,fall", [
    ((1.00, 0.42, 0.11, 0.10), True),
    ((1.00, 0.42, 0.10, 0.104), True),      # the last may stay as it was
    ((1.00, 0.42, 0.10, 0.12), False),
    ((1.00, 1.00, 1.00, 1.00), False),
    ((1.00, 0.42, 0.42, 0.10), False),
    ((1.00, 0.90, 0.80, 0.70), False),
])
def test_flushes_fall_only_where_they_do_at_each_step_and_to_a_quarter(a_message, fall):
    assert bench.falls(a_message) == fall


def test_mail_that_never_comes_to_the_sink_fails_a_run(tmp_path):
    bench.compile_ends(tmp_path)
    sink = bench.Sink(1, 0)
    try:
        with pytest.raises(AssertionError, match="mail is missing"):
            sink.expect("done", 0.1)
        bench.source(sink.port, 1, 1, 4096, False)
        assert sink.done() > 0
    finally:
        sink.close()
