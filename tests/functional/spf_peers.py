"""Stand-ins for two neighbours of policy: a resolver that knows the zones of a test, and an smtpd that asks its questions.

Usage: spf_peers.py resolver|smtpd FOLDER INSTANCE, started by master in a worker's place, with the pair to master on descriptor 3.
FOLDER/scenarios.json holds the work: a list of {"zone": {name: [record, ...]}, "questions": [[client, HELO, sender], ...]}, records as
spf_suite.Zone reads them, octets above 127 as characters of the same number. The smtpd asks one question at a time, in
their order, and leaves the answers, [[HELO verdict, MAIL verdict, text], ...] in all, in FOLDER/answers.json.
"""

import contextlib
import json
import os
import pathlib
import select
import socket
import struct
import sys

import spf_suite
from hostile_peer import NUMBERS, greeting, octets, read_introduction, string, u64

RECORDS_MAX = 30000  # octets of an answer; what is more is left out from the end, as resolver does


class Peer:
    """Serves master and the pairs that it introduces; a subclass says what it does with packets of one protocol."""

    def __init__(self, folder, protocol):
        self.folder = folder
        self.protocol = protocol
        self.master = socket.socket(fileno=3)
        self.pairs = []
        self.scenarios = json.loads((folder / "scenarios.json").read_text())

    def ready(self):
        pass

    def take(self, pair, packet):
        """Handles the first message of a packet and returns what is behind it."""
        raise NotImplementedError

    def take_from_master(self):
        packet, descriptors, _, _ = socket.recv_fds(self.master, 65536, 8, socket.MSG_CMSG_CLOEXEC)
        number = packet[:1]
        if number == NUMBERS["worker_introduce"] and read_introduction(packet) == self.protocol:
            pair = socket.socket(fileno=descriptors.pop(0))
            with contextlib.suppress(OSError):  # a stand-in at the other end has no use for it, and closed it
                pair.send(greeting(self.protocol))
                self.pairs.append(pair)
        for descriptor in descriptors:
            os.close(descriptor)
        if number == NUMBERS["worker_begin"]:
            self.master.send(NUMBERS["worker_ready"] + string(b"none"))
            self.ready()
        elif number == NUMBERS["worker_status"]:
            self.master.send(NUMBERS["worker_status_answer"] + octets(b"stands_in=1\n"))
        if packet[-5:-4] == NUMBERS["worker_drain"]:  # maybe behind another message
            self.master.send(NUMBERS["worker_drained"])
            return False
        return bool(packet)

    def serve(self):
        self.master.send(greeting("worker"))
        while True:
            for readable in select.select([self.master, *self.pairs], [], [])[0]:
                if readable is self.master:
                    if not self.take_from_master():
                        return
                    continue
                packet = b""
                with contextlib.suppress(OSError):
                    packet = readable.recv(65536)
                if not packet:
                    self.pairs.remove(readable)
                while packet:  # of one message or several
                    packet = self.take(readable, packet) if packet[0] else packet[struct.unpack_from("<I", packet, 1)[0] + 8:]


class Resolver(Peer):
    def __init__(self, folder):
        super().__init__(folder, "dns")
        self.number = None
        self.zone = None

    def take(self, pair, packet):
        if packet[:1] != NUMBERS["dns_question"]:
            return b""  # of somebody else
        number = int((self.folder / "current").read_text())
        if number != self.number:
            self.number = number
            self.zone = spf_suite.Zone(self.scenarios[number]["zone"])
        kind, length = struct.unpack_from("<BI", packet, 9)
        name = packet[14:14 + length]
        with (self.folder / "asked").open("ab") as log:
            log.write(b"%d %d %s\n" % (number, kind, name))
        outcome, records = self.zone.answer(kind, name)
        while len(b"".join(records)) > RECORDS_MAX:
            records.pop()
        if outcome is not None:  # it is not silent
            pair.send(NUMBERS["dns_answer"] + packet[1:9] + bytes([outcome, 0]) + struct.pack("<IH", 60, len(records)) +
                      octets(b"".join(records)) + string(b""))
        return packet[15 + length:]


class Smtpd(Peer):
    def __init__(self, folder):
        super().__init__(folder, "policy")
        self.work = [(number, question) for number, scenario in enumerate(self.scenarios) for question in scenario["questions"]]
        self.answers = []

    def ready(self):
        self.ask()

    def ask(self):
        if len(self.answers) == len(self.work):
            (self.folder / "answers.new").write_text(json.dumps(self.answers))
            (self.folder / "answers.new").rename(self.folder / "answers.json")
            return
        number, (client, helo, sender) = self.work[len(self.answers)]
        (self.folder / "current.new").write_text(str(number))
        (self.folder / "current.new").rename(self.folder / "current")
        self.pairs[-1].send(NUMBERS["spf_question"] + u64(len(self.answers)) + string(client.encode()) +
                            string(helo.encode("latin-1")) + string(sender.encode("latin-1")))

    def take(self, pair, packet):
        number, helo, mail, _lifetime, length = struct.unpack_from("<QBBII", packet, 1)
        assert packet[:1] == NUMBERS["spf_answer"] and number == len(self.answers)
        self.answers.append([spf_suite.VERDICTS[helo], spf_suite.VERDICTS[mail], packet[19:19 + length].decode("ascii")])
        self.ask()
        return packet[20 + length:]


if __name__ == "__main__":
    {"resolver": Resolver, "smtpd": Smtpd}[sys.argv[1]](pathlib.Path(sys.argv[2])).serve()
