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

import multiprocessing
import os
import pathlib
import re
import resource
import socket
import statistics
import sys
import tempfile
import threading
import time

from ends import WARM_UP, Sink, compile_ends, source
import guarded
import machine
from servers import Matador, Postfix, context_switches, cpu_by_program, cpu_seconds, memory_kib, system_calls, tree
import matador
import name_servers
import overload as overloading

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
SERVERS = [Matador, Postfix] if os.getuid() == 0 else [Matador]

# octets, messages, sessions at a time, sessions reused
RELAY = [(4096, 3000, 20, True), (4096, 3000, 20, False), (65536, 1500, 20, True), (65536, 1500, 20, False), (1048576, 400, 20, True),
         (1048576, 400, 20, False)]
SLOW = [(4096, 2500, 100, True), (4096, 2500, 100, False), (65536, 1200, 100, True), (1048576, 400, 100, True), (4096, 1000, 20, True),
        (4096, 1000, 20, False)]
SLOW_FLUSH_MICROSECONDS = 2000
ACCEPT = [(4096, 3000, 20, True), (4096, 3000, 20, False)]
FLUSHES = [(1, 1000), (5, 2000), (20, 3000), (100, 3000)]   # sessions, messages
CONTROLS = (4096, 4000, 20, False)
WAITING = [0, 10000, 100000, 1000000]
MANY_RECIPIENTS, MANY_DOMAINS = 10000, 500

# What is aimed at: times Postfix' messages a second by octets, and its CPU seconds divided by
RATE_TARGETS = {4096: 5, 65536: 5, 1048576: 3.5}
CPU_TARGET = 6
# CPU seconds for 1000 messages of 4 KiB with a new session each that the design allows, on a machine where Postfix takes BUDGET_POSTFIX
BUDGET = {"smtpd": 0.07, "qmgr": 0.04, "smtp": 0.05}
BUDGET_REST, BUDGET_POSTFIX = 0.02, 1.40
CALLS_TARGET = 25           # system calls a message of 4 KiB, in a session that is reused
ACCEPT_TARGET = 4
CONTROLS_TARGET = 0.75      # of the sessions a second without them
AT_ONCE_MS = 50     # what a person or a client does not notice
NOISE = 0.95        # of two figures that are to be the same
FLOWS = 0.75        # of what slow receivers take

results = []        # scenario, target, what was reached, whether that is it; None: it cannot be told here


def judge(scenario, target, reached, met):
    results.append((scenario, target, reached, met))


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


def figures(server):
    """What a server and the disk have come to so far."""
    flushed, written = flushes()
    return {"cpu": cpu_seconds(server.pid) * 1000, "switches": context_switches(server.pid), "flushes": flushed, "written": written}


def since(server, before, count):
    """The same since then, for each of count messages; CPU for 1000 of them."""
    return {key: (value - before[key]) / count for key, value in figures(server).items()}


def relay_once(server_class, size, count, sessions, reuse, flush_delay=0):
    sink = Sink(count)
    server = server_class(sink.port, flush_delay=flush_delay)
    try:
        source(server.port, WARM_UP, min(sessions, 20), 4096, reuse)
        sink.expect("warm")
        time.sleep(0.5)
        before, programs, started = figures(server), cpu_by_program(server.pid), time.time()
        source(server.port, count, sessions, size, reuse)
        loaded = memory_kib(server.pid)
        seconds = sink.done() - started
        time.sleep(0.3)
        result = {"rate": count / seconds, "memory": loaded / 1024, **since(server, before, count)}
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
    before, started = figures(server), time.time()
    source(server.port, count, sessions, size, reuse, recipient)
    seconds = time.time() - started
    return {"rate": count / seconds, "memory": memory_kib(server.pid) / 1024, **since(server, before, count)}


def row_name(size, sessions, reuse):
    return f"{size} octets, {sessions} sessions{' reused' if reuse else ', new for each message'}"


