"""
make bench-domains: 10,000 messages to 1,000 domains, of which a tenth is dead: are the living delayed by the dead?

Every domain has an MX host of its own, in a real name server. Of the dead ones half refuse connections, the other half take
them and never greet. The same load goes to the living domains alone first, for comparison. When all of the living have their mail,
the dead hosts begin to work, and theirs is delivered by the retry schedule. Prints the delay from the client's 250 to the
receiver's, by kind of domain, and the most sessions that the dead held.

environment: BENCH_SCALE (1; 0.1 for a quick look, with a tenth of the domains), BENCH_FOLDER (where the spool goes: a real disk;
default /var/tmp), BENCH_GREETING (smtp_greeting_timeout in seconds, 60: how long a silent host holds a session), BENCH_RATE (400
messages a second are deposited, so that delays come from waiting and not from a machine that is busy)
"""

import asyncio
import os
import pathlib
import random
import re
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "functional"))
import matador  # noqa: E402
import name_servers  # noqa: E402

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
FOLDER = os.environ.get("BENCH_FOLDER", "/var/tmp")
GREETING = int(os.environ.get("BENCH_GREETING", "60"))
DOMAINS = max(20, int(1000 * SCALE))
MESSAGES = 10 * DOMAINS
RATE = float(os.environ.get("BENCH_RATE", "400"))
CLIENTS = 20
RETRY = 15      # seconds: both intervals of the schedule


class Hosts:
    """One loopback address and receiver a domain, in one thread; receivers note when each message came."""

    def __init__(self):
        self.arrived = {}       # number of a message: when
        self.copies = 0
        self.waiting = 0        # sessions with silent hosts
        self.most_waiting = 0
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.network = random.randrange(16, 250)
        with socket.socket() as probe:
            probe.bind((self.address(0), 0))
            self.port = probe.getsockname()[1]
        self.servers = {}

    def address(self, number):
        return f"127.{self.network}.{number // 250}.{number % 250 + 1}"

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def listen(self, number, silent=False):
        async def start():
            return await asyncio.start_server(self.be_silent if silent else self.receive, self.address(number), self.port,
                                              backlog=128)
        self.servers[number] = self.run(start())

    def stop(self, number):
        async def end():
            self.servers.pop(number).close()
        self.run(end())

    async def be_silent(self, reader, writer):
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            await reader.read(1)
        except ConnectionError:
            pass
        self.waiting -= 1
        writer.close()

    async def receive(self, reader, writer):
        replies = {b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n", b"DATA": b"354 go\r\n", b"QUIT": b"221 bye\r\n"}
        try:
            writer.write(b"220 sink\r\n")
            while line := await reader.readline():
                verb = line[:4].upper().rstrip()
                writer.write(replies.get(verb, b"250 ok\r\n"))
                if verb == b"DATA":
                    content = await reader.readuntil(b"\r\n.\r\n")
                    number = int(re.search(rb"^X-Number: (\d+)", content, re.M).group(1))
                    self.arrived.setdefault(number, time.monotonic())
                    self.copies += 1
                    writer.write(b"250 taken\r\n")
                elif verb == b"QUIT":
                    break
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Load:
    """CLIENTS sessions deposit RATE messages a second for the domains, in random order; accepted[number] is when the 250 came."""

    def __init__(self, port, domains, first):
        self.port = port
        self.work = [(first + index, domains[index % len(domains)]) for index in range(10 * len(domains))]
        random.shuffle(self.work)
        self.accepted = {}
        self.domain = dict(self.work)
        threads = [threading.Thread(target=self.client, args=(self.work[part::CLIENTS],)) for part in range(CLIENTS)]
        self.started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def client(self, work):
        with matador.Dialogue(self.port, 120) as session:
            session.command("EHLO load.example")
            for done, (number, domain) in enumerate(work):
                time.sleep(max(0, self.started + done * CLIENTS / RATE - time.monotonic()))
                session.raw(f"MAIL FROM:<load@acme.com>\r\nRCPT TO:<x@d{domain}.test>\r\nDATA\r\n".encode())
                replies = [session.reply() for _ in range(3)]
                assert replies[2].startswith("354"), replies
                session.raw(b"X-Number: %d\r\nSubject: load\r\n\r\n%s\r\n.\r\n" % (number, b"x" * 500))
                reply = session.reply()
                assert reply.startswith("250"), reply
                self.accepted[number] = time.monotonic()


def row(name, delays):
    delays = sorted(delays)

    def part(share):
        return f"{delays[min(len(delays) - 1, int(share * len(delays)))]:.3f}"
    print(f"| {name} | {len(delays)} | {part(0)} | {part(.5)} | {part(.9)} | {part(.99)} | {part(1)} |")
    sys.stdout.flush()


def main():
    tempfile.tempdir = FOLDER
    dead = set(random.sample(range(DOMAINS), DOMAINS // 10))
    silent = set(random.sample(sorted(dead), len(dead) // 2))
    living = [number for number in range(DOMAINS) if number not in dead]
    hosts, zones = Hosts(), name_servers.ZoneServer(ttl=3600)
    for number in range(DOMAINS):
        zones.domain(f"d{number}.test", "@ MX 10 mail", f"mail A {hosts.address(number)}")
        if number not in dead or number in silent:
            hosts.listen(number, silent=number in silent)
    zones.start()
    instance = name_servers.route_by_dns(matador.Instance(), zones, hosts.port, f"{RETRY}s")
    instance.configuration.update({"smtp_greeting_timeout": f"{GREETING}s", "maximum_messages_per_session": 1000000,
                                   "maximum_commands_per_session": 10000000})
    instance.start()
    try:
        print(f"{MESSAGES} messages, {DOMAINS} domains, {len(dead)} dead: {len(dead) - len(silent)} refuse, {len(silent)} keep "
              f"silent for {GREETING} s. Seconds from the client's 250 to the receiver's:\n")
        print("| domains | messages | least | median | 90 % | 99 % | most |\n|---|---|---|---|---|---|---|")

        def delays(load, wanted):
            numbers = [number for number in load.accepted if load.domain[number] in wanted]
            matador.wait_for(lambda: all(number in hosts.arrived for number in numbers), 600, "all messages", every=0.1)
            return [max(0, hosts.arrived[number] - load.accepted[number]) for number in numbers]

        new = Load(instance.port, living, 0)
        row("living, before anything is known of them", delays(new, set(living)))
        alone = Load(instance.port, living, MESSAGES)
        row("living, alone", delays(alone, set(living)))
        load = Load(instance.port, list(range(DOMAINS)), 2 * MESSAGES)
        row("living, beside the dead", delays(load, set(living)))
        most_waiting = hosts.most_waiting
        for number in sorted(dead):
            if number in silent:
                hosts.stop(number)
            hosts.listen(number)
        back = time.monotonic()
        everything = delays(load, dead)
        row("dead, until they were back and tried", everything)
        row("dead, from when they were back", [max(0, hosts.arrived[number] - back) for number in load.accepted
                                               if load.domain[number] in dead])
        instance.wait_queue_empty(60)
        assert hosts.copies == len(hosts.arrived) == sum(len(each.accepted) for each in (new, alone, load)), "duplicates"
        print(f"\nsessions held by silent hosts: at most {most_waiting}")
    finally:
        instance.stop()
        instance.close()
        zones.close()


main()
