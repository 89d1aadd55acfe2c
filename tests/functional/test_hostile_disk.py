"""
The disk fails under qmgr and local, and the clock is set between two runs: rows 141, 142 and 146 of
docs/reference/hostile-inputs.md. The clock of a running service is in test_retry_load.py.

Row 143 (order on disk) and 144 (power cuts) are in test_power_cut.py and, for every state that a power failure can leave,
in tests/unit/qmgr/test_crash_states.c; rows 145 and 147 (damage) in test_damaged_mailbox.py; row 148 in test_service.py. Prints accepted,
delivered, duplicated, lost.
"""

import contextlib
import errno
import hashlib
import mmap
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import time

import pytest

from matador import SANITIZED, fresh_session_works, no_worker_died, wait_for
from test_kill import TORTURE, account, delivered, drain
from test_power_cut import disk  # noqa: F401 - a fixture
from test_retry_load import WallClock

LARGE = 300_000     # more than inline_body_limit: such a body is a file
IN_PART = 0
REASONS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EDQUOT": errno.EDQUOT, "in part": IN_PART}


class Faults:
    """What preload_fail_calls.c does to one program of an instance."""

    CONTROL = struct.Struct("=qqqqq24s")

    def __init__(self, instance, role):
        path, library = instance.folder / "faults", instance.folder / "fail_calls.so"
        source = pathlib.Path(__file__).with_name("preload_fail_calls.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-D_GNU_SOURCE", "-Wall", "-o", library, source], check=True)
        path.write_bytes(bytes(4096))
        path.chmod(0o666)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)
        instance.wrap_program(role, f"export LD_PRELOAD={library} FAIL_CALLS={path}", instance.folder)

    def read(self):
        return self.CONTROL.unpack_from(self.map)

    @property
    def calls(self):
        return self.read()[3]

    @property
    def failed(self):
        return self.read()[4]

    @property
    def name(self):
        return self.read()[5].partition(b"\0")[0].decode()

    def arm(self, at, reason, times=1):
        struct.pack_into("=qq", self.map, 8, times, reason)
        struct.pack_into("=q", self.map, 0, at)

    def disarm(self):
        struct.pack_into("=q", self.map, 0, 0)


