"""A taken-over program: it stands in a worker's place and does to each of its peers what the protocols forbid.

Usage: hostile_peer.py INSTANCE, started by master in a worker's place, with the pair to master on descriptor 3. Which of ATTACKS
it makes on all of its peers follows from INSTANCE. To master it behaves: it says that it is ready and answers the watchdog, until
master closes the pair.
"""

import os
import pathlib
import random
import re
import select
import socket
import struct
import sys

FIRST_INSTANCE = 2  # the ones before it are the real program
COMMON = pathlib.Path(__file__).parents[2] / "common"
EVENTS = re.findall(r"^EVENT\((\w+)", (COMMON / "log" / "events.def").read_text(), re.M)
TABLES = [path.read_text() for path in (COMMON / "ipc").glob("*.def")]
VERSIONS = {name: int(version) for table in TABLES for name, version in re.findall(r"^PROTOCOL\((\w+), (\d+)", table, re.M)}
NUMBERS = {name: bytes([number]) for table in TABLES
           for number, name in enumerate(re.findall(r"^MESSAGE\((\w+)", table, re.M), 1)}


def u64(value):
    return struct.pack("<Q", value)


def string(text):
    return struct.pack("<I", len(text)) + text + b"\0"


def octets(data):
    return struct.pack("<I", len(data)) + data


def greeting(name, version=None):
    return b"\0" + string(name.encode()) + struct.pack("<H", version or VERSIONS[name])


def lawful(protocol, number):
    """A packet that is in order, apart from what it says."""
    return {
        "deposit": NUMBERS["deposit_begin"] + u64(number) + struct.pack("<I", 100) + u64(10) + u64(0) + struct.pack("<I", 0) + octets(b"x"),
        "directory": NUMBERS["directory_lookup"] + u64(number) + b"\1" + string(b"nobody"),
        "dns": NUMBERS["dns_question"] + u64(number) + b"\1" + string(b"not an address"),
        "policy": NUMBERS["spf_question"] + u64(number) + 3 * string(b"x"),
        "log": NUMBERS["log_event"] + struct.pack("<HQII", EVENTS.index("NOTE"), 2 ** 63, 1, 2 ** 32 - 1) + octets(string(b"a\nforged line")),
        "deliver": NUMBERS["deliver_results"] + u64(number) + octets(b"\xff" * 100),
    }[protocol]


def noise(peer, _):
    for _ in range(200):
        peer.send(random.randbytes(random.randint(1, 2000)))


def noise_behind_the_greeting(peer, protocol):
    peer.send(greeting(protocol))
    for _ in range(500):
        peer.send(bytes([random.randint(1, 9)]) + random.randbytes(random.randint(0, 200)))


def another_protocol(peer, _):
    peer.send(greeting("worker"))


def another_version(peer, protocol):
    peer.send(greeting(protocol, 99))


def huge_lengths(peer, protocol):
    peer.send(greeting(protocol))
    for number in range(1, 10):
        peer.send(bytes([number]) + b"\xff" * 60)


def an_oversized_packet(peer, protocol):
    peer.send(greeting(protocol))
    peer.send(lawful(protocol, 1) + bytes(60000))


def two_hundred_descriptors(peer, protocol):
    peer.send(greeting(protocol))
    socket.send_fds(peer, [lawful(protocol, 1)], [0] * 200)


def two_hundred_descriptors_and_nothing_else(peer, _):
    socket.send_fds(peer, [b"\0"], [0] * 200)


def single_octets(peer, protocol):
    for octet in greeting(protocol):
        peer.send(bytes([octet]))


def the_other_sides_words(peer, protocol):
    peer.send(greeting(protocol))
    peer.send({"deposit": NUMBERS["deposit_answer"] + u64(1) + b"\0" + string(b""),
               "deliver": NUMBERS["deliver_answer"] + u64(1) + octets(b"")}.get(
        protocol, b"\2" + u64(1)))


def asking_without_reading(peer, protocol):
    """More than socket and window can hold: it must end, and before it a line of the log."""
    peer.send(greeting(protocol))
    peer.settimeout(5)
    number = 0
    while protocol != "log" and number < 100000:
        peer.send(lawful(protocol, number))
        number += 1
    raise ConnectionError


def lies(peer, protocol):
    """What is well-formed and untrue, and then a violation of the protocol's own."""
    peer.send(greeting(protocol))
    if protocol == "deposit":
        for number in (0, 1, 2 ** 40, 2 ** 63, 2 ** 64 - 1):
            peer.send(NUMBERS["deposit_more"] + u64(number) + octets(b"more of nothing"))
            peer.send(NUMBERS["deposit_body"] + u64(number))
            peer.send(NUMBERS["deposit_abandon"] + u64(number))
            peer.send(NUMBERS["deposit_begin"] + u64(number) + struct.pack("<I", 2 ** 32 - 1) + 2 * u64(2 ** 64 - 1) + struct.pack("<I", 0) + octets(b"x"))
        for _ in range(5000):
            peer.send(NUMBERS["deposit_block_wanted"])
    elif protocol == "log":
        peer.send(lawful(protocol, 1))
        peer.send(NUMBERS["log_reopen"])
    elif protocol == "deliver":
        for number in range(100):
            peer.send(NUMBERS["deliver_results"] + u64(number) + octets(struct.pack("<I", number)))
        peer.send(NUMBERS["deliver_holding_end"])
        peer.send(NUMBERS["deliver_holding"] + u64(1) + u64(1) + octets(bytes(4)))
    else:
        for number in range(100):
            peer.send(lawful(protocol, number)[:9] + b"\3" + string(random.randbytes(200).replace(b"\0", b"x")))
        peer.send(b"\377")


def nothing_more(peer, protocol):
    peer.send(greeting(protocol))
    peer.shutdown(socket.SHUT_RD)
    for number in range(50):
        peer.send(lawful(protocol, number))


ATTACKS = [noise, noise_behind_the_greeting, another_protocol, another_version, huge_lengths, an_oversized_packet,
           two_hundred_descriptors, two_hundred_descriptors_and_nothing_else, single_octets, the_other_sides_words,
           asking_without_reading, lies, nothing_more]


def read_introduction(packet):
    """The protocol of a worker_introduce."""
    length = struct.unpack_from("<I", packet, 4)[0]
    return packet[8:8 + length].decode()


def serve_master(master, attack):
    kept = []
    master.send(greeting("worker"))
    while True:
        select.select([master], [], [])
        packet, descriptors, _, _ = socket.recv_fds(master, 65536, 8, socket.MSG_CMSG_CLOEXEC)
        if not packet:
            return
        if packet[:1] == NUMBERS["worker_introduce"]:
            kept.append((read_introduction(packet), socket.socket(fileno=descriptors[0])))
            continue
        for descriptor in descriptors:
            os.close(descriptor)
        if packet[:1] == NUMBERS["worker_drain"]:
            return
        if packet[:1] == NUMBERS["worker_begin"]:
            master.send(NUMBERS["worker_ready"] + string(b"none\nstate=ready\x1b[2J"))
            for protocol, peer in kept:
                try:
                    peer.setblocking(True)
                    attack(peer, protocol)
                except OSError:
                    pass    # it was thrown out
        elif packet[:1] == NUMBERS["worker_status"]:
            master.send(NUMBERS["worker_status_answer"] + octets(b"process=1\nstate=\x1b]0;owned\7\tpid=1\nx\n"))


if __name__ == "__main__":
    serve_master(socket.socket(fileno=3), ATTACKS[(int(sys.argv[1]) - FIRST_INSTANCE) % len(ATTACKS)])
