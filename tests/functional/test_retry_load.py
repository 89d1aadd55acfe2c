"""
Rows 135 and 136 of docs/reference/hostile-inputs.md: mail past its lifetime beside a clock that jumps, and a host that
comes back to a deep queue. The row's 50,000 messages under MATADOR_TORTURE=1, fewer otherwise.
"""

import os
import pathlib
import re
import struct
import subprocess
import threading
import time

import pytest

import receivers
from matador import PATIENCE, SANITIZED, no_worker_died, wait_for

DAY = 24 * 3600
TORTURE = "MATADOR_TORTURE" in os.environ


class WallClock:
    """The wall clock of one program of an instance: jump() sets it."""

    def __init__(self, instance, program):
        library = instance.folder / "clock.so"
        source = pathlib.Path(__file__).with_name("preload_clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-D_GNU_SOURCE", "-Wall", "-o", library, source, "-ldl"], check=True)
        self.shift = instance.folder / "clock.shift"
        self.shift.write_bytes(bytes(8))
        instance.wrap_program(program, f"export WALL_CLOCK_SHIFT={self.shift} LD_PRELOAD={library}", instance.folder)

    def jump(self, seconds):
        with open(self.shift, "r+b", buffering=0) as file:
            file.write(struct.pack("=q", seconds))


@pytest.fixture
def dead_relay(one_instance):
    """Not started: the relay host refuses, and bob hears of it after eight seconds."""
    one_instance.relay_to(1)
    one_instance.configuration.update({"initial_transfer_retry_interval": "2s", "retry_interval_cap": "2s",
                                       "expired_message_purge_interval": "1s"})
    return one_instance


def expirations(service):
    return re.findall(r" recipient-failed .*status=4\.4\.7 ", service.log())


def test_row_135_mail_past_its_lifetime_is_returned_once(dead_relay):
    dead_relay.configuration["mail_timeout_minutes"] = "8s"
    service = dead_relay.start()
    started = time.monotonic()
    service.send("x@elsewhere.example", sender="bob@acme.com")
    report = service.wait_mail("bob", seconds=60)[0]
    assert time.monotonic() - started >= 8
    assert b"x@elsewhere.example" in report and b"4.4.7" in report
    service.wait_queue_empty()
    time.sleep(3)
    assert len(service.mail("bob")) == 1 and len(expirations(service)) == 1
    no_worker_died(service)


@pytest.mark.skipif(SANITIZED, reason="a preload does not go before a sanitizer's own library")
@pytest.mark.parametrize("days", [10, -10])
def test_row_135_a_clock_that_jumps_expires_nothing_early_and_stops_no_retry(dead_relay, days):
    clock = WallClock(dead_relay, "qmgr")
    service = dead_relay.start()
    service.send("x@elsewhere.example", sender="bob@acme.com")
    wait_for(lambda: " recipient-deferred " in service.log(), 20, "a first attempt")
    clock.jump(days * DAY)
    deferred = service.log().count(" recipient-deferred ")
    wait_for(lambda: service.log().count(" recipient-deferred ") >= deferred + 2, 30, "more attempts after the jump")
    assert len(service.queue()) == 1 and not expirations(service) and not service.mail("bob")
    # Mail that comes now is as young as it is, and none of it comes more often than every two seconds.
    service.send("y@elsewhere.example", sender="bob@acme.com")
    started, deferred = time.monotonic(), service.log().count(" recipient-deferred ")
    time.sleep(8)
    assert service.log().count(" recipient-deferred ") - deferred <= 2 * ((time.monotonic() - started) / 1.8 + 2)
    assert len(service.queue()) == 2 and not expirations(service)
    no_worker_died(service)


@pytest.mark.skipif(SANITIZED, reason="a preload does not go before a sanitizer's own library")
def test_row_135_mail_expires_in_its_time_though_the_clock_was_set_back(dead_relay):
    dead_relay.configuration["mail_timeout_minutes"] = "8s"
    clock = WallClock(dead_relay, "qmgr")
    service = dead_relay.start()
    service.send("x@elsewhere.example", sender="bob@acme.com")
    wait_for(lambda: " recipient-deferred " in service.log(), 20, "a first attempt")
    clock.jump(-10 * DAY)
    service.wait_mail("bob", seconds=60)
    service.wait_queue_empty()
    assert len(expirations(service)) == 1


