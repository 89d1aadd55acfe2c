"""When mail is tried again: the schedule, expiry and delay, priorities, and what an administrator does about them."""

import concurrent.futures
import datetime
import os
import re
import signal
import time

import pytest

import receivers
from matador import PATIENCE, no_worker_died, running, wait_for
from test_bounces import inject, statuses
from test_outbound import recipients_of, wait_attempts, wait_deferred
from test_reports import report_parts

MINUTE = 60


@pytest.fixture
def relay(one_instance, sink):
    """Not started: all mail goes to the sink, whose script says what it thinks of it."""
    one_instance.relay_to(sink.port)
    return one_instance


def later(session, argument):
    return "451 4.7.1 greylisted, come back"


def next_attempt(service, address="x@elsewhere.example", sender="bob@acme.com"):
    """Seconds from now to the next attempt of a recipient."""
    text = recipients_of(service, sender)[address]["next_attempt"]
    return datetime.datetime.fromisoformat(text).timestamp() - time.time()


def deferrals(service):
    return service.log().count(" recipient-deferred ")


# ---- the schedule ----

def test_waits_double_from_the_initial_interval_up_to_the_cap(relay, sink):
    """By the times that queue list tells; the administrator makes each attempt happen early."""
    sink.script["RCPT"] = later
    relay.configuration.update({"initial_transfer_retry_interval": 10, "retry_interval_cap": 60, "mail_timeout_days": 5})
    service = relay.start()
    inject(service, ["x@elsewhere.example"])
    for number, minutes in enumerate((10, 20, 40, 60, 60)):
        wait_for(lambda number=number: deferrals(service) == number + 1, 20, f"deferral {number + 1}")
        assert 0.9 * minutes * MINUTE - 60 * PATIENCE < next_attempt(service) <= 1.1 * minutes * MINUTE + 1, minutes
        service.command("queue", "retry", "--all", check=True)


def test_the_defaults_are_a_quarter_of_an_hour_and_an_hour(relay, sink):
    sink.script["RCPT"] = later
    service = relay.start()
    inject(service, ["x@elsewhere.example"])
    for number, minutes in enumerate((15, 30, 60, 60)):
        wait_for(lambda number=number: deferrals(service) == number + 1, 20, f"deferral {number + 1}")
        assert 0.9 * minutes * MINUTE - 60 * PATIENCE < next_attempt(service) <= 1.1 * minutes * MINUTE + 1, minutes
        service.command("queue", "retry", "--all", check=True)


def test_waits_are_spread(relay, sink):
    """What failed in one second does not come back in one second."""
    sink.script["RCPT"] = later
    service = relay.start()
    for number in range(30):
        inject(service, [f"x{number}@elsewhere.example"])
    wait_for(lambda: deferrals(service) == 30, 30, "30 deferred messages")
    times = sorted(next_attempt(service, f"x{number}@elsewhere.example") for number in range(30))
    assert times[-1] - times[0] > MINUTE


def test_a_greylisting_host_takes_the_message_on_the_schedule(relay, sink):
    """450 until some time has passed, per recipient; each is sent once."""
    first_seen = {}

    def greylist(session, argument):
        first = first_seen.setdefault(argument, time.monotonic())
        return "450 4.2.0 greylisted" if time.monotonic() - first < 2 else None
    sink.script["RCPT"] = greylist
    relay.configuration.update({"initial_transfer_retry_interval": "3s", "retry_interval_cap": "3s"})
    service = relay.start()
    inject(service, ["x@elsewhere.example", "y@elsewhere.example"])
    service.wait_queue_empty(60)
    assert sorted(address for message in sink.messages for address in message.recipients) == ["x@elsewhere.example", "y@elsewhere.example"]
    assert not service.mail("bob")


def test_what_waits_for_a_dead_host_waits_together(relay, sink):
    """The first message finds the host dead; the second is put off without another attempt."""
    sink.close()
    service = relay.start()
    inject(service, ["x@elsewhere.example"])
    wait_deferred(service)
    inject(service, ["y@elsewhere.example"], sender="jdoe@acme.com")
    found = wait_deferred(service, sender="jdoe@acme.com")["y@elsewhere.example"]
    assert "refused" in found["reason"] and len(wait_attempts(service, 1)) == 1
    assert 0.9 * 15 * MINUTE - 60 * PATIENCE < next_attempt(service) <= 1.1 * 15 * MINUTE + 1


