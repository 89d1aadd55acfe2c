"""
Name servers for tests of DNS and routing, and the loopback addresses that their answers lead to.

ZoneServer is a real nsd, RblServer a real rbldnsd: what is under test meets a real server's packets. FaultyNameServer is a
script: what a real server would never say; NameServerSwitch puts several behind one address. LoopbackHosts are the hosts of
one test, all on one port. route_by_dns() joins them to an Instance.
"""

import collections
import contextlib
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

from matador import PATIENCE, wait_for
from receivers import Receiver

NSD = "/usr/sbin/nsd"
RBLDNSD = "/usr/sbin/rbldnsd"


def route_by_dns(instance, name_servers, port=None, interval="1h"):
    """
    Lets an Instance, not yet started, send its mail by the DNS: it asks these servers (objects with a port, in the
    order in which they stand), there is no relay host, and it connects to `port`. What failed is remembered for
    `interval`: by default for longer than a test takes, so that nothing is tried twice unless a test wants it.
    """
    if not isinstance(name_servers, (list, tuple)):
        name_servers = [name_servers]
    instance.matador["nameservers"] = [f"{server.address}@{server.port}" for server in name_servers]
    instance.matador["dns_timeout"] = "5s"
    instance.configuration.update({
        "smtp_outside_local_internet_domain": "enabled",
        "relay_enforcement_exclude_hosts": ["[127.0.0.1]"],
        "host_name_lookup": "dynamic_only",
        "initial_transfer_retry_interval": interval,
        "retry_interval_cap": interval,
    })
    if port:
        instance.server["smtp_outbound"] = {"tcp_port": port}
    return instance


# ---- hosts ----

class LoopbackHosts:
    """
    A /24 of 127/8 and a port for one test alone: host(N) is an address, on which nobody listens until a receiver is
    put there. The reservation is a bound socket on the last address, so that tests that run beside keep off.
    """

    def __init__(self):
        while True:
            self.network = f"127.{random.randrange(16, 250)}.{random.randrange(256)}"
            self.reservation = socket.socket()
            try:
                self.reservation.bind((self.host(254), 0))
                self.port = self.reservation.getsockname()[1]
                if self.free_everywhere():
                    break
            except OSError:
                pass
            self.reservation.close()
        self.receivers = []
        self.sockets = []

    def free_everywhere(self):
        """No one is on the port of any host, nor of 127.0.0.1, nor of all addresses."""
        for address in ["127.0.0.1", *(self.host(number) for number in range(1, 31))]:
            with socket.socket() as probe:
                try:
                    probe.bind((address, self.port))
                except OSError:
                    return False
        return True

    def host(self, number):
        return f"{self.network}.{number}"

    def receiver(self, number, **script):
        """A Receiver on host(number); the keywords are entries of its script, as values or functions."""
        made = Receiver(address=self.host(number), port=self.port)
        for verb, reply in script.items():
            made.script[verb] = reply if callable(reply) else lambda session, argument, reply=reply: reply
        self.receivers.append(made)
        return made

    def silent(self, number):
        """A host on which connections are neither taken nor refused."""
        self.sockets += silent_listener(self.host(number), self.port)

    def close(self):
        for made in self.receivers:
            made.close()
        for made in [*self.sockets, self.reservation]:
            made.close()


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def silent_listener(address, port):
    """
    Sockets that, as long as they are open, let connections to an address and port be neither taken nor refused: the queue of
    connections there is full.
    """
    family = family_of(address)
    made = [socket.socket(family)]
    made[0].bind((address, port))
    made[0].listen(0)
    for _ in range(3):
        made.append(socket.socket(family))
        made[-1].setblocking(False)
        with contextlib.suppress(BlockingIOError):
            made[-1].connect((address, port))
    with socket.socket(family) as probe:
        probe.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            probe.connect((address, port))
            raise AssertionError("the silent host took a connection")
    return made


def free_name_server_port(address="127.0.0.1"):
    """A port that is free for UDP and TCP."""
    family = family_of(address)
    while True:
        with socket.socket(family, socket.SOCK_DGRAM) as datagrams, socket.socket(family) as stream:
            datagrams.bind((address, 0))
            port = datagrams.getsockname()[1]
            try:
                stream.bind((address, port))
                return port
            except OSError:
                continue


# ---- nsd ----

