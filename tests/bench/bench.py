"""
make bench: Matador and Postfix side by side, on the same disk in the same run, durability on for both.

Prints Markdown tables with the machine's facts and physical limits; docs/performance.md says how to read them. What is compared is the
ratio of medians over rounds that alternate between the servers: machines differ and are noisy, ratios less so.

environment: BENCH_ONLY (scenarios, separated by commas: relay,slow,accept,latency,idle,waiting,mixed; all when empty), BENCH_ROUNDS (3),
BENCH_SCALE (1; 0.1 for a quick look, not for figures), BENCH_FOLDER (where the spools go; root's default is a journaled ext4 image on /var/tmp,
anybody else's /var/tmp), BENCH_WAITING (1000000: the largest number of messages that wait).
Root measures both with their own users; a plain user measures Matador alone.
"""

import contextlib
import os
import pathlib
import platform
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from servers import Matador, Postfix, compile_here, cpu_seconds, memory_kib, tree
import matador
import name_servers
import receivers

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
WARM_UP = 60
SERVERS = [Matador, Postfix] if os.getuid() == 0 else [Matador]

# octets, messages, sessions at a time, sessions reused
RELAY = [(4096, 5000, 20, True), (4096, 5000, 20, False), (65536, 2000, 20, True), (1048576, 300, 20, True)]
SLOW = [(4096, 5000, 100, True), (4096, 5000, 100, False), (4096, 2000, 20, True)]
SLOW_FLUSH_MICROSECONDS = 2000
ACCEPT = [(4096, 5000, 20, True), (4096, 5000, 20, False)]