def test_the_schedule_survives_a_restart_and_a_kill(relay, sink):
    sink.script["RCPT"] = later
    service = relay.start()
    inject(service, ["x@elsewhere.example"])
    before = wait_deferred(service)["x@elsewhere.example"]
    service.stop()
    assert recipients_of(service)["x@elsewhere.example"]["next_attempt"] == before["next_attempt"]
    service.start()
    assert recipients_of(service)["x@elsewhere.example"]["next_attempt"] == before["next_attempt"]
    service.command("queue", "retry", "--all", check=True)
    wait_for(lambda: deferrals(service) == 2, 20, "the second deferral")
    assert 0.9 * 30 * MINUTE - 60 * PATIENCE < next_attempt(service)
    second = recipients_of(service)["x@elsewhere.example"]
    # What rides with the next flush a crash may undo: it leaves memory when it is on the disk.
    wait_for(lambda: re.search(r"\sactive=0\b", service.command("status").stdout), what="the record on the disk")
    victim = service.worker("qmgr")
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: not running(victim), what="its end")
    wait_for(lambda: service.workers("qmgr"), what="another qmgr")
    wait_for(lambda: service.command("queue", "list").returncode == 0, what="an open MAIL.BOX")
    after = recipients_of(service)["x@elsewhere.example"]
    assert (after["next_attempt"], after["reason"]) == (second["next_attempt"], second["reason"])


# ---- the end of patience ----

def test_mail_expires_when_its_time_is_over_with_the_last_reply_in_the_report(relay, sink):
    """The next attempt of the schedule lies far behind the end: a last one is made there."""
    sink.script["RCPT"] = later
    relay.configuration.update({"mail_timeout_minutes": "10s", "expired_message_purge_interval": "2s"})
    service = relay.start()
    started = time.monotonic()
    inject(service, ["x@elsewhere.example"])
    wait_deferred(service)
    assert next_attempt(service) < 15
    octets = service.wait_mail("bob", seconds=60)[0]
    assert time.monotonic() - started >= 10
    _, text, blocks, _ = report_parts(octets)
    assert statuses(blocks) == {"x@elsewhere.example": "4.4.7"} and blocks[1]["Action"] == "failed"
    assert "451 4.7.1 greylisted, come back" in text and "expired" in text
    service.wait_queue_empty()
    assert len(service.mail("bob")) == 1 and len(wait_attempts(service, 2)) == 2


def test_only_what_is_left_expires(relay, sink):
    sink.script["RCPT"] = lambda session, argument: later(session, argument) if "late" in argument else None
    relay.configuration.update({"mail_timeout_minutes": "8s", "expired_message_purge_interval": "2s"})
    service = relay.start()
    inject(service, ["good@elsewhere.example", "late@elsewhere.example"])
    _, _, blocks, _ = report_parts(service.wait_mail("bob", seconds=60)[0])
    assert statuses(blocks) == {"late@elsewhere.example": "4.4.7"}
    service.wait_queue_empty()
    assert [message.recipients for message in sink.messages] == [["good@elsewhere.example"]]


def test_held_mail_does_not_expire_until_it_is_released(relay, sink):
    sink.script["RCPT"] = later
    relay.configuration.update({"mail_timeout_minutes": "8s", "expired_message_purge_interval": "2s",
                                "delay_notifications": "enabled"})
    service = relay.start()
    inject(service, ["x@elsewhere.example"])
    wait_deferred(service)
    service.command("queue", "hold", "--all", check=True)
    time.sleep(12)
    assert list(recipients_of(service)) == ["x@elsewhere.example"] and not service.mail("bob")
    service.command("queue", "release", "--all", check=True)
    service.wait_mail("bob", seconds=60)
    service.wait_queue_empty()


