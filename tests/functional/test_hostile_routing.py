"""
Hostile inputs, part I of docs/reference/hostile-inputs.md: names and routing. Row 115 (reverse look-ups) is in
test_connection_controls.py, row 116 (blacklists) in test_filters.py.
"""

import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time

import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest

import matador
import receivers
from matador import fresh_session_works, no_worker_died, wait_for
from name_servers import (FaultyNameServer, authentic, broken_packets, failing, header, no_data, question_octets, record,
                          route_by_dns, silence, truncated, with_extra_records)
from test_mx import BUSY, hosts_tried, report_for, wait_deferred

BODY = b"Subject: x\r\n\r\nx\r\n"


@pytest.fixture
def internet(one_instance, faulty, hosts):
    route_by_dns(one_instance, faulty, hosts.port)
    one_instance.matador["dns_timeout"] = "2s"
    one_instance.matador["drain_timeout"] = "2s"
    return one_instance


def still_well(service):
    fresh_session_works(service)
    no_worker_died(service)


def kept(service, count=1):
    """T and D0: so many messages wait with a reason, and Bob has no report."""
    messages = wait_deferred(service, count)
    assert not service.mail("bob")
    return messages


def judged(service):
    """Whether a message waits with a reason."""
    return any(recipient["reason"] for message in service.queue() for recipient in message["recipients"])


# ---- 105 ----

@pytest.mark.parametrize("fault, bounces", [(failing("NXDOMAIN"), True), (no_data, True), (failing("SERVFAIL"), False),
                                            (failing("REFUSED"), False), (silence, False)],
                         ids=["NXDOMAIN", "no_data", "SERVFAIL", "REFUSED", "silence"])
def test_row_105_only_a_definite_no_is_a_failure(internet, faulty, fault, bounces):
    faulty.fault("a.example", fault)
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    if bounces:
        report_for(service, "user@a.example", r"Status: 5\.1\.2")
    else:
        kept(service)
    still_well(service)


# ---- 106 ----

def test_row_106_a_truncated_answer_is_fetched_by_tcp(internet, faulty, hosts):
    host = hosts.receiver(2)
    faulty.mail_domain("a.example", hosts.host(2))
    faulty.fault("a.example", truncated)
    service = internet.start()
    service.send("user@a.example")
    host.wait(1, 30)
    assert "tcp" in {question.transport for question in faulty.questions}


def test_row_106_when_tcp_is_refused_the_mail_waits(one_instance, hosts):
    server = FaultyNameServer(tcp=False)
    server.mail_domain("a.example", hosts.host(2))
    server.fault("a.example", truncated)
    service = route_by_dns(one_instance, server, hosts.port).start()
    service.send("user@a.example", sender="bob@acme.com")
    kept(service)
    still_well(service)
    server.close()


def add_many_hosts(faulty, count):
    """So many MX records of 71 octets each, and the best one last. The octets of the answer on the wire."""
    label = "x" * 48
    faulty.add("a.example", "MX", *(f"20 h{number:04}-{label}.a.example." for number in range(count)), "10 best.a.example.")
    return len(faulty.answer(dns.message.make_query("a.example", "MX")).to_wire(max_size=65535))


def test_row_106_an_answer_of_many_kilobytes_is_taken(internet, faulty, hosts):
    """As large as libunbound, which compresses names less well, can still make one packet of."""
    host = hosts.receiver(2)
    assert add_many_hosts(faulty, 800) > 56000
    faulty.add("best.a.example", "A", hosts.host(2))
    service = internet.start()
    service.send("user@a.example")
    host.wait(1, 30)
    still_well(service)


def test_row_106_an_answer_that_cannot_be_taken_is_no_answer(internet, faulty):
    """Of 64 KB libunbound itself makes an empty answer that says it was cut: no reason to conclude that there is no MX."""
    assert 63000 < add_many_hosts(faulty, 900) < 65536
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    kept(service)
    still_well(service)


# ---- 107 ----

