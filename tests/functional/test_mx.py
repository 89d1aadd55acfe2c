"""
The rules for choosing a mail host: section 5 of docs/reference/domino-semantics.md and RFC 5321 section 5, one test a rule,
with a real name server and real sessions.
"""

import math
import re
import subprocess
import time

import pytest

import receivers
from matador import PATIENCE, Instance, no_worker_died, wait_for
from name_servers import LoopbackHosts, ZoneServer, route_by_dns

BUSY = "421 4.3.2 not now"


@pytest.fixture
def internet(one_instance, zones, hosts):
    """An Instance that asks a name server; nothing of it runs yet. Sessions are not used again."""
    route_by_dns(one_instance, zones, hosts.port)
    one_instance.configuration["smtp_reuse_message_limit"] = 1
    return one_instance


def start(internet, zones):
    zones.start()
    return internet.start()


def attempts(service):
    """(message id, host) of each attempt to reach a host, in order."""
    return re.findall(r" attempt id=(\S+) .*?\bhost=(\S+)", service.log())


def hosts_tried(service):
    return [host for _, host in attempts(service)]


def wait_tried(service, *expected):
    """Until the log, which comes a little later than the mail, has exactly these attempts."""
    def same():
        return hosts_tried(service) == list(expected)
    try:
        wait_for(same, 10, "the attempts in the log")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{hosts_tried(service)} instead of {list(expected)}") from None