class Mailer:
    """Sends numbered messages one after the other and remembers which were accepted."""

    def __init__(self, service):
        self.service = service
        self.accepted, self.unsure = {}, {}     # number -> checksum of the body
        self.count = 0
        self.replies = []

    def send(self, recipient, size):
        """Whether it was accepted; what goes wrong must read 4xx, or be a connection that ends."""
        self.count += 1
        number = self.count
        body = (hashlib.sha256(b"%d" % number).hexdigest().encode() + b"\r\n") * (size // 66 + 1)
        self.unsure[number] = hashlib.sha256(body).digest()
        with contextlib.suppress(OSError), self.service.connect() as client:
            reply = client.greeting
            for command in ("EHLO disk.example", "MAIL FROM:<disk@example.org>", f"RCPT TO:<{recipient}>", "DATA"):
                if reply[:1] in "23" and reply:
                    reply = client.command(command)
            if reply.startswith("354"):
                client.raw(b"X-Number: %d\r\n\r\n" % number + body + b".\r\n")
                reply = client.reply()
            assert not reply or reply[0] in "24", reply
            self.replies.append(reply)
            if reply.startswith("250"):
                self.accepted[number] = self.unsure[number]
                return True
        return False

    def round(self):
        """Small and large, to a mail file and to the relay host."""
        return [self.send(recipient, size) for size in (200, LARGE)
                for recipient in ("jane.doe@acme.com", f"n{self.count}@elsewhere.example")]

    def works(self, seconds=20):
        wait_for(lambda: all(self.round()), seconds, "mail that is taken again", every=0.1)

    def settle(self, sink, duplicates=0):
        """Everything accepted arrives, nothing else and nothing twice; MAIL.BOX is whole."""
        drain(self.service, 60)
        found = delivered(self.service, sink)
        account(self, found, duplicates)
        refused = set(found) - set(self.accepted)
        assert len(refused) <= duplicates, f"delivered though they were refused: {sorted(refused)[:20]}"
        assert self.service.stop().returncode == 0
        verified = self.service.command("verify")
        assert verified.returncode == 0, verified.stdout[-2000:]


def prepare(instance, sink, role):
    instance.relay_to(sink.port)
    instance.configuration.update({"initial_transfer_retry_interval": "1s", "maximum_messages_per_session": 1_000_000})
    instance.matador.update({"restart_delay_maximum": "1s", "journal_segment_size": "4M"})
    return Faults(instance, role)


def calls_of_a_round(mailer, faults):
    """How many calls the program makes while a round is taken and delivered."""
    def delivered_all():
        return not mailer.service.queue()
    mailer.works()
    wait_for(delivered_all, 20, "delivery")
    before = faults.calls
    mailer.works()
    wait_for(delivered_all, 20, "delivery")
    return faults.calls - before


without_sanitizers = pytest.mark.skipif(SANITIZED, reason="a preload does not go before a sanitizer's own library")


@without_sanitizers
@pytest.mark.parametrize("role", ["qmgr", "local"])
def test_rows_141_and_142_any_call_on_the_disk_fails_in_any_way(one_instance, sink, role):
    """Each call in turn. Never 250 for what is not stored; no death, no loss, no second copy; and mail goes on by itself."""
    faults = prepare(one_instance, sink, role)
    service = one_instance.start()
    mailer = Mailer(service)
    last = calls_of_a_round(mailer, faults)
    assert last > 8, last
    cases = [(at, reason) for at in range(1, last + 1) for reason in REASONS.values()]
    names = set()
    for at, reason in cases if TORTURE else random.Random(141).sample(cases, 24):
        before = faults.failed

        def hit(seen=before):
            mailer.round()
            return faults.failed > seen
        faults.arm(at, reason)
        wait_for(hit, 20, "the fault")
        names.add(faults.name)
        mailer.works()
    print(f"\n{role}: {last} calls in a round, {faults.failed} faults in {sorted(names)}")
    no_worker_died(service)
    fresh_session_works(service)
    mailer.settle(sink)


@without_sanitizers
def test_row_142_a_start_of_qmgr_that_fails_anywhere_loses_nothing(one_instance, sink):
    """Mail waits; qmgr is killed, and the next one meets a failing call. It may leave: then the one after it works."""
    faults = prepare(one_instance, sink, "qmgr")
    one_instance.configuration["initial_transfer_retry_interval"] = "10m"
    sink.script["banner"] = lambda *_: "421 4.3.2 closed"
    service = one_instance.start()
    mailer = Mailer(service)
    mailer.works()

    def those_that_wait():
        # Not those for the mail file: a kill before the record of a delivery brings it back for a moment.
        return {message["id"] for message in service.queue() if "elsewhere" in message["recipients"][0]["address"]}
    wait_for(lambda: len(those_that_wait()) == 2, 20, "the mail that waits")
    kept = those_that_wait()

    def killed():
        pid = service.worker("qmgr")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: service.workers("qmgr") not in ([], [pid]), 20, "another qmgr")
        wait_for(lambda: service.command("queue", "list").returncode == 0, 30, "a queue manager to talk to")
    before = faults.calls
    killed()
    last = faults.calls - before
    rng = random.Random(142)
    cases = [(at, reason) for at in range(1, last + 1) for reason in REASONS.values()]
    tried = 0
    for at, reason in rng.sample(cases, min(len(cases), 60 if TORTURE else 6)):
        failed = faults.failed
        faults.arm(at, reason, rng.choice((1, 1, 5)))
        killed()
        faults.disarm()
        tried += faults.failed > failed
        waiting = those_that_wait()
        # What the disk refused to read three times over is looked at again in ten minutes, or at the next start.
        unread = {each for each in kept - waiting if re.search(f" queue-unreadable .* id={each} ", service.log())}
        if unread:
            killed()
            waiting = those_that_wait()
        assert waiting == kept, f"after call {at} of the start ({faults.name}) failed with {reason}: {waiting}\n{service.log()[-3000:]}"
    print(f"\n{last} calls in a start, {tried} faults")
    del sink.script["banner"]
    mailer.works()
    mailer.settle(sink)