def test_row_107_of_a_thousand_mx_records_a_few_are_tried_in_an_order_of_chance(internet, faulty, hosts):
    busy = [hosts.receiver(number, banner=BUSY) for number in range(2, 6)]
    names = [f"h{number}.a.example" for number in range(1000)]
    faulty.add("a.example", "MX", *(f"10 {name}." for name in names))
    for number, name in enumerate(names):
        faulty.add(name, "A", hosts.host(2 + number % 4))
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    kept(service)
    tried = wait_for(lambda: (lambda t: t if len(t) >= 5 else None)(hosts_tried(service)), what="five attempts in the log")
    assert sum(host.sessions for host in busy) == 5 == len(set(tried))
    assert tried != names[:5]
    assert len({question.name for question in faulty.questions}) <= 200, "addresses of hosts that nobody will try"
    still_well(service)


def test_row_107_of_500_addresses_of_a_host_a_few_are_tried(internet, faulty, hosts):
    busy = [hosts.receiver(number, banner=BUSY) for number in range(2, 31)]
    faulty.add("a.example", "MX", "10 mail.a.example.")
    addresses = [hosts.host(number) for number in range(2, 31)] + [f"127.9.{i // 250}.{i % 250 + 1}" for i in range(471)]
    faulty.add("mail.a.example", "A", *addresses)
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    kept(service)
    assert sum(host.sessions for host in busy) <= 5
    wait_for(lambda: len(hosts_tried(service)) == 5, what="five attempts in the log")
    still_well(service)


# ---- 108 ----

def listen_at_the_outbound_port(internet, hosts, *addresses):
    internet.port = hosts.port
    internet.server["smtp_inbound"]["tcp_port"] = hosts.port
    internet.matador["listen_addresses"] = list(addresses)


def sessions_with_ourselves(service):
    """The test's own sessions excluded: those greet as client.example and are counted by the test."""
    wait_for(lambda: " session-opened " in service.log(), what="the test's own session in the log")
    return len(re.findall(r" session-opened ", service.log()))


OURSELVES = {
    "our_address": (["127.0.0.1"], "A", "127.0.0.1"),
    "the_unspecified_address": (["127.0.0.1"], "A", "0.0.0.0"),
    "our_IPv6_address": (["127.0.0.1", "[::1]"], "AAAA", "::1"),
    "the_unspecified_IPv6_address": (["127.0.0.1", "[::1]"], "AAAA", "::"),
    "our_address_mapped_to_IPv6": (["127.0.0.1"], "AAAA", "::ffff:127.0.0.1"),
    "an_address_when_we_listen_on_all": (["*"], "A", "127.0.0.1"),
    "another_loopback_address_when_we_listen_on_all": (["*"], "A", "127.8.8.8"),
    "an_IPv6_address_when_we_listen_on_all": (["*"], "AAAA", "::1"),
}


@pytest.mark.parametrize("case", OURSELVES)
def test_row_108_we_never_connect_to_ourselves_by(internet, faulty, hosts, case):
    listening, kind, address = OURSELVES[case]
    if "::1" in address or "[::1]" in listening:
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::1", 0))
            except OSError as error:
                pytest.skip(f"no IPv6 here: {error}")
    hosts.reservation.close()
    listen_at_the_outbound_port(internet, hosts, *listening)
    faulty.add("a.example", "MX", "10 mail.a.example.")
    faulty.add("mail.a.example", kind, address)
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    report_for(service, "user@a.example", r"Status: 5\.4\.6")
    assert sessions_with_ourselves(service) == 1
    still_well(service)


def test_row_108_ourselves_among_several_and_all_that_is_worse_are_dropped(internet, faulty, hosts):
    better, worse = hosts.receiver(2, banner=BUSY), hosts.receiver(3)
    listen_at_the_outbound_port(internet, hosts, "127.0.0.1")
    faulty.add("a.example", "MX", "5 better.a.example.", "10 ours.a.example.", "10 equal.a.example.", "20 worse.a.example.")
    for name, address in (("better", hosts.host(2)), ("ours", "127.0.0.1"), ("equal", hosts.host(3)), ("worse", hosts.host(3))):
        faulty.add(f"{name}.a.example", "A", address)
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    kept(service)
    assert (better.sessions, worse.sessions, sessions_with_ourselves(service)) == (1, 0, 1)


