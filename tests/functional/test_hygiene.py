"""Connection hygiene: sessions and rates counted over all smtpd processes, waiting for the greeting, and who speaks too early."""

import collections
import contextlib
import os
import signal
import socket
import time

import pytest

from matador import Dialogue, Instance, PATIENCE, fresh_session_works, no_worker_died, wait_for

TOO_MANY = "421 4.7.0 Too many sessions from your address, try again later"
TOO_FAST = "421 4.7.0 Too many new sessions from your address, try again later"
TOO_MANY_MESSAGES = "450 4.7.1 Too many messages from you, try again later"
TOO_MANY_RECIPIENTS = "450 4.7.1 Too many recipients from you, try again later"
EARLY = "554 5.5.0 Command sent before the greeting, closing transmission channel"
LIMIT = 6


@pytest.fixture(name="service")
def start_service():
    """Two smtpd processes; nothing is asked of the DNS."""
    instance = Instance()
    instance.matador["smtpd_processes"] = 2
    instance.configuration.update({"maximum_sessions_per_client": LIMIT, "relay_enforcement": "none",
                                   "relay_allow_hosts": ["*"]})
    try:
        instance.start()
        wait_for(lambda: len(instance.workers("smtpd")) == 2, what="two smtpd processes")
        yield instance
    finally:
        instance.close()


class Clients:
    """Sessions that stay open."""

    def __init__(self, instance):
        self.instance = instance
        self.open = []

    def come(self, source="127.0.0.1"):
        """The greeting, or what was said in its place."""
        client = Dialogue(self.instance.port, 30 * PATIENCE, source=source)
        if client.greeting.startswith("220"):
            self.open.append(client)
        else:
            assert client.closed()
            client.close()
        return client.greeting

    def come_again(self):
        """In the place of a session that has just ended: policy hears of that at about the same time as the client."""
        wait_for(lambda: self.come().startswith("220"), what="a free place")

    def come_to(self, process, count):
        """So many sessions at that one of the processes."""
        others = [pid for pid in self.instance.workers("smtpd") if pid != process]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(count):
                assert self.come().startswith("220")
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)

    def leave(self):
        """The oldest session ends in good order."""
        client = self.open.pop(0)
        assert client.command("QUIT").startswith("221") and client.closed()
        client.close()

    def leave_all(self):
        while self.open:
            self.leave()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.open:
            client.close()


def test_sessions_of_a_client_are_limited_over_all_processes_and_not_below(service):
    with Clients(service) as clients:
        for _ in range(3):
            for _ in range(LIMIT):
                clients.come_again()
            assert clients.come() == TOO_MANY
            assert clients.come("127.0.0.2").startswith("220")
            clients.leave_all()
    no_worker_died(service)


