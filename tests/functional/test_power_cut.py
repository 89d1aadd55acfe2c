"""
What is on stable storage, and nothing else, survives: power cuts under load, and a kill between flush and reply.

Every message that read 250 arrives, octet for octet. A sample runs in `make check`, all rounds in `make torture`
(MATADOR_TORTURE). Each test prints accepted, delivered, duplicated, lost.
"""

import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

import receivers
from matador import SANITIZED, program_of, running, wait_for
from test_kill import TORTURE, KillLoad, account_with_deaths, copies, drain, identities, stored_twice

SOURCES = pathlib.Path(__file__).parent
UNDER_LOAD = {"initial_transfer_retry_interval": "2s", "smtp_error_limit": 100000,
              "maximum_messages_per_session": 1000000, "maximum_commands_per_session": 10000000}

pytestmark = pytest.mark.skipif(SANITIZED, reason="a preload does not go before a sanitizer's own library")


def preload(instance, source, *exports):
    """Starts qmgr with a library made of source; exports are lines of shell."""
    library = instance.folder / f"{source}.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-D_GNU_SOURCE", "-Wall", "-o", library, SOURCES / f"{source}.c"],
                   check=True)
    instance.wrap_program("qmgr", "\n".join([*exports, f"export LD_PRELOAD={library}"]), instance.folder)


def settle(service, sink, load, deaths):
    """Ends the load, delivers what waits, and counts. No id was given twice, not even to a message that came to nothing."""
    load.end()
    gate(sink, True)
    drain(service, 180)
    found = copies(service, sink)
    account_with_deaths(load, found, deaths)
    owners = {}
    for number, each in found.items():
        for identity in identities(each):
            assert owners.setdefault(identity, number) == number, f"id {identity} belongs to two messages"
    queued = re.findall(r"message-queued id=(\S+)", service.log())
    assert len(queued) == len(set(queued)), "one id was stored twice"
    assert service.stop().returncode == 0
    verified = service.command("verify")
    assert verified.returncode == 0, verified.stdout[-2000:]
    assert "queue-damaged" not in service.log()
    return found


def gate(sink, is_open):
    """While it is closed all mail for it stays in MAIL.BOX: so a cut finds more than what is just passing."""
    if is_open:
        sink.script.pop("banner", None)
    else:
        sink.script["banner"] = lambda *_: "421 4.3.2 closed"


def qmgr_of(service):
    """The running qmgr, once it is past the shell that set up its environment."""
    def found():
        return [pid for pid in service.workers("qmgr") if program_of(pid) == "qmgr.real"]
    return wait_for(found, 40, "a running qmgr")[0]


def prepare_cuts(instance, sink):
    """qmgr can lose what it has not flushed: at SIGUSR1, or after as many calls as the file cut-after says at its start."""
    instance.relay_to(sink.port)
    instance.configuration.update(UNDER_LOAD)
    instance.matador.update({"restart_delay_maximum": "1s", "journal_segment_size": "4M"})
    after = instance.folder / "cut-after"
    after.write_text("0")
    # In one start of three nothing unflushed is on the disk, in the others some pages are: torn writes, out of order.
    preload(instance, "preload_unflushed", f"export UNFLUSHED_AFTER=$(cat {after})",
            "export UNFLUSHED_KEEP=$(( $$ % 3 * 40 ))")
    return after