def test_row_108_one_of_several_addresses_of_a_host_is_ours(internet, faulty, hosts):
    """Whether the host counts as ourselves or its other addresses are used: never a session with ourselves."""
    other = hosts.receiver(2)
    listen_at_the_outbound_port(internet, hosts, "127.0.0.1")
    faulty.add("a.example", "MX", "10 mail.a.example.")
    faulty.add("mail.a.example", "A", "127.0.0.1", hosts.host(2))
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    service.wait_queue_empty()
    assert len(other.messages) + len(service.mail("bob")) == 1
    assert sessions_with_ourselves(service) == 1


# ---- 109 ----

@pytest.mark.parametrize("value", ["0 .", "10 .", "10 localhost."])
def test_row_109_null_mx_and_localhost_are_reported_at_once(internet, faulty, hosts, value):
    own, local = hosts.receiver(2), receivers.Receiver(port=hosts.port)
    faulty.add("a.example", "MX", value)
    faulty.add("a.example", "A", hosts.host(2))
    faulty.add("localhost", "A", "127.0.0.1")
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    report_for(service, "user@a.example", r"Status: 5\.1\.10")
    assert own.sessions == local.sessions == 0
    local.close()


# ---- 110 ----

ODD_HOSTS = {
    "text_like_an_address": r"{address}.",
    "text_like_an_address_in_brackets": r"[{address}].",
    "nothing": r"missing.a.example.",
    "an_alias_of_nothing": r"alias.a.example.",
    "a_NUL": r"ma\000il.a.example.",
    "a_blank": r"ma\032il.a.example.",
    "a_dot_in_a_label": r"ma\.il.a.example.",
    "a_line_end": r"mail\013\010worker-died\.a.example.",
    "an_8_bit_octet": r"m\228il.a.example.",
    "a_per_cent_sign": r"%s%n.a.example.",
    "a_quote_and_a_backslash": r"\"\\.a.example.",
    "255_octets": ".".join(["x" * 62] * 3 + ["y" * 54, "a", "example."]),
}


def odd_domain(faulty, hosts, odd, *more):
    value = ODD_HOSTS[odd].format(address=hosts.host(9))
    faulty.add("a.example", "MX", f"10 {value}", *more)
    faulty.add("alias.a.example", "CNAME", "missing.a.example.")
    if odd not in ("nothing", "an_alias_of_nothing", "text_like_an_address", "255_octets"):
        name = dns.name.from_text(value).to_text(omit_final_dot=True).lower()
        faulty.add(name, "A", hosts.host(9))
    assert ("a.example", "MX") in faulty.records


@pytest.mark.parametrize("odd", ODD_HOSTS)
def test_row_110_after_an_mx_record_that_names_no_host_the_next_is_used(internet, faulty, hosts, odd):
    trap, good = hosts.receiver(9), hosts.receiver(2)
    odd_domain(faulty, hosts, odd, "20 good.a.example.")
    faulty.add("good.a.example", "A", hosts.host(2))
    service = internet.start()
    service.send("user@a.example")
    good.wait(1, 30)
    service.wait_queue_empty()
    assert trap.sessions == 0
    log = pathlib.Path(str(service.matador["log_to"])).read_bytes()
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x80-\xff]", log), "raw octets in the log"
    still_well(service)


@pytest.mark.parametrize("odd", ODD_HOSTS)
def test_row_110_an_mx_record_that_names_no_host_alone_is_reported_or_waits(internet, faulty, hosts, odd):
    trap = hosts.receiver(9)
    odd_domain(faulty, hosts, odd)
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    wait_for(lambda: service.mail("bob") or judged(service), 30, "a verdict", every=0.1)
    assert trap.sessions == 0
    log = pathlib.Path(str(service.matador["log_to"])).read_bytes()
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x80-\xff]", log), "raw octets in the log"
    still_well(service)