class SmallDisk:
    """The spool lies on a file system of its own."""

    def __init__(self, instance, options):
        self.point = instance.folder / "small"
        self.point.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=755,{options}", "tmpfs", self.point],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            pytest.skip(f"mount is not permitted here: {mounted.stderr.decode().strip()}")
        instance.matador.update({"spool_directory": self.point, "journal_segment_size": "4M", "disk_reserve_percent": 0})

    def start(self, instance):
        instance.write_configuration()
        instance.command("setup", check=True)
        instance.command("start", check=True)
        instance.master = int((self.point / "master.lock").read_text().split()[0])
        return instance

    def fill(self):
        """To the last block."""
        with open(self.point / "filler", "ab", buffering=0) as filler:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(size))

    def close(self):
        subprocess.run(["umount", "-l", self.point], check=False)


@pytest.fixture
def small_disk(one_instance):
    if os.getuid() != 0:
        pytest.skip("needs root to mount a small file system")
    made = []

    def make(options):
        made.append(SmallDisk(one_instance, options))
        return made[0]
    yield make
    if one_instance.master:
        one_instance.stop()
    for disk in made:
        disk.close()


def test_row_141_a_disk_full_to_the_last_block_still_delivers_what_is_queued(one_instance, sink, small_disk):
    disk = small_disk("size=96m")
    one_instance.relay_to(sink.port)
    one_instance.configuration["initial_transfer_retry_interval"] = "1s"
    sink.script["banner"] = lambda *_: "421 4.3.2 closed"
    service = disk.start(one_instance)
    mailer = Mailer(service)
    for _ in range(20):
        assert mailer.send("x@elsewhere.example", 2000)
    assert mailer.send("x@elsewhere.example", LARGE)
    disk.fill()
    large = [mailer.send("x@elsewhere.example", LARGE) for _ in range(3)]
    assert not any(large), "there is no room for a body"

    def refused():
        disk.fill()
        return not mailer.send("x@elsewhere.example", 60_000)
    wait_for(refused, 60, "452", every=0)
    assert mailer.replies[-1].startswith(("452", "451")), mailer.replies[-1]
    del sink.script["banner"]
    drain(service, 60)
    assert len(delivered(service, sink)) == len(mailer.accepted)
    os.unlink(disk.point / "filler")
    mailer.works()
    no_worker_died(service)
    mailer.settle(sink)


def test_row_141_out_of_inodes_reads_4xx_and_recovers(one_instance, sink, small_disk):
    disk = small_disk("size=96m,nr_inodes=600")
    one_instance.relay_to(sink.port)
    one_instance.configuration["initial_transfer_retry_interval"] = "1s"
    service = disk.start(one_instance)
    mailer = Mailer(service)
    mailer.works()
    extra = disk.point / "extra"
    extra.mkdir()
    with contextlib.suppress(OSError):
        for number in range(600):
            (extra / str(number)).touch()
    assert not mailer.send("x@elsewhere.example", LARGE), "a body file needs an inode"
    assert mailer.send("x@elsewhere.example", 2000), "the journal has its files"
    for path in extra.iterdir():
        path.unlink()
    mailer.works()
    no_worker_died(service)
    mailer.settle(sink)


@without_sanitizers
def test_row_142_a_disk_that_is_read_only_for_a_while_reads_4xx_and_recovers(one_instance, sink):
    """Whatever qmgr writes is refused; it goes on by itself when the disk is writable again."""
    faults = prepare(one_instance, sink, "qmgr")
    service = one_instance.start()
    mailer = Mailer(service)
    mailer.works()
    for _ in range(20 if TORTURE else 2):
        before = faults.failed
        faults.arm(1, errno.EROFS, 10**9)
        for _ in range(3):
            assert not any(mailer.round()), "250 for what cannot be stored"
        assert faults.failed > before
        faults.disarm()
        mailer.works(40)
    no_worker_died(service)
    mailer.settle(sink)