class ZoneServer:
    """
    nsd as the master of the whole name space: what stands in no zone does not exist. domain() and signed_zone() may
    be called before start() and after; afterwards reload() puts what changed in force.
    """

    def __init__(self, ttl=60, negative_ttl=5, address="127.0.0.1"):
        self.address = address
        self.ttl = ttl
        self.negative_ttl = negative_ttl
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="matador-nsd-"))
        self.port = free_name_server_port(address)
        self.domains = {}
        self.signed = {}     # zone: its file
        self.anchors = {}    # zone: the DS record of its key
        self.serial = 1
        self.process = None
        self.running_zones = None

    def domain(self, name, *records):
        """
        A domain's records, each as in a zone file, relative to the domain: "@ MX 5 mail1", "mail1 A 127.0.0.2".
        Said again it replaces what was there; without records the domain is gone.
        """
        if records:
            self.domains[name] = list(records)
        else:
            self.domains.pop(name, None)

    def soa(self, name):
        return (f"{name} {self.ttl} IN SOA ns.invalid. hostmaster.invalid. "
                f"{self.serial} 3600 600 604800 {self.negative_ttl}\n{name} {self.ttl} IN NS ns.invalid.\n")

    def signed_zone(self, name, *records, broken=None):
        """
        A zone of its own, signed with DNSSEC; returns its trust anchor, a DS record as text. broken is what is wrong:
        "changed" (addresses differ from what was signed), "expired", or "stripped" (no signatures).
        """
        plain = self.folder / f"{name}.plain"
        plain.write_text(f"$TTL {self.ttl}\n{self.soa(name + '.')}$ORIGIN {name}.\n" + "\n".join(records) + "\n")
        keys = [self.tool("ldns-keygen", *kind, "-a", "ECDSAP256SHA256", name).strip() for kind in ([], ["-k"])]
        times = ["-i", "20200101000000", "-e", "20200201000000"] if broken == "expired" else []
        signed = self.folder / f"{name}.signed"
        self.tool("ldns-signzone", *times, "-f", str(signed), str(plain), *keys)
        text = signed.read_text()
        if broken == "changed":
            text = re.sub(r"(\sIN\s+A\s+\d+\.\d+\.\d+)\.(\d+)", r"\1.253", text)
        elif broken == "stripped":
            text = "".join(line for line in text.splitlines(True) if "RRSIG" not in line or "RRSIG\tDNSKEY" in line)
        assert (text == signed.read_text()) == (broken in (None, "expired"))
        signed.write_text(text)
        self.signed[name] = signed
        self.anchors[name] = (self.folder / f"{keys[1]}.ds").read_text().strip()
        return self.anchors[name]

    def anchor_file(self):
        """A file with the trust anchors of all signed zones, readable by everyone."""
        path = self.folder / "anchors"
        path.write_text("".join(f"{anchor}\n" for anchor in self.anchors.values()))
        path.chmod(0o644)
        self.folder.chmod(0o755)
        return path

    def tool(self, *command):
        result = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result
        return result.stdout

    def write(self):
        lines = [f"$TTL {self.ttl}\n", self.soa(".")]
        for name, records in self.domains.items():
            lines.append(f"$ORIGIN {name}.\n")
            lines += [record + "\n" for record in records]
        (self.folder / "root").write_text("".join(lines))
        zones = "".join(f'zone:\n  name: "{name}"\n  zonefile: "{path}"\n'
                        for name, path in {".": self.folder / "root", **self.signed}.items())
        folder = self.folder
        (folder / "nsd.conf").write_text(f"""
server:
  ip-address: {self.address}@{self.port}
  username: ""
  chroot: ""
  database: ""
  pidfile: "{folder}/pid"
  logfile: "{folder}/log"
  zonesdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  server-count: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
{zones}""")

    def start(self):
        self.write()
        self.process = subprocess.Popen([NSD, "-d", "-c", str(self.folder / "nsd.conf")], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.running_zones = set(self.signed)
        self.wait_serial()
        return self

    def wait_serial(self):
        """Until nsd answers with the zones as they were written last."""
        def serves():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            with contextlib.suppress(dns.exception.Timeout, OSError):
                answer = dns.query.udp(dns.message.make_query(".", "SOA"), self.address, 0.2, self.port)
                return bool(answer.answer) and answer.answer[0][0].serial == self.serial
        try:
            wait_for(serves, what="nsd's answer")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{(self.folder / 'log').read_text()}") from None

    def reload(self):
        self.serial += 1
        if set(self.signed) != self.running_zones:
            self.stop()
            self.start()
            return
        self.write()
        self.process.send_signal(1)
        self.wait_serial()

    def stop(self):
        """Afterwards nobody answers at the port."""
        if self.process:
            self.process.terminate()
            self.process.wait(10 * PATIENCE)
            self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- rbldnsd ----

class RblServer:
    """
    rbldnsd with DNS lists, which say what they were told with entries() before start(): an address, a prefix or a range, each
    with ":answer" behind it when that is not 127.0.0.2.
    """

    def __init__(self, ttl=60, address="127.0.0.1"):
        self.address = address
        self.ttl = ttl
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="matador-rbldnsd-"))
        self.folder.chmod(0o755)
        self.port = free_name_server_port(address)
        self.zones = {}
        self.process = None

    def entries(self, zone, *entries):
        self.zones[zone] = list(entries)

    def start(self):
        soa = f"$SOA {self.ttl} ns.invalid. hostmaster.invalid. 1 3600 600 604800 {self.ttl}\n$TTL {self.ttl}\n"
        datasets = []
        for zone, entries in self.zones.items():
            for kind, of_kind in (("ip4set", [entry for entry in entries if ":" not in entry.split()[0]]),
                                  ("ip6trie", [entry for entry in entries if ":" in entry.split()[0]])):
                (self.folder / f"{zone}.{kind}").write_text(soa + "".join(f"{entry}\n" for entry in of_kind))
                datasets.append(f"{zone}:{kind}:{zone}.{kind}")
        user = ["-u", "nobody:nogroup"] if os.getuid() == 0 else []
        self.process = subprocess.Popen([RBLDNSD, "-n", "-c", "0", "-b", f"{self.address}/{self.port}", "-w", str(self.folder),
                                         *user, *datasets], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        first = next(iter(self.zones))

        def serves():
            assert self.process.poll() is None, self.process.stdout.read()
            with contextlib.suppress(dns.exception.Timeout, OSError):
                return bool(dns.query.udp(dns.message.make_query(first, "SOA"), self.address, 0.2, self.port).answer)
        wait_for(serves, what="rbldnsd's answer")
        return self

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.communicate(timeout=10 * PATIENCE)
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- scripted ----

Question = collections.namedtuple("Question", "name type transport")


class FaultyNameServer:
    """
    A name server, UDP and TCP, that answers from its records, except for the names that have a fault. A fault is a
    function(server, query, transport) that returns an answer (a dns.message.Message or octets), a list of them to be
    sent one after the other, or None for silence; those below take care of most needs. `questions` are all that were
    asked, in order.
    """

    def __init__(self, address="127.0.0.1", tcp=True, ttl=60):
        self.address = address
        self.ttl = ttl
        self.negative_ttl = 60
        self.records = {}    # (name, type): values as text
        self.ttls = {}       # (name, type): when it is not self.ttl
        self.faults = {}     # (name, type or None): function
        self.questions = []
        self.lock = threading.Lock()
        self.port = free_name_server_port(address)
        self.datagrams = socket.socket(family_of(address), socket.SOCK_DGRAM)
        self.datagrams.bind((address, self.port))
        self.datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.stream = None
        threads = [self.serve_datagrams]
        if tcp:
            self.stream = socket.create_server((address, self.port), family=family_of(address), backlog=128)
            threads.append(self.serve_stream)
        for target in threads:
            threading.Thread(target=target, daemon=True).start()

    # ---- what it knows ----

    def add(self, name, kind, *values, ttl=None):
        self.records[(name.lower(), kind)] = list(values)
        assert self.rrset(name.lower(), kind), "a test's own mistake shows here, not in the server's thread"
        if ttl is not None:
            self.ttls[(name.lower(), kind)] = ttl

    def mail_domain(self, name, address, ttl=None):
        """A domain with one MX host that has one address."""
        self.add(name, "MX", f"10 mail.{name}.", ttl=ttl)
        self.add(f"mail.{name}", "A", address, ttl=ttl)

    def fault(self, name, function, kind=None):
        """All questions for a name, or those of one kind, are answered by the function."""
        self.faults[(name.lower(), kind)] = function

    def asked(self, name, kind=None):
        """How often it was asked for a name, over UDP and TCP."""
        with self.lock:
            return sum(question.name == name.lower() and kind in (None, question.type) for question in self.questions)

    # ---- answering ----

    def rrset(self, name, kind):
        values = self.records.get((name, kind))
        if not values:
            return None
        return dns.rrset.from_text(f"{name}.", self.ttls.get((name, kind), self.ttl), "IN", kind, *values)

    def answer(self, query):
        """What an honest server would say."""
        answer = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        name, kind = plain_name(question.name), dns.rdatatype.to_text(question.rdtype)
        for _ in range(32):
            alias = self.rrset(name, "CNAME")
            if alias is None or kind == "CNAME":
                break
            answer.answer.append(alias)
            name = plain_name(alias[0].target)
        found = self.rrset(name, kind)
        if found is not None:
            answer.answer.append(found)
            return answer
        if not any(known == name or known.endswith("." + name) for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return self.negative(answer)

    def negative(self, answer):
        """Adds the record that says for how long the absence counts."""
        value = f"ns.invalid. hostmaster.invalid. 1 3600 600 604800 {self.negative_ttl}"
        answer.authority.append(dns.rrset.from_text(".", self.negative_ttl, "IN", "SOA", value))
        return answer

    def replies(self, octets, transport):
        """The packets that answer one packet."""
        try:
            query = dns.message.from_wire(octets)
        except dns.exception.DNSException:
            return []
        question = query.question[0]
        name, kind = plain_name(question.name), dns.rdatatype.to_text(question.rdtype)
        with self.lock:
            self.questions.append(Question(name, kind, transport))
        function = self.faults.get((name, kind)) or self.faults.get((name, None))
        made = function(self, query, transport) if function else self.answer(query)
        if made is None:
            return []
        return [self.packet(query, reply, transport) for reply in (made if isinstance(made, list) else [made])]

    def packet(self, query, reply, transport):
        if isinstance(reply, bytes):
            return reply
        octets = reply.to_wire(max_size=65535)
        if transport == "udp" and len(octets) > max(512, query.payload):
            short = dns.message.make_response(query, recursion_available=True)
            short.flags |= dns.flags.TC
            octets = short.to_wire()
        return octets

    def serve_datagrams(self):
        while True:
            try:
                octets, peer = self.datagrams.recvfrom(65535)
                for packet in self.replies(octets, "udp"):
                    self.datagrams.sendto(packet, peer)
            except OSError:
                if self.datagrams.fileno() == -1:
                    return

    def serve_stream(self):
        while True:
            try:
                connection, _ = self.stream.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_connection, args=(connection,), daemon=True).start()

    def serve_connection(self, connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as octets:
            while length := octets.read(2):
                for packet in self.replies(octets.read(struct.unpack("!H", length)[0]), "tcp"):
                    connection.sendall(struct.pack("!H", len(packet)) + packet)

    def close(self):
        for made in (self.datagrams, self.stream):
            if made:
                with contextlib.suppress(OSError):
                    made.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in it
                made.close()


class NameServerSwitch(FaultyNameServer):
    """Asks one server or another by the end of the name, and knows what was asked for; faults take precedence."""

    def __init__(self, servers):
        super().__init__()
        self.servers = servers  # zone: a server with address and port; "" for the others

    def answer(self, query):
        name = plain_name(query.question[0].name)
        zone = max((zone for zone in self.servers if zone == "" or name == zone or name.endswith("." + zone)), key=len)
        server = self.servers[zone]
        with contextlib.suppress(dns.exception.Timeout, OSError):
            return dns.query.udp_with_fallback(query, server.address, 2, server.port)[0]
        return None


def plain_name(name):
    """A dns.name.Name in lower case without its last dot."""
    return name.to_text(omit_final_dot=True).lower()


# ---- faults that are answers ----

def failing(code):
    """A fault: an empty answer with this response code ("SERVFAIL", "REFUSED", "NXDOMAIN", ...)."""
    def fault(server, query, transport):
        answer = dns.message.make_response(query, recursion_available=True)
        answer.set_rcode(dns.rcode.from_text(code))
        return server.negative(answer) if code == "NXDOMAIN" else answer
    return fault


def no_data(server, query, transport):
    return server.negative(dns.message.make_response(query, recursion_available=True))


def silence(server, query, transport):
    return None


def truncated(server, query, transport):
    """Over UDP only the word that there is more; over TCP the whole."""
    if transport == "tcp":
        return server.answer(query)
    answer = dns.message.make_response(query, recursion_available=True)
    answer.flags |= dns.flags.TC
    return answer


def truncated_everywhere(server, query, transport):
    answer = dns.message.make_response(query, recursion_available=True)
    answer.flags |= dns.flags.TC
    return answer


def wrong_id(server, query, transport):
    answer = server.answer(query)
    answer.id = (answer.id + 1) & 0xffff
    return answer


def wrong_question(server, query, transport):
    """The right records under a question that nobody asked."""
    answer = server.answer(query)
    other = dns.message.make_query("other.example", query.question[0].rdtype)
    answer.question = other.question
    return answer


def for_another_name(*values, kind="A"):
    """A fault: the question is right, and the answer section holds only records of a name nobody asked for."""
    def fault(server, query, transport):
        answer = dns.message.make_response(query, recursion_available=True)
        answer.answer.append(dns.rrset.from_text("other.example.", 60, "IN", kind, *values))
        return answer
    return fault


def with_extra_records(name, kind, *values):
    """A fault: the right answer and, in every section, records of another name that nobody asked for."""
    def fault(server, query, transport):
        answer = server.answer(query)
        for section in (answer.answer, answer.authority, answer.additional):
            section.append(dns.rrset.from_text(f"{name}.", 3600, "IN", kind, *values))
        return answer
    return fault


def authentic(server, query, transport):
    """The right answer, with the AD bit set."""
    answer = server.answer(query)
    answer.flags |= dns.flags.AD
    return answer


# ---- faults that are broken packets ----

def header(query, answers=1, questions=1):
    return struct.pack("!HHHHHH", query.id, 0x8180, questions, answers, 0, 0)


def question_octets(query):
    question = query.question[0]
    return question.name.to_wire() + struct.pack("!HH", question.rdtype, question.rdclass)


def record(rdata, kind, name=b"\xc0\x0c", length=None, ttl=60):
    return name + struct.pack("!HHIH", kind, 1, ttl, len(rdata) if length is None else length) + rdata


def broken_packets():
    """Name of the breakage: a fault that returns such a packet instead of an answer."""
    def of(make):
        return lambda server, query, transport: make(query, query.question[0].rdtype)

    def rdata(kind):
        return {1: b"\x7f\0\0\1", 28: b"\0" * 15 + b"\1", 15: b"\0\x0a\x04mail\xc0\x0c"}.get(kind, b"\0")

    def whole(query, tail, answers=1):
        return header(query, answers) + question_octets(query) + tail

    return {
        "empty": of(lambda query, kind: b""),
        "half a header": of(lambda query, kind: header(query)[:6]),
        "header alone": of(lambda query, kind: header(query)),
        "noise": of(lambda query, kind: struct.pack("!H", query.id) + random.Random(7).randbytes(300)),
        "owner name that points at itself":
            of(lambda query, kind: whole(query, (lambda here: record(rdata(kind), kind, here))(
                struct.pack("!H", 0xc000 | (12 + len(question_octets(query))))))),
        "two pointers at each other": of(lambda query, kind: (lambda start: whole(query, record(
            rdata(kind), kind, struct.pack("!HH", 0xc000 | (start + 2), 0xc000 | start))))(12 + len(question_octets(query)))),
        "pointer past the end": of(lambda query, kind: whole(query, record(rdata(kind), kind, b"\xff\xff"))),
        "name in the data points past the end": of(lambda query, kind: whole(query, record(b"\0\x0a\xff\xf0", kind))),
        "name in the data points at itself": of(lambda query, kind: (lambda start: whole(query, record(
            b"\0\x0a" + struct.pack("!H", 0xc000 | (start + 14)), kind)))(12 + len(question_octets(query)))),
        "reserved label type": of(lambda query, kind: whole(query, record(b"\0\x0a\x80mail\0", kind))),
        "label without its end": of(lambda query, kind: whole(query, record(b"\0\x0a\x3fmail", kind))),
        "more records announced than there are": of(lambda query, kind: whole(query, record(rdata(kind), kind), 9)),
        "65535 records announced": of(lambda query, kind: header(query, 65535) + question_octets(query)),
        "data longer than the packet": of(lambda query, kind: whole(query, record(rdata(kind), kind, length=60000))),
        "data of no octets": of(lambda query, kind: whole(query, record(b"", kind))),
        "data of one octet": of(lambda query, kind: whole(query, record(b"\0", kind))),
        "no question": of(lambda query, kind: header(query, 0, 0)),
        "a query for an answer": of(lambda query, kind: query.to_wire()),
    }