# ---- 111 ----

def test_row_111_a_loop_or_an_endless_chain_of_aliases_ends_and_the_mail_waits(internet, faulty, hosts):
    faulty.add("self.example", "CNAME", "self.example.")
    faulty.add("ping.example", "CNAME", "pong.example.")
    faulty.add("pong.example", "CNAME", "ping.example.")

    def endless(server, query, transport):
        """One alias after the other, each of a new name."""
        name = query.question[0].name.to_text()
        answer = dns.message.make_response(query, recursion_available=True)
        number = int(re.search(r"\d+", name).group())
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", f"n{number + 1}.endless.example."))
        return answer
    for number in range(2000):
        faulty.fault(f"n{number}.endless.example", endless)
    service = internet.start()
    for name in ("self.example", "ping.example", "n0.endless.example"):
        service.send(f"user@{name}", sender="bob@acme.com")
    kept(service, 3)
    assert len(faulty.questions) < 300
    still_well(service)


def test_row_111_a_chain_of_20_aliases_is_followed_or_waits(internet, faulty, hosts):
    host = hosts.receiver(2)
    for number in range(20):
        faulty.add(f"c{number}.example", "CNAME", f"c{number + 1}.example.")
    faulty.mail_domain("c20.example", hosts.host(2))
    service = internet.start()
    service.send("user@c0.example", sender="bob@acme.com")
    wait_for(lambda: host.messages or judged(service), 30, "a verdict", every=0.1)
    assert not service.mail("bob")
    assert len(faulty.questions) < 300
    still_well(service)


# ---- 112 ----

@pytest.mark.parametrize("kind", ["MX", "A"])
def test_row_112_broken_packets_are_no_answer(internet, faulty, hosts, kind):
    host = hosts.receiver(2)
    broken = broken_packets()
    for number, fault in enumerate(broken.values()):
        name = f"d{number}.example"
        if kind == "A":
            faulty.add(name, "MX", f"10 mail.{name}.")
        faulty.fault(name if kind == "MX" else f"mail.{name}", fault, kind)
    faulty.mail_domain("good.example", hosts.host(2))
    service = internet.start()
    for number in range(len(broken)):
        service.send(f"user@d{number}.example", sender="bob@acme.com")
    service.send("user@good.example")
    assert host.wait(1, 30)[0].recipients == ["user@good.example"]
    kept(service, len(broken))
    still_well(service)


# ---- 113 ----

def test_row_113_forged_answers_from_elsewhere_are_ignored(one_instance, hosts):
    class Forger(FaultyNameServer):
        """Whoever asks hears a lie from another port and another address before the truth."""

        def serve_datagrams(self):
            with (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port,
                  socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as address):
                address.bind((hosts.host(77), self.port))
                while True:
                    try:
                        octets, peer = self.datagrams.recvfrom(65535)
                    except OSError:
                        return
                    if not octets:
                        return
                    query = dns.message.from_wire(octets)
                    if query.question[0].rdtype == dns.rdatatype.A:
                        lie = dns.message.make_response(query)
                        lie.answer.append(dns.rrset.from_text(query.question[0].name, 3600, "IN", "A", hosts.host(9)))
                        port.sendto(lie.to_wire(), peer)
                        address.sendto(lie.to_wire(), peer)
                    for packet in self.replies(octets, "udp"):
                        self.datagrams.sendto(packet, peer)
    trap, host = hosts.receiver(9), hosts.receiver(2)
    server = Forger()
    server.mail_domain("a.example", hosts.host(2))
    service = route_by_dns(one_instance, server, hosts.port).start()
    service.send("user@a.example")
    host.wait(1, 30)
    assert trap.sessions == 0
    server.close()


