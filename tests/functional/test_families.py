"""
IPv6 and IPv4: hosts with one family, or with two of which one is dead, in network namespaces of their own (RFC 6724 order,
no long stall). Needs root, and a kernel that gives namespaces.
"""

import contextlib
import ctypes
import os
import re
import subprocess

import pytest

import receivers
from matador import no_worker_died, wait_for
from name_servers import FaultyNameServer, route_by_dns, silent_listener
from test_mx import report_for, wait_deferred

CLONE_NEWNET = 0x40000000
PORT = 2525

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs a network namespace")


class Namespace:
    """A network namespace, kept by a process that sleeps in it."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo ready && exec sleep 600"], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            pytest.skip(f"no network namespace here: {self.holder.stderr.read()}")
        self.within = ["nsenter", "-t", str(self.holder.pid), "-n"]

    def ip(self, *arguments):
        result = subprocess.run([*self.within, "ip", *arguments], capture_output=True, text=True, check=False)
        assert result.returncode == 0, (arguments, result)

    def address(self, address):
        options = ["nodad"] if ":" in address else []
        self.ip("address", "add", address, "dev", "lo", *options)

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread makes meanwhile belong to the namespace, and stay there."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(descriptor):
            if libc.setns(descriptor, CLONE_NEWNET) == -1:
                raise OSError(ctypes.get_errno(), "setns")
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/proc/{self.holder.pid}/ns/net", "rb") as there:
            enter(there.fileno())
            try:
                yield
            finally:
                enter(home.fileno())

    def close(self):
        self.holder.kill()
        self.holder.communicate()


@pytest.fixture
def namespace():
    """Only a loopback interface, which is up, with 127.0.0.1 and ::1."""
    made = Namespace()
    made.ip("link", "set", "lo", "up")
    yield made
    made.close()


@pytest.fixture
def island(one_instance, namespace):
    """An Instance, not started, in the namespace, with `names` to ask and `receive` to put receivers on addresses."""
    made = []

    def receive(address, **script):
        with namespace.entered():
            receiver = receivers.Receiver(address=address, port=PORT)
        receiver.script.update({verb: lambda session, argument, reply=reply: reply for verb, reply in script.items()})
        made.append(receiver)
        return receiver
    with namespace.entered():
        one_instance.names = FaultyNameServer()
    made.append(one_instance.names)
    one_instance.receive = receive
    one_instance.within = namespace.within
    route_by_dns(one_instance, one_instance.names, PORT)
    one_instance.configuration.update({"smtp_connect_timeout": "5s", "smtp_reuse_message_limit": 1})
    yield one_instance
    one_instance.close()
    for server in made:
        server.close()


def send(service, namespace, recipient, sender="bob@acme.com"):
    with namespace.entered():
        service.send(recipient, sender=sender)


def addresses_tried(service):
    return re.findall(r" attempt .*?\baddress=(\S+)", service.log())


# ---- one family ----

def test_a_host_with_ipv6_alone_is_reached(island, namespace):
    namespace.address("fd00::2/128")
    host = island.receive("fd00::2")
    island.names.add("a.example", "MX", "10 mail.a.example.")
    island.names.add("mail.a.example", "AAAA", "fd00::2")
    service = island.start()
    send(service, namespace, "user@a.example")
    assert host.wait()[0].recipients == ["user@a.example"]


def test_a_domain_with_an_ipv6_address_and_nothing_else_is_reached(island, namespace):
    namespace.address("fd00::2/128")
    host = island.receive("fd00::2")
    island.names.add("a.example", "AAAA", "fd00::2")
    service = island.start()
    send(service, namespace, "user@a.example")
    assert host.wait()[0].recipients == ["user@a.example"]


def test_an_ipv6_literal_is_reached(island, namespace):
    namespace.address("fd00::2/128")
    host = island.receive("fd00::2")
    service = island.start()
    send(service, namespace, "user@[IPv6:fd00::2]")
    assert host.wait()[0].recipients == ["user@[IPv6:fd00::2]"]
    assert not island.names.questions


def test_where_there_is_no_ipv4_a_host_with_both_is_reached_by_ipv6(island, namespace):
    """No IPv4 route but that of the loopback network: connecting fails at once."""
    namespace.address("fd00::2/128")
    host = island.receive("fd00::2")
    island.names.add("a.example", "MX", "10 mail.a.example.")
    island.names.add("mail.a.example", "A", "192.0.2.2")
    island.names.add("mail.a.example", "AAAA", "fd00::2")
    service = island.start()
    send(service, namespace, "user@a.example")
    assert host.wait()[0].recipients == ["user@a.example"]


def test_where_there_is_no_ipv6_a_host_with_both_is_reached_by_ipv4(island, namespace):
    namespace.address("192.0.2.2/32")
    host = island.receive("192.0.2.2")
    island.names.add("a.example", "MX", "10 mail.a.example.")
    island.names.add("mail.a.example", "A", "192.0.2.2")
    island.names.add("mail.a.example", "AAAA", "fd00::2")
    service = island.start()
    send(service, namespace, "user@a.example")
    assert host.wait()[0].recipients == ["user@a.example"]


def test_a_host_of_a_family_that_we_do_not_have_keeps_the_mail(island, namespace):
    island.names.add("a.example", "MX", "10 mail.a.example.")
    island.names.add("mail.a.example", "AAAA", "fd00::2")
    service = island.start()
    send(service, namespace, "user@a.example")
    wait_deferred(service)
    assert not service.mail("bob")
    no_worker_died(service)


# ---- two families ----

def both(island, name="a.example", ipv4="192.0.2.2", ipv6="fd00::2"):
    island.names.add(name, "MX", f"10 mail.{name}.")
    island.names.add(f"mail.{name}", "A", ipv4)
    island.names.add(f"mail.{name}", "AAAA", ipv6)


def test_ipv6_is_preferred_where_both_live(island, namespace):
    """RFC 6724: 2001:db8::/32 is of the same scope and label as ourselves there, and before IPv4."""
    for address in ("192.0.2.1/24", "192.0.2.2/32", "2001:db8::1/64", "2001:db8::2/128"):
        namespace.address(address)
    by_ipv4, by_ipv6 = island.receive("192.0.2.2"), island.receive("2001:db8::2")
    both(island, ipv6="2001:db8::2")
    service = island.start()
    for number in range(5):
        send(service, namespace, f"user{number}@a.example")
    by_ipv6.wait(5)
    assert by_ipv4.sessions == 0


@pytest.mark.parametrize("dead, alive", [("2001:db8::2", "192.0.2.2"), ("192.0.2.2", "2001:db8::2")], ids=["IPv6", "IPv4"])
@pytest.mark.parametrize("death", ["unreachable", "blackhole", "silent"])
def test_with_one_family_dead_the_other_takes_the_mail_in_the_same_attempt(island, namespace, dead, alive, death):
    """
    unreachable and blackhole: the kernel has an error at once. silent: connections are never answered; the one that is tried
    first has five seconds, yet nothing waits for an interval of an hour.
    """
    for address in ("192.0.2.1/32", "2001:db8::1/128", f"{alive}/{128 if ':' in alive else 32}"):
        namespace.address(address)
    if death == "silent":
        namespace.address(f"{dead}/{128 if ':' in dead else 32}")
        with namespace.entered():
            silent = silent_listener(dead, PORT)
    else:
        namespace.ip(*(["-6"] if ":" in dead else []), "route", "add", death, dead)
        silent = []
    host = island.receive(alive)
    both(island, ipv6="2001:db8::2")
    service = island.start()
    for number in range(4):
        send(service, namespace, f"user{number}@a.example")
    host.wait(4, 60)
    service.wait_queue_empty()
    assert not re.search(" recipient-deferred ", service.log())
    wait_for(lambda: addresses_tried(service).count(alive) >= 4, what="the attempts in the log")
    assert set(addresses_tried(service)) <= {dead, alive}
    no_worker_died(service)
    for made in silent:
        made.close()


def test_with_both_families_dead_the_next_host_takes_the_mail(island, namespace):
    for address in ("192.0.2.1/32", "2001:db8::1/128", "192.0.2.3/32"):
        namespace.address(address)
    namespace.ip("route", "add", "blackhole", "192.0.2.2")
    namespace.ip("-6", "route", "add", "unreachable", "2001:db8::2")
    host = island.receive("192.0.2.3")
    both(island, ipv6="2001:db8::2")
    island.names.add("a.example", "MX", "10 mail.a.example.", "20 next.a.example.")
    island.names.add("next.a.example", "A", "192.0.2.3")
    service = island.start()
    send(service, namespace, "user@a.example")
    host.wait(1, 60)


def test_our_own_ipv6_listener_is_a_loop(island, namespace):
    namespace.address("2001:db8::1/128")
    island.matador["listen_addresses"] = ["127.0.0.1", "[2001:db8::1]"]
    island.port = PORT
    island.server["smtp_inbound"]["tcp_port"] = PORT
    island.names.add("a.example", "MX", "10 mail.a.example.")
    island.names.add("mail.a.example", "AAAA", "2001:db8::1")
    service = island.start()
    send(service, namespace, "user@a.example")
    report_for(service, "user@a.example", r"Status: 5\.4\.6")


def test_name_servers_are_asked_over_ipv6(island, namespace):
    """A service whose whole world is IPv6."""
    namespace.address("fd00::2/128")
    namespace.address("fd00::53/128")
    with namespace.entered():
        names = FaultyNameServer(address="fd00::53")
    names.add("a.example", "MX", "10 mail.a.example.")
    names.add("mail.a.example", "AAAA", "fd00::2")
    host = island.receive("fd00::2")
    island.matador["nameservers"] = [f"fd00::53@{names.port}"]
    service = island.start()
    send(service, namespace, "user@a.example")
    host.wait()
    names.close()
