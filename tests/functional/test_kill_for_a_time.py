"""
Everything at once, and for as long as one likes: rows 102, 103, 146, 149 and 150 of docs/reference/hostile-inputs.md under mixed
load. Each prints accepted, delivered, duplicated, lost: lost is always 0, and
nothing is doubled but what was between a delivery and its record when a program died.

A sample runs in `make check`. In `make torture` each goes on for MATADOR_TORTURE_SECONDS (180 without it).
"""

import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import time

import pytest

import receivers
from matador import PATIENCE, ROLES, SANITIZED, children_of, program_of, running, wait_for
from test_kill import TORTURE, KillLoad, account_with_deaths, copies, drain
from test_retry_load import WallClock

SECONDS = int(os.environ.get("MATADOR_TORTURE_SECONDS", 180)) if TORTURE else 8
HOUR, DAY = 3600, 86400
YEARS = 365 * DAY * 10

pytestmark = [pytest.mark.skipif(SANITIZED, reason="the sanitized build is too slow for this load; the plain one is what is tested"),
              pytest.mark.skipif(os.getuid() != 0, reason="needs root to kill other users' processes")]


class Scene:
    """A service under load, and what is to be true in the end."""

    def __init__(self, instance, **matador):
        self.sink = receivers.Receiver()
        instance.relay_to(self.sink.port)
        instance.configuration.update({"initial_transfer_retry_interval": "1s", "smtp_error_limit": 100000,
                                       "maximum_messages_per_session": 1000000, "maximum_commands_per_session": 10000000})
        instance.matador.update({"restart_delay_maximum": "1s", **matador})
        self.service = instance
        self.rng = random.Random(149)
        self.load = None

    def start(self, clients=8, pause=0, large_every=50):
        self.service.start()
        self.load = KillLoad(self.service, clients, pause, large_every)
        return self.service

    def deaths(self):
        """name -> how often a worker ended by itself, as the log has it; a dying logger's own may be missing."""
        found = {}
        for name, ends in re.findall(r" worker-(?:died|failing) program=(\S+) (?:restarts=\d+ ends=(\d+) )?", self.service.log()):
            found[name] = found.get(name, 0) + int(ends or 1)
        return found

    def works(self):
        """Until some more was accepted."""
        self.load.wait_accepted(len(self.load.accepted) + 20, 60)

    def settle(self, deaths):
        """deaths: program -> how often it died."""
        self.load.end()
        drain(self.service, 120)
        account_with_deaths(self.load, copies(self.service, self.sink), deaths)
        assert " recipient-failed " not in self.service.log() and " queue-damaged " not in self.service.log()
        assert self.service.stop().returncode == 0
        assert self.service.command("verify").returncode == 0
        self.sink.close()


@pytest.fixture
def scene(one_instance):
    made = []

    def make(**matador):
        made.append(Scene(one_instance, **matador))
        return made[0]
    yield make
    for each in made:
        if each.load:
            each.load.stopped = True