def test_a_sender_is_told_of_a_delay_once(one_instance, sink):
    """The report is due after the least time that can be set, a minute, and comes only once, restarts or not."""
    sink.script["RCPT"] = later
    one_instance.relay_to(sink.port)
    one_instance.configuration.update({"delay_notifications": "enabled", "delay_notification_normal": "60s",
                                       "initial_transfer_retry_interval": "4s", "retry_interval_cap": "4s",
                                       "expired_message_purge_interval": "4s"})
    service = one_instance.start()
    for sender, rcpt in (("bob@acme.com", ""), ("jane.doe@acme.com", " NOTIFY=FAILURE")):
        inject(service, ["x@elsewhere.example"], sender=sender, rcpt=rcpt)
    octets = service.wait_mail("bob", seconds=100)[0]
    _, text, blocks, _ = report_parts(octets)
    assert blocks[1]["Action"] == "delayed" and blocks[1]["Status"] == "4.7.1" and "Will-Retry-Until" in blocks[1]
    assert "has not been delivered yet" in text and "451 4.7.1 greylisted, come back" in text
    service.stop()
    service.start()
    before = deferrals(service)
    wait_for(lambda: deferrals(service) >= before + 4, 60, "more attempts")
    assert len(service.mail("bob")) == 1 and not service.mail("jdoe")
    sink.script.clear()
    service.wait_queue_empty(30)
    assert len(service.mail("bob")) == 1 and not service.mail("jdoe") and len(sink.messages) == 2


# ---- what an administrator does ----

def test_queue_retry_tries_at_once_what_is_selected(relay, sink):
    sink.script["RCPT"] = later
    service = relay.start()
    for name in ("one", "two"):
        inject(service, [f"{name}@elsewhere.example"], sender=f"{name}@example.org")
    wait_for(lambda: deferrals(service) == 2, 20, "two deferred messages")
    sink.script.clear()
    service.command("queue", "retry", "--sender", "two@example.org", check=True)
    assert sink.wait()[0].sender == "two@example.org"
    time.sleep(1)
    assert len(sink.messages) == 1 and list(recipients_of(service, "one@example.org")) == ["one@elsewhere.example"]
    service.command("queue", "retry", "--all", check=True)
    service.wait_queue_empty()


def literal_service(instance, hosts):
    """Mail to x@[ADDRESS] goes straight to that host of the test."""
    instance.server["smtp_outbound"] = {"tcp_port": hosts.port}
    instance.configuration.update({"smtp_outside_local_internet_domain": "enabled",
                                   "relay_enforcement_exclude_hosts": ["[127.0.0.1]"]})
    return instance


def test_route_sends_everything_for_one_destination_and_nothing_else(one_instance, hosts):
    first, second = hosts.receiver(2, RCPT=later), hosts.receiver(3, RCPT=later)
    service = literal_service(one_instance, hosts).start()
    for number in range(3):
        inject(service, [f"x{number}@[{hosts.host(2)}]", f"x{number}@[{hosts.host(3)}]"])
    wait_for(lambda: deferrals(service) == 6, 20, "deferred mail")
    first.script.clear()
    second.script.clear()
    result = service.command("route", f"[{hosts.host(2)}]")
    assert result.returncode == 0, result
    first.wait(3)
    time.sleep(1)
    assert not second.messages and len(service.queue()) == 3
    assert service.command("route", "no.such.example").returncode != 0


def test_queue_retry_tries_hosts_that_are_remembered_as_failed(one_instance, hosts):
    """A dead host comes back: without the command its mail would wait for the schedule."""
    service = literal_service(one_instance, hosts).start()
    inject(service, [f"x@[{hosts.host(2)}]"])
    assert "refused" in wait_deferred(service)[f"x@[{hosts.host(2)}]"]["reason"]
    back = hosts.receiver(2)
    service.command("queue", "retry", "--all", check=True)
    back.wait()
    service.wait_queue_empty()


# ---- priorities ----

def time_range(begin, end):
    """The text of a range that begins and ends so many minutes from now."""
    def text(minutes):
        return time.strftime("%H:%M", time.localtime(time.time() + minutes * MINUTE))
    return f"{text(begin)}-{text(end)}"