def test_power_cut_of_qmgr_at_random_instants_under_load(one_instance, sink):
    """Row 144, qmgr alone: master starts it again, and everybody else replays what was not answered."""
    rounds = 300 if TORTURE else 16
    after = prepare_cuts(one_instance, sink)
    service = one_instance.start()
    rng = random.Random(300)
    load = KillLoad(service, clients=4, pause=0.01, large_every=100)
    at_a_call = under_load = 0
    for number in range(rounds):
        pid = qmgr_of(service)
        gate(sink, number % 2)
        # For the next start: cut at a call, most of them in its recovery, or at an instant only.
        choices = (0, 0, rng.randrange(1, 400), rng.randrange(400, 6000))
        after.write_text(str(rng.choice(choices) if number < rounds - 1 else 0))
        before = len(load.accepted)
        wait_for(lambda p=pid: not running(p) or len(load.accepted) > before, 20, "a cut or an accepted message", every=0.002)
        deadline = time.monotonic() + rng.uniform(0, 0.5)
        while running(pid) and time.monotonic() < deadline:
            time.sleep(0.002)
        under_load += len(load.accepted) > before
        at_a_call += not running(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
        wait_for(lambda p=pid: not running(p), 20, "the cut")
    qmgr_of(service)
    load.wait_accepted(len(load.accepted) + 20, 60)
    print(f"\n{rounds} cuts, {at_a_call} of them at a call, {under_load} after messages were accepted since the one before")
    least = rounds // 10 if TORTURE else 0
    assert at_a_call > least and under_load > least
    found = settle(service, sink, load, {"qmgr": rounds})
    assert not stored_twice(found)


def test_power_cut_of_everything_at_once_and_start_again(one_instance, sink):
    """Row 144: all stand still, qmgr loses what it has not flushed, all are killed."""
    rounds = 60 if TORTURE else 4
    prepare_cuts(one_instance, sink)
    service = one_instance.start()
    rng = random.Random(301)
    load = KillLoad(service, clients=4, pause=0.005, large_every=100)
    for number in range(rounds):
        gate(sink, number % 2)
        time.sleep(rng.uniform(0.1, 0.7))
        qmgr = qmgr_of(service)
        for pid in [service.master, *service.workers_all()]:
            if pid != qmgr:
                os.kill(pid, signal.SIGSTOP)
        os.kill(qmgr, signal.SIGUSR1)
        wait_for(lambda p=qmgr: not running(p), 20, "the cut")
        service.kill_everything()
        service.start(write=False)
    settle(service, sink, load, {"everything": rounds})


def test_power_kill_between_flush_and_reply_replays_under_the_same_id(one_instance, sink):
    """Row 149: on the disk, and nobody was told. smtpd deposits again under the same id, and it stays one message."""
    rounds = 40 if TORTURE else 10
    one_instance.relay_to(sink.port)
    one_instance.configuration.update({**UNDER_LOAD, "initial_transfer_retry_interval": "10m"})
    one_instance.matador["restart_delay_maximum"] = "1s"
    flushes = one_instance.folder / "kill-after"
    rng = random.Random(302)
    flushes.write_text("30")
    preload(one_instance, "preload_kill_after_flush", f"export KILL_AFTER_FLUSHES=$(cat {flushes})")
    gate(sink, False)   # nothing is in flight to it, so nothing can be doubled
    service = one_instance.start()
    load = KillLoad(service, clients=16)
    caught, waited = set(), 0     # messages whose reply a kill held back; kills that held one back
    for number in range(rounds):
        pid = qmgr_of(service)
        flushes.write_text(str(rng.randrange(1, 200)) if number < rounds - 1 else "0")
        wait_for(lambda p=pid: not running(p), 60, "the kill", every=0.001)
        pending = set(load.pending)
        caught |= pending
        waited += bool(pending)
    qmgr_of(service)
    load.wait_accepted(len(load.accepted) + 20, 60)
    gate(sink, True)
    found = settle(service, sink, load, {"qmgr": rounds})
    assert not stored_twice(found)
    doubled = [number for number, each in found.items() if number % 3 and len(each) > 1]
    assert not doubled, f"relayed twice though nothing was in flight: {doubled[:20]}"
    # Who stores a message says so in the log, unless it dies before that: then its successor only knew the id.
    said = set(re.findall(r" message-queued id=(\S+)", service.log()))
    known = [number for number in caught if number in found and found[number][0][1] not in said]
    answered = caught & load.accepted.keys()
    print(f"{rounds} kills right after a flush, {waited} of them with clients that waited for their reply: {len(caught)} messages, "
          f"{len(answered)} accepted later, {len(known)} of them stored before the kill")
    assert waited >= 2 * rounds // 3
    assert len(answered) >= waited
    assert len(known) >= (rounds // 2 if TORTURE else 1)


class Disk:
    """Spool and mail files on an ext4 of their own, in a file behind a loop device, which can lose its power."""

    def __init__(self, instance):
        self.instance = instance
        self.image = instance.folder / "disk.img"
        self.point = instance.folder / "disk"
        self.mounted = False
        self.point.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(192 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-e", "remount-ro", self.image], check=True)

    def mount(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.point], check=True, capture_output=True)
        self.mounted = True

    def unmount(self, *options):
        """A killed process may look dead while a thread of it still waits for the disk."""
        wait_for(lambda: subprocess.run(["umount", *options, self.point], capture_output=True, check=False).returncode == 0,
                 20, "unmounting")
        self.mounted = False

    def move_in(self):
        """The folders of the instance move to the disk; their old names lead there."""
        for name, setting in (("spool", "spool_directory"), ("mail", "mail_directory")):
            (self.point / name).mkdir()
            (self.instance.folder / name).rmdir()
            (self.instance.folder / name).symlink_to(self.point / name)
            self.instance.matador[setting] = self.point / name
        os.sync()

    def cut(self):
        """All stand still; what is in the file now is what the disk holds; the rest is gone with the processes."""
        copy = self.instance.folder / "copy.img"
        for pid in [self.instance.master, *self.instance.workers_all()]:
            os.kill(pid, signal.SIGSTOP)
        while True:
            subprocess.run(["cp", "--sparse=always", self.image, copy], check=True)
            if subprocess.run(["cmp", "-s", self.image, copy], check=False).returncode == 0:
                break
        self.instance.kill_everything()
        self.unmount()
        copy.replace(self.image)
        self.mount()

    def fail(self):
        """The file system meets an error, and becomes read-only under the files that are open."""
        device = subprocess.run(["findmnt", "-n", "-o", "SOURCE", self.point], capture_output=True, text=True, check=True).stdout
        trigger = pathlib.Path("/sys/fs/ext4", device.strip().removeprefix("/dev/"), "trigger_fs_error")
        if not trigger.exists():
            pytest.skip("this kernel's ext4 cannot be made to fail")
        trigger.write_text("a test")
        with pytest.raises(OSError, match="Read-only file system"):
            (self.point / "file").touch()

    def repair(self):
        self.unmount()
        checked = subprocess.run(["e2fsck", "-f", "-p", self.image], capture_output=True, check=False)
        assert checked.returncode in (0, 1), checked.stdout
        self.mount()

    def close(self):
        if self.instance.master and running(self.instance.master):
            self.instance.kill_everything()
        if self.mounted:
            self.unmount("-l")


@pytest.fixture
def disk(one_instance):
    if os.getuid() != 0 or not shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin"):
        pytest.skip("only root can mount, and mkfs.ext4 is needed")
    made = Disk(one_instance)
    try:
        made.mount()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"loop devices cannot be mounted here: {error.stderr.decode().strip()}")
    yield made
    made.close()


def test_power_cut_of_a_disk_under_load(one_instance, sink, disk):
    """Row 144 with a real file system: its journal is replayed, and the page cache is gone."""
    rounds = 50 if TORTURE else 3
    disk.move_in()
    one_instance.relay_to(sink.port)
    one_instance.configuration.update(UNDER_LOAD)
    one_instance.matador["journal_segment_size"] = "4M"
    service = one_instance.start()
    os.sync()
    rng = random.Random(144)
    load = KillLoad(service, clients=4, pause=0.02, large_every=100)
    for number in range(rounds):
        gate(sink, number % 2)
        load.wait_accepted(len(load.accepted) + 30, 60)
        time.sleep(rng.uniform(0.05, 1))
        disk.cut()
        service.start(write=False)
    settle(service, sink, load, {"everything": rounds})


# ---- the order of things ----

def trace(service, act):
    """The calls that matter of qmgr and smtpd, in their order, while act() runs: [(call, arguments)]."""
    path = service.folder / "trace"
    pids = [option for role in ("qmgr", "smtpd") for pid in service.workers(role) for option in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-f", "-q", "-y", "-s", "80", "-o", path, "-e",
                               "trace=pwrite64,pwritev,fsync,fdatasync,write,writev,sendto,sendmsg,sendmmsg", *pids],
                              stderr=subprocess.PIPE)
    try:
        def attached():
            return all(re.search(r"^TracerPid:\s+[1-9]", pathlib.Path(f"/proc/{pid}/task/{task}/status").read_text(), re.M)
                       for pid in pids[1::2] for task in os.listdir(f"/proc/{pid}/task"))
        try:
            wait_for(lambda: tracer.poll() is not None or attached(), what="strace")
        except AssertionError:
            pytest.skip("strace cannot attach here")
        if tracer.poll() is not None:
            pytest.skip(f"strace: {tracer.stderr.read().decode().strip()}")
        act()
    finally:
        tracer.terminate()
        tracer.wait(10)
    return path.read_text(errors="replace").splitlines()