def kill(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def queue_managers(folder):
    """Processes that have this MAIL.BOX open."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if program_of(int(pid)) == "qmgr" and any(
                    os.readlink(f"/proc/{pid}/fd/{fd}").startswith(f"{folder}/spool/mailbox/journal/seg-")
                    for fd in os.listdir(f"/proc/{pid}/fd")):
                found.append(int(pid))
    return found


def test_row_149_any_process_is_killed_every_50_to_500_ms_and_master_too(scene):
    scene = scene()
    service = scene.start()
    kills = {role: 0 for role in (*ROLES, "master", "everything")}
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(scene.rng.uniform(0.05, 0.5))
        victim = scene.rng.choice((*ROLES, "master", "everything"))
        if victim in ROLES:
            pids = service.workers(victim)
            kill([scene.rng.choice(pids)] if pids else [])
        elif victim == "everything":
            service.kill_everything()
        else:
            workers = children_of(service.master)
            kill([service.master])
            wait_for(lambda w=workers: not any(map(running, w)), 30, "the workers of a dead master to leave")
        if victim not in ROLES:
            service.start(write=False)
        kills[victim] += 1
        assert len(queue_managers(service.folder)) <= 1
    scene.works()
    print(f"\n{sum(kills.values())} kills in {SECONDS} seconds: {kills}")
    scene.settle(kills)


def test_row_150_one_process_stands_still_under_load(scene):
    """In torture until the watchdog replaces it; otherwise it goes on, and then nothing is doubled."""
    scene = scene(smtp_processes=2, smtpd_processes=2, watchdog_timeout="10s")
    service = scene.start(pause=0.02)
    replaced = {}
    for role in ROLES:
        pid = scene.rng.choice(service.workers(role))
        os.kill(pid, signal.SIGSTOP)
        if TORTURE:
            wait_for(lambda p=pid: not running(p), 60, f"the end of the {role} that stands still")
            replaced[role] = 1
        else:
            time.sleep(0.7)
            os.kill(pid, signal.SIGCONT)
        scene.works()
    print(f"\n{len(replaced)} of {len(ROLES)} replaced")
    assert TORTURE or not scene.deaths()
    scene.settle(replaced)


class Scarcity:
    """What preload_scarce.c does to one program of an instance."""

    def __init__(self, instance, role):
        library, path = instance.folder / "scarce.so", instance.folder / "scarce"
        source = pathlib.Path(__file__).with_name("preload_scarce.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-D_GNU_SOURCE", "-Wall", "-o", library, source, "-ldl"], check=True)
        path.write_bytes(bytes(24))
        path.chmod(0o644)
        self.path = path
        instance.wrap_program(role, f"export LD_PRELOAD={library} SCARCE={path}", instance.folder)

    def set(self, descriptors, memory):
        with open(self.path, "r+b", buffering=0) as file:
            file.write(struct.pack("=qq", descriptors, memory))

    def refused(self):
        """How many calls failed for it so far."""
        return struct.unpack_from("=q", self.path.read_bytes(), 16)[0]

    def strike(self, rng, descriptors=0, memory=0, meanwhile=lambda: None):
        """A moment of shortage, in which at least one call must have failed."""
        before = self.refused()
        self.set(descriptors, memory)
        meanwhile()
        time.sleep(rng.uniform(0.1, 1))
        wait_for(lambda: self.refused() > before, 30, "a refused call")
        self.set(0, 0)


def interrupted(scene):
    """The receiver ends every tenth session of the relay, so that connections are made all the time."""
    turn = iter(range(10**9))
    scene.sink.script["MAIL"] = lambda *_: "421 4.3.2 later" if next(turn) % 10 == 9 else None


@pytest.mark.parametrize("role", ["smtpd", "qmgr", "router", "smtp", "local", "directory"])
def test_row_102_out_of_descriptors_under_load(scene, role):
    """
    No file, no connection, no descriptor with a packet: what needs one waits or reads 4xx, and goes on by itself. Router and
    directory need one for new settings only.
    """
    scene = scene()
    scarcity = Scarcity(scene.service, role)
    interrupted(scene)
    service = scene.start(large_every=5)
    clients = []    # of the shortage: greeted when it is over
    meanwhile = {"smtpd": lambda: clients.append(socket.create_connection(("127.0.0.1", service.port), 30 * PATIENCE)),
                 "router": service.reload, "directory": service.reload}.get(role, lambda: None)
    for _ in range(max(2, SECONDS // 4)):
        scene.works()
        scarcity.strike(scene.rng, descriptors=1, meanwhile=meanwhile)
    scene.works()
    for client in clients:
        with client:
            assert client.recv(100).startswith(b"220")
    deaths = scene.deaths()
    print(f"\n{role}: {scarcity.refused()} refused, deaths: {deaths}")
    scene.settle(deaths)


@pytest.mark.parametrize("role", ["smtpd", "qmgr", "router", "smtp", "local", "directory"])
def test_row_103_out_of_memory_under_load(scene, role):
    """An allocation that fails is a clean exit and a restart, or of a library that can do without."""
    scene = scene()
    scarcity = Scarcity(scene.service, role)
    service = scene.start()
    for _ in range(max(2, SECONDS // 4)):
        scene.works()
        scarcity.strike(scene.rng, memory=scene.rng.choice((97, 997, 9973)))
    scene.works()
    deaths = scene.deaths()
    statuses = re.findall(r' worker-(?:died|failing) .*?status="(.*?)"', service.log())
    print(f"\n{role}: {scarcity.refused()} refused, deaths: {deaths}")
    assert all(status.startswith("exit") for status in statuses), statuses
    scene.settle(deaths)


def test_row_146_the_clock_jumps_both_ways_under_load(scene):
    """For every program that reads it; a receiver that often refuses sees to it that mail waits. qmgr is killed after each jump."""
    scene = scene()
    turn = iter(range(10**9))
    scene.sink.script["MAIL"] = lambda *_: "451 4.3.2 later" if next(turn) % 7 == 3 else None
    clock = WallClock(scene.service, "qmgr")
    for role in ("smtpd", "smtp", "router", "local"):
        scene.service.wrap_program(role, f"export WALL_CLOCK_SHIFT={clock.shift} LD_PRELOAD={scene.service.folder}/clock.so",
                                   scene.service.folder)
    service = scene.start(pause=0.02)
    jumps = [HOUR, 0, -HOUR, 0, DAY, 0, -DAY, 0]
    if TORTURE:     # the third is past 2038
        jumps += [YEARS, 0, -YEARS, 0, 2 * YEARS, 0]
    rounds = max(1, SECONDS // 30)
    for _ in range(rounds):
        for jump in jumps:
            scene.works()
            clock.jump(jump)
            scene.works()
            time.sleep(0.3)     # a setting of the clock is on the disk by then
            kill(service.workers("qmgr"))
    scene.works()
    del scene.sink.script["MAIL"]
    assert not service.mail("bob")
    print(f"\n{rounds * len(jumps)} jumps and kills")
    scene.settle({"qmgr": rounds * len(jumps)})