LARGE = b"Subject: large\r\n\r\n" + b"low priority by its size\r\n" * 1000


@pytest.fixture
def sized(relay):
    """Not started: mail of ten kilobytes and more has low priority."""
    relay.configuration.update({"low_priority_size_range_kb": 10, "maximum_message_size_kb": 10000})
    return relay


def test_low_priority_mail_goes_at_once_within_its_time_range(sized, sink):
    sized.configuration["low_priority_time_range"] = time_range(-120, 120)
    service = sized.start()
    inject(service, ["x@elsewhere.example"], content=LARGE)
    sink.wait()
    service.wait_queue_empty()


def test_low_priority_mail_waits_for_its_time_range_and_other_mail_does_not(sized, sink):
    sized.configuration["low_priority_time_range"] = time_range(120, 240)
    service = sized.start()
    inject(service, ["x@elsewhere.example", "jane.doe@acme.com"], content=LARGE)
    inject(service, ["normal@elsewhere.example"], sender="jane.doe@acme.com")
    assert sink.wait()[0].recipients == ["normal@elsewhere.example"]
    service.wait_mail("jdoe")     # what stays here needs no transfer
    wait_for(lambda: next_attempt(service) > 60 * MINUTE, what="a wait for the time range")
    assert 118 * MINUTE < next_attempt(service) < 122 * MINUTE
    assert service.queue("--sender", "bob@acme.com")[0]["priority"] == "low"
    assert len(sink.messages) == 1


@pytest.mark.parametrize("command", [["queue", "retry", "--all"], ["route", "RELAY"]], ids=["queue retry", "route"])
def test_a_command_moves_low_priority_mail_outside_its_time_range(sized, sink, command):
    sized.configuration["low_priority_time_range"] = time_range(120, 240)
    service = sized.start()
    inject(service, ["x@elsewhere.example"], content=LARGE)
    wait_for(lambda: next_attempt(service) > 60 * MINUTE, what="a wait for the time range")
    service.command(*[service.configuration["relay_host"] if word == "RELAY" else word for word in command], check=True)
    sink.wait()
    service.wait_queue_empty()


def test_priorities_are_ignored_where_a_setting_says_so(sized, sink):
    sized.configuration.update({"low_priority_time_range": time_range(120, 240), "ignore_message_priority": "enabled"})
    service = sized.start()
    inject(service, ["x@elsewhere.example"], content=LARGE)
    sink.wait()


PRIORITIES = {"high": b"X-Priority: 1 (Highest)\r\n", "normal": b"", "low": b"Importance: low\r\n"}


def with_priority(name):
    return PRIORITIES[name] + b"Subject: x\r\n\r\nx\r\n"


def test_high_priority_overtakes_normal_and_normal_overtakes_low_where_one_slot_is_free(relay, sink):
    """The first message holds the only slot until the others stand in line; then the higher have most of the turns, not all."""
    relay.configuration.update({"low_priority_time_range": time_range(-120, 120), "maximum_concurrent_transfer_threads": 1,
                                "smtp_in_message_priority": "enabled"})
    waiting = []

    def hold_first(session, argument):
        if not waiting:
            waiting.append(True)
            wait_for(lambda: len(waiting) > 1, 60, "the others in line")
    sink.script["MAIL"] = hold_first
    service = relay.start()
    inject(service, ["first@elsewhere.example"])
    wait_for(lambda: waiting, what="the slot to be taken")
    for name in ("low", "normal", "high"):
        for number in range(6):
            inject(service, [f"{name}{number}@elsewhere.example"], content=with_priority(name))
    wait_for(lambda: service.log().count(" recipient-routed ") == 19, what="all routed")
    waiting.append(True)
    sink.wait(19)
    order = [re.match("[a-z]+", message.recipients[0]).group(0) for message in sink.messages]
    assert sink.most_open == 1 and order[0] == "first"
    places = {name: [place for place, found in enumerate(order) if found == name] for name in PRIORITIES}
    assert places["high"][-1] < places["normal"][-1] < places["low"][-1], order
    assert places["high"][0] < places["low"][0] < places["high"][-1], order      # nobody is starved