def first(lines, pattern, after=0):
    """The number of the first line from there on that matches; a call that was interrupted counts when it returns."""
    for number in range(after, len(lines)):
        if re.search(pattern, lines[number]):
            if "<unfinished" not in lines[number]:
                return number
            process, call = re.match(r"(\d+) +(\w+)\(", lines[number]).groups()
            return first(lines, rf"^{process} +<\.\.\. {call} resumed", number)
    raise AssertionError(f"no {pattern!r} after line {after} of\n" + "\n".join(lines[-60:]))


def begun(lines, pattern):
    """The number of the only line where it began."""
    found = [number for number, line in enumerate(lines) if re.search(pattern, line)]
    assert len(found) == 1, (pattern, found, "\n".join(lines[-60:]))
    return found[0]


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is needed")
def test_order_on_disk_before_250(one_instance):
    """Row 143: written, flushed, then 250. A large body: its octets, its file, its folder, its record, then 250."""
    one_instance.relay_to(1)
    service = one_instance.start()
    for size in (1000, 600_000):
        with service.connect() as client:
            client.begin("x@elsewhere.example")
            assert client.command("DATA").startswith("354")
            body = b"Subject: order\r\n\r\n" + b"x" * 70 + b"\r\n"
            octets = body + (b"y" * 70 + b"\r\n") * ((size - len(body)) // 72) + b".\r\n"
            replies = []

            def act():
                client.raw(octets)
                replies.append(client.reply())
            lines = trace(service, act)
        assert replies[0].startswith("250"), replies
        identity = replies[0].split()[-1]
        reply = begun(lines, rf'"250 2\.0\.0 Message accepted for delivery {identity}')
        record = first(lines, r"pwritev?(64)?\(\d+<[^>]*/seg-")
        flushed = first(lines, r"fdatasync\(\d+<[^>]*/seg-", record)
        assert record < flushed < reply
        assert re.search(r"= 0$", lines[flushed]), lines[flushed]
        if size < 600_000:
            continue
        written = [n for n, line in enumerate(lines) if re.search(rf"\bp?writev?(64)?\(\d+<[^>]*{identity}>", line)]
        file = first(lines, rf"f(data)?sync\(\d+<[^>]*{identity}>")
        folder = first(lines, r"fsync\(\d+<[^>]*/bodies/[0-9a-f]{2}>")
        assert written and written[-1] < file and max(file, folder) < record, (written, file, folder, record)


def test_power_cuts_and_restarts_never_repeat_an_id(one_instance):
    """After stop and start, kill, cut, and loss of the index the ids are new, and grow."""
    one_instance.relay_to(1)
    one_instance.matador["restart_delay_maximum"] = "1s"
    preload(one_instance, "preload_unflushed")
    service = one_instance.start()

    def some():
        for _ in range(3):
            with service.connect() as client:
                client.begin("x@elsewhere.example")
                reply = client.data(b"Subject: id\r\n\r\nid\r\n.\r\n")
                assert reply.startswith("250"), reply
                identities.append(reply.split()[-1])

    def stop_and_start():
        service.stop()
        service.start(write=False)

    def kill_and_start():
        service.kill_everything()
        service.start(write=False)

    def cut():
        pid = service.worker("qmgr")
        os.kill(pid, signal.SIGUSR1)
        wait_for(lambda: service.workers("qmgr") not in ([], [pid]) and not running(pid), 20, "another qmgr")

    def cut_twice():
        cut()
        cut()

    def lose_index():
        service.stop()
        shutil.rmtree(service.folder / "spool" / "mailbox" / "index")
        service.start(write=False)

    identities = []
    some()
    for event in (stop_and_start, kill_and_start, cut, cut_twice, lose_index):
        event()
        # smtpd hands out what it has left of an earlier start first: a session that it serves may see either.
        some()
    assert len(set(identities)) == len(identities), identities
    assert len(service.queue()) == len(identities)
    epochs = [int(epoch) for epoch in re.findall(r"queue-opened .*epoch=(\d+)", service.log())]
    assert epochs == sorted(set(epochs)), epochs
