"""The resolver as mail depends on it: faults of name servers, signed zones, the cache, and what is asked how often."""

import re
import time

import pytest

from matador import no_worker_died, wait_for
from name_servers import (failing, for_another_name, free_name_server_port, route_by_dns, silence, truncated,
                          truncated_everywhere, wrong_id, wrong_question)
from test_mx import report_for, wait_deferred


@pytest.fixture
def internet(one_instance, faulty, hosts):
    """An Instance, not started, that asks the scripted name server, each question for at most two seconds."""
    route_by_dns(one_instance, faulty, hosts.port)
    one_instance.matador["dns_timeout"] = "2s"
    one_instance.matador["drain_timeout"] = "2s"
    return one_instance


def retry_until_sent(service, receiver, count=1):
    """
    `queue retry` until the mail is there: libunbound itself keeps a failure for some seconds, and no command may
    be able to shorten that.
    """
    wait_for(lambda: service.command("queue", "retry", "--all", check=True) and len(receiver.messages) >= count, 60,
             f"{count} messages after retries", every=1)
    service.wait_queue_empty()


# ---- faults ----

FAULTS = {
    "SERVFAIL": failing("SERVFAIL"),
    "REFUSED": failing("REFUSED"),
    "FORMERR": failing("FORMERR"),
    "NOTIMP": failing("NOTIMP"),
    "silence": silence,
    "wrong_id": wrong_id,
    "wrong_question": wrong_question,
    "truncated_over_TCP_too": truncated_everywhere,
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["MX", "A"])
def test_mail_is_kept_while_questions_are_answered_with(internet, faulty, hosts, fault, kind):
    host = hosts.receiver(2)
    faulty.mail_domain("a.example", hosts.host(2), ttl=0)
    faulty.fault("a.example" if kind == "MX" else "mail.a.example", FAULTS[fault], kind)
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    wait_deferred(service)
    assert not host.messages
    faulty.faults.clear()
    retry_until_sent(service, host)
    assert not service.mail("bob")
    no_worker_died(service)


def test_a_failure_to_answer_about_mx_is_never_read_as_no_mx(internet, faulty, hosts):
    """The technote's bug: asking for A instead of MX when the first server was down."""
    own = hosts.receiver(2)
    faulty.mail_domain("a.example", hosts.host(3))
    faulty.add("a.example", "A", hosts.host(2))
    faulty.fault("a.example", failing("SERVFAIL"), "MX")
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    wait_deferred(service)
    assert own.sessions == 0 and not service.mail("bob")


def test_a_failure_to_answer_about_the_address_is_never_read_as_no_address(internet, faulty, hosts):
    faulty.add("a.example", "TXT", '"no MX"')
    faulty.fault("a.example", failing("SERVFAIL"), "A")
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    wait_deferred(service)
    assert not service.mail("bob")


def test_one_address_family_is_enough_when_the_other_has_no_answer(internet, faulty, hosts):
    host = hosts.receiver(2)
    faulty.mail_domain("a.example", hosts.host(2))
    faulty.fault("mail.a.example", failing("SERVFAIL"), "AAAA")
    service = internet.start()
    service.send("user@a.example")
    host.wait(1, 30)


def test_the_next_host_is_used_while_the_address_of_the_first_has_no_answer(internet, faulty, hosts):
    host = hosts.receiver(2)
    faulty.add("a.example", "MX", "10 one.a.example.", "20 two.a.example.")
    faulty.add("two.a.example", "A", hosts.host(2))
    faulty.fault("one.a.example", failing("SERVFAIL"))
    service = internet.start()
    service.send("user@a.example")
    host.wait(1, 30)


