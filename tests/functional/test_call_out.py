"""Call-outs: recipients that another server knows are verified there, before their mail is accepted here."""

import os
import signal
import threading

import pytest

from gate import JANE, SENDER
from matador import wait_for
from receivers import Receiver
from test_explain_session import explain, step

KNOWN, OTHER, UNKNOWN = "known@acme.com", "other@acme.com", "unknown@acme.com"
ACCEPTED = "250 2.1.5 {}... Recipient OK"
REFUSED = "550 5.1.1 unknown@acme.com... No such user; the next host said: 550 5.1.1 nobody here has that name"
PENDING = "451 4.4.3 {}... Recipient cannot be verified now, try again later"


def refuse_unknown(session, argument):
    return "550 5.1.1 nobody here has that name" if "unknown" in argument.lower() else None


@pytest.fixture
def front(one_instance, sink):
    """Not started: the Directory knows Jane and Bob, whose mail stays here; all others are the sink's."""
    sink.script["RCPT"] = refuse_unknown
    one_instance.configuration.update({"recipient_call_out": "enabled", "local_smart_host": f"[127.0.0.1]:{sink.port}"})
    return one_instance


def rcpt(service, recipient):
    with service.connect() as session:
        session.command("EHLO client.example")
        assert session.command(f"MAIL FROM:<{SENDER}>").startswith("250")
        return session.command(f"RCPT TO:<{recipient}>")


def asked(sink, recipient):
    return sum(f"<{recipient}>" in command for command in sink.commands if command.startswith("RCPT"))


def wait_stored(service, recipient):
    path = service.folder / "spool" / "directory" / "call-outs"
    wait_for(lambda: b"\0" + recipient.encode() in path.read_bytes(), 10, "the answer on its way to the disk")


def restart(service, role):
    pid = service.worker(role)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: service.workers(role) not in ([], [pid]), 30, f"a new {role}")


def test_the_next_host_decides_who_is_a_recipient(front, sink):
    service = front.start()
    assert rcpt(service, KNOWN) == ACCEPTED.format(KNOWN)
    assert rcpt(service, UNKNOWN) == REFUSED
    session = [command for command in sink.commands if not command.startswith("EHLO")]
    assert session[:3] == ["MAIL FROM:<>", f"RCPT TO:<{KNOWN}>", "RSET"]
    assert "DATA" not in session and not sink.messages


def test_answers_are_remembered_and_outlive_directory(front, sink):
    service = front.start()
    assert rcpt(service, KNOWN) == ACCEPTED.format(KNOWN)
    assert rcpt(service, UNKNOWN) == REFUSED
    wait_stored(service, KNOWN)
    wait_stored(service, UNKNOWN)
    restart(service, "directory")
    sink.script["RCPT"] = lambda session, argument: "450 4.2.0 not now"
    assert rcpt(service, KNOWN) == ACCEPTED.format(KNOWN)
    assert rcpt(service, UNKNOWN) == REFUSED
    assert asked(sink, KNOWN) == 1 and asked(sink, UNKNOWN) == 1


def test_mail_that_stays_here_is_asked_of_nobody(front, sink):
    service = front.start()
    assert rcpt(service, JANE) == ACCEPTED.format(JANE)
    assert rcpt(service, "postmaster@acme.com") == ACCEPTED.format("postmaster@acme.com")
    assert sink.commands == []


def test_the_mail_of_a_recipient_who_was_verified_arrives(front, sink):
    service = front.start()
    service.send(KNOWN)
    message = sink.wait()[0]
    assert message.recipients == [KNOWN] and message.sender == SENDER


def test_a_smart_host_for_all_is_asked_about_those_in_the_directory_too(front, sink):
    front.configuration["smart_host_for_all_local_recipients"] = "enabled"
    service = front.start()
    sink.script["RCPT"] = lambda session, argument: "550 5.1.1 gone" if "jane" in argument else None
    assert rcpt(service, JANE).startswith("550 5.1.1 ")
    assert rcpt(service, OTHER) == ACCEPTED.format(OTHER)


@pytest.mark.parametrize("script", [
    {"banner": "554 5.3.2 no service"}, {"EHLO": "421 4.3.2 closing"}, {"MAIL": "550 5.7.1 no null senders here"},
    {"MAIL": "451 4.3.0 later"}, {"RCPT": "450 4.2.0 greylisted"}, {"RCPT": "421 4.3.2 closing"},
], ids=lambda script: " ".join(f"{verb} {reply[:3]}" for verb, reply in script.items()))
def test_only_the_reply_to_rcpt_is_an_answer(front, sink, script):
    for verb, reply in script.items():
        sink.script[verb] = lambda session, argument, reply=reply: reply
    service = front.start()
    assert rcpt(service, KNOWN) == PENDING.format(KNOWN)
    assert (service.folder / "spool" / "directory" / "call-outs").read_bytes().count(KNOWN.encode()) == 0