def delay_of(service, address, mail_file, tag):
    """Seconds until a new message is in its mail file."""
    started = time.monotonic()
    service.send(address, subject=tag)
    wait_for(lambda: any(tag.encode() in message for message in service.mail(mail_file)), 30, f"message {tag}")
    return time.monotonic() - started


def test_row_136_a_host_that_comes_back_to_a_deep_queue(one_instance):
    """
    It is tried by one session first, then by more and more up to its limit; all of the queue goes there, each message
    once; new mail for it and for others is not kept waiting behind the old.
    """
    count = 50_000 if TORTURE else 3_000
    away = receivers.Receiver()
    away.close()
    one_instance.relay_to(away.port)
    one_instance.configuration.update({"initial_transfer_retry_interval": "5s", "retry_interval_cap": "20s",
                                       "maximum_messages_per_session": 1_000_000})
    one_instance.matador["active_message_limit"] = 1000
    service = one_instance.start()
    assert receivers.smtp_source(service.port, count, sessions=20, size=500, timeout=900).returncode == 0
    wait_for(lambda: delay_of(service, "jane.doe@acme.com", "jdoe", f"idle-{time.monotonic()}") < 30, 60)
    attempts = service.log().count(" recipient-deferred ")
    assert attempts < count / 10, "a dead host was tried for many messages"
    assert not re.search(r" recipient-failed ", service.log())

    opened = []      # the number of open sessions at each new one
    back = receivers.Receiver(port=away.port)
    back.script["banner"] = lambda session, argument: opened.append(back.open_sessions)
    delays = []
    new = threading.Thread(target=lambda: [delays.append(delay_of(service, "jane.doe@acme.com", "jdoe", f"new-{number}"))
                                           for number in range(5)])
    wait_for(lambda: back.messages, 60, "the first message at the host")
    new.start()
    service.send("late@elsewhere.example", subject="late")
    back.wait(count + 1, 1800 if TORTURE else 240)
    new.join(60)
    service.wait_queue_empty(60)
    assert len(back.messages) == count + 1
    # One first; later at most 20 at work, and those that an smtp process keeps open while the other one works.
    assert opened[0] == 1 and max(opened) <= 40
    assert len(delays) == 5 and max(delays) < 10 * PATIENCE, delays
    # The new message did not wait for the end of the old ones' queue: it was taken when it was its turn.
    assert any(b"Subject: late" in message.octets for message in back.messages)
    no_worker_died(service)
    print(f"{count} messages; new local mail took at most {max(delays):.2f} s meanwhile")
    back.close()


def test_row_136_what_was_refused_for_now_comes_back_spread_and_with_growing_waits(one_instance, sink):
    """A host that refuses each message for now: no two waves at the same moment."""
    count = 2000 if TORTURE else 200
    sink.script["RCPT"] = lambda session, argument: "451 4.3.2 too busy"
    one_instance.relay_to(sink.port)
    one_instance.configuration["maximum_messages_per_session"] = 1_000_000
    service = one_instance.start()
    assert receivers.smtp_source(service.port, count, sessions=10, size=500, timeout=300).returncode == 0
    wait_for(lambda: service.log().count(" recipient-deferred ") == count, 60, "all deferred")
    times = sorted(re.findall(r" recipient-deferred .*next_attempt=(\S+)", service.log()))
    # Give or take a tenth of 15 minutes: three minutes, of which a fair part must be used.
    stamps = [time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) for text in times]
    assert 120 <= stamps[-1] - stamps[0] <= 180 + 60 * PATIENCE
    busiest = max(stamps.count(stamp) for stamp in set(stamps))
    assert busiest < count / 10, f"{busiest} of {count} in one second"
    no_worker_died(service)