def test_row_113_records_outside_the_question_are_ignored(internet, faulty, hosts):
    trap, host = hosts.receiver(9), hosts.receiver(2)
    faulty.mail_domain("evil.example", hosts.host(2))
    faulty.mail_domain("a.example", hosts.host(2))
    faulty.fault("evil.example", with_extra_records("a.example", "MX", "1 trap.evil.example."))
    faulty.fault("mail.evil.example", with_extra_records("mail.a.example", "A", hosts.host(9)))
    faulty.add("trap.evil.example", "A", hosts.host(9))
    service = internet.start()
    service.send("user@evil.example")
    host.wait(1, 30)
    service.send("user@a.example")
    host.wait(2, 30)
    assert trap.sessions == 0


def test_row_113_the_ad_bit_proves_nothing(internet, faulty, zones, hosts):
    """Below a trust anchor an answer without signatures is no answer, whatever the name server says of it."""
    zones.signed_zone("a.example", "@ MX 10 mail", f"mail A {hosts.host(2)}")
    internet.matador["dns_trust_anchor_file"] = zones.anchor_file()
    host = hosts.receiver(2)
    faulty.mail_domain("a.example", hosts.host(2))
    faulty.fault("a.example", authentic)
    faulty.fault("mail.a.example", authentic)
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    kept(service)
    assert host.sessions == 0


# ---- 114 ----

def test_row_114_for_a_name_server_that_never_answers_only_its_own_mail_waits(internet, faulty, hosts):
    host = hosts.receiver(2)
    silent, good = 100, 20
    for number in range(silent):
        faulty.fault(f"d{number}.silent.example", silence)
    for number in range(good):
        faulty.mail_domain(f"d{number}.good.example", hosts.host(2))
    service = internet.start()
    with service.smtp() as client:
        client.sendmail("bob@acme.com", [f"user@d{number}.silent.example" for number in range(silent)], BODY)
        wait_for(lambda: len({question.name for question in faulty.questions}) > 5, 20, "questions for silent names")
        for number in range(good):
            client.sendmail("bob@acme.com", [f"user@d{number}.good.example"], BODY)
            time.sleep(0.1)
    host.wait(good, 30)
    still_well(service)
    assert not service.mail("bob")


# ---- 117 ----

def test_row_117_a_time_to_live_of_nothing_works(internet, faulty, hosts):
    host = hosts.receiver(2)
    internet.configuration["smtp_reuse_message_limit"] = 1
    faulty.mail_domain("a.example", hosts.host(2), ttl=0)
    service = internet.start()
    for number in range(3):
        service.send(f"user{number}@a.example")
        host.wait(number + 1)
    assert faulty.asked("a.example", "MX") == 3


def test_row_117_the_longest_time_to_live_works(internet, faulty, hosts):
    """2^31 - 1 is kept; 2^31 and more count as nothing (RFC 2181 section 8)."""
    host = hosts.receiver(2)
    internet.configuration["smtp_reuse_message_limit"] = 1
    faulty.mail_domain("long.example", hosts.host(2), ttl=2**31 - 1)

    def beyond(server, query, transport):
        octets = bytearray(server.answer(query).to_wire())
        where = len(dns.message.make_response(query).to_wire()) + 6 - (11 if query.edns >= 0 else 0)
        octets[where:where + 4] = b"\x80\0\0\0"
        return bytes(octets)
    faulty.mail_domain("beyond.example", hosts.host(2))
    faulty.fault("beyond.example", beyond, "MX")
    service = internet.start()
    for number in range(2):
        service.send(f"user{number}@long.example")
        service.send(f"user{number}@beyond.example")
        host.wait(2 * number + 2)
    assert faulty.asked("long.example", "MX") == 1
    still_well(service)