def test_row_142_ext4_that_becomes_read_only_for_an_error_reads_4xx_and_loses_nothing(one_instance, sink, disk):
    """What is open for writing cannot be written any more. The file system is checked, mounted, and all goes on."""
    disk.move_in()
    one_instance.relay_to(sink.port)
    one_instance.configuration["initial_transfer_retry_interval"] = "1s"
    service = one_instance.start()
    mailer = Mailer(service)
    mailer.works()
    wait_for(lambda: not service.queue(), 20, "delivery")
    sink.script["MAIL"] = lambda *_: "451 4.3.2 later"
    for _ in range(5):
        assert mailer.send("x@elsewhere.example", 2000)
    disk.fail()
    for _ in range(3):
        assert not any(mailer.round()), "250 for what cannot be stored"
    no_worker_died(service)
    service.stop()
    disk.repair()
    del sink.script["MAIL"]
    service.start(write=False)
    mailer.works(40)
    mailer.settle(sink)


@without_sanitizers
@pytest.mark.parametrize("role, blocks", [("qmgr", 200), ("local", 200)])
def test_row_141_a_limit_on_the_size_of_files_is_no_death(one_instance, sink, role, blocks):
    """RLIMIT_FSIZE, here 100 KiB: what would be longer is refused or deferred; the rest goes on."""
    one_instance.relay_to(sink.port)
    one_instance.configuration["initial_transfer_retry_interval"] = "1s"
    service = one_instance.start()      # the segments of qmgr are made with the first start
    assert service.stop().returncode == 0
    one_instance.wrap_program(role, f"ulimit -f {blocks}", one_instance.folder)
    service.start()
    mailer = Mailer(service)
    assert mailer.send("bob@acme.com", 2000) == (role == "local")
    small = mailer.send("jane.doe@acme.com", 2000)
    large = mailer.send("jane.doe@acme.com", LARGE)
    assert (small, large) == ((True, True) if role == "local" else (False, False)), (small, large)
    if role == "local":
        wait_for(lambda: any(m["recipients"][0]["state"] == "deferred" for m in service.queue()), 20, "a deferred message")
    no_worker_died(service)
    assert service.stop().returncode == 0
    one_instance.matador["program_directory"] = one_instance.folder / "programs"
    program = one_instance.folder / "programs" / role
    program.write_text(program.read_text().replace(f"ulimit -f {blocks}", ""))
    service.start()
    mailer.works()
    drain(service, 30)
    assert {n for n in mailer.accepted} - set(delivered(service, sink)) <= {1}, "bob's is in a mail file of its own"
    assert service.stop().returncode == 0


HOUR, DAY, YEAR = 3600, 86400, 365 * 86400


@without_sanitizers
@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY, -DAY, 10 * YEAR, -10 * YEAR, 20 * YEAR], ids=str)
def test_row_146_a_clock_that_was_set_between_two_runs(one_instance, jump):
    """Forward beyond the lifetime of mail, backward, beyond 2038: no stall, no storm, no second use of an id, no early return."""
    one_instance.relay_to(1)
    one_instance.configuration.update({"initial_transfer_retry_interval": "2s", "retry_interval_cap": "2s"})
    clock = WallClock(one_instance, "qmgr")
    service = one_instance.start()
    service.send("x@elsewhere.example", sender="bob@acme.com")

    def attempts():
        return service.log().count(" attempt id=")

    def deferrals():
        return service.log().count(" recipient-deferred ")
    wait_for(lambda: deferrals() >= 1, 20, "a first attempt")
    assert service.stop().returncode == 0
    clock.jump(jump)
    before = attempts()
    service.start(write=False)
    wait_for(lambda: attempts() >= before + 2, 20, "more attempts after the jump")
    service.send("y@elsewhere.example", sender="bob@acme.com")
    before, started = attempts(), time.monotonic()
    time.sleep(4)
    assert attempts() - before <= 2 * ((time.monotonic() - started) / 1.8 + 2), "a storm"
    assert " recipient-failed " not in service.log() and not service.mail("bob")
    assert len(service.queue()) == 2
    ids = re.findall(r" message-queued id=(\S+)", service.log())
    assert len(ids) == len(set(ids)) == 2
    no_worker_died(service)