def test_shares_that_were_let_in_unasked_are_found_by_the_first_question(service):
    with Clients(service) as clients:
        for process in service.workers("smtpd"):
            clients.come_to(process, LIMIT // 2)
        for _ in range(4):
            assert clients.come() == TOO_MANY
        clients.leave()
        clients.come_again()
        assert clients.come() == TOO_MANY
    service.wait_log("control-refused.*client=127.0.0.1.*rule=maximum_sessions_per_client")


def test_a_usual_client_asks_nobody(service):
    """Below its share a process does not ask policy, which therefore may be stopped."""
    policy = service.worker("policy")
    os.kill(policy, signal.SIGSTOP)
    try:
        with Clients(service) as clients:
            started = time.monotonic()
            for _ in range(50):
                assert clients.come().startswith("220")
                clients.leave()
            # Each would have waited three seconds for an answer.
            assert time.monotonic() - started < 100 * PATIENCE
    finally:
        os.kill(policy, signal.SIGCONT)


def test_a_policy_that_was_restarted_knows_the_open_sessions(service):
    with Clients(service) as clients:
        for _ in range(LIMIT):
            assert clients.come().startswith("220")
        assert clients.come() == TOO_MANY
        policy = service.worker("policy")
        os.kill(policy, signal.SIGKILL)
        wait_for(lambda: service.workers("policy") not in ([], [policy]), 20, what="a new policy")
        # Until smtpd knows the new one, each process counts for itself: at most LIMIT.
        wait_for(lambda: clients.come() == TOO_MANY, 30, what="a limit over both processes again")
        held = len(clients.open)
        assert held <= 2 * LIMIT
        while len(clients.open) >= LIMIT:
            clients.leave()
        clients.come_again()
        assert clients.come() == TOO_MANY


def test_a_process_that_stands_still_lifts_no_limit_of_the_others(service):
    """Nobody waits for it longer than for an answer; what it has counts again as soon as it tells."""
    service.configuration["client_session_rate"] = LIMIT
    service.reload()
    first, second = service.workers("smtpd")
    with Clients(service) as clients:
        clients.come_to(second, 1)
        os.kill(second, signal.SIGSTOP)
        try:
            for _ in range(LIMIT - 1):
                assert clients.come().startswith("220")
            assert clients.come() == TOO_FAST
        finally:
            os.kill(second, signal.SIGCONT)
        wait_for(lambda: clients.come() == TOO_MANY, what="the session of the process that goes on again")
        assert len(clients.open) == LIMIT
    assert sorted(service.workers("smtpd")) == sorted([first, second])


def test_who_is_turned_away_takes_no_place_of_others(service):
    service.configuration["maximum_sessions"] = 4 * LIMIT
    service.reload()
    with Clients(service) as clients, contextlib.ExitStack() as stack:
        for _ in range(LIMIT):
            assert clients.come().startswith("220")
        for _ in range(8 * LIMIT):
            assert stack.enter_context(Dialogue(service.port, 30 * PATIENCE)).greeting == TOO_MANY
        for _ in range(LIMIT):
            assert clients.come("127.0.0.2").startswith("220")


def test_sessions_of_a_process_that_died_are_free_again(service):
    with Clients(service) as clients:
        first, second = service.workers("smtpd")
        clients.come_to(first, LIMIT // 2)
        clients.come_to(second, LIMIT // 2)
        assert clients.come() == TOO_MANY
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: len(service.workers("smtpd")) == 2 and first not in service.workers("smtpd"), 20,
                 what="a new smtpd")
        del clients.open[:LIMIT // 2]
        for _ in range(LIMIT // 2):
            clients.come_again()
        assert clients.come() == TOO_MANY


def test_exempt_hosts_have_as_many_sessions_and_as_fast_as_they_like(service):
    service.configuration.update({"rate_exempt_hosts": ["[127.0.0.3]"], "client_session_rate": LIMIT})
    service.reload()
    with Clients(service) as clients:
        for _ in range(4 * LIMIT):
            assert clients.come("127.0.0.3").startswith("220")
        for _ in range(LIMIT):
            assert clients.come().startswith("220")
        assert clients.come() == TOO_MANY


def test_new_sessions_are_counted_over_all_processes(service):
    service.configuration["client_session_rate"] = 5
    service.reload()
    with Clients(service) as clients:
        for process in service.workers("smtpd"):
            clients.come_to(process, 2)
            clients.leave_all()
        assert clients.come().startswith("220")
        assert clients.come() == TOO_FAST
        assert clients.come("127.0.0.2").startswith("220")
    service.wait_log("control-refused.*client=127.0.0.1.*rule=client_session_rate")


def test_a_network_has_a_rate_of_its_own(service):
    service.configuration.update({"network_session_rate": 4, "network_prefix_ipv4": 24})
    service.reload()
    with Clients(service) as clients:
        for number in range(4):
            assert clients.come(f"127.0.1.{number + 1}").startswith("220")
        for number in (1, 4, 77):
            assert clients.come(f"127.0.1.{number}") == TOO_FAST
        assert clients.come("127.0.2.1").startswith("220")
    service.wait_log("control-refused.*client=127.0.1.77.*rule=network_session_rate")


def test_a_session_counts_no_more_after_the_interval(service):
    service.configuration.update({"client_session_rate": 1, "rate_interval": "2s"})
    service.reload()
    with Clients(service) as clients:
        started = time.monotonic()
        assert clients.come().startswith("220")
        wait_for(lambda: clients.come() != TOO_FAST, 20, what="the end of the interval")
        assert time.monotonic() - started >= 2


def begin(client, recipients=("jane.doe@acme.com",)):
    """The replies to MAIL and to every RCPT."""
    replies = [client.command("MAIL FROM:<sender@example.org>")]
    return replies + [client.command(f"RCPT TO:<{recipient}>") for recipient in recipients]


def test_messages_of_a_client_are_counted_and_the_session_goes_on(service):
    service.configuration["client_message_rate"] = 3
    service.reload()
    replies = []
    for _ in range(2):
        with Dialogue(service.port) as client:
            client.command("EHLO client.example")
            for _ in range(2):
                replies.append(begin(client)[0])
                assert client.command("RSET").startswith("250")
    assert [reply[:3] for reply in replies] == ["250", "250", "250", "450"]
    assert replies[-1] == TOO_MANY_MESSAGES
    with Dialogue(service.port, source="127.0.0.2") as client:
        client.command("EHLO other.example")
        assert begin(client)[1].startswith("250")
    service.wait_log("control-refused.*control=\"message rate\" reply=450 rule=client_message_rate")


def test_recipients_of_a_client_are_counted_and_those_before_keep_their_place(service):
    service.configuration["client_recipient_rate"] = 2
    service.reload()
    with Dialogue(service.port) as client:
        client.command("EHLO client.example")
        replies = begin(client, ["jane.doe@acme.com", "bob@acme.com", "jdoe@acme.com"])
        assert [reply[:3] for reply in replies] == ["250", "250", "250", "450"]
        assert replies[-1] == TOO_MANY_RECIPIENTS
        assert client.data(b"Subject: two\r\n\r\nHello.\r\n.\r\n").startswith("250")
    service.wait_mail("jdoe")
    service.wait_mail("bob")


def test_a_rehearsal_is_counted_nowhere_and_sees_what_was_counted(service):
    service.configuration.update({"client_session_rate": 3, "client_message_rate": 2, "client_recipient_rate": 2})
    service.reload()

    def explain():
        return service.command("explain", "session", "--client", "127.0.0.1", "--from", "sender@example.org", "--to",
                               "jane.doe@acme.com").stdout

    for _ in range(12):
        text = explain()
        assert "exceeded" not in text and TOO_FAST not in text, text
    with Clients(service) as clients:
        for _ in range(3):
            assert clients.come().startswith("220")
        assert clients.come() == TOO_FAST
    assert TOO_FAST in explain()


def test_without_policy_no_rate_is_exceeded(service):
    service.configuration["client_session_rate"] = 1
    service.reload()
    policy = service.worker("policy")
    with Clients(service) as clients:
        assert clients.come().startswith("220")
        os.kill(policy, signal.SIGSTOP)
        try:
            assert clients.come().startswith("220")
        finally:
            os.kill(policy, signal.SIGCONT)
        assert clients.come() == TOO_FAST


def test_a_crowd_never_exceeds_the_limit_and_fills_it(service):
    """Sessions come and go in a hurry at both processes."""
    with contextlib.ExitStack() as stack:
        kept = collections.deque()
        greeted = 0
        for _ in range(150):
            if len(kept) >= LIMIT + 3:
                kept.popleft().close()
            client = stack.enter_context(Dialogue(service.port, 30 * PATIENCE, source="127.0.0.4"))
            greeted += client.greeting.startswith("220")
            assert client.greeting.startswith("220") or client.greeting == TOO_MANY
            kept.append(client)
        assert greeted > 10
        alive = [client for client in kept if client.greeting.startswith("220")]
        assert len(alive) <= LIMIT
        for client in alive:
            assert client.command("NOOP").startswith("250")
    with Clients(service) as clients:
        def fills():
            while len(clients.open) < LIMIT and clients.come("127.0.0.4").startswith("220"):
                pass
            return len(clients.open) == LIMIT
        wait_for(fills, 20, what="a client that has all its sessions again")
        assert clients.come("127.0.0.4") == TOO_MANY


# ---- the greeting ----

@pytest.fixture(name="slow")
def start_slow_service():
    """Everybody but 127.0.0.9 waits a long time for the greeting."""
    instance = Instance()
    instance.configuration.update({"greeting_delay": "60s", "early_talker_action": "log_and_reject",
                                   "relay_enforcement": "all_hosts", "relay_enforcement_exclude_hosts": ["[127.0.0.9]"]})
    try:
        yield instance.start()
    finally:
        instance.close()


def hears_nothing(client, seconds=0.5):
    client.socket.settimeout(seconds)
    try:
        return client.socket.recv(1, socket.MSG_PEEK) is None
    except TimeoutError:
        return True
    finally:
        client.socket.settimeout(30 * PATIENCE)


def test_who_speaks_before_the_greeting_reads_554_in_its_place(slow):
    with Dialogue(slow.port, greet=False) as client:
        assert hears_nothing(client)
        client.raw(b"EHLO early.example\r\nMAIL FROM:<a@b.example>\r\n")
        assert client.reply() == EARLY
        assert client.closed()
    slow.wait_log("early-talker.*client=127.0.0.1 action=reject rule=early_talker_action")
    slow.wait_log("control-refused.*client=127.0.0.1.*control=\"early talker\" reply=554")


def test_a_single_octet_is_too_early(slow):
    with Dialogue(slow.port, greet=False) as client:
        client.raw(b"\r")
        assert client.reply() == EARLY


def test_an_early_talker_that_is_only_logged_is_served_in_order(slow):
    slow.configuration["early_talker_action"] = "log"
    slow.reload()
    with Dialogue(slow.port, greet=False) as client:
        client.raw(b"EHLO early.example\r\nNOOP\r\nBOGUS\r\nQUIT\r\n")
        replies = [client.reply() for _ in range(5)]
        assert [reply[:3] for reply in replies] == ["220", "250", "250", "500", "221"]
    slow.wait_log("early-talker.*client=127.0.0.1 action=log rule=early_talker_action")


def test_who_waits_is_greeted_after_the_delay_and_not_before(slow):
    slow.configuration["greeting_delay"] = "2s"
    slow.reload()
    started = time.monotonic()
    with slow.connect() as client:
        assert time.monotonic() - started >= 2
        assert client.greeting.startswith("220")
        assert client.command("EHLO patient.example").startswith("250")
    assert "early-talker" not in slow.log()


def test_exempt_hosts_are_greeted_at_once_while_many_others_wait(slow):
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(Dialogue(slow.port, greet=False)) for _ in range(200)]
        with Dialogue(slow.port, 30, source="127.0.0.9") as client:
            assert client.command("EHLO exempt.example").startswith("250")
        slow.configuration["rate_exempt_hosts"] = ["[127.0.0.8]"]
        slow.reload()
        with Dialogue(slow.port, 30, source="127.0.0.8") as client:
            assert client.command("EHLO exempt.example").startswith("250")
        assert hears_nothing(waiting[0], 0.1)


def test_who_leaves_while_waiting_leaves_nothing_behind(slow):
    for _ in range(20):
        Dialogue(slow.port, greet=False).close()
    wait_for(lambda: slow.log().count("session-closed") >= 20, what="the end of all sessions")
    assert "early-talker" not in slow.log()


def test_a_service_that_stops_does_not_wait_for_those_who_wait(slow):
    with Dialogue(slow.port, greet=False) as client:
        assert hears_nothing(client)
        assert slow.stop(timeout=30).returncode == 0
        assert client.reply().startswith("421 4.3.2 ")


def test_without_a_delay_nobody_is_too_early(service):
    with Dialogue(service.port, greet=False) as client:
        client.raw(b"EHLO early.example\r\n")
        assert client.reply().startswith("220")
        assert client.reply().startswith("250")
    fresh_session_works(service)
    assert "early-talker" not in service.log()
