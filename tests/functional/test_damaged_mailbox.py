"""
MAIL.BOX damaged while the service was stopped: what is damaged is named and set aside, everything else is delivered.

Rows 145 and 147 of docs/reference/hostile-inputs.md. Which messages may be lost is read from the journal as it was before,
by the rules of docs/mailbox-format.md: those whose record, or body file, was touched, and no other.
"""

import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import socket
import subprocess

import pytest

import receivers
from conftest import make_instance, modes
from matador import fresh_session_works, no_worker_died, wait_for
from test_kill import TORTURE

SMALL, LARGE = 110, 4       # messages in the journal, of about 20 KB each, and in body files
HEADER = 4096


class FullMailbox:
    """A stopped service with mail that waits for a relay host, and a copy of its MAIL.BOX to begin from again and again."""

    def __init__(self):
        self.instance = make_instance(modes()[0])
        # Bound and not listening: connections are refused, and no test that runs beside is given the port.
        self.reservation = socket.socket()
        self.reservation.bind(("127.0.0.1", 0))
        self.sink_port = self.reservation.getsockname()[1]
        self.instance.relay_to(self.sink_port)
        self.instance.configuration["initial_transfer_retry_interval"] = "10m"
        self.instance.matador["journal_segment_size"] = "1M"
        self.path = self.instance.folder / "spool" / "mailbox"
        self.copy = self.instance.folder / "mailbox.copy"
        service = self.instance.start()
        self.bodies = {}        # number -> checksum
        self.ids = {}           # number -> id
        with service.connect() as client:
            assert client.command("EHLO load.example").startswith("250")
            for number in range(SMALL + LARGE):
                self.send(client, number)
        wait_for(lambda: all(m["recipients"][0]["reason"] for m in service.queue()), 60, "all deferred", every=0.2)
        assert len(service.queue()) == SMALL + LARGE
        assert service.stop().returncode == 0
        subprocess.run(["cp", "-a", self.path, self.copy], check=True)

    def send(self, client, number):
        line = hashlib.sha256(b"%d" % number).hexdigest().encode()
        body = b"".join(b"%06d %s\r\n" % (i, line) for i in range(290 if number < SMALL else 6000))
        for command in ("MAIL FROM:<load@example.org>", f"RCPT TO:<n{number}@elsewhere.example>", "DATA"):
            reply = client.command(command)
            assert reply[0] in "23", reply
        client.raw(b"X-Number: %d\r\n\r\n" % number + body + b".\r\n")
        reply = client.reply()
        assert reply.startswith("250"), reply
        self.bodies[number] = hashlib.sha256(body).digest()
        self.ids[number] = reply.split()[-1]

    def restore(self):
        shutil.rmtree(self.path)
        subprocess.run(["cp", "-a", self.copy, self.path], check=True)
        (self.instance.folder / "log" / "mail.log").write_text("")

    def segments(self):
        """Those with records in them, oldest first."""
        found = [path for path in (self.path / "journal").glob("seg-*") if records(path)]
        return sorted(found, key=lambda path: struct.unpack_from("<Q", path.read_bytes()[:24], 16))

    def body(self, number):
        return next((self.path / "bodies").glob(f"*/{self.ids[number]}"))

    def harmed(self, segment, begin, end):
        """Numbers of the messages whose records overlap these octets."""
        return {number for offset, length, numbers in records(segment) for number in numbers
                if offset < end and offset + length > begin}

    def checksums(self):
        found = {}
        for folder, names, files in os.walk(self.path):
            for name in names + files:
                path = os.path.join(folder, name)
                found[path] = (os.lstat(path).st_size if name in files else 0, os.lstat(path).st_mode,
                               hashlib.sha256(open(path, "rb").read()).digest() if os.path.isfile(path) else b"")
        return found

    def verify(self):
        """What `matador verify` says; it changes nothing."""
        before = self.checksums()
        result = self.instance.command("verify")
        assert self.checksums() == before
        assert result.returncode in (0, 65), result.stderr
        return result.stdout if result.returncode else ""

    def drain(self, service, damaged):
        """Everything leaves: what is whole is delivered, what is damaged is reported."""
        def settled():
            service.command("queue", "retry", "--all")
            return not service.queue()
        try:
            wait_for(settled, 40, "an empty queue", every=0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{service.queue()[:3]}\n{service.log()[-4000:]}") from None
        failed = re.findall(r" recipient-failed id=(\S+) .*status=5\.3\.0 ", service.log())
        assert set(failed) <= damaged, failed
        return failed

    def deliver(self, without=frozenset(), reported=False):
        """
        Starts again and delivers: everything but those arrives, once and unchanged, and new mail as well. reported: whether
        damage is in the log; None: it may be.
        """
        self.reservation.close()
        sink = receivers.Receiver(port=self.sink_port)
        service = self.instance.start()
        try:
            failed = self.drain(service, {self.ids[number] for number in without})
            reports = [message for message in sink.messages if b"report-type=delivery-status" in message.octets]
            assert len(reports) == len(failed) and all(b"5.3.0" in report.octets for report in reports)
            assert all(report.recipients == ["load@example.org"] for report in reports)
            arrived = [message for message in sink.messages if message not in reports]
            found = [int(re.search(rb"X-Number: (\d+)", message.octets).group(1)) for message in arrived]
            assert sorted(found) == sorted(set(self.bodies) - without), (
                f"lost {sorted(set(self.bodies) - without - set(found))}, back {sorted(without & set(found))}, "
                f"twice {sorted({n for n in found if found.count(n) > 1})}")
            for message, number in zip(arrived, found):
                assert hashlib.sha256(message.body).digest() == self.bodies[number]
            fresh_session_works(service)
            with service.connect() as client:
                assert client.command("EHLO load.example").startswith("250")
                for command in ("MAIL FROM:<load@example.org>", "RCPT TO:<new@elsewhere.example>"):
                    assert client.command(command).startswith("250")
                assert client.data(b"Subject: new\r\n\r\nnew\r\n.\r\n").startswith("250")
            sink.wait(len(found) + len(reports) + 1)
            no_worker_died(service)
            assert reported is None or reported == ("queue-damaged" in service.log())
        finally:
            stopped = service.stop()
            sink.close()
            self.reservation = socket.socket()
            self.reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.reservation.bind(("127.0.0.1", self.sink_port))
        assert stopped.returncode == 0


@pytest.fixture(scope="module")
def filled():
    made = FullMailbox()
    yield made
    made.instance.close()


@pytest.fixture
def mailbox(filled):
    filled.restore()
    return filled


def records(path):
    """(offset, length, numbers of the messages that it adds) of each record of a segment."""
    octets = path.read_bytes()
    found = []
    offset = 2 * HEADER
    while offset < len(octets):
        if octets[offset:offset + 4] != b"MREC":
            offset = (offset // HEADER + 1) * HEADER
            continue
        length = struct.unpack_from("<I", octets, offset + 8)[0]
        numbers = [int(n) for n in re.findall(rb"X-Number: (\d+)\r\n", octets[offset:offset + length])]
        entries = octets[offset + 56:offset + 56 + struct.unpack_from("<I", octets, offset + 12)[0]]
        found.append((offset, length, numbers or in_file(entries)))
        offset += (length + 7) // 8 * 8
    return found


def in_file(entries):
    """Numbers, by their recipients, of the messages that a record adds whose contents are body files."""
    found, offset = [], 0
    while offset < len(entries):
        kind, flags, _, length, _ = struct.unpack_from("<BBHIQ", entries, offset)
        if kind == 1 and flags & 1:
            found += [int(n) for n in re.findall(rb"n(\d+)@elsewhere", entries[offset:offset + length])][:1]
        offset += length
    return found


def overwrite(path, offset, octets):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(octets)


def flip(path, offset):
    octets = path.read_bytes()
    overwrite(path, offset, bytes([octets[offset] ^ 0x10]))


# Each harms a segment and says which octets of it.

def cut_short(segment, used, rng):
    at = rng.randrange(2 * HEADER, used)
    os.truncate(segment, at)
    return at, 1 << 40


def no_length(segment, used, rng):
    os.truncate(segment, 0)
    return 0, 1 << 40


def zeroed_page(segment, used, rng):
    at = rng.randrange(2 * HEADER, used) // HEADER * HEADER
    overwrite(segment, at, bytes(HEADER))
    return at, at + HEADER


def zeroed_half(segment, used, rng):
    at = used // 2 // HEADER * HEADER
    overwrite(segment, at, bytes(segment.stat().st_size - at))
    return at, 1 << 40


def flipped_bit(segment, used, rng):
    offset, length, _ = rng.choice([record for record in records(segment) if record[2]])
    at = rng.randrange(offset, offset + length)
    flip(segment, at)
    return at, at + 1


def garbage(segment, used, rng):
    at = rng.randrange(2 * HEADER, used - 3 * HEADER)
    overwrite(segment, at, rng.randbytes(3 * HEADER))
    return at, at + 3 * HEADER


def flipped_header(segment, used, rng):
    flip(segment, rng.randrange(0, 72))
    return 0, 0


def lost_headers(segment, used, rng):
    overwrite(segment, 0, rng.randbytes(2 * HEADER))
    return 0, 0


def each_with_and_without_index(harms):
    """Beside the index, and where it must be made again; the sample takes one of the two for each."""
    cases = [(harm, with_index) for turn, harm in enumerate(harms) for with_index in (True, False)
             if TORTURE or with_index == (turn % 2 == 0)]
    return pytest.mark.parametrize("harm, with_index", cases, ids=[
        f"{getattr(harm, '__name__', harm)}, {'index' if with_index else 'no index'}" for harm, with_index in cases])


HARMS = (cut_short, no_length, zeroed_page, zeroed_half, flipped_bit, garbage, flipped_header, lost_headers)


@each_with_and_without_index(HARMS)
def test_row_145_torture_of_a_segment(mailbox, harm, with_index):
    for turn in range(6 if TORTURE else 1):
        if turn:
            mailbox.restore()
        rng = random.Random(f"{harm.__name__}{with_index}{turn}")
        segments = mailbox.segments()
        assert len(segments) >= 3
        segment = rng.choice(segments[:-1])
        whole = records(segment)
        used = whole[-1][0] + whole[-1][1]
        pristine = mailbox.copy / "journal" / segment.name
        begin, end = harm(segment, used, rng)
        lost = mailbox.harmed(pristine, begin, end)
        touched = [record for record in whole if record[0] < end and record[0] + record[1] > begin]
        if not with_index:
            shutil.rmtree(mailbox.path / "index")
        said = mailbox.verify()
        if harm is no_length:   # nobody knows which file it was: what is told is where records go missing
            assert "records are missing" in said, said
        elif touched:   # what is told begins where the last good record ended, in its padding
            begins = max([offset + length for offset, length, _ in whole if offset < touched[0][0]], default=0)
            places = [int(at) for at in re.findall(rf"{segment.name}:(\d+)", said)]
            assert any(begins <= at < touched[-1][0] + touched[-1][1] for at in places), (begins, touched, said)
        if harm is flipped_bit:
            assert any(mailbox.ids[number] in said for number in lost), (lost, said)
        # A header alone is told when both are gone; one has a copy.
        mailbox.deliver(lost, reported=None if harm in (flipped_header, lost_headers) else bool(touched))


@pytest.mark.parametrize("with_index", [True, False])
def test_row_145_the_end_of_the_journal_is_lost(mailbox, with_index):
    """It looks like the torn tail of a crash, but the service was stopped in order, and the journal says where it ended."""
    segment = mailbox.segments()[-1]
    whole = records(segment)
    begin = whole[len(whole) // 2][0]
    lost = mailbox.harmed(segment, begin, 1 << 40)
    overwrite(segment, begin // HEADER * HEADER, bytes(segment.stat().st_size - begin // HEADER * HEADER))
    if not with_index:
        shutil.rmtree(mailbox.path / "index")
    assert "records are missing" in mailbox.verify()
    mailbox.deliver(lost, reported=True)


@each_with_and_without_index(["cut short", "of zero length", "longer", "flipped", "zeroed", "gone"])
def test_row_145_torture_of_a_body_file(mailbox, harm, with_index):
    number = SMALL + 1
    body = mailbox.body(number)
    size = body.stat().st_size
    if harm == "cut short":
        os.truncate(body, size // 2)
    elif harm == "of zero length":
        os.truncate(body, 0)
    elif harm == "longer":
        overwrite(body, size, b"more")
    elif harm == "flipped":
        flip(body, size // 3)
    elif harm == "zeroed":
        overwrite(body, HEADER, bytes(HEADER))
    else:
        body.unlink()
    if not with_index:
        shutil.rmtree(mailbox.path / "index")
    said = mailbox.verify()
    assert mailbox.ids[number] in said and not any(mailbox.ids[other] in said for other in mailbox.ids if other != number)
    mailbox.deliver({number}, reported=True)
    assert f" recipient-failed id={mailbox.ids[number]} " in mailbox.instance.log(), "the sender is told"


def verify_json(mailbox):
    """Exit status, findings, and what was read."""
    before = mailbox.checksums()
    result = mailbox.instance.command("verify", "--json")
    assert mailbox.checksums() == before, "verify changes something"
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return result.returncode, lines[:-1], lines[-1]


def test_verify_tells_each_finding_by_id_file_and_offset(mailbox):
    status, findings, read = verify_json(mailbox)
    assert (status, findings) == (0, [])
    assert read == {"messages": SMALL + LARGE, "records": read["records"], "segments": read["segments"], "findings": 0}
    assert read["records"] >= SMALL + LARGE and read["segments"] >= 3
    segment = mailbox.segments()[1]
    offset, length, numbers = [record for record in records(segment) if record[2] and record[1] > 20_000][0]
    identity = mailbox.ids[numbers[0]]
    entries = struct.unpack_from("<I", segment.read_bytes(), offset + 12)[0]
    for place in (offset + 30, offset + 56 + 8, offset + 56 + entries // 2, offset + length - 100):
        flip(segment, place)
        status, findings, read = verify_json(mailbox)
        assert status == 65 and read["findings"] == len(findings) == 1, findings
        assert findings[0]["file"] == f"journal/{segment.name}"
        assert offset - HEADER < findings[0]["offset"] <= offset, (findings, offset)
        assert "do not verify" in findings[0]["finding"]
        if place >= offset + 56 + entries // 2:     # the id itself is sound
            assert findings[0]["id"] == identity
        flip(segment, place)
    body = mailbox.body(SMALL)
    kept = body.read_bytes()
    for harm in (lambda: flip(body, 5000), lambda: os.truncate(body, 5000), body.unlink):
        harm()
        status, findings, read = verify_json(mailbox)
        assert status == 65 and read["findings"] == 1, findings
        assert findings[0]["id"] == mailbox.ids[SMALL]
        assert findings[0]["file"] == f"bodies/{body.parent.name}/{body.name}"
        assert findings[0]["offset"] == 0, "the checksum is of the whole file"
        body.write_bytes(kept)
    segment.rename(mailbox.path / "kept")
    status, findings, read = verify_json(mailbox)
    assert status == 65 and any(finding["finding"] == "records are missing" for finding in findings), findings
    (mailbox.path / "kept").rename(segment)
    assert verify_json(mailbox)[0] == 0


def test_verify_leaves_a_running_service_alone(mailbox):
    service = mailbox.instance.start()
    try:
        result = service.command("verify")
        assert result.returncode == 75 and "stop it first" in result.stderr, result
        os.kill(service.master, signal.SIGKILL)     # its workers leave by themselves: until then MAIL.BOX is in use
        wait_for(lambda: service.command("verify").returncode == 0, 20, "the end of qmgr")
    finally:
        service.start(write=False)
        service.stop()


def test_verify_changes_nothing_that_a_kill_left(mailbox):
    mailbox.instance.start().kill_everything()
    assert index_files(mailbox), "an index whose service was not stopped"
    status, findings, read = verify_json(mailbox)
    assert (status, findings, read["messages"]) == (0, [], SMALL + LARGE)
    mailbox.deliver()


def test_row_145_foreign_files_are_no_mail(mailbox):
    journal, bodies = mailbox.path / "journal", mailbox.path / "bodies"
    rng = random.Random(145)
    (journal / "README").write_text("not a segment")
    (journal / "seg-abc").write_bytes(rng.randbytes(100_000))
    (journal / "seg-000099").write_bytes(rng.randbytes(1 << 20))
    (journal / "seg-000098").mkdir()
    (journal / "seg-000097").symlink_to("/etc/passwd")
    (journal / "seg-000096").write_bytes(b"")
    (journal / "seg-000095.new").write_bytes(rng.randbytes(10_000))
    (bodies / "foreign").write_text("x")
    (bodies / "00" / "foreign").write_text("x")
    (bodies / "00" / "0000000000000").mkdir()
    (bodies / "ff" / "ZZZZZZZZZZZZZ").symlink_to("/etc/passwd")
    (mailbox.path / "index" / "foreign").write_bytes(rng.randbytes(10_000))
    (mailbox.path / "damaged").mkdir()
    (mailbox.path / "damaged" / "segment-1-offset-8192").write_text("older damage")
    for path in mailbox.path.rglob("*"):
        shutil.chown(path, mailbox.path.owner(), mailbox.path.group()) if not path.is_symlink() else None
    mailbox.verify()
    mailbox.deliver(reported=None)
    assert (bodies / "foreign").read_text() == "x" and (journal / "README").exists()
    assert (mailbox.path / "damaged" / "segment-1-offset-8192").read_text() == "older damage"
    assert os.path.getsize("/etc/passwd")


def crc32c(octets):
    value = 0xFFFFFFFF
    for octet in octets:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_row_145_a_mailbox_from_the_future_is_not_touched(mailbox):
    segment = mailbox.segments()[-1]
    header = bytearray(segment.read_bytes()[:HEADER])
    struct.pack_into("<II", header, 8, 2, 0)
    struct.pack_into("<I", header, 12, crc32c(bytes(header)))
    overwrite(segment, 0, bytes(header) * 2)
    before = {path: what for path, what in mailbox.checksums().items() if "/journal" in path or "/bodies" in path}
    result = mailbox.instance.command("verify")
    assert result.returncode not in (0, 65) and "newer format" in result.stderr, result.stderr
    started = mailbox.instance.command("start")
    try:
        wait_for(lambda: re.search(r"newer format", mailbox.instance.log() + started.stderr), 20, "a clear message")
    finally:
        mailbox.instance.command("stop")
    after = {path: what for path, what in mailbox.checksums().items() if "/journal" in path or "/bodies" in path}
    assert after == before


# ---- the index ----

INDEX_HARMS = ["cut short", "of zero length", "flipped", "garbage", "gone", "exchanged"]


def index_files(mailbox):
    return sorted(path for path in (mailbox.path / "index").iterdir() if path.is_file())


def harm_index(mailbox, harm, path, rng):
    size = path.stat().st_size
    if harm == "cut short":
        os.truncate(path, rng.randrange(1, size))
    elif harm == "of zero length":
        os.truncate(path, 0)
    elif harm == "flipped":
        for _ in range(20):
            flip(path, rng.randrange(min(size, 65536)))
    elif harm == "garbage":
        overwrite(path, 0, rng.randbytes(min(size, 65536)))
    elif harm == "gone":
        path.unlink()
    else:
        other = rng.choice([other for other in index_files(mailbox) if other != path and not other.name.startswith("log")])
        path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("harm", INDEX_HARMS)
def test_row_147_torture_of_the_index(mailbox, harm):
    """The index is never the truth: whatever became of it, all mail is delivered, and once."""
    names = [path.name for path in index_files(mailbox)]
    rng = random.Random(harm)
    for turn, name in enumerate(names if TORTURE else rng.sample(names, 2)):
        if turn:
            mailbox.restore()
        harm_index(mailbox, harm, mailbox.path / "index" / name, rng)
        print(f"{name}: {harm}")
        assert not mailbox.verify()
        mailbox.deliver()


def test_row_147_an_index_of_another_time_is_not_believed(mailbox):
    """An index from before or after the journal that it lies beside."""
    mailbox.deliver()       # the journal and its index go on; all is done
    old = mailbox.copy / "index"
    shutil.rmtree(mailbox.path / "index")
    subprocess.run(["cp", "-a", old, mailbox.path / "index"], check=True)
    assert not mailbox.verify()
    service = mailbox.instance.start()
    assert not service.queue(), "what was done came back with an old index"
    service.stop()
    newer = mailbox.instance.folder / "index.newer"
    shutil.rmtree(newer, ignore_errors=True)
    subprocess.run(["cp", "-a", mailbox.path / "index", newer], check=True)
    mailbox.restore()
    shutil.rmtree(mailbox.path / "index")
    subprocess.run(["cp", "-a", newer, mailbox.path / "index"], check=True)
    mailbox.deliver()


def test_row_147_settings_files_of_the_database_are_ignored(mailbox):
    evil = mailbox.path / "evil"
    evil.mkdir()
    for path in (mailbox.path, mailbox.path / "index", mailbox.instance.folder):
        (path / "DB_CONFIG").write_text("set_lg_dir /evil\nset_tmp_dir /evil\nadd_data_dir /evil\nset_create_dir /evil\n"
                                        "set_lg_dir ../evil\nset_flags DB_TXN_NOSYNC\n")
    for path in (evil, mailbox.path / "DB_CONFIG", mailbox.path / "index" / "DB_CONFIG"):
        shutil.chown(path, mailbox.path.owner(), mailbox.path.group())
    for with_index in (True, False):
        if not with_index:
            mailbox.restore()
            evil.mkdir()
            shutil.rmtree(mailbox.path / "index")
            (mailbox.path / "index").mkdir()
            for name in (".", "index"):
                (mailbox.path / name / "DB_CONFIG").write_text("set_lg_dir ../evil\nadd_data_dir ../evil\n")
            for path in (evil, mailbox.path / "index", mailbox.path / "index" / "DB_CONFIG"):
                shutil.chown(path, mailbox.path.owner(), mailbox.path.group())
        mailbox.deliver()
        assert not list(evil.iterdir())
    (mailbox.instance.folder / "DB_CONFIG").unlink()


OPEN_HARMS = ["cut short", "of zero length", "flipped", "garbage", "wrong version", "exchanged"]


@pytest.mark.parametrize("harm", OPEN_HARMS)
def test_row_147_the_index_is_harmed_while_it_is_open(mailbox, harm):
    """
    Under the running service, which answers from it, and is then killed: nothing is lost, and what it tells is true. The log
    of Berkeley DB is left alone: it is written to while it is harmed.
    """
    service = mailbox.instance.start()
    rng = random.Random(f"open {harm}")
    paths = [path for path in index_files(mailbox) if not path.name.startswith(("__db", "log"))]
    assert paths
    for path in paths:
        harm_open(path, harm, rng)
    for _ in range(3):
        for message in service.queue():     # a failure to read is a T; what is told is right
            assert message["id"] in mailbox.ids.values(), message
        retried = service.command("queue", "retry", "--all")
        assert retried.returncode in (0, 75), retried
    service.kill_everything()
    mailbox.deliver()


def harm_open(path, harm, rng):
    """Harms a file that is open, in place."""
    size = path.stat().st_size
    if harm == "cut short":
        os.truncate(path, min(size // 2, 16 * HEADER) // HEADER * HEADER)
    elif harm == "of zero length":
        os.truncate(path, 0)
    elif harm == "flipped":
        octets = bytearray(path.read_bytes())
        for page in range(0, size, HEADER):
            octets[page + rng.randrange(HEADER)] ^= 0x10
        overwrite(path, 0, octets)
    elif harm == "garbage":
        overwrite(path, 0, rng.randbytes(size))
    elif harm == "wrong version":       # the octets behind the magic number
        overwrite(path, 16, struct.pack("<I", 1))
    else:
        overwrite(path, 0, path.read_bytes()[HEADER:] + bytes(HEADER))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can reach a file that has no name")
@pytest.mark.parametrize("harm", OPEN_HARMS[:-1])     # its file has no name: nobody can put another in its place
def test_row_147_the_directory_is_harmed_while_it_is_open(one_instance, harm):
    """
    Each answer is right or a T, and soon all are right again. The group is there to drive the people out of the cache. In a file
    that was cut Berkeley DB can search for ever: then the watchdog ends it.
    """
    service = one_instance
    service.matador["watchdog_timeout"] = "10s"
    people = [f"p{number}" for number in range(300)]
    service.people += [{"name": f"Person {name}/Acme", "internet_address": f"{name}@acme.com", "mail_file": name} for name in people]
    service.groups.append({"name": "Everyone", "members": [f"{'m' * 50}{n}@elsewhere.example" for n in range(30000)]})
    service.configuration["smtp_error_limit"] = 100000
    service.start()
    service.wait_log("directory-loaded", 30)
    rng = random.Random(f"directory {harm}")

    def answers():
        """How many are 4xx; the others are right."""
        later = 0
        with service.connect() as client:
            client.command("EHLO client.example")
            client.command("MAIL FROM:<a@client.example>")
            for name in rng.sample(people, 60):
                for address, right in ((f"{name}@acme.com", "250"), (f"{name}x@acme.com", "550")):
                    reply = client.command(f"RCPT TO:<{address}>")
                    assert reply.startswith((right, "4")), (address, reply)
                    later += reply.startswith("4")
                    if reply.startswith("421"):
                        return later
        return later
    fd = pathlib.Path(f"/proc/{service.worker('directory')}/fd")
    database, = [path for path in fd.iterdir() if "directory.db" in os.readlink(path)]
    harm_open(database, harm, rng)
    answers()
    wait_for(lambda: answers() == 0, 60, "right answers again", every=0.2)
    noticed = re.findall(" directory-failed | worker-hangs program=directory ", service.log())
    # The version is read when a database is opened only.
    assert noticed or harm == "wrong version"
    if " directory-failed " in noticed or harm not in ("cut short", "of zero length"):
        no_worker_died(service)


def test_row_145_and_147_no_crash_loop(mailbox):
    """Everything harmed at once: it starts, says so, and serves."""
    rng = random.Random(45)
    for segment in mailbox.segments():
        overwrite(segment, 2 * HEADER, rng.randbytes(segment.stat().st_size - 2 * HEADER))
    for path in index_files(mailbox):
        harm_index(mailbox, "garbage", path, rng)
    for number in range(SMALL, SMALL + LARGE):
        os.truncate(mailbox.body(number), 3)
    assert mailbox.verify()
    mailbox.deliver(set(mailbox.bodies), reported=True)