def test_the_answer_for_another_name_leads_nowhere(internet, faulty, hosts):
    wrong = hosts.receiver(3)
    faulty.add("a.example", "MX", "10 mail.a.example.")
    faulty.fault("mail.a.example", for_another_name(hosts.host(3)), "A")
    service = internet.start()
    service.send("user@a.example")
    wait_for(lambda: faulty.asked("mail.a.example", "A"), what="the question")
    wait_for(lambda: service.mail("bob") or any(r["reason"] for m in service.queue() for r in m["recipients"]), 30, "a verdict",
             every=0.1)
    assert wrong.sessions == 0


def test_a_truncated_answer_is_asked_for_again_over_tcp(internet, faulty, hosts):
    host = hosts.receiver(2)
    faulty.mail_domain("a.example", hosts.host(2))
    faulty.fault("a.example", truncated)
    faulty.fault("mail.a.example", truncated)
    service = internet.start()
    service.send("user@a.example")
    host.wait(1, 30)
    assert {"udp", "tcp"} == {question.transport for question in faulty.questions if question.name == "a.example"}


def test_the_second_name_server_answers_when_nobody_is_at_the_first(internet, faulty, hosts):
    host = hosts.receiver(2)
    faulty.mail_domain("a.example", hosts.host(2))
    internet.matador["nameservers"] = [f"127.0.0.1@{free_name_server_port()}", f"127.0.0.1@{faulty.port}"]
    internet.matador["dns_timeout"] = "10s"
    service = internet.start()
    service.send("user@a.example")
    host.wait(1, 30)


# ---- signed zones ----

@pytest.fixture
def signed(one_instance, zones, hosts):
    """A function that starts the service with the trust anchors of all zones signed so far."""
    def start():
        route_by_dns(one_instance, zones, hosts.port)
        one_instance.matador["dns_trust_anchor_file"] = zones.anchor_file()
        zones.start()
        return one_instance.start()
    return start


def test_a_zone_signed_with_dnssec_validates(signed, zones, hosts):
    host = hosts.receiver(2)
    zones.signed_zone("a.example", "@ MX 10 mail", f"mail A {hosts.host(2)}")
    service = signed()
    service.send("user@a.example")
    host.wait(1, 30)
    service.wait_queue_empty()


@pytest.mark.parametrize("broken", ["changed", "expired", "stripped"])
def test_a_zone_whose_signatures_are_wrong_is_no_answer_and_its_mail_waits(signed, zones, hosts, broken):
    right, wrong = hosts.receiver(2), hosts.receiver(253)
    records = ["@ MX 10 mail", f"mail A {hosts.host(2)}"]
    zones.signed_zone("a.example", *records, broken=broken)
    zones.domain("unsigned.example", "@ MX 10 mail", f"mail A {hosts.host(2)}")
    service = signed()
    service.send("user@a.example", sender="bob@acme.com")
    wait_deferred(service)
    service.send("user@unsigned.example")
    assert right.wait()[0].recipients == ["user@unsigned.example"]
    assert wrong.sessions == 0 and not service.mail("bob")


def test_a_signed_no_is_believed_and_an_unsigned_no_is_not(signed, zones):
    zones.signed_zone("a.example", "@ MX 10 mail", "mail A 127.0.0.1")
    zones.signed_zone("b.example", "@ MX 10 mail", "mail A 127.0.0.1", broken="stripped")
    service = signed()
    service.send("user@missing.b.example", sender="bob@acme.com")
    wait_deferred(service)
    assert not service.mail("bob")
    service.command("queue", "remove", "--all", check=True)
    service.send("user@missing.a.example", sender="bob@acme.com")
    report_for(service, "user@missing.a.example", r"Status: 5\.1\.2")


def test_without_a_trust_anchor_wrong_signatures_do_not_matter(one_instance, zones, hosts):
    host = hosts.receiver(253)
    route_by_dns(one_instance, zones, hosts.port)
    zones.signed_zone("a.example", "@ MX 10 mail", f"mail A {hosts.host(2)}", broken="changed")
    zones.start()
    service = one_instance.start()
    service.send("user@a.example")
    host.wait(1, 30)


# ---- what is asked how often ----