def resident(pid):
    """Octets of memory that a process holds."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024


@pytest.mark.skipif(matador.SANITIZED, reason="a sanitizer keeps freed memory")
def test_row_117_the_cache_is_bounded(internet, faulty, hosts):
    """Answers that may be kept for 68 years, of about ten times the size of the cache."""
    hosts_of_all = b"".join(record(struct.pack("!H", 10) + dns.name.from_text(f"h{number}.x.").to_wire(), 15, ttl=2**31 - 1)
                            for number in range(50))
    ours = record(b"\0\0" + dns.name.from_text("hub.acme.com.").to_wire(), 15, ttl=2**31 - 1)

    def many(server, query, transport):
        return header(query, 51) + question_octets(query) + ours + hosts_of_all

    def fill(service, prefix, count):
        for number in range(count):
            faulty.fault(f"{prefix}{number}.example", many)
        with service.smtp() as client:
            for first in range(0, count, 50):
                client.sendmail("", [f"u@{prefix}{number}.example" for number in range(first, first + 50)], BODY)
                service.wait_queue_empty(60)
        assert all(faulty.asked(f"{prefix}{number}.example") for number in range(count))
    internet.matador["dns_cache_size"] = "256K"
    internet.matador["dns_timeout"] = "20s"
    service = internet.start()
    fill(service, "warm", 300)
    before = resident(service.worker("resolver"))
    fill(service, "more", 1000)
    assert resident(service.worker("resolver")) - before < 3 << 20
    assert faulty.asked("warm0.example") == 1
    service.send("u@warm0.example", sender="")
    service.wait_queue_empty()
    assert faulty.asked("warm0.example") == 2, "the cache is larger than it was meant to be"
    still_well(service)


# ---- 118 ----

def test_row_118_when_the_resolver_is_killed_under_load_it_is_asked_again(internet, faulty, hosts):
    host = hosts.receiver(2)
    count = 200
    for number in range(count):
        faulty.mail_domain(f"d{number}.example", hosts.host(2), ttl=0)
    internet.configuration.update({"initial_transfer_retry_interval": "2s", "retry_interval_cap": "2s"})
    service = internet.start()
    kills = 0
    with service.smtp() as client:
        for number in range(count):
            client.sendmail("bob@acme.com", [f"user@d{number}.example"], BODY)
            if number % 40 == 20:
                os.kill(service.worker("resolver"), signal.SIGKILL)
                kills += 1
    host.wait(count, 120)
    service.wait_queue_empty(60)
    assert kills == 5
    assert sorted(m.recipients[0] for m in host.messages) == sorted(f"user@d{number}.example" for number in range(count))
    assert not service.mail("bob")
    fresh_session_works(service)


# ---- 119 ----

@pytest.mark.skipif(os.getuid() != 0, reason="needs a mount namespace")
def test_row_119_no_name_is_completed_by_a_search_list(internet, faulty, hosts, tmp_path):
    trap = hosts.receiver(9)
    for name in ("com.acme.com", "missing.example.acme.com", "relay.acme.com", "mail.acme.com"):
        faulty.mail_domain(name, hosts.host(9))
        faulty.add(name, "A", hosts.host(9))
    faulty.add("b.example", "MX", "10 mail.")
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\nsearch acme.com\ndomain acme.com\noptions ndots:5\n")
    tmp_path.chmod(0o755)
    holder = subprocess.Popen(["unshare", "-m", "sh", "-c",
                               'mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && echo ready && exec sleep 600',
                               str(resolv)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        if holder.stdout.readline() != b"ready\n":
            pytest.skip(f"no mount namespace here: {holder.stderr.read()}")
        internet.within = ["nsenter", "-t", str(holder.pid), "-m"]
        service = internet.start()
        for address in ("user@com", "user@missing.example", "user@b.example"):
            service.send(address, sender="bob@acme.com")
        service.wait_mail("bob", 3, 30)
        service.wait_queue_empty()
        assert {"missing.example", "b.example", "mail"} <= {question.name for question in faulty.questions}
        assert not [question for question in faulty.questions if question.name.endswith("acme.com")]
        assert trap.sessions == 0
        internet.close()
    finally:
        holder.kill()
        holder.communicate()