@pytest.mark.parametrize("name", PRIORITIES)
def test_a_message_has_the_priority_of_its_header_only_where_a_setting_says_so(relay, sink, name):
    sink.script["RCPT"] = later
    relay.configuration["low_priority_time_range"] = time_range(-120, 120)
    service = relay.start()
    inject(service, ["x@elsewhere.example"], content=with_priority(name), sender="bob@acme.com")
    wait_deferred(service)
    service.configuration["smtp_in_message_priority"] = "enabled"
    service.reload()
    inject(service, ["x@elsewhere.example"], content=with_priority(name), sender="jane.doe@acme.com")
    wait_deferred(service, sender="jane.doe@acme.com")
    assert [service.queue("--sender", sender)[0]["priority"] for sender in ("bob@acme.com", "jane.doe@acme.com")] == ["normal", name]


# ---- reload ----

def test_a_reload_is_over_when_every_program_has_the_new_documents(relay, sink):
    """The command waits for a program that is slow; mail that comes then goes the new way."""
    other = receivers.Receiver()
    service = relay.start()
    router = service.worker("router")
    os.kill(router, signal.SIGSTOP)
    try:
        service.relay_to(other.port)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            reload = pool.submit(service.reload)
            time.sleep(0.5)
            assert not reload.done()
            os.kill(router, signal.SIGCONT)
            reload.result()
    finally:
        os.kill(router, signal.SIGCONT)
    service.send("x@elsewhere.example")
    other.wait()
    other.close()
    assert not sink.messages


def test_queued_mail_follows_a_new_relay_host_at_its_next_attempt(relay, sink):
    sink.script["RCPT"] = later
    relay.configuration.update({"initial_transfer_retry_interval": "5s", "retry_interval_cap": "5s"})
    service = relay.start()
    inject(service, ["x@elsewhere.example"])
    wait_deferred(service)
    other = receivers.Receiver()
    service.relay_to(other.port)
    service.reload()
    other.wait(seconds=30)
    service.wait_queue_empty()
    other.close()
    assert not sink.messages
    no_worker_died(service)


def test_queued_mail_for_a_domain_that_became_ours_is_delivered_here(relay, sink):
    sink.script["RCPT"] = later
    relay.configuration.update({"initial_transfer_retry_interval": "5s", "retry_interval_cap": "5s"})
    service = relay.start()
    inject(service, ["jane.doe@acme.fr"])
    wait_deferred(service)
    service.domains = 'global_domain "Acme mail" {\n local_primary_internet_domain = acme.com\n internet_domain_aliases = { "acme.fr" }\n}\n'
    service.reload()
    service.wait_mail("jdoe", seconds=30)
    service.wait_queue_empty()
    assert not sink.messages


def test_queued_mail_fails_at_its_next_attempt_when_the_way_out_was_closed(relay, sink):
    sink.script["RCPT"] = later
    relay.configuration.update({"initial_transfer_retry_interval": "5s", "retry_interval_cap": "5s"})
    service = relay.start()
    inject(service, ["x@elsewhere.example"])
    wait_deferred(service)
    service.configuration["smtp_outside_local_internet_domain"] = "disabled"
    service.reload()
    _, text, blocks, _ = report_parts(service.wait_mail("bob", seconds=30)[0])
    assert "elsewhere.example" in text and statuses(blocks)["x@elsewhere.example"].startswith("5.")
    service.wait_queue_empty()


def test_a_new_expiry_time_holds_for_mail_in_the_queue(relay, sink):
    sink.script["RCPT"] = later
    relay.configuration["expired_message_purge_interval"] = "2s"
    service = relay.start()
    inject(service, ["x@elsewhere.example"])
    wait_deferred(service)
    service.configuration["mail_timeout_minutes"] = "5s"
    service.reload()
    _, _, blocks, _ = report_parts(service.wait_mail("bob", seconds=40)[0])
    assert statuses(blocks) == {"x@elsewhere.example": "4.4.7"}