def test_a_host_that_is_down_is_no_answer_and_comes_back(front, sink):
    port = sink.port
    sink.close()
    service = front.start()
    assert rcpt(service, KNOWN) == PENDING.format(KNOWN)
    back = Receiver(port=port)
    try:
        back.script["RCPT"] = refuse_unknown
        wait_for(lambda: rcpt(service, KNOWN) == ACCEPTED.format(KNOWN), 60, "the host's answer", every=0.5)
        assert rcpt(service, UNKNOWN) == REFUSED
    finally:
        back.close()


def test_a_host_that_says_nothing_is_waited_for_so_long_and_no_longer(front, sink):
    goes_on = threading.Event()
    sink.script["RCPT"] = lambda session, argument: None if goes_on.wait(60) else None
    front.configuration["call_out_timeout"] = "1s"
    service = front.start()
    try:
        assert rcpt(service, KNOWN) == PENDING.format(KNOWN)
        service.wait_log(rf"call-out recipient={KNOWN} .*finding=none reply=\"no answer in time\"")
    finally:
        goes_on.set()


def test_a_verdict_does_not_wait_for_what_the_session_does_next(front, sink):
    goes_on = threading.Event()
    sink.script["RSET"] = lambda session, argument: None if goes_on.wait(60) else None
    service = front.start()
    try:
        assert rcpt(service, KNOWN) == ACCEPTED.format(KNOWN)
        assert rcpt(service, UNKNOWN) == REFUSED
    finally:
        goes_on.set()


def test_many_who_ask_for_one_recipient_share_a_call_out(front, sink):
    goes_on = threading.Event()
    sink.script["RCPT"] = lambda session, argument: None if OTHER in argument or goes_on.wait(60) else None
    front.matador["smtpd_processes"] = 1
    service = front.start()
    clients = [service.connect() for _ in range(10)]
    try:
        for client in clients:
            client.begin([])
        for client in clients:
            client.raw(f"RCPT TO:<{KNOWN}>\r\n".encode())
        # One process says what it was told in that order: when this one is answered, all the others have asked.
        assert rcpt(service, OTHER) == ACCEPTED.format(OTHER)
        goes_on.set()
        assert [client.reply() for client in clients] == [ACCEPTED.format(KNOWN)] * 10
        assert asked(sink, KNOWN) == 1
    finally:
        goes_on.set()
        for client in clients:
            client.socket.close()


@pytest.mark.parametrize("role", ["smtp", "qmgr", "router"])
def test_a_program_that_dies_meanwhile_costs_nobody_the_answer(front, sink, role):
    front.matador["smtp_processes"] = 1
    goes_on = threading.Event()
    sink.script["RCPT"] = lambda session, argument: None if goes_on.wait(60) else None
    service = front.start()
    replies = []
    client = threading.Thread(target=lambda: replies.append(rcpt(service, KNOWN)))
    client.start()
    wait_for(lambda: asked(sink, KNOWN) > 0, 20, "a call-out")
    restart(service, role)
    goes_on.set()
    client.join()
    assert replies == [ACCEPTED.format(KNOWN)]


def test_lmtp_hosts_are_asked_too(one_instance, lmtp_sink):
    lmtp_sink.script["RCPT"] = lambda session, argument: "550 5.1.1 no such mail file" if "bob" in argument else None
    one_instance.configuration.update({"recipient_call_out": "enabled", "local_delivery": f"lmtp:[127.0.0.1]:{lmtp_sink.port}"})
    service = one_instance.start()
    assert rcpt(service, JANE) == ACCEPTED.format(JANE)
    assert rcpt(service, "bob@acme.com").endswith("the next host said: 550 5.1.1 no such mail file")


def test_explain_session_asks_and_remembers_nothing(front, sink):
    service = front.start()
    told = explain(service, "192.0.2.7", SENDER, UNKNOWN)
    assert step(told, "call-out")["verdict"] == "refuses"
    assert step(told, "verify recipient")["verdict"] == "passes"
    assert step(explain(service, "192.0.2.7", SENDER, KNOWN), "call-out")["verdict"] == "passes"
    assert rcpt(service, KNOWN) == ACCEPTED.format(KNOWN)
    assert asked(sink, KNOWN) == 2 and asked(sink, UNKNOWN) == 1
    assert step(explain(service, "192.0.2.7", SENDER, KNOWN), "call-out")["verdict"] == "passes"
    assert asked(sink, KNOWN) == 2


def test_without_the_switch_an_unknown_recipient_is_refused_here(front, sink):
    front.configuration["recipient_call_out"] = "disabled"
    service = front.start()
    assert rcpt(service, KNOWN).startswith("550 ") and sink.commands == []