def wait_deferred(service, count=1):
    """The messages that wait, when each of their recipients has been tried and has a reason."""
    def deferred():
        found = service.queue()
        return found if len(found) == count and all(r["reason"] for m in found for r in m["recipients"]) else None
    try:
        return wait_for(deferred, 20, f"{count} deferred messages", every=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{service.queue()[:5]}\n{service.log()[-6000:]}") from None


def report_for(service, recipient, pattern):
    """Bob's only mail is a failure report about the recipient; it matches the pattern, and nothing is left waiting."""
    report = service.wait_mail("bob")[0].decode()
    assert recipient in report and re.search(pattern, report), report
    service.wait_queue_empty()
    assert len(service.mail("bob")) == 1
    return report


# ---- order ----

def test_the_host_of_the_lowest_preference_is_used(internet, zones, hosts):
    first, second, third = (hosts.receiver(number) for number in (2, 3, 4))
    zones.domain("a.example", "@ MX 20 second", "@ MX 5 first", "@ MX 300 third", f"first A {hosts.host(2)}",
                 f"second A {hosts.host(3)}", f"third A {hosts.host(4)}")
    service = start(internet, zones)
    for number in range(10):
        service.send(f"user{number}@a.example")
    first.wait(10)
    service.wait_queue_empty()
    assert (second.sessions, third.sessions) == (0, 0)


def test_a_failed_host_is_followed_by_its_equals_and_then_by_the_next_preference(internet, zones, hosts):
    for number in (2, 3, 4):
        hosts.receiver(number, banner=BUSY)
    last = hosts.receiver(5)
    zones.domain("a.example", "@ MX 10 one", "@ MX 20 four", "@ MX 10 two", "@ MX 10 three",
                 *(f"{name} A {hosts.host(number)}" for number, name in enumerate(("one", "two", "three", "four"), 2)))
    service = start(internet, zones)
    service.send("user@a.example")
    last.wait()
    service.wait_queue_empty()
    tried = wait_for(lambda: (lambda t: t if len(t) == 4 else None)(hosts_tried(service)), what="four attempts in the log")
    assert sorted(tried[:3]) == ["one.a.example", "three.a.example", "two.a.example"], tried
    assert tried[3:] == ["four.a.example"]


@pytest.fixture(scope="module")
def subsets():
    """
    The Domino manual's example, preferences 5, 5, 10, 10, sixteen times: in domain N the hosts whose bit of N is set are down.
    One message to each domain has been sent and tried.
    """
    instance, zones, hosts = Instance(), ZoneServer(), LoopbackHosts()
    try:
        taken = {number: hosts.receiver(2 + number) for number in range(4)}
        for subset in range(16):
            zones.domain(f"d{subset}.example", "@ MX 5 mail1", "@ MX 5 mail2", "@ MX 10 mail3", "@ MX 10 mail4",
                         *(f"mail{number + 1} A {hosts.host(20 if subset >> number & 1 else 2 + number)}"
                           for number in range(4)))
        route_by_dns(instance, zones, hosts.port)
        zones.start()
        service = instance.start()
        for subset in range(16):
            service.send(f"user@d{subset}.example")
        wait_deferred(service, 1)
        wait_for(lambda: len(hosts_tried(service)) >= 16 and service.log().count(" message-done ") == 15, what="the whole log")
        yield service, taken
    finally:
        instance.close()
        zones.close()
        hosts.close()


@pytest.mark.parametrize("subset", range(16))
def test_the_manuals_example_with_any_subset_of_its_hosts_down(subsets, subset):
    service, taken = subsets
    alive = [number for number in range(4) if not subset >> number & 1]
    at = [number for number in range(4) for m in taken[number].messages if m.recipients == [f"user@d{subset}.example"]]
    tried = [int(host[4]) - 1 for host in hosts_tried(service) if host.endswith(f".d{subset}.example")]
    if alive:
        assert at in [[number] for number in alive if number // 2 == alive[0] // 2], (at, alive)
        assert tried[-1] == at[0]
    else:
        assert not at and len(tried) == 4
    assert len(set(tried)) == len(tried), tried
    assert [number // 2 for number in tried] == sorted(number // 2 for number in tried), "fives before tens"
    if at and at[0] >= 2:
        assert sorted(tried[:2]) == [0, 1]


def send_many(service, count, recipient):
    result = receivers.smtp_source(service.port, count, sessions=10, size=200, recipient=recipient)
    assert result.returncode == 0, result


def test_over_2000_sessions_the_two_fives_share_the_load_and_no_ten_is_tried(internet, zones, hosts):
    fives, tens = [hosts.receiver(2), hosts.receiver(3)], [hosts.receiver(4), hosts.receiver(5)]
    zones.domain("a.example", "@ MX 5 mail1", "@ MX 5 mail2", "@ MX 10 mail3", "@ MX 10 mail4",
                 *(f"mail{number} A {hosts.host(number + 1)}" for number in range(1, 5)))
    service = start(internet, zones)
    send_many(service, 2000, "user@a.example")
    wait_for(lambda: sum(len(five.messages) for five in fives) == 2000, 120, "2000 messages")
    assert sum(five.sessions for five in fives) >= 2000, "one message a session"
    assert abs(len(fives[0].messages) - 1000) <= 4 * math.sqrt(2000) / 2
    assert [ten.sessions for ten in tens] == [0, 0]


def test_with_one_five_down_the_other_takes_all_and_no_ten_is_tried(internet, zones, hosts):
    five = hosts.receiver(3)
    tens = [hosts.receiver(4), hosts.receiver(5)]
    zones.domain("a.example", "@ MX 5 mail1", "@ MX 5 mail2", "@ MX 10 mail3", "@ MX 10 mail4",
                 *(f"mail{number} A {hosts.host(number + 1)}" for number in range(1, 5)))
    service = start(internet, zones)
    send_many(service, 200, "user@a.example")
    five.wait(200, 60)
    service.wait_queue_empty()
    assert [ten.sessions for ten in tens] == [0, 0]


# ---- what makes a host fail ----

def never_answers(session, argument):
    """The client waits for a reply in vain and leaves."""
    session.request.settimeout(60 * PATIENCE)
    session.rfile.read()
    raise receivers.Receiver.Close


def closes(session, argument):
    raise receivers.Receiver.Close


FAILURES = {
    "refuses the connection": None,
    "answers no connection": None,
    "says no greeting": {"banner": never_answers},
    "closes before its greeting": {"banner": closes},
    "greets with 421": {"banner": BUSY},
    "greets with 554": {"banner": "554 5.3.2 no mail here"},
    "greets with noise": {"banner": "\x01\x02 HTTP/1.1 400 Bad Request"},
    "does not answer EHLO": {"EHLO": never_answers},
    "closes at EHLO": {"EHLO": closes},
    "answers EHLO with 421": {"EHLO": BUSY},
    "answers EHLO with noise": {"EHLO": "250mail\r\nwhat?"},
    "refuses EHLO and HELO": {"EHLO": "502 5.5.1 what?", "HELO": "550 5.7.1 go away"},
}


@pytest.mark.parametrize("failure", FAILURES, ids=lambda name: name.replace(" ", "_"))
def test_the_next_host_is_used_and_the_failure_remembered_when_a_host(internet, zones, hosts, failure):
    bad = None
    if failure == "answers no connection":
        hosts.silent(2)
    elif failure != "refuses the connection":
        bad = hosts.receiver(2, **FAILURES[failure])
    good = hosts.receiver(3)
    zones.domain("a.example", "@ MX 10 bad", "@ MX 20 good", f"bad A {hosts.host(2)}", f"good A {hosts.host(3)}")
    internet.configuration.update({"smtp_connect_timeout": "1s", "smtp_greeting_timeout": "1s", "smtp_helo_timeout": "1s"})
    service = start(internet, zones)
    service.send("one@a.example")
    good.wait()
    service.send("two@a.example")
    good.wait(2)
    service.wait_queue_empty()
    wait_tried(service, "bad.a.example", "good.a.example", "good.a.example")
    assert bad is None or bad.sessions == 1


@pytest.mark.parametrize("verb, reply", [
    ("MAIL", "451 4.3.0 later"), ("MAIL", "452 4.3.1 no room"), ("RCPT", "450 4.2.0 greylisted"), ("RCPT", "451 4.3.0 later"),
    ("DATA", "451 4.3.0 later"), ("dot", "451 4.3.0 later")])
def test_a_host_that_refuses_one_message_is_not_remembered_as_failed(internet, zones, hosts, verb, reply):
    refused = []

    def refuse_the_first(session, argument):
        if not refused:
            refused.append(argument)
            return reply
        return None
    first, second = hosts.receiver(2, **{verb: refuse_the_first}), hosts.receiver(3)
    zones.domain("a.example", "@ MX 10 first", "@ MX 20 second", f"first A {hosts.host(2)}", f"second A {hosts.host(3)}")
    service = start(internet, zones)
    service.send("one@a.example")
    wait_deferred(service)
    service.send("two@a.example")
    first.wait()
    assert first.messages[0].recipients == ["two@a.example"]
    assert second.sessions == 0


# ---- what is remembered ----

def test_a_failed_host_is_remembered_for_every_message_and_every_domain(internet, zones, hosts):
    bad, good = hosts.receiver(2, banner=BUSY), hosts.receiver(3)
    for domain in ("a.example", "b.example"):
        zones.domain(domain, "@ MX 10 bad.hosts.example.", "@ MX 20 good.hosts.example.")
    zones.domain("hosts.example", f"bad A {hosts.host(2)}", f"good A {hosts.host(3)}")
    service = start(internet, zones)
    service.send("one@a.example")
    good.wait(1)
    service.send("two@a.example")
    service.send("three@b.example")
    good.wait(3)
    service.wait_queue_empty()
    assert bad.sessions == 1


def test_when_all_hosts_are_remembered_as_failed_the_message_waits_and_queue_retry_ignores_the_memory(internet, zones, hosts):
    both = [hosts.receiver(2, banner=BUSY), hosts.receiver(3, banner=BUSY)]
    zones.domain("a.example", "@ MX 10 one", "@ MX 20 two", f"one A {hosts.host(2)}", f"two A {hosts.host(3)}")
    service = start(internet, zones)
    service.send("one@a.example")
    wait_deferred(service, 1)
    service.send("two@a.example")
    wait_deferred(service, 2)
    assert [host.sessions for host in both] == [1, 1], "the second message touched a failed host"
    for host in both:
        host.script.clear()
    service.command("queue", "retry", "--all", check=True)
    both[0].wait(2)
    service.wait_queue_empty()


def test_a_host_that_works_again_is_used_by_all(internet, zones, hosts):
    """After `queue retry` reached it, other messages need no retry of their own."""
    host = hosts.receiver(2, banner=BUSY)
    zones.domain("a.example", "@ MX 10 one", f"one A {hosts.host(2)}")
    service = start(internet, zones)
    service.send("one@a.example")
    wait_deferred(service, 1)
    host.script.clear()
    service.command("queue", "retry", "--all", check=True)
    host.wait(1)
    service.send("two@a.example")
    host.wait(2)
    service.wait_queue_empty()


def test_a_message_waits_until_the_first_host_is_forgotten_and_then_goes(internet, zones, hosts):
    touched = []

    def busy(session, argument):
        touched.append(time.monotonic())
        return BUSY if len(touched) == 1 else None
    host = hosts.receiver(2, banner=busy)
    zones.domain("a.example", "@ MX 10 one", f"one A {hosts.host(2)}")
    internet.configuration["initial_transfer_retry_interval"] = "3s"
    service = start(internet, zones)
    service.send("one@a.example")
    host.wait(1, 60)
    service.wait_queue_empty()
    assert touched[1] - touched[0] > 1.5


def test_a_host_is_remembered_by_name_not_by_address(internet, zones, hosts):
    """Two names for one address: the second name is tried, as the manual's rule is about hosts."""
    turns = []

    def busy_once(session, argument):
        turns.append(argument)
        return BUSY if len(turns) == 1 else None
    host = hosts.receiver(2, banner=busy_once)
    zones.domain("a.example", "@ MX 10 one", "@ MX 20 two", f"one A {hosts.host(2)}", f"two A {hosts.host(2)}")
    service = start(internet, zones)
    service.send("one@a.example")
    host.wait()
    wait_tried(service, "one.a.example", "two.a.example")


# ---- what the DNS has ----

def test_without_an_mx_record_the_domains_own_address_is_the_host(internet, zones, hosts):
    host = hosts.receiver(2)
    zones.domain("a.example", f"@ A {hosts.host(2)}")
    service = start(internet, zones)
    service.send("user@a.example")
    assert host.wait()[0].recipients == ["user@a.example"]
    wait_tried(service, "a.example")


def test_with_an_mx_record_the_domains_own_address_is_never_tried(internet, zones, hosts):
    own = hosts.receiver(2)
    zones.domain("a.example", f"@ A {hosts.host(2)}", "@ MX 10 mail", f"mail A {hosts.host(9)}")
    service = start(internet, zones)
    service.send("user@a.example")
    wait_deferred(service)
    assert own.sessions == 0


def test_a_domain_that_does_not_exist_is_reported_at_once(internet, zones):
    service = start(internet, zones)
    service.send("user@missing.example", sender="bob@acme.com")
    report_for(service, "user@missing.example", r"Status: 5\.1\.2")


def test_a_domain_with_neither_mx_nor_address_is_reported_at_once(internet, zones):
    zones.domain("a.example", '@ TXT "no mail"')
    service = start(internet, zones)
    service.send("user@a.example", sender="bob@acme.com")
    report_for(service, "user@a.example", r"Status: 5\.1\.2")


def test_a_null_mx_is_reported_at_once(internet, zones, hosts):
    own = hosts.receiver(2)
    zones.domain("a.example", "@ MX 0 .", f"@ A {hosts.host(2)}")
    service = start(internet, zones)
    service.send("user@a.example", sender="bob@acme.com")
    report_for(service, "user@a.example", r"Status: 5\.1\.10")
    assert own.sessions == 0


def test_while_the_dns_is_silent_the_message_is_kept(internet, zones, hosts):
    host = hosts.receiver(2)
    zones.domain("a.example", "@ MX 10 mail", f"mail A {hosts.host(2)}")
    zones.write()
    internet.matador["dns_timeout"] = "1s"
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    wait_deferred(service)
    zones.start()
    service.command("queue", "retry", "--all", check=True)
    assert host.wait()[0].recipients == ["user@a.example"]
    service.wait_queue_empty()
    assert not service.mail("bob")


def test_mx_hosts_without_an_address_are_skipped(internet, zones, hosts):
    host = hosts.receiver(2)
    zones.domain("a.example", "@ MX 5 missing", "@ MX 10 text", "@ MX 20 mail", 'text TXT "no address"',
                 f"mail A {hosts.host(2)}")
    service = start(internet, zones)
    service.send("user@a.example")
    assert host.wait()[0].recipients == ["user@a.example"]
    service.wait_queue_empty()


def test_when_no_mx_host_has_an_address_it_is_reported_at_once(internet, zones):
    zones.domain("a.example", "@ MX 5 missing", "@ MX 10 text", 'text TXT "no address"')
    service = start(internet, zones)
    service.send("user@a.example", sender="bob@acme.com")
    report_for(service, "user@a.example", r"Status: 5\.[14]\.\d")


# ---- ourselves ----

def test_our_own_name_and_all_that_is_not_better_are_dropped(internet, zones, hosts):
    worse = [hosts.receiver(3), hosts.receiver(4)]
    zones.domain("a.example", "@ MX 5 mail", "@ MX 10 HUB.acme.com.", "@ MX 10 equal", "@ MX 20 worse",
                 f"mail A {hosts.host(2)}", f"equal A {hosts.host(3)}", f"worse A {hosts.host(4)}")
    service = start(internet, zones)
    service.send("one@a.example")
    wait_deferred(service)
    mail = hosts.receiver(2)
    service.command("queue", "retry", "--all", check=True)
    mail.wait()
    assert [host.sessions for host in worse] == [0, 0]


def test_when_we_are_the_best_host_ourselves_it_is_a_loop(internet, zones, hosts):
    worse = hosts.receiver(3)
    zones.domain("a.example", "@ MX 10 hub.acme.com.", "@ MX 10 equal", "@ MX 20 worse",
                 f"equal A {hosts.host(3)}", f"worse A {hosts.host(3)}")
    service = start(internet, zones)
    service.send("user@a.example", sender="bob@acme.com")
    report_for(service, "user@a.example", r"Status: 5\.4\.6")
    assert worse.sessions == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_host_that_leads_to_our_own_listener_is_a_loop(internet, zones, hosts, address):
    internet.port = hosts.port
    internet.server["smtp_inbound"]["tcp_port"] = hosts.port
    zones.domain("a.example", "@ MX 10 mail", f"mail A {address}")
    service = start(internet, zones)
    service.send("user@a.example", sender="bob@acme.com")
    report_for(service, "user@a.example", r"Status: 5\.4\.6")


def test_a_domain_whose_address_is_our_own_listener_is_a_loop(internet, zones, hosts):
    internet.port = hosts.port
    internet.server["smtp_inbound"]["tcp_port"] = hosts.port
    zones.domain("a.example", "@ A 127.0.0.1")
    service = start(internet, zones)
    service.send("user@a.example", sender="bob@acme.com")
    report_for(service, "user@a.example", r"Status: 5\.4\.6")


def test_another_port_of_our_own_address_is_no_loop(internet, zones, hosts):
    neighbour = receivers.Receiver(port=hosts.port)
    zones.domain("a.example", "@ MX 10 mail", "mail A 127.0.0.1")
    service = start(internet, zones)
    service.send("user@a.example")
    assert neighbour.wait()[0].recipients == ["user@a.example"]
    neighbour.close()


# ---- limits ----

def test_only_so_many_addresses_of_a_host_are_tried(internet, zones, hosts):
    busy = [hosts.receiver(number, banner=BUSY) for number in range(2, 10)]
    zones.domain("a.example", "@ MX 10 mail", *(f"mail A {hosts.host(number)}" for number in range(2, 10)))
    internet.configuration["smtp_address_limit"] = 3
    service = start(internet, zones)
    service.send("user@a.example")
    wait_deferred(service)
    assert sum(host.sessions for host in busy) == 3


def test_all_addresses_of_a_host_are_tried_before_the_next_host(internet, zones, hosts):
    busy = [hosts.receiver(number, banner=BUSY) for number in (2, 3)]
    good, next_host = hosts.receiver(4), hosts.receiver(5)
    zones.domain("a.example", "@ MX 10 mail", "@ MX 20 next", *(f"mail A {hosts.host(number)}" for number in (2, 3, 4)),
                 f"next A {hosts.host(5)}")
    service = start(internet, zones)
    service.send("user@a.example")
    good.wait()
    assert next_host.sessions == 0
    assert all(host.sessions <= 1 for host in busy)


def test_many_hosts_are_not_all_tried_in_one_session(internet, zones, hosts):
    busy = [hosts.receiver(number, banner=BUSY) for number in range(2, 14)]
    zones.domain("a.example", *(f"@ MX {number} mail{number}" for number in range(2, 14)),
                 *(f"mail{number} A {hosts.host(number)}" for number in range(2, 14)))
    internet.configuration["smtp_address_limit"] = 4
    service = start(internet, zones)
    service.send("user@a.example")
    wait_deferred(service)
    assert [host.sessions for host in busy] == [1] * 4 + [0] * 8


# ---- names that are not plain ----

def test_an_address_literal_needs_no_dns(internet, zones, hosts):
    host = hosts.receiver(2)
    zones.write()
    service = internet.start()
    service.send(f"user@[{hosts.host(2)}]")
    assert host.wait()[0].recipients == [f"user@[{hosts.host(2)}]"]
    service.wait_queue_empty()


def test_an_address_literal_that_is_our_own_listener_is_no_other_host(internet, zones, hosts):
    """It is ours to deliver or to refuse; what it never is: a session with ourselves."""
    internet.port = hosts.port
    internet.server["smtp_inbound"]["tcp_port"] = hosts.port
    service = start(internet, zones)
    service.send("user@[127.0.0.1]", sender="bob@acme.com")
    report_for(service, "user@[127.0.0.1]", r"Status: 5\.4\.6")


def test_a_domain_that_is_an_alias_uses_the_mx_records_of_its_true_name(internet, zones, hosts):
    """RFC 5321 section 5.1; the recipient's address is not rewritten."""
    host = hosts.receiver(2)
    zones.domain("true.example", "@ MX 10 mail", f"mail A {hosts.host(2)}")
    zones.domain("alias.example", "@ CNAME middle.example.")
    zones.domain("middle.example", "@ CNAME true.example.")
    service = start(internet, zones)
    service.send("user@alias.example")
    assert host.wait()[0].recipients == ["user@alias.example"]
    wait_tried(service, "mail.true.example")


def test_an_alias_of_a_name_with_an_address_alone_uses_that_address(internet, zones, hosts):
    host = hosts.receiver(2)
    zones.domain("true.example", f"@ A {hosts.host(2)}")
    zones.domain("alias.example", "@ CNAME true.example.")
    service = start(internet, zones)
    service.send("user@alias.example")
    assert host.wait()[0].recipients == ["user@alias.example"]


def test_an_alias_of_nothing_is_reported_at_once(internet, zones):
    zones.domain("alias.example", "@ CNAME missing.example.")
    service = start(internet, zones)
    service.send("user@alias.example", sender="bob@acme.com")
    report_for(service, "user@alias.example", r"Status: 5\.1\.2")


def test_an_mx_host_that_is_an_alias_is_followed(internet, zones, hosts):
    """RFC 2181 section 10.3 forbids it; everybody does it."""
    host = hosts.receiver(2)
    zones.domain("a.example", "@ MX 10 mail", "mail CNAME true", f"true A {hosts.host(2)}")
    service = start(internet, zones)
    service.send("user@a.example")
    host.wait()


def test_an_international_domain_is_asked_for_in_its_ascii_form(internet, zones, hosts):
    host = hosts.receiver(2)
    zones.domain("xn--bcher-kva.example", "@ MX 10 mail", f"mail A {hosts.host(2)}")
    service = start(internet, zones)
    body = "From: sender@example.org\r\nTo: jürgen@bücher.example\r\nSubject: x\r\n\r\nx\r\n".encode()
    with service.smtp() as client:
        client.ehlo()
        client.sendmail("sender@example.org", ["jürgen@bücher.example"], body, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    message = host.wait()[0]
    assert message.recipients == ["jürgen@bücher.example"]
    assert "SMTPUTF8" in message.parameters[0]


def test_upper_case_and_lower_case_are_one_domain(internet, zones, hosts):
    host = hosts.receiver(2)
    zones.domain("a.example", "@ MX 10 mail", f"mail A {hosts.host(2)}")
    service = start(internet, zones)
    service.send("User@A.EXAMPLE")
    assert host.wait()[0].recipients[0].lower() == "user@a.example"


# ---- relay hosts ----

def test_a_relay_host_with_several_mx_records_behaves_by_the_same_rules(internet, zones, hosts):
    bad, good = hosts.receiver(2, banner=BUSY), hosts.receiver(3)
    unused = hosts.receiver(4)
    zones.domain("relay.example", "@ MX 10 one", "@ MX 20 two", f"one A {hosts.host(2)}", f"two A {hosts.host(3)}",
                 f"@ A {hosts.host(4)}")
    internet.configuration["relay_host"] = "relay.example"
    service = start(internet, zones)
    for number, recipient in enumerate(("user@missing.example", "user@b.example")):
        service.send(recipient)
        good.wait(number + 1)
    assert bad.sessions == 1 and unused.sessions == 0


def test_a_relay_host_that_does_not_exist_keeps_the_mail(internet, zones, hosts):
    """The mistake is in our own documents: someone will mend it."""
    internet.configuration["relay_host"] = "relay.example"
    service = start(internet, zones)
    service.send("user@b.example", sender="bob@acme.com")
    wait_deferred(service)
    host = hosts.receiver(2)
    zones.domain("relay.example", f"@ A {hosts.host(2)}")
    zones.reload()
    wait_for(lambda: service.command("queue", "retry", "--all", check=True) and host.messages, 30, "the mail", every=1)
    service.wait_queue_empty()
    assert not service.mail("bob")


# ---- host_name_lookup ----

@pytest.fixture
def own_hosts_file(internet, tmp_path):
    """A function that gives the service, before its start, a hosts file of its own, in a mount namespace of its own."""
    holders = []

    def give(text):
        path = tmp_path / "hosts"
        path.write_text("127.0.0.1 localhost\n" + text)
        tmp_path.chmod(0o755)
        path.chmod(0o644)
        holder = subprocess.Popen(["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && echo ready && exec sleep 600',
                                   str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        holders.append(holder)
        if holder.stdout.readline() != b"ready\n":
            pytest.skip(f"no mount namespace here: {holder.stderr.read()}")
        internet.within = ["nsenter", "-t", str(holder.pid), "-m"]
    yield give
    internet.close()
    for holder in holders:
        holder.kill()
        holder.communicate()


def test_dynamic_only_never_reads_the_hosts_file(internet, zones, hosts, own_hosts_file):
    own_hosts_file(f"{hosts.host(2)} a.example\n")
    host = hosts.receiver(2)
    internet.configuration["host_name_lookup"] = "dynamic_only"
    service = start(internet, zones)
    service.send("user@a.example", sender="bob@acme.com")
    report_for(service, "user@a.example", r"Status: 5\.1\.2")
    assert host.sessions == 0


def test_dynamic_then_local_asks_the_dns_first(internet, zones, hosts, own_hosts_file):
    own_hosts_file(f"{hosts.host(3)} a.example\n{hosts.host(3)} b.example\n")
    by_dns, by_file = hosts.receiver(2), hosts.receiver(3)
    zones.domain("a.example", "@ MX 10 mail", f"mail A {hosts.host(2)}")
    internet.configuration["host_name_lookup"] = "dynamic_then_local"
    service = start(internet, zones)
    service.send("user@a.example")
    service.send("user@b.example")
    assert [m.recipients for m in by_dns.wait()] == [["user@a.example"]]
    assert [m.recipients for m in by_file.wait()] == [["user@b.example"]]


def test_dynamic_then_local_uses_the_hosts_file_during_a_dns_outage(internet, zones, hosts, own_hosts_file):
    own_hosts_file(f"{hosts.host(2)} a.example\n")
    host = hosts.receiver(2)
    zones.write()
    internet.matador["dns_timeout"] = "1s"
    internet.configuration["host_name_lookup"] = "dynamic_then_local"
    service = internet.start()
    service.send("user@a.example")
    host.wait(1, 30)
    service.send("user@b.example", sender="bob@acme.com")
    wait_deferred(service)
    assert not service.mail("bob")


def test_local_only_never_asks_the_dns(internet, faulty, hosts, own_hosts_file):
    own_hosts_file(f"{hosts.host(2)} a.example\n")
    host = hosts.receiver(2)
    faulty.mail_domain("b.example", hosts.host(2))
    route_by_dns(internet, faulty, hosts.port)
    internet.configuration["host_name_lookup"] = "local_only"
    service = internet.start()
    service.send("user@a.example")
    host.wait()
    service.send("user@b.example", sender="bob@acme.com")
    report_for(service, "user@b.example", r"Status: 5\.1\.2")
    assert not faulty.questions


# ---- a setting of the port ----

def test_a_reload_points_at_other_name_servers(internet, zones, hosts, faulty):
    """Nothing that the old ones said is kept."""
    old, new = hosts.receiver(2), hosts.receiver(3)
    zones.domain("a.example", "@ MX 10 mail", f"mail A {hosts.host(2)}")
    faulty.mail_domain("a.example", hosts.host(3))
    service = start(internet, zones)
    service.send("one@a.example")
    old.wait()
    service.matador["nameservers"] = [f"127.0.0.1@{faulty.port}"]
    service.reload()
    service.send("two@a.example")
    assert new.wait()[0].recipients == ["two@a.example"]
    assert len(old.messages) == 1
    no_worker_died(service)