def compare(title, rows, once):
    """One table of rates: rounds alternate between the servers. The medians of each row by server."""
    print(f"\n## {title}\n")
    print("| octets | sessions | reused | server | messages/s | min-max | CPU s/1000 | MiB loaded | flushes/message | KiB written/message "
          "| context switches/message |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
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
                  f"| {median['flushes']:.2f} | {median['written']:.1f} | {median['switches']:.1f} |")
        if len(medians) == 2:
            ours, theirs = medians["Matador"], medians["Postfix"]
            medians["rate"], medians["cpu"] = ours["rate"] / theirs["rate"], theirs["cpu"] / max(ours["cpu"], 1e-9)
            print(f"{head} ratio | **x{medians['rate']:.2f}** | | **1/{medians['cpu']:.1f}** | | | | |")
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


def budget(medians):
    """What the programs spent against what they were meant to, as it is and as this machine would have it: by how much slower Postfix is on it."""
    slower = medians["Postfix"]["cpu"] / BUDGET_POSTFIX if "Postfix" in medians else 1
    spent = {program: medians["Matador"].get(f"cpu of {program}", 0) for program in BUDGET}
    print(f"\nThe budget for 4096 octets and new sessions, in CPU seconds for 1000 messages (made where Postfix takes {BUDGET_POSTFIX:.2f}):\n\n| | "
          + " | ".join(BUDGET) + " | everything else | together |\n|---" + "|---" * (len(BUDGET) + 2) + "|")
    for name, parts, rest in (("budget", BUDGET, BUDGET_REST),
                              (f"times {slower:.2f}", {program: part * slower for program, part in BUDGET.items()}, BUDGET_REST * slower),
                              ("reached", spent, medians["Matador"]["cpu"] - sum(spent.values()))):
        print(f"| {name} | " + " | ".join(f"{part:.2f}" for part in parts.values()) + f" | {rest:.2f} | {sum(parts.values()) + rest:.2f} |", flush=True)


def calls_once(server_class, size, count, sessions, reuse):
    """System calls of the whole tree for a message that is relayed, in a run of its own: being traced makes it slow. None: they cannot be counted."""
    sink = Sink(count)
    server = server_class(sink.port)
    try:
        source(server.port, WARM_UP, sessions, 4096, reuse)
        sink.expect("warm")

        def work():
            source(server.port, count, sessions, size, reuse)
            sink.done()
        calls = system_calls(server.pid, work)
        return None if calls is None else calls / count
    finally:
        server.close()
        sink.close()


def calls():
    """System calls a message for the rows of relay; what a new session adds is told by the smallest."""
    print("\nSystem calls for a message, counted by strace in a run of their own:\n\n| octets | sessions | reused | " +
          " | ".join(server.name for server in SERVERS) + " |\n|---|---|---|" + "---|" * len(SERVERS))
    for size, count, sessions, reuse in (row for row in RELAY if row[0] == RELAY[0][0] or row[3]):
        counts = [calls_once(server, size, scaled(min(count, 500), 50), sessions, reuse) for server in SERVERS]
        print(f"| {size} | {sessions} | {'yes' if reuse else 'no'} | " +
              " | ".join("not counted" if each is None else f"{each:.1f}" for each in counts) + " |", flush=True)
        if size == 4096 and reuse:
            judge("relay", f"{row_name(size, sessions, reuse)}: at most {CALLS_TARGET} system calls a message",
                  "not counted" if counts[0] is None else f"{counts[0]:.1f}", None if counts[0] is None else counts[0] <= CALLS_TARGET)


relay_ratios = {}   # by octets and whether sessions are reused: rate and cpu


def relay():
    all_medians = compare("Relay: accepted, stored, sent on to a sink", RELAY, relay_once)
    where_time_goes(all_medians)
    budget(all_medians[4096, 20, False])
    for (size, sessions, reuse), medians in all_medians.items():
        name, both = row_name(size, sessions, reuse), "rate" in medians
        relay_ratios[size, reuse] = medians if both else None
        judge("relay", f"{name}: {RATE_TARGETS[size]}x Postfix", f"{medians['rate']:.2f}x" if both else f"{medians['Matador']['rate']:.0f} messages/s",
              medians["rate"] >= RATE_TARGETS[size] if both else None)
        if size == 4096 and both:
            judge("relay", f"{name}: 1/{CPU_TARGET} of Postfix' CPU", f"1/{medians['cpu']:.1f}", medians["cpu"] >= CPU_TARGET)
    calls()