class Sink:
    """The far end. warm() and done() wait until so many messages came."""

    program = None

    def __init__(self, count, warm_up=WARM_UP):
        self.port = matador.free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-sink-"))
        self.process = subprocess.Popen([Sink.program, str(self.port), str(warm_up), str(count), self.folder / "times"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.expect("ready")

    def expect(self, word):
        line = self.process.stdout.readline().split()
        assert line and line[0] == word, f"sink: {line} instead of {word}"
        return line[1:]

    def done(self):
        """The wall time of the last arrival."""
        last, copies = self.expect("done")
        assert copies == "0", f"{copies} messages came twice"
        return float(last)

    def times(self):
        return dict(reversed(line.split(maxsplit=1)) for line in (self.folder / "times").read_text().splitlines())

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        shutil.rmtree(self.folder)


def source(port, count, sessions, size, reuse, recipient="b@sink.test"):
    result = receivers.smtp_source(port, count, sessions, size, reuse, recipient=recipient, timeout=1800)
    assert result.returncode == 0, result.stderr


def scaled(count, least=100):
    return max(least, int(count * SCALE))


def flushes():
    """Flushes of all disks so far, and KiB written."""
    total = written = 0
    for line in pathlib.Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        if len(fields) > 18 and not re.match(r"(loop|ram|dm-|md)\d|.*[a-z]\d+$|nvme.*p\d+$", fields[2]):
            total += int(fields[18])
            written += int(fields[9]) // 2
    return total, written


def relay_once(server_class, size, count, sessions, reuse, flush_delay=0):
    sink = Sink(count)
    server = server_class(sink.port, flush_delay=flush_delay)
    try:
        source(server.port, WARM_UP, min(sessions, 20), 4096, reuse)
        sink.expect("warm")
        time.sleep(0.5)
        flushed, written = flushes()
        cpu, started = cpu_seconds(server.pid), time.time()
        source(server.port, count, sessions, size, reuse)
        loaded = memory_kib(server.pid)
        seconds = sink.done() - started
        time.sleep(0.3)
        after_flushed, after_written = flushes()
        return {"rate": count / seconds, "cpu": (cpu_seconds(server.pid) - cpu) / count * 1000, "memory": loaded / 1024,
                "flushes": (after_flushed - flushed) / count, "written": (after_written - written) / count}
    finally:
        server.close()
        sink.close()


def accept_once(server_class, size, count, sessions, reuse):
    server = server_class(9, mode="hold")
    try:
        source(server.port, WARM_UP, min(sessions, 20), 4096, reuse)
        time.sleep(0.5)
        flushed, written = flushes()
        cpu, started = cpu_seconds(server.pid), time.time()
        source(server.port, count, sessions, size, reuse)
        seconds = time.time() - started
        after_flushed, after_written = flushes()
        return {"rate": count / seconds, "cpu": (cpu_seconds(server.pid) - cpu) / count * 1000, "memory": memory_kib(server.pid) / 1024,
                "flushes": (after_flushed - flushed) / count, "written": (after_written - written) / count}
    finally:
        server.close()


def compare(title, rows, once):
    """One table of rates: rounds alternate between the servers."""
    print(f"\n## {title}\n")
    print("| octets | sessions | reused | server | messages/s | min-max | CPU s/1000 | MiB loaded | flushes/message | KiB written/message |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for size, count, sessions, reuse in rows:
        count = scaled(count)
        results = {server.name: [] for server in SERVERS}
        for _ in range(ROUNDS):
            for server in SERVERS:
                results[server.name].append(once(server, size, count, sessions, reuse))
        head = f"| {size} | {sessions} | {'yes' if reuse else 'no'} |"
        medians = {}
        for name, rounds in results.items():
            median = medians[name] = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
            rates = [one["rate"] for one in rounds]
            print(f"{head} {name} | {median['rate']:.0f} | {min(rates):.0f}-{max(rates):.0f} | {median['cpu']:.2f} | {median['memory']:.0f} "
                  f"| {median['flushes']:.2f} | {median['written']:.1f} |")
        if len(medians) == 2:
            ours, theirs = medians["Matador"], medians["Postfix"]
            print(f"{head} ratio | **x{ours['rate'] / theirs['rate']:.2f}** | | **1/{theirs['cpu'] / max(ours['cpu'], 1e-9):.1f}** | | | |")
        sys.stdout.flush()


def relay():
    compare("Relay: accepted, stored, sent on to a sink", RELAY, relay_once)


def slow():
    compare(f"Relay on a slow disk: each flush takes {SLOW_FLUSH_MICROSECONDS / 1000:g} ms longer", SLOW,
            lambda *arguments: relay_once(*arguments, flush_delay=SLOW_FLUSH_MICROSECONDS))


def accept():
    compare("Accept only: stored, not delivered", ACCEPT, accept_once)
    print("\nFlushes fall as load rises (Matador, 4 KiB, sessions reused):\n\n| sessions | messages/s | flushes/message |\n|---|---|---|")
    for sessions in (1, 5, 20, 100):
        result = accept_once(Matador, 4096, scaled(3000), sessions, True)
        print(f"| {sessions} | {result['rate']:.0f} | {result['flushes']:.2f} |", flush=True)


def latency_once(server_class, count):
    """Milliseconds from connecting to the 250, and to the arrival at the sink, for each of count single messages."""
    sink = Sink(count, 1)
    server = server_class(sink.port)
    accepted, begun = [], {}
    body = b"X" * 70 + b"\r\n"
    try:
        for number in range(-1, count):
            identifier = f"<latency.{number}@bench.test>"
            content = f"From: <a@bench.test>\r\nTo: <b@sink.test>\r\nMessage-ID: {identifier}\r\n\r\n".encode() + body * 55 + b".\r\n"
            began = time.time()
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                replies = client.makefile("rb")
                replies.readline()
                for command in (b"HELO bench.test\r\n", b"MAIL FROM:<a@bench.test>\r\n", b"RCPT TO:<b@sink.test>\r\n", b"DATA\r\n", content):
                    client.sendall(command)
                    reply = replies.readline()
                    assert reply[:1] in b"23", reply
                if number >= 0:
                    begun[identifier] = began
                    accepted.append((time.time() - began) * 1000)
                client.sendall(b"QUIT\r\n")
                replies.readline()
            time.sleep(0.05)
        sink.expect("warm")
        sink.done()
        arrived = [(float(at) - begun[identifier]) * 1000 for identifier, at in sink.times().items()]
        return {"accepted": statistics.median(accepted), "arrived": statistics.median(arrived), "worst": max(arrived)}
    finally:
        server.close()
        sink.close()


def latency():
    print("\n## Latency: one message at a time on an idle server, medians in milliseconds\n")
    print("| server | connect to 250 | connect to arrival | slowest arrival |\n|---|---|---|---|")
    medians = {}
    for server in SERVERS:
        results = [latency_once(server, scaled(100, 20)) for _ in range(ROUNDS)]
        median = medians[server.name] = {key: statistics.median(one[key] for one in results) for key in results[0]}
        print(f"| {server.name} | {median['accepted']:.2f} | {median['arrived']:.2f} | {median['worst']:.1f} |", flush=True)
    if len(medians) == 2:
        ours, theirs = medians["Matador"], medians["Postfix"]
        print(f"| ratio | {ours['accepted'] / theirs['accepted']:.2f} | **{ours['arrived'] / theirs['arrived']:.2f}** | |")


def greeting_milliseconds(port):
    began = time.time()
    with socket.create_connection(("127.0.0.1", port)) as client:
        assert client.recv(200).startswith(b"220")
    return (time.time() - began) * 1000


def idle():
    """Memory of sessions that do nothing. Clients come from several addresses, as each may have only so many ports."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("\n## Idle sessions after EHLO\n\n| sessions | KiB each | ms until a new client is greeted |\n|---|---|---|")
    server = Matador(9, settings={"maximum_sessions": 40000})
    clients = []
    try:
        before = memory_kib(server.pid)
        for count in (1000, 5000, 10000):
            if count + 200 > most:
                print(f"| {count} | not measured: {most} descriptors are allowed | |")
                continue
            while len(clients) < count:
                client = socket.create_connection(("127.0.0.1", server.port), source_address=(f"127.0.1.{len(clients) % 250 + 1}", 0))
                client.recv(200)
                client.sendall(b"EHLO idle.test\r\n")
                client.recv(1000)
                clients.append(client)
            print(f"| {count} | {(memory_kib(server.pid) - before) / count:.1f} | {greeting_milliseconds(server.port):.1f} |", flush=True)
    finally:
        for client in clients:
            client.close()
        server.close()


def resident_mib(server, program):
    pid = next(pid for pid in tree(server.pid) if matador.program_of(pid) == program)
    return int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)) / 1024


def passing_cost(server, sink_count):
    """CPU seconds per 1000 for messages to a destination that works, through whatever waits."""
    sink = Sink(sink_count)
    server.instance.configuration["relay_host"] = f"[127.0.0.1]:{sink.port}"
    server.instance.reload()
    try:
        source(server.port, WARM_UP, 20, 4096, True)
        sink.expect("warm")
        cpu = cpu_seconds(server.pid)
        source(server.port, sink_count, 20, 4096, True)
        sink.done()
        time.sleep(0.3)
        return (cpu_seconds(server.pid) - cpu) / sink_count * 1000
    finally:
        sink.close()


def page_milliseconds(server):
    began = time.time()
    server.instance.command("queue", "list", "--limit", "50", check=True)
    return (time.time() - began) * 1000


def waiting():
    """Messages that wait for a destination that is down, and what they cost the rest."""
    print("\n## Messages that wait in MAIL.BOX\n\n| waiting | resident MiB of qmgr | `queue list` of 50, ms | CPU s/1000 of new mail | against none waiting "
          "| start to first delivery, s |\n|---|---|---|---|---|---|")
    server = Matador(9)
    try:
        server.instance.stop()
        server.instance.domains += 'foreign_smtp_domain "waiting.test" { next_host = "[127.0.0.1]:9" }\n'
        server.start()
        held, unladen = 0, None
        for count in (0, 10000, 100000, 1000000):
            count = int(count * SCALE)
            if count > int(os.environ.get("BENCH_WAITING", "1000000")):
                break
            if count > held:
                source(server.port, count - held, 20, 1000, True, recipient="b@waiting.test")
                held = count
            cost = passing_cost(server, scaled(3000))
            unladen = unladen or cost
            resident, page = resident_mib(server, "qmgr"), page_milliseconds(server)
            server.instance.stop()
            sink = Sink(1, 0)
            server.instance.configuration["relay_host"] = f"[127.0.0.1]:{sink.port}"
            began = time.time()
            server.start()
            source(server.port, 1, 1, 1000, False)
            seconds = sink.done() - began
            sink.close()
            print(f"| {count} | {resident:.0f} | {page:.0f} | {cost:.2f} | {cost / unladen:.2f} | {seconds:.2f} |", flush=True)
    finally:
        server.close()


def small_delays(server, sink_times, count, marker):
    """Sends small messages one by one; the milliseconds from connecting to arrival of each."""
    begun = {}
    for number in range(count):
        identifier = f"<{marker}.{number}@bench.test>"
        begun[identifier] = time.time()
        server.instance.send(["b@small.test"], body=f"Message-ID: {identifier}\r\n\r\nsmall\r\n")
        time.sleep(0.02)
    matador.wait_for(lambda: all(identifier in sink_times() for identifier in begun), 60, "the small messages", every=0.5)
    times = sink_times()
    return [(float(times[identifier]) - at) * 1000 for identifier, at in begun.items()]


def mixed():
    """Small messages beside one message to 10,000 recipients in 500 domains."""
    zones = name_servers.ZoneServer()
    for number in range(500):
        zones.domain(f"d{number}.test", "@ MX 5 mx", "mx A 127.0.0.1")
    zones.domain("small.test", "@ MX 5 mx", "mx A 127.0.0.1")
    zones.start()
    sink = Sink(10000000, 0)
    server = Matador(9, start=False)
    name_servers.route_by_dns(server.instance, zones, sink.port)
    del server.instance.configuration["relay_host"]
    server.start()
    try:
        count = scaled(200, 50)
        alone = small_delays(server, sink.times, count, "alone")
        with server.instance.smtp() as client:
            recipients = [f"r{number}@d{number % 500}.test" for number in range(10000)]
            assert not client.sendmail("a@bench.test", recipients, "Subject: many\r\n\r\n" + "x" * 2000 + "\r\n")
        beside = small_delays(server, sink.times, count, "beside")
        matador.wait_for(lambda: not server.instance.queue(), 300, "an empty queue", every=1)
        print("\n## Small messages beside one to 10,000 recipients in 500 domains\n\n| | median ms to arrival | 95 % |\n|---|---|---|")
        for name, delays in (("alone", alone), ("beside", beside)):
            print(f"| {name} | {statistics.median(delays):.1f} | {statistics.quantiles(delays, n=20)[18]:.1f} |")
        print(f"| ratio | **{statistics.median(beside) / statistics.median(alone):.2f}** | |", flush=True)
    finally:
        server.close()
        sink.close()
        zones.close()


# ---- the machine ----

def flush_rate(folder, prepared):
    """fdatasync a second of 4 KiB appended to a file, or written over one that was written before."""
    path = pathlib.Path(folder) / "bench-flush"
    with open(path, "wb", buffering=0) as file:
        if prepared:
            file.write(b"\0" * (64 << 20))
            os.fsync(file.fileno())
            file.seek(0)
        began, count = time.time(), 0
        while time.time() - began < 1 and count < 16000:
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            count += 1
        seconds = time.time() - began
    path.unlink()
    return count / seconds


def loopback_rate(reuse):
    """Messages a second of the generator straight into the sink."""
    sink = Sink(20000, 0)
    try:
        began = time.time()
        source(sink.port, 20000, 20, 4096, reuse)
        return 20000 / (sink.done() - began)
    finally:
        sink.close()


def describe_machine(folder):
    processor = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    disk = subprocess.run(["findmnt", "-no", "FSTYPE,OPTIONS", "-T", folder], capture_output=True, text=True, check=False).stdout.split()
    journal = ""
    if disk and disk[0] == "ext4":
        name = subprocess.run(["findmnt", "-no", "SOURCE", "-T", folder], capture_output=True, text=True, check=False).stdout.strip()
        journal = " with a journal" if pathlib.Path(f"/proc/fs/jbd2/{pathlib.Path(name).name}-8").exists() else " without a journal"
    print(f"{os.cpu_count()} x {processor.group(1) if processor else platform.machine()}, Linux {platform.release()}, spools on "
          f"{disk[0] if disk else 'unknown'}{journal}; {ROUNDS} rounds, medians\n")
    print("| physical limit | a second |\n|---|---|")
    print(f"| fdatasync of 4 KiB appended | {flush_rate(folder, False):.0f} |")
    print(f"| fdatasync of 4 KiB written over | {flush_rate(folder, True):.0f} |")
    print(f"| generator straight into the sink, new sessions | {loopback_rate(False):.0f} |")
    print(f"| the same, sessions reused | {loopback_rate(True):.0f} |", flush=True)


@contextlib.contextmanager
def spool_folder():
    """Where spools go: what BENCH_FOLDER says, or for root a journaled ext4 of its own, because a file system without one flatters appends."""
    if "BENCH_FOLDER" in os.environ or os.getuid() != 0:
        yield os.environ.get("BENCH_FOLDER", "/var/tmp")
        return
    image = tempfile.mkstemp(prefix="bench-disk-", dir="/var/tmp")[1]
    mount = tempfile.mkdtemp(prefix="bench-disk-", dir="/var/tmp")
    try:
        subprocess.run(["dd", "if=/dev/zero", f"of={image}", "bs=4M", "count=1536", "conv=fsync", "status=none"], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-N", "500000", image], check=True)
        device = subprocess.run(["losetup", "--show", "--direct-io=on", "-f", image], check=True, capture_output=True, text=True).stdout.strip()
        try:
            subprocess.run(["mount", "-t", "ext4", "-o", "relatime", device, mount], check=True)
            try:
                os.chmod(mount, 0o1777)
                yield mount
            finally:
                subprocess.run(["umount", mount], check=True)
        finally:
            subprocess.run(["losetup", "-d", device], check=True)
    finally:
        os.unlink(image)
        os.rmdir(mount)


SCENARIOS = {"relay": relay, "slow": slow, "accept": accept, "latency": latency, "idle": idle, "waiting": waiting, "mixed": mixed}


def main():
    wanted = [name for name in os.environ.get("BENCH_ONLY", "").split(",") if name] or list(SCENARIOS)
    with tempfile.TemporaryDirectory(prefix="bench-programs-") as programs, spool_folder() as folder:
        os.chmod(programs, 0o755)
        Sink.program = compile_here("sink.c", pathlib.Path(programs) / "sink")
        tempfile.tempdir = folder
        describe_machine(folder)
        for name in wanted:
            SCENARIOS[name]()


main()