def test_answers_are_kept_for_their_time_to_live(internet, faulty, hosts):
    host = hosts.receiver(2)
    internet.configuration["smtp_reuse_message_limit"] = 1
    faulty.mail_domain("long.example", hosts.host(2), ttl=3600)
    faulty.mail_domain("short.example", hosts.host(2), ttl=1)
    service = internet.start()
    for name in ("long.example", "short.example"):
        service.send(f"one@{name}")
    host.wait(2)
    time.sleep(2.1)
    for name in ("long.example", "short.example"):
        service.send(f"two@{name}")
    host.wait(4)
    assert faulty.asked("long.example", "MX") == 1 and faulty.asked("mail.long.example", "A") == 1
    assert faulty.asked("short.example", "MX") == 2 and faulty.asked("mail.short.example", "A") == 2


def test_that_a_name_does_not_exist_is_kept_too(internet, faulty):
    service = internet.start()
    for number in range(3):
        service.send("user@missing.example", sender="bob@acme.com")
        service.wait_mail("bob", number + 1)
    assert faulty.asked("missing.example") == 1


def test_an_address_that_once_did_not_exist_is_asked_for_again(internet, faulty, hosts):
    """The technote's other bug: an answer kept for decades after "no such name"."""
    host = hosts.receiver(2)
    faulty.negative_ttl = 1
    service = internet.start()
    service.send("user@a.example", sender="bob@acme.com")
    service.wait_mail("bob")
    faulty.mail_domain("a.example", hosts.host(2))
    time.sleep(2.1)  # whole seconds count
    service.send("user@a.example", sender="bob@acme.com")
    host.wait()
    assert len(service.mail("bob")) == 1


def test_identical_questions_are_asked_once(internet, faulty, hosts):
    """One question, and what libunbound repeats when there is no answer at once; not one for each message."""
    host = hosts.receiver(2)
    started = []

    def after_a_second(server, query, transport):
        started.append(time.monotonic())
        return server.answer(query) if time.monotonic() - started[0] > 1 else None
    faulty.mail_domain("a.example", hosts.host(2), ttl=0)
    faulty.fault("a.example", after_a_second, "MX")
    internet.matador["dns_timeout"] = "10s"
    service = internet.start()
    with service.smtp() as client:
        for number in range(30):
            client.sendmail("sender@example.org", [f"user{number}@a.example"], b"Subject: x\r\n\r\nx\r\n")
    assert faulty.asked("a.example", "MX") <= 10
    host.wait(30, 30)


def test_silence_about_many_names_does_not_count_against_the_name_server(internet, faulty, hosts):
    """
    More than twice as many names as there are transfers. The one that is answered has to wait for its turn, and must then be
    asked for, although the name server has answered nothing for half a minute.
    """
    host = hosts.receiver(2)
    count = 600
    for number in range(count):
        faulty.fault(f"d{number}.silent.example", silence)
    faulty.mail_domain("good.example", hosts.host(2))
    internet.matador["dns_timeout"] = "20s"
    service = internet.start()
    with service.smtp() as client:
        for first in range(0, count, 100):
            client.sendmail("bob@acme.com", [f"user@d{number}.silent.example" for number in range(first, first + 100)],
                            b"Subject: x\r\n\r\nx\r\n")
    wait_for(lambda: len({question.name for question in faulty.questions}) >= 200, 20, "two hundred questions")
    service.send("user@good.example")
    host.wait(1, 120)
    assert not re.search(r"recipient-deferred \S+ to=user@good\.example", service.log())
    assert not service.mail("bob")
    no_worker_died(service)


def test_the_questions_of_a_stopping_service_are_given_up(internet, faulty):
    faulty.fault("silent.example", silence)
    internet.matador["dns_timeout"] = "60s"
    service = internet.start()
    service.send("user@silent.example")
    wait_for(lambda: faulty.asked("silent.example"), what="the question")
    started = time.monotonic()
    service.stop()
    assert time.monotonic() - started < 30
    assert len(service.queue()) == 1