def slow():
    all_medians = compare(f"Relay on a slow disk: each flush takes {SLOW_FLUSH_MICROSECONDS / 1000:g} ms longer", SLOW,
                          lambda *arguments: relay_once(*arguments, flush_delay=SLOW_FLUSH_MICROSECONDS))
    for (size, sessions, reuse), medians in all_medians.items():
        if "rate" not in medians or sessions < 100:
            continue    # with few sessions the wait for the flush is the limit of both
        fast = relay_ratios.get((size, reuse)) or {"rate": RATE_TARGETS[size], "cpu": CPU_TARGET}
        name = row_name(size, sessions, reuse)
        judge("slow", f"{name}: the ratio of the fast disk ({fast['rate']:.2f}x) does not fall", f"{medians['rate']:.2f}x",
              medians["rate"] >= NOISE * fast["rate"])
        if size == 4096:
            judge("slow", f"{name}: nor that of CPU (1/{fast['cpu']:.1f})", f"1/{medians['cpu']:.1f}", medians["cpu"] >= NOISE * fast["cpu"])
    slow_flushes_reach()


def slow_flushes_reach():
    """That the longer flush is waited for: milliseconds from connecting to the 250 on an idle server."""
    print("\nMilliseconds from connecting to the 250, one message at a time:\n\n| server | the disk as it is | each flush longer |\n|---|---|---|")
    for server in SERVERS:
        fast, late = (latency_once(server, scaled(30, 10), delay)["accepted"] for delay in (0, SLOW_FLUSH_MICROSECONDS))
        print(f"| {server.name} | {fast:.2f} | {late:.2f} |", flush=True)
        judge("slow", f"{server.name} waits for a flush of {SLOW_FLUSH_MICROSECONDS / 1000:g} ms more", f"{late - fast:.2f} ms",
              late - fast >= NOISE * SLOW_FLUSH_MICROSECONDS / 1000)


def falls(a_message):
    """Whether flushes a message fall as sessions grow: at each step but the last, which may stay as it was, and to a quarter at least."""
    *before, last = a_message
    return all(later < earlier for earlier, later in zip(before, before[1:])) and NOISE * last <= before[-1] and last <= a_message[0] / 4


def accept():
    for (size, sessions, reuse), medians in compare("Accept only: stored, not delivered", ACCEPT, accept_once).items():
        both = "rate" in medians
        judge("accept", f"{row_name(size, sessions, reuse)}: {ACCEPT_TARGET}x Postfix",
              f"{medians['rate']:.2f}x" if both else f"{medians['Matador']['rate']:.0f} messages/s", medians["rate"] >= ACCEPT_TARGET if both else None)
    a_message = []
    print("\nFlushes fall as load rises (Matador, 4 KiB, sessions reused):\n\n| sessions | messages/s | flushes/message |\n|---|---|---|")
    for sessions, count in FLUSHES:
        rounds = [accept_once(Matador, 4096, scaled(count), sessions, True) for _ in range(ROUNDS)]
        rate, flushed = (statistics.median(one[key] for one in rounds) for key in ("rate", "flushes"))
        a_message.append(flushed)
        print(f"| {sessions} | {rate:.0f} | {flushed:.2f} |", flush=True)
    judge("accept", "flushes a message fall as load rises", ", ".join(f"{flushed:.2f}" for flushed in a_message), falls(a_message))


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


