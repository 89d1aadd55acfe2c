"""Greylisting: who is deferred, for how long, what is remembered, and what never is."""

import hashlib
import os
import signal

import pytest

from gate import ACCEPTED, BOB, JANE, SENDER, STRANGER, Gate
from matador import wait_for
from test_explain_session import explain, step

DEFERRED = "451 4.7.1 {}... Not known yet, try again later"
ON = {"greylist": "enabled", "greylist_delay": "5m", "greylist_window": "48h"}
NEIGHBOUR = 30      # in STRANGER's network


@pytest.fixture(scope="module")
def gate():
    made = Gate()
    try:
        yield made.start()
    finally:
        made.close()


def attempt(gate, recipient=JANE, client=STRANGER, sender=SENDER):
    with gate.session(client) as session:
        assert session.command(f"MAIL FROM:<{sender}>").startswith("250")
        return session.command(f"RCPT TO:<{recipient}>")


def until_known(gate, *arguments, **options):
    wait_for(lambda: attempt(gate, *arguments, **options).startswith("250"), 30, "the end of the delay", every=0.3)


def kill_directory(gate):
    pid = gate.instance.worker("directory")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gate.instance.workers("directory") not in ([], [pid]), 30, "a new directory")


def stored(gate):
    return (gate.instance.folder / "spool" / "directory" / "greylist").read_bytes()


def until_stored(gate, sender):
    """Until it is on the disk that JANE knows that sender of STRANGER's: as one who tried, and as one who came again."""
    network = gate.address(STRANGER).rsplit(".", 1)[0] + ".0/24"
    key = hashlib.sha256(f"{network}\n{sender}\n{JANE}".encode()).hexdigest()[:32]
    wait_for(lambda: stored(gate).count(key.encode()) == 2, 10, "the record on its way to the disk")


def test_without_the_switch_nobody_is_deferred(gate):
    gate.apply()
    assert attempt(gate) == ACCEPTED.format(JANE)


def test_the_first_attempt_is_deferred_and_so_is_a_hasty_second(gate):
    gate.apply(**ON)
    assert attempt(gate, sender="hasty@example.org") == DEFERRED.format(JANE)
    assert attempt(gate, sender="hasty@example.org") == DEFERRED.format(JANE)


def test_a_client_that_comes_again_after_the_delay_is_known_from_then_on(gate):
    gate.apply(**{**ON, "greylist_delay": "1s"})
    assert attempt(gate, sender="again@example.org") == DEFERRED.format(JANE)
    until_known(gate, sender="again@example.org")
    gate.apply(**ON)
    assert attempt(gate, sender="again@example.org") == ACCEPTED.format(JANE)


def test_upper_and_lower_case_are_the_same_and_so_is_the_network(gate):
    gate.apply(**{**ON, "greylist_delay": "1s"})
    assert attempt(gate, sender="case@example.org") == DEFERRED.format(JANE)
    until_known(gate, sender="case@example.org")
    gate.apply(**ON)
    assert attempt(gate, "Jane.Doe@ACME.com", client=NEIGHBOUR, sender="CASE@example.org").startswith("250")


def test_another_network_sender_or_recipient_is_another_client(gate):
    gate.apply(**{**ON, "greylist_delay": "1s"})
    assert attempt(gate, sender="other@example.org") == DEFERRED.format(JANE)
    until_known(gate, sender="other@example.org")
    gate.apply(**ON, network_prefix_ipv4="32")
    assert attempt(gate, sender="other@example.org") == DEFERRED.format(JANE)
    gate.apply(**ON)
    assert attempt(gate, BOB, sender="other@example.org") == DEFERRED.format(BOB)
    assert attempt(gate, sender="others@example.org") == DEFERRED.format(JANE)


def test_exempt_hosts_and_hosts_that_enforcement_spares_are_never_deferred(gate):
    gate.apply(**ON, greylist_exempt_hosts=[gate.entry(STRANGER)])
    assert attempt(gate, sender="exempt@example.org") == ACCEPTED.format(JANE)
    gate.apply(**ON, relay_enforcement_exclude_hosts=[gate.entry(STRANGER)])
    assert attempt(gate, sender="exempt@example.org") == ACCEPTED.format(JANE)
    gate.apply(**ON)
    assert attempt(gate, sender="exempt@example.org") == DEFERRED.format(JANE)


def test_what_is_known_outlives_a_killed_directory(gate):
    sender = "killed@example.org"
    gate.apply(**{**ON, "greylist_delay": "1s"})
    attempt(gate, sender=sender)
    until_known(gate, sender=sender)
    gate.apply(**ON)
    until_stored(gate, sender)
    assert sender.encode() not in stored(gate)
    kill_directory(gate)
    assert attempt(gate, sender=sender) == ACCEPTED.format(JANE)


def test_what_is_known_outlives_the_service(gate):
    gate.apply(**{**ON, "greylist_delay": "1s"})
    attempt(gate, sender="stopped@example.org")
    until_known(gate, sender="stopped@example.org")
    gate.apply(**ON)
    gate.instance.stop()
    gate.instance.start()
    assert attempt(gate, sender="stopped@example.org") == ACCEPTED.format(JANE)


def test_a_damaged_store_is_made_anew_and_holds_nothing_up(gate):
    gate.apply(**{**ON, "greylist_delay": "1s"})
    attempt(gate, sender="before@example.org")
    until_known(gate, sender="before@example.org")
    gate.apply(**ON)
    until_stored(gate, "before@example.org")
    pid = gate.instance.worker("directory")
    os.kill(pid, signal.SIGSTOP)
    path = gate.instance.folder / "spool" / "directory" / "greylist"
    octets = path.read_bytes()
    os.kill(pid, signal.SIGKILL)
    path.write_bytes(octets + b"\xff" * 100)
    wait_for(lambda: gate.instance.workers("directory") not in ([], [pid]), 30, "a new directory")
    gate.instance.wait_log(r"memory-damaged file=\S*greylist")
    assert attempt(gate, sender="before@example.org") == ACCEPTED.format(JANE)
    assert b"\xff" * 100 not in stored(gate)


def test_while_directory_is_away_nobody_is_deferred(gate):
    gate.apply(**ON, verify_local_recipients="disabled")
    pid = gate.instance.worker("directory")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert attempt(gate, sender="away@example.org") == ACCEPTED.format(JANE)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_explain_session_tells_it_and_counts_as_no_attempt(gate):
    gate.apply(**{**ON, "greylist_delay": "1s"})
    client = gate.address(STRANGER)
    for _ in range(2):
        told = explain(gate.instance, client, "peek@example.org", JANE)
        assert step(told, "greylist")["verdict"] == "refuses"
    # Were one of those an attempt, a second one after the delay would pass.
    wait_for(lambda: attempt(gate, sender="clock@example.org").startswith("250"), 30, "the delay", every=0.3)
    assert step(explain(gate.instance, client, "peek@example.org", JANE), "greylist")["verdict"] == "refuses"
    assert attempt(gate, sender="peek@example.org") == DEFERRED.format(JANE)
    assert step(explain(gate.instance, client, "clock@example.org", JANE), "greylist")["verdict"] == "passes"


def test_a_window_that_ends_before_the_delay_is_refused(gate):
    status, lines = gate.check(greylist_delay="1h", greylist_window="30m")
    assert status != 0 and any("greylist_window" in line and "greylist_delay" in line for line in lines), lines
