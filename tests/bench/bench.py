"""
make bench: Matador and Postfix side by side, on the same disk in the same run, durability on for both.

Prints a Markdown report: the machine's facts and physical limits, a table for each scenario, and at the end each target with what was
reached; docs/performance.md says how to read it. What is compared is the ratio of medians over rounds that alternate between the servers:
machines differ and are noisy, ratios less so.

environment: BENCH_ONLY (scenarios, separated by commas: relay,slow,accept,controls,latency,idle,waiting,mixed,overload; all when empty), BENCH_ROUNDS (3),
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
import threading
import time

import guarded
from servers import Matador, Postfix, compile_here, cpu_by_program, cpu_seconds, memory_kib, tree
import matador
import name_servers
import overload as overloading

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
WARM_UP = 60
SERVERS = [Matador, Postfix] if os.getuid() == 0 else [Matador]

# octets, messages, sessions at a time, sessions reused
RELAY = [(4096, 5000, 20, True), (4096, 5000, 20, False), (65536, 2000, 20, True), (1048576, 300, 20, True)]
SLOW = [(4096, 5000, 100, True), (4096, 5000, 100, False), (4096, 2000, 20, True)]
SLOW_FLUSH_MICROSECONDS = 2000
ACCEPT = [(4096, 5000, 20, True), (4096, 5000, 20, False)]
CONTROLS = (4096, 5000, 20, False)
WAITING = [0, 10000, 100000, 1000000]
MANY_RECIPIENTS, MANY_DOMAINS = 10000, 500

# What is aimed at: times Postfix' messages a second by octets, and its CPU seconds divided by
RATE_TARGETS = {4096: 5, 65536: 5, 1048576: 3.5}
CPU_TARGET = 6
ACCEPT_TARGET = 4
CONTROLS_TARGET = 0.75      # of the sessions a second without them
AT_ONCE_MS = 50     # what a person or a client does not notice
NOISE = 0.95        # of two figures that are to be the same

results = []        # scenario, target, what was reached, whether that is it; None: it cannot be told here


def judge(scenario, target, reached, met):
    results.append((scenario, target, reached, met))


class Sink:
    """The far end. warm() and done() wait until so many messages came."""

    program = None

    def __init__(self, count, warm_up=WARM_UP, port=None, delay=0):
        self.port = port or matador.free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-sink-"))
        self.process = subprocess.Popen([Sink.program, str(self.port), str(warm_up), str(count), self.folder / "times", str(delay)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.expect("ready")
        self.file = open(self.folder / "times", "rb")
        self.first = {}         # by Message-ID: when it came first,
        self.recipients = {}    # how many recipients it came for so far, in all its copies,
        self.last = {}          # and when the last of those

    def expect(self, word):
        line = self.process.stdout.readline().split()
        assert line and line[0] == word, f"sink: {line} instead of {word}"
        return line[1:]

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
        self.process.stdout.close()
        shutil.rmtree(self.folder)


def source(port, count, sessions, size, reuse, recipient="b@sink.test"):
    result = subprocess.run([source.program, *(str(number) for number in (port, count, sessions, size)), "reuse" if reuse else "new", recipient],
                            stderr=subprocess.PIPE, text=True, timeout=1800, check=False)
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
        cpu, programs, started = cpu_seconds(server.pid), cpu_by_program(server.pid), time.time()
        source(server.port, count, sessions, size, reuse)
        loaded = memory_kib(server.pid)
        seconds = sink.done() - started
        time.sleep(0.3)
        after_flushed, after_written = flushes()
        result = {"rate": count / seconds, "cpu": (cpu_seconds(server.pid) - cpu) / count * 1000, "memory": loaded / 1024,
                  "flushes": (after_flushed - flushed) / count, "written": (after_written - written) / count}
        for program, spent in cpu_by_program(server.pid).items():
            result[f"cpu of {program}"] = (spent - programs.get(program, 0)) / count * 1000
        return result
    finally:
        server.close()
        sink.close()


def accept_once(server_class, size, count, sessions, reuse):
    server = server_class(9, mode="hold")
    try:
        return accepted_by(server, size, count, sessions, reuse)
    finally:
        server.close()


def accepted_by(server, size, count, sessions, reuse, recipient="b@sink.test"):
    source(server.port, WARM_UP, min(sessions, 20), 4096, reuse, recipient)
    time.sleep(0.5)
    flushed, written = flushes()
    cpu, started = cpu_seconds(server.pid), time.time()
    source(server.port, count, sessions, size, reuse, recipient)
    seconds = time.time() - started
    after_flushed, after_written = flushes()
    return {"rate": count / seconds, "cpu": (cpu_seconds(server.pid) - cpu) / count * 1000, "memory": memory_kib(server.pid) / 1024,
            "flushes": (after_flushed - flushed) / count, "written": (after_written - written) / count}


def row_name(size, sessions, reuse):
    return f"{size} octets, {sessions} sessions{' reused' if reuse else ', new for each message'}"


def compare(title, rows, once):
    """One table of rates: rounds alternate between the servers. The medians of each row by server."""
    print(f"\n## {title}\n")
    print("| octets | sessions | reused | server | messages/s | min-max | CPU s/1000 | MiB loaded | flushes/message | KiB written/message |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    all_medians = {}
    for size, count, sessions, reuse in rows:
        count = scaled(count)
        rounds_of = {server.name: [] for server in SERVERS}
        for _ in range(ROUNDS):
            for server in SERVERS:
                rounds_of[server.name].append(once(server, size, count, sessions, reuse))
        head = f"| {size} | {sessions} | {'yes' if reuse else 'no'} |"
        medians = all_medians[size, sessions, reuse] = {}
        for name, rounds in rounds_of.items():
            median = medians[name] = {key: statistics.median(one.get(key, 0) for one in rounds) for key in rounds[0]}
            rates = [one["rate"] for one in rounds]
            print(f"{head} {name} | {median['rate']:.0f} | {min(rates):.0f}-{max(rates):.0f} | {median['cpu']:.2f} | {median['memory']:.0f} "
                  f"| {median['flushes']:.2f} | {median['written']:.1f} |")
        if len(medians) == 2:
            ours, theirs = medians["Matador"], medians["Postfix"]
            medians["rate"], medians["cpu"] = ours["rate"] / theirs["rate"], theirs["cpu"] / max(ours["cpu"], 1e-9)
            print(f"{head} ratio | **x{medians['rate']:.2f}** | | **1/{medians['cpu']:.1f}** | | | |")
        sys.stdout.flush()
    return all_medians


def where_time_goes(all_medians):
    """CPU seconds for 1000 messages in each program of Matador."""
    programs = [key for key in next(iter(all_medians.values()))["Matador"] if key.startswith("cpu of ")]
    programs = [key for key in programs if any(medians["Matador"].get(key, 0) >= 0.005 for medians in all_medians.values())]
    print("\nWhere Matador's CPU seconds for 1000 messages go:\n\n| octets | sessions | reused | " +
          " | ".join(key.removeprefix("cpu of ") for key in programs) + " |\n|---|---|---|" + "---|" * len(programs))
    for (size, sessions, reuse), medians in all_medians.items():
        print(f"| {size} | {sessions} | {'yes' if reuse else 'no'} | " +
              " | ".join(f"{medians['Matador'].get(key, 0):.2f}" for key in programs) + " |", flush=True)


relay_ratios = {}


def relay():
    all_medians = compare("Relay: accepted, stored, sent on to a sink", RELAY, relay_once)
    where_time_goes(all_medians)
    for (size, sessions, reuse), medians in all_medians.items():
        name = row_name(size, sessions, reuse)
        if "rate" not in medians:
            judge("relay", f"{name}: {RATE_TARGETS[size]}x Postfix", f"{medians['Matador']['rate']:.0f} messages/s", None)
            continue
        relay_ratios[reuse] = min(medians["rate"], relay_ratios.get(reuse, medians["rate"])) if size == 4096 else relay_ratios.get(reuse)
        judge("relay", f"{name}: {RATE_TARGETS[size]}x Postfix", f"{medians['rate']:.2f}x", medians["rate"] >= RATE_TARGETS[size])
        if size == 4096:
            judge("relay", f"{name}: 1/{CPU_TARGET} of Postfix' CPU", f"1/{medians['cpu']:.1f}", medians["cpu"] >= CPU_TARGET)


def slow():
    all_medians = compare(f"Relay on a slow disk: each flush takes {SLOW_FLUSH_MICROSECONDS / 1000:g} ms longer", SLOW,
                          lambda *arguments: relay_once(*arguments, flush_delay=SLOW_FLUSH_MICROSECONDS))
    for (size, sessions, reuse), medians in all_medians.items():
        if "rate" not in medians or sessions < 100:
            continue    # with few sessions the wait for the flush is the limit of both
        least = relay_ratios.get(reuse) or RATE_TARGETS[size]
        judge("slow", f"{row_name(size, sessions, reuse)}: the ratio of the fast disk ({least:.2f}x) does not fall", f"{medians['rate']:.2f}x",
              medians["rate"] >= NOISE * least)


def accept():
    for (size, sessions, reuse), medians in compare("Accept only: stored, not delivered", ACCEPT, accept_once).items():
        if "rate" in medians:
            judge("accept", f"{row_name(size, sessions, reuse)}: {ACCEPT_TARGET}x Postfix", f"{medians['rate']:.2f}x", medians["rate"] >= ACCEPT_TARGET)
    a_message = []
    print("\nFlushes fall as load rises (Matador, 4 KiB, sessions reused):\n\n| sessions | messages/s | flushes/message |\n|---|---|---|")
    for sessions in (1, 5, 20, 100):
        result = accept_once(Matador, 4096, scaled(3000), sessions, True)
        a_message.append(result["flushes"])
        print(f"| {sessions} | {result['rate']:.0f} | {result['flushes']:.2f} |", flush=True)
    judge("accept", "flushes a message fall as load rises", ", ".join(f"{flushed:.2f}" for flushed in a_message),
          all(later <= earlier for earlier, later in zip(a_message, a_message[1:])))


def controls():
    """New sessions that bring a message each, to a server with no inbound control and to one with all, who have been asked about them before."""
    size, count, sessions, reuse = CONTROLS
    count = scaled(count)
    rounds_of = {"all off": [], "all on": []}
    for _ in range(ROUNDS):
        for name, rounds in rounds_of.items():
            with guarded.guarded(name == "all on") as server:
                rounds.append(accepted_by(server, size, count, sessions, reuse, guarded.RECIPIENT))
    print(f"\n## Inbound controls: {sessions} sessions at a time, a new one for each message of {size} octets\n\n"
          "| controls | sessions/s | min-max | CPU s/1000 |\n|---|---|---|---|")
    rates, cpu = {}, {}
    for name, rounds in rounds_of.items():
        rates[name], cpu[name] = (statistics.median(one[key] for one in rounds) for key in ("rate", "cpu"))
        print(f"| {name} | {rates[name]:.0f} | {min(one['rate'] for one in rounds):.0f}-{max(one['rate'] for one in rounds):.0f} | {cpu[name]:.2f} |")
    ratio = rates["all on"] / rates["all off"]
    print(f"| ratio | **{ratio:.2f}** | | {cpu['all on'] / cpu['all off']:.2f} |", flush=True)
    judge("controls", f"all on: at least {CONTROLS_TARGET:.0%} of the sessions a second of all off", f"{ratio:.0%}", ratio >= CONTROLS_TARGET)


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
        sink.look()
        arrived = [(at - begun[identifier]) * 1000 for identifier, at in sink.first.items()]
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
        judge("latency", "connect to arrival: at most half of Postfix' median", f"{ours['arrived'] / theirs['arrived']:.2f}",
              ours["arrived"] <= theirs["arrived"] / 2)


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
            each = (memory_kib(server.pid) - before) / count
            greeted = statistics.median(greeting_milliseconds(server.port) for _ in range(5))
            print(f"| {count} | {each:.1f} | {greeted:.1f} |", flush=True)
            judge("idle", f"{count} sessions: at most 12 KiB each, a new client is greeted at once", f"{each:.1f} KiB, {greeted:.1f} ms",
                  each <= 12 and greeted <= AT_ONCE_MS)
    finally:
        for client in clients:
            client.close()
        server.close()


def resident_mib(server, program):
    pid = next(pid for pid in tree(server.pid) if matador.program_of(pid) == program)
    return int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)) / 1024


def passing_cost(server, count, port):
    """CPU seconds per 1000 for messages to a destination that works, through whatever waits."""
    sink = Sink(count, port=port)
    try:
        source(server.port, WARM_UP, 20, 4096, True)
        sink.expect("warm")
        cpu = cpu_seconds(server.pid)
        source(server.port, count, 20, 4096, True)
        sink.done()
        time.sleep(0.3)
        return (cpu_seconds(server.pid) - cpu) / count * 1000
    finally:
        sink.close()


def page_milliseconds(server):
    began = time.time()
    server.instance.command("queue", "list", "--limit", "50", check=True)
    return (time.time() - began) * 1000


def fill(server, count):
    """So many more messages wait for a host that is down; how many a second came to wait."""
    began = time.time()
    source(server.port, count, 20, 1000, True, recipient="b@waiting.test")
    matador.wait_for(lambda: re.search(r"\bactive=0\b", server.instance.command("status").stdout), 600, "an end of the filling", every=0.5)
    return count / (time.time() - began)


def waiting():
    """Messages that wait for a destination that is down, and what they cost the rest: compared with a server beside it where none wait."""
    print("\n## Messages that wait in MAIL.BOX\n\n| waiting | came to wait/s | resident MiB of qmgr | `queue list` of 50, ms | CPU s/1000 of new mail "
          "| against none waiting | start to first delivery, s |\n|---|---|---|---|---|---|---|")
    port, empty_port = matador.free_port(), matador.free_port()
    empty = Matador(empty_port)
    server = Matador(port, start=False)
    server.instance.domains += 'foreign_smtp_domain "waiting.test" { next_host = "[127.0.0.1]:9" }\n'
    server.start()
    try:
        held = 0
        for count in (int(count * SCALE) for count in WAITING):
            if count > int(os.environ.get("BENCH_WAITING", "1000000")):
                break
            filled = fill(server, count - held) if count > held else 0
            held = count
            pairs = [(passing_cost(server, scaled(3000), port), passing_cost(empty, scaled(3000), empty_port)) for _ in range(5)]
            cost, unladen = (statistics.median(costs) for costs in zip(*pairs))
            resident, page = resident_mib(server, "qmgr"), statistics.median(page_milliseconds(server) for _ in range(5))
            server.instance.stop()
            sink = Sink(1, 0, port)
            began = time.time()
            server.start()
            source(server.port, 1, 1, 1000, False)
            seconds = sink.done() - began
            sink.close()
            print(f"| {count} | {filled:.0f} | {resident:.0f} | {page:.0f} | {cost:.2f} | {cost / unladen:.2f} | {seconds:.2f} |", flush=True)
            judge("waiting", f"{count} wait: qmgr below 256 MiB; a page at once; start to first delivery below 10 s; new mail costs at most 1.2x",
                  f"{resident:.0f} MiB; {page:.0f} ms; {seconds:.1f} s; {cost / unladen:.2f}x",
                  resident < 256 and page <= AT_ONCE_MS and seconds < 10 and cost <= 1.2 * unladen)
    finally:
        server.close()
        empty.close()


def send_small(server, identifier, begun):
    begun[identifier] = time.time()
    server.instance.send(["b@small.test"], body=f"Message-ID: {identifier}\r\n\r\nsmall\r\n")
    time.sleep(0.02)


def small_alone(server, sink, count):
    """Milliseconds from connecting to arrival of small messages, one by one."""
    begun = {}
    for number in range(count):
        send_small(server, f"<alone.{number}@bench.test>", begun)
    matador.wait_for(lambda: sink.look() or begun.keys() <= sink.first.keys(), 60, "the small messages", every=0.2)
    return [(sink.first[identifier] - at) * 1000 for identifier, at in begun.items()]


def small_beside(server, sink, number):
    """The same beside a large one: of the small messages that began while it was being delivered. And for how long that was, in seconds."""
    large, begun = f"<large.{number}@bench.test>", {}
    recipients = [f"r{index}@d{index % MANY_DOMAINS}.test" for index in range(MANY_RECIPIENTS)]
    with server.instance.smtp(timeout=120) as client:
        assert not client.sendmail("a@bench.test", recipients, f"Message-ID: {large}\r\n\r\n" + "x" * 2000 + "\r\n")
    accepted = time.time()
    while (sink.look() or sink.recipients.get(large, 0)) < MANY_RECIPIENTS and time.time() - accepted < 300:
        send_small(server, f"<beside.{number}.{len(begun)}@bench.test>", begun)
    matador.wait_for(lambda: sink.look() or begun.keys() <= sink.first.keys(), 60, "the small messages", every=0.2)
    assert sink.recipients.get(large) == MANY_RECIPIENTS, f"{sink.recipients.get(large)} recipients of {MANY_RECIPIENTS} got the large message"
    return [(sink.first[identifier] - at) * 1000 for identifier, at in begun.items() if at < sink.last[large]], sink.last[large] - accepted


def mixed():
    """Small messages beside one message to 10,000 recipients in 500 domains."""
    zones = name_servers.ZoneServer()
    for number in range(MANY_DOMAINS):
        zones.domain(f"d{number}.test", "@ MX 5 mx", "mx A 127.0.0.1")
    zones.domain("small.test", "@ MX 5 mx", "mx A 127.0.0.1")
    zones.start()
    sink = Sink(100000, 0)
    server = Matador(sink.port, start=False)
    del server.instance.configuration["relay_host"]
    name_servers.route_by_dns(server.instance, zones, sink.port)
    server.start()
    try:
        small_alone(server, sink, 20)
        alone, beside, durations = small_alone(server, sink, scaled(200, 50)), [], []
        while len(beside) < scaled(200, 50) and len(durations) < 20:
            delays, duration = small_beside(server, sink, len(durations))
            beside += delays
            durations.append(duration)
        matador.wait_for(lambda: not server.instance.queue(), 60, "an empty queue", every=1)
        ratio = statistics.median(beside) / statistics.median(alone)
        print(f"\n## Small messages beside one to {MANY_RECIPIENTS} recipients in {MANY_DOMAINS} domains\n\nThe large message was sent {len(durations)} "
              f"times; its delivery took {statistics.median(durations):.1f} s.\n\n| | messages | median ms to arrival | 95 % | slowest |\n|---|---|---|---|---|")
        for name, delays in (("alone", alone), ("beside", beside)):
            print(f"| {name} | {len(delays)} | {statistics.median(delays):.1f} | {statistics.quantiles(delays, n=20)[18]:.1f} | {max(delays):.1f} |")
        print(f"| ratio | | **{ratio:.2f}** | | |", flush=True)
        judge("mixed", "median delay of the small ones at most 2x of alone", f"{ratio:.2f}x", ratio <= 2)
    finally:
        server.close()
        sink.close()
        zones.close()


OVERLOAD = {"maximum_sessions": 60, "maximum_sessions_per_destination": 5}
OVERLOAD_MEMORY = {"deposit_memory_limit": 1 << 20, "active_memory_limit": 4 << 20, "content_memory_limit": 4 << 20}
OVERLOAD_OCTETS, OVERLOAD_CLIENTS, OVERLOAD_FLUSH_MICROSECONDS, OVERLOAD_SINK_MS = 65536, 10, 100000, 100


class Watch:
    """The most memory that a server had since the last look, in MiB."""

    def __init__(self, pid):
        self.pid, self.most, self.over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.wait(0.25):
            self.most = max(self.most, memory_kib(self.pid) / 1024)

    def close(self):
        self.over.set()
        self.thread.join()


def overload():
    """Ten times what a server with a slow disk and few sessions can take, and receivers slower still."""
    sink = Sink(100000, 0, delay=OVERLOAD_SINK_MS)
    server = Matador(sink.port, flush_delay=OVERLOAD_FLUSH_MICROSECONDS, settings=OVERLOAD, start=False)
    server.instance.matador.update(OVERLOAD_MEMORY)
    server.start()
    watch = Watch(server.pid)
    try:
        within = overloading.Offer(server.port, OVERLOAD_OCTETS, mark="within")
        began = time.time()
        within.run_in_turns(OVERLOAD_CLIENTS, scaled(50, 10))
        capacity = len(within.accepted) / (time.time() - began)
        before = memory_kib(server.pid) / 1024
        above = overloading.Offer(server.port, OVERLOAD_OCTETS, mark="above")
        watch.most, began = 0, time.time()
        above.run(int(capacity * 10 * scaled(20, 5)), capacity * 10)
        seconds, most, greeted = time.time() - began, watch.most, greeting_milliseconds(server.port)
        flowed = sink.look() or len(sink.first)
        wanted = within.accepted | above.accepted
        matador.wait_for(lambda: sink.look() or wanted <= sink.first.keys(), 600, "all that was accepted", every=0.5)
        lost, lawful = len(wanted - sink.first.keys()), all(code[0] == "4" for code in above.refused)
        copies = sum(sink.recipients.values()) - len(sink.recipients)
        print(f"\n## Overload: ten times what it can take, receivers that take {OVERLOAD_SINK_MS} ms for a message\n\n"
              f"Flushes take {OVERLOAD_FLUSH_MICROSECONDS // 1000} ms longer, there are {OVERLOAD['maximum_sessions']} sessions at most, and "
              f"{OVERLOAD_MEMORY['deposit_memory_limit'] >> 20} MiB on its way into MAIL.BOX: {OVERLOAD_CLIENTS} clients get rid of {capacity:.0f} messages "
              f"of {OVERLOAD_OCTETS >> 10} KiB a second.\n\n| offered/s | accepted/s | " + " | ".join(f"read {code}" for code in sorted(above.refused)) +
              " | MiB before | MiB at most | arrived meanwhile | lost | twice | greeting afterwards, ms |\n|---|---|" + "---|" * (len(above.refused) + 6))
        print(f"| {above.offered / seconds:.0f} | {len(above.accepted) / seconds:.0f} | " + " | ".join(str(above.refused[code]) for code in sorted(above.refused)) +
              f" | {before:.0f} | {most:.0f} | {flowed} | {lost} | {copies} | {greeted:.1f} |", flush=True)
        room = sum(OVERLOAD_MEMORY.values()) / (1 << 20)
        judge("overload", f"memory grows by at most its limits ({room:.0f} MiB); accepted mail flows; the excess reads 4xx; nothing lost",
              f"+{most - before:.0f} MiB; {flowed} arrived meanwhile; {', '.join(sorted(above.refused))}; {lost} lost",
              most - before <= room and flowed > 0 and lawful and lost == 0 and bool(above.refused))
    finally:
        watch.close()
        server.close()
        sink.close()


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


SCENARIOS = {"relay": relay, "slow": slow, "accept": accept, "controls": controls, "latency": latency, "idle": idle, "waiting": waiting, "mixed": mixed,
             "overload": overload}


def main():
    wanted = [name for name in os.environ.get("BENCH_ONLY", "").split(",") if name] or list(SCENARIOS)
    with tempfile.TemporaryDirectory(prefix="bench-programs-") as programs, spool_folder() as folder:
        os.chmod(programs, 0o755)
        Sink.program = compile_here("sink.c", pathlib.Path(programs) / "sink")
        source.program = compile_here("source.c", pathlib.Path(programs) / "source")
        tempfile.tempdir = folder
        print("# Matador: what `make bench` measured\n")
        describe_machine(folder)
        for name in wanted:
            SCENARIOS[name]()
        print("\n## Targets\n\n| scenario | target | reached | |\n|---|---|---|---|")
        for scenario, target, reached, met in results:
            print(f"| {scenario} | {target} | {reached} | {'cannot be told without Postfix' if met is None else 'met' if met else '**missed**'} |")


main()