def latency_once(server_class, count, flush_delay=0):
    """Milliseconds from connecting to the 250, and to the arrival at the sink, for each of count single messages."""
    sink = Sink(count, 1)
    server = server_class(sink.port, flush_delay=flush_delay)
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
        results = [latency_once(server, scaled(60, 20)) for _ in range(ROUNDS)]
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
            target = f"{count} sessions: at most 12 KiB each, a new client is greeted at once"
            if count + 200 > most:
                print(f"| {count} | not measured: {most} descriptors are allowed | |")
                judge("idle", target, f"{most} descriptors are allowed", None)
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
            judge("idle", target, f"{each:.1f} KiB, {greeted:.1f} ms",
                  each <= 12 and greeted <= AT_ONCE_MS)
    finally:
        for client in clients:
            client.close()
        server.close()


def memory_mib(server, program, field):
    """VmRSS of a program now, or VmHWM: the most that it had since it started."""
    pid = next(pid for pid in tree(server.pid) if matador.program_of(pid) == program)
    return int(re.search(rf"^{field}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)) / 1024


def passing(server, count, port):
    """CPU seconds per 1000, and messages a second, of mail to a destination that works, through whatever waits."""
    sink = Sink(count, port=port)
    try:
        source(server.port, WARM_UP, 20, 4096, True)
        sink.expect("warm")
        cpu, began = cpu_seconds(server.pid), time.time()
        source(server.port, count, 20, 4096, True)
        seconds = sink.done() - began
        time.sleep(0.3)
        return (cpu_seconds(server.pid) - cpu) / count * 1000, count / seconds
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


def seconds_to_first_delivery(server, port):
    """From the start of a server that does not run."""
    sink = Sink(1, 0, port)
    try:
        began = time.time()
        server.start()
        source(server.port, 1, 1, 1000, False)
        return sink.done() - began
    finally:
        sink.close()


def waiting():
    """Messages that wait for a destination that is down, and what they cost the rest: compared with a server beside it where none wait."""
    print("\n## Messages that wait in MAIL.BOX\n\n| waiting | came to wait/s | MiB of qmgr | MiB at most | after a start, at most | `queue list` of 50, ms "
          "| CPU s/1000 of new mail | against none waiting | new mail/s | against none waiting | from `kill -9` to first delivery, s | from a stop |\n" +
          "|---" * 12 + "|")
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
            pairs = [(*passing(server, scaled(2000), port), *passing(empty, scaled(2000), empty_port)) for _ in range(3)]
            cost, rate, unladen_cost, unladen_rate = (statistics.median(one) for one in zip(*pairs))
            page = statistics.median(page_milliseconds(server) for _ in range(5))
            resident, peaks = memory_mib(server, "qmgr", "VmRSS"), [memory_mib(server, "qmgr", "VmHWM")]
            starts = []
            for end in (server.instance.kill_everything, server.instance.stop):
                end()
                starts.append(seconds_to_first_delivery(server, port))
                peaks.append(memory_mib(server, "qmgr", "VmHWM"))
            print(f"| {count} | {filled:.0f} | {resident:.0f} | {peaks[0]:.0f} | {max(peaks[1:]):.0f} | {page:.0f} | {cost:.2f} | {cost / unladen_cost:.2f} "
                  f"| {rate:.0f} | {rate / unladen_rate:.2f} | {starts[0]:.2f} | {starts[1]:.2f} |", flush=True)
            judge("waiting", f"{count} wait: qmgr never above 256 MiB; a page at once; start to first delivery below 10 s, killed or stopped; "
                  "new mail costs at most 1.2x", f"{max(peaks):.0f} MiB; {page:.0f} ms; {starts[0]:.1f} s, {starts[1]:.1f} s; {cost / unladen_cost:.2f}x",
                  max(peaks) < 256 and page <= AT_ONCE_MS and max(starts) < 10 and cost <= 1.2 * unladen_cost)
    finally:
        server.close()
        empty.close()


def send_small(server, identifier, begun):
    begun[identifier] = time.time()
    server.instance.send(["b@small.test"], body=f"Message-ID: {identifier}\r\n\r\nsmall\r\n")
    time.sleep(0.02)


def small_alone(server, sink, turn, count):
    """Milliseconds from connecting to arrival of small messages, one by one."""
    begun = {}
    for number in range(count):
        send_small(server, f"<alone.{turn}.{number}@bench.test>", begun)
    matador.wait_for(lambda: sink.look() or begun.keys() <= sink.first.keys(), 60, "the small messages", every=0.2)
    return [(sink.first[identifier] - at) * 1000 for identifier, at in begun.items()]


def send_large(port, identifier):
    """To all its recipients, a hundred of them with one packet: a client that costs the machine little. The time of its 250."""
    with matador.Dialogue(port, 120) as client:
        client.begin("r0@d0.test", "a@bench.test")
        for first in range(1, MANY_RECIPIENTS, 100):
            numbers = range(first, min(first + 100, MANY_RECIPIENTS))
            client.raw(b"".join(b"RCPT TO:<r%d@d%d.test>\r\n" % (number, number % MANY_DOMAINS) for number in numbers))
            for _ in numbers:
                reply = client.reply()
                assert reply.startswith("250"), reply
        reply = client.data(f"Message-ID: {identifier}\r\n\r\n{'x' * 2000}\r\n.\r\n".encode())
        assert reply.startswith("250"), reply
        return time.time()


class LargeSender:
    """A process of its own that sends the large messages: one for all, so that those who measure do not pay for making it."""

    def __init__(self, port):
        processes = multiprocessing.get_context("fork")
        self.pipe, other = processes.Pipe()
        self.process = processes.Process(target=self.run, args=(port, other), daemon=True)
        self.process.start()

    @staticmethod
    def run(port, pipe):
        for identifier in iter(pipe.recv, None):
            pipe.send(send_large(port, identifier))

    def close(self):
        self.pipe.send(None)
        self.process.join()


def small_beside(server, sink, sender, number):
    """
    The same beside a large one: of the small messages that began while it came in, and of those that began while it was being delivered. And for how
    long that was, in seconds.
    """
    large, begun = f"<large.{number}@bench.test>", {}
    sender.pipe.send(large)
    deadline = time.time() + 300
    while (sink.look() or sink.recipients.get(large, 0)) < MANY_RECIPIENTS and time.time() < deadline:
        send_small(server, f"<beside.{number}.{len(begun)}@bench.test>", begun)
    assert sender.pipe.poll(60), "no answer to the large message"
    accepted = sender.pipe.recv()
    matador.wait_for(lambda: sink.look() or begun.keys() <= sink.first.keys(), 60, "the small messages", every=0.2)
    assert sink.recipients.get(large) == MANY_RECIPIENTS, f"{sink.recipients.get(large)} recipients instead of {MANY_RECIPIENTS} got the large message"
    delays = {at: (sink.first[identifier] - at) * 1000 for identifier, at in begun.items()}
    return ([delay for at, delay in delays.items() if at < accepted],
            [delay for at, delay in delays.items() if accepted <= at < sink.last[large]], sink.last[large] - accepted)


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
    sender = LargeSender(server.port)
    try:
        small_alone(server, sink, "warm", 20)
        alone, coming, beside, durations = [], [], [], []
        while (len(beside) < scaled(200, 50) or len(coming) < scaled(100, 25)) and len(durations) < 80:
            alone += small_alone(server, sink, len(durations), 10)
            while_it_comes, while_it_goes, duration = small_beside(server, sink, sender, len(durations))
            coming += while_it_comes
            beside += while_it_goes
            durations.append(duration)
        matador.wait_for(lambda: not server.instance.queue(), 60, "an empty queue", every=1)
        print(f"\n## Small messages beside one to {MANY_RECIPIENTS} recipients in {MANY_DOMAINS} domains\n\nThe large message was sent {len(durations)} "
              f"times; its delivery took {statistics.median(durations):.1f} s.\n\n| | messages | median ms to arrival | of alone | 95 % | slowest |\n"
              "|---|---|---|---|---|---|")
        ratios = {}
        for name, delays in (("alone", alone), ("while it comes in", coming), ("while it is delivered", beside)):
            ratios[name] = statistics.median(delays) / statistics.median(alone)
            print(f"| {name} | {len(delays)} | {statistics.median(delays):.1f} | **{ratios[name]:.2f}** | {statistics.quantiles(delays, n=20)[18]:.1f} "
                  f"| {max(delays):.1f} |", flush=True)
            if name != "alone":
                judge("mixed", f"median delay of the small ones {name}: at most 2x of alone", f"{ratios[name]:.2f}x", ratios[name] <= 2)
    finally:
        sender.close()
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
        arrived_before = sink.look() or len(sink.first)
        watch.most, began = 0, time.time()
        above.run(int(capacity * 10 * scaled(20, 5)), capacity * 10)
        seconds, most, greeted = time.time() - began, watch.most, greeting_milliseconds(server.port)
        flowed = ((sink.look() or len(sink.first)) - arrived_before) / seconds
        wanted = within.accepted | above.accepted
        matador.wait_for(lambda: sink.look() or wanted <= sink.first.keys(), 600, "all that was accepted", every=0.5)
        lost, lawful = len(wanted - sink.first.keys()), all(code[0] == "4" for code in above.refused)
        taken = OVERLOAD["maximum_sessions_per_destination"] * 1000 / OVERLOAD_SINK_MS
        copies = sum(sink.recipients.values()) - len(sink.recipients)
        print(f"\n## Overload: ten times what it can take, receivers that take {OVERLOAD_SINK_MS} ms for a message\n\n"
              f"Flushes take {OVERLOAD_FLUSH_MICROSECONDS // 1000} ms longer, there are {OVERLOAD['maximum_sessions']} sessions at most, and "
              f"{OVERLOAD_MEMORY['deposit_memory_limit'] >> 20} MiB on its way into MAIL.BOX: {OVERLOAD_CLIENTS} clients get rid of {capacity:.0f} messages "
              f"of {OVERLOAD_OCTETS >> 10} KiB a second.\n\n| offered/s | accepted/s | " + " | ".join(f"read {code}" for code in sorted(above.refused)) +
              " | MiB before | MiB at most | arrived meanwhile/s | the receivers take/s | lost | twice | greeting afterwards, ms |\n|---|---|" + "---|" * (len(above.refused) + 7))
        print(f"| {above.offered / seconds:.0f} | {len(above.accepted) / seconds:.0f} | " + " | ".join(str(above.refused[code]) for code in sorted(above.refused)) +
              f" | {before:.0f} | {most:.0f} | {flowed:.0f} | {taken:.0f} | {lost} | {copies} | {greeted:.1f} |", flush=True)
        room = sum(OVERLOAD_MEMORY.values()) / (1 << 20)
        judge("overload", f"memory grows by at most its limits ({room:.0f} MiB); mail arrives at {FLOWS:.0%} of what the receivers take at least; "
              "the excess reads 4xx; nothing lost", f"+{most - before:.0f} MiB; {flowed / taken:.0%}; {', '.join(sorted(above.refused))}; {lost} lost",
              most - before <= room and flowed >= FLOWS * taken and lawful and lost == 0 and bool(above.refused))
    finally:
        watch.close()
        server.close()
        sink.close()


SCENARIOS = {"relay": relay, "slow": slow, "accept": accept, "controls": controls, "latency": latency, "idle": idle, "waiting": waiting, "mixed": mixed,
             "overload": overload}


def main():
    wanted = [name for name in os.environ.get("BENCH_ONLY", "").split(",") if name] or list(SCENARIOS)
    with tempfile.TemporaryDirectory(prefix="bench-programs-") as programs, machine.spool_folder() as folder:
        os.chmod(programs, 0o755)
        compile_ends(programs)
        tempfile.tempdir = folder
        print("# Matador: what `make bench` measured\n")
        machine.describe(folder, scaled, SERVERS, ROUNDS)
        for name in wanted:
            SCENARIOS[name]()
        print("\n## Targets\n\n| scenario | target | reached | |\n|---|---|---|---|")
        for scenario, target, reached, met in results:
            print(f"| {scenario} | {target} | {reached} | {'cannot be told here' if met is None else 'met' if met else '**missed**'} |")


if __name__ == "__main__":
    main()
