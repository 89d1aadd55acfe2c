"""
Part J of docs/reference/hostile-inputs.md: what the far side does wrong, rows 120 to 129.

Most tests have the same shape: the far side misbehaves, the message waits (T) with a reason that says so, and goes out once, whole,
when the far side has come to its senses; nobody gets a report meanwhile, and strangers are served all the time.
"""

import random
import re
import time

import pytest

import receivers
from matador import PATIENCE, fresh_session_works, no_worker_died, wait_for
from test_reports import report_parts

NO_CHUNKING = ["PIPELINING", "8BITMIME", "SIZE 100000000", "SMTPUTF8", "DSN"]
CHUNKING = [*NO_CHUNKING, "CHUNKING"]
BODY = b"Subject: far side\r\n\r\n.\r\nHello.\r\n"


@pytest.fixture
def relay(one_instance, sink):
    """Not started. What fails is tried again soon; no wait of a session is longer than a test."""
    sink.extensions = list(NO_CHUNKING)
    one_instance.configuration.update({"initial_transfer_retry_interval": "1s", "retry_interval_cap": "1s"})
    one_instance.relay_to(sink.port)
    return one_instance


def submit(service, recipients, body=BODY):
    """One message of Bob's, with one transaction for all recipients."""
    with service.connect(60) as client:
        client.begin(recipients, sender="bob@acme.com")
        assert client.data(body.replace(b"\r\n.", b"\r\n..") + b".\r\n").startswith("250")


def waiting(service):
    """Recipient by address of all messages that were tried and wait."""
    return {recipient["address"]: recipient for message in service.queue() for recipient in message["recipients"]
            if recipient["state"] == "deferred"}


def finish(service):
    service.wait_queue_empty(40)
    fresh_session_works(service)
    no_worker_died(service)


def waits_and_then_arrives_once(service, sink, reason, body=BODY, seconds=20):
    """The message waits with that reason; then the far side is healed."""
    found = wait_for(lambda: waiting(service), seconds, "a deferred message", every=0.1)["x@elsewhere.example"]
    assert re.search(reason, found["reason"]), found
    assert not sink.messages
    fresh_session_works(service)
    sink.script.clear()
    finish(service)
    assert [message.octets.endswith(body) for message in sink.messages] == [True]
    assert not service.mail("bob"), "nothing has failed for good: no report"


def drip(octets, seconds):
    """Says octets one by one, far apart."""
    def say(session, argument):
        for octet in octets:
            session.wfile.write(bytes([octet]))
            session.wfile.flush()
            time.sleep(seconds)
        raise receivers.Receiver.Close
    return say


def close(session, argument):
    raise receivers.Receiver.Close


def silent(session, argument):
    session.rfile.read()
    raise receivers.Receiver.Close


def reply(text):
    return lambda session, argument: text


def refuse(sink, verb, text):
    """A lawful refusal: what was pipelined behind MAIL is refused as well."""
    sink.script[verb] = reply(text)
    if verb == "MAIL":
        sink.script["RCPT"] = reply("503 5.5.1 no sender")


# ---- row 120 ----

@pytest.mark.parametrize("banner, reason", [
    (silent, "timed out while waiting for the greeting"),
    (drip(b"220-" + b"x" * 100, 0.3), "timed out while waiting for the greeting"),
    (close, "connection lost while waiting for the greeting"),
    (reply("554 5.7.1 no service for you"), "554 5.7.1 no service for you"),
    (reply("421 4.3.2 busy"), "421 4.3.2 busy"),
    (reply(b"220-more\r\n" * 1_000_000), "protocol error while waiting for the greeting: too many lines"),
    (reply(b"HTTP/1.1 400 Bad Request\r\nServer: far\r\n\r\n<html>\r\n"), "protocol error while waiting for the greeting"),
    (reply(random.Random(120).randbytes(5000)), "protocol error while waiting for the greeting"),
    (reply("250 hello"), "protocol error while waiting for the greeting"),
], ids=["silence", "dripping", "close", "554", "421", "a million lines", "HTTP", "noise", "250"])
def test_row_120_a_banner_that_is_none_makes_the_message_wait(relay, sink, banner, reason):
    relay.configuration["smtp_greeting_timeout"] = f"{2 * PATIENCE}s"
    sink.script["banner"] = banner
    service = relay.start()
    submit(service, "x@elsewhere.example")
    waits_and_then_arrives_once(service, sink, reason)


# ---- row 121 ----

@pytest.mark.parametrize("verb", ["EHLO", "RCPT"])
@pytest.mark.parametrize("octets, reason", [
    (b"250 " + b"x" * 1_000_000, "a line is too long"),
    (b"250-x\r\n" * 150_000, "too many lines"),
    (b"250 ok\n", "a LF without CR"),
    (b"250 o\0k\r\n", "a NUL"),
    (b"25\r\n", "without a reply code"),
    (b"999 ok\r\n", "without a reply code"),
    (b"abc\r\n", "without a reply code"),
    (b"250-one\r\n251 two\r\n", "the code changes"),
], ids=["endless line", "endless reply", "bare LF", "NUL", "25", "999", "abc", "changing code"])
def test_row_121_a_reply_that_breaks_the_protocol_makes_the_message_wait(relay, sink, verb, octets, reason):
    sink.script[verb] = reply(octets)
    service = relay.start()
    submit(service, "x@elsewhere.example")
    waits_and_then_arrives_once(service, sink, "protocol error while waiting for the reply to .*" + reason)


def test_row_121_a_reply_that_is_cut_after_a_continuation_line_makes_the_message_wait(relay, sink):
    def cut(session, argument):
        session.wfile.write(b"250-ok\r\n250-")
        session.wfile.flush()
        raise receivers.Receiver.Close
    sink.script["RCPT"] = cut
    service = relay.start()
    submit(service, "x@elsewhere.example")
    waits_and_then_arrives_once(service, sink, "connection lost while waiting for the reply to RCPT")


# ---- row 122 ----

ODD = b" 4.2.1 \x1b[31mred\x07 caf\xc3\xa9 \xff=0D=0A%0d%0a\\r\\n forged: yes\r\n"


def test_row_122_an_odd_reply_is_one_escaped_line_in_queue_and_log(relay, sink):
    sink.script["RCPT"] = reply(b"450" + ODD)
    service = relay.start()
    submit(service, "x@elsewhere.example")
    found = wait_for(lambda: waiting(service), 20, "a deferred message", every=0.1)["x@elsewhere.example"]
    assert "450 4.2.1 ?[31mred? caf?? ?=0D=0A%0d%0a" in found["reason"] and "\n" not in found["reason"]
    log = service.folder.joinpath("log", "mail.log").read_bytes()
    assert not re.search(rb"[^\n\x20-\x7e]", log)
    assert all(re.match(rb"\d{4}-\d\d-\d\dT", line) for line in log.splitlines())
    sink.script.clear()
    finish(service)
    assert len(sink.messages) == 1


def test_row_122_an_odd_reply_is_one_line_in_the_report(relay, sink):
    sink.script["RCPT"] = reply(b"550-5.1.1 not this one\r\n550" + ODD.replace(b"4.2.1", b"5.2.1"))
    service = relay.start()
    submit(service, "x@elsewhere.example")
    octets = service.wait_mail("bob")[0]
    assert not re.search(rb"[^\n\t\x20-\x7e]", octets)
    assert not re.search(rb"^forged", octets, re.M | re.I)
    _, text, blocks, _ = report_parts(octets)
    assert blocks[1]["Status"] == "5.2.1"
    assert "?[31mred?" in blocks[1]["Diagnostic-Code"] and "not this one" not in blocks[1]["Diagnostic-Code"]
    assert "?[31mred?" in text
    finish(service)


def test_row_122_a_stray_line_end_in_a_reply_makes_the_message_wait(relay, sink):
    sink.script["RCPT"] = reply(b"550 5.1.1 no\rsuch user\r\n")
    service = relay.start()
    submit(service, "x@elsewhere.example")
    waits_and_then_arrives_once(service, sink, "protocol error .*a CR without LF")


# ---- row 123 ----

@pytest.mark.parametrize("extensions, verb, wrong", [
    (NO_CHUNKING, "MAIL", "354 go on"), (NO_CHUNKING, "RCPT", "354 go on"), (NO_CHUNKING, "DATA", "250 ok"),
    (NO_CHUNKING, "DATA", "334 hm"), (NO_CHUNKING, "dot", "354 more"), (CHUNKING, "dot", "354 more"), ([], "MAIL", "354 go on"),
    ([], "DATA", "250 ok"), (NO_CHUNKING, "EHLO", "354 go on"),
])
def test_row_123_a_reply_that_does_not_fit_its_command_makes_the_message_wait(relay, sink, extensions, verb, wrong):
    sink.extensions = extensions
    sink.script[verb] = reply(wrong)
    service = relay.start()
    submit(service, "x@elsewhere.example")
    found = wait_for(lambda: waiting(service), 20, "a deferred message", every=0.1)["x@elsewhere.example"]
    assert "protocol error" in found["reason"]
    sink.script.clear()
    finish(service)
    arrived = [message for message in sink.messages if message.octets.endswith(BODY)]
    assert arrived and not service.mail("bob")


@pytest.mark.parametrize("extensions", [NO_CHUNKING, CHUNKING], ids=["DATA", "BDAT"])
def test_row_123_replies_nobody_asked_for_never_count_for_the_next_message(relay, sink, extensions):
    """The surplus 250 would be the reply to the next MAIL, and the next refusal that of the wrong recipient."""
    relay.configuration["smtp_reuse_idle_timeout"] = "60s"
    relay.matador["smtp_processes"] = 1
    sink.extensions = extensions
    sink.script["dot"] = lambda session, octets: b"250 taken\r\n250 taken again\r\n250 and again\r\n"
    service = relay.start()
    for number in range(4):
        submit(service, f"x{number}@elsewhere.example")
        service.wait_queue_empty(20)
    assert len({*re.findall("x[0-9]", " ".join(sink.commands))}) == 4
    assert sink.sessions == 4 and not service.mail("bob")
    finish(service)


# ---- row 124 ----

@pytest.mark.parametrize("extensions, stage, where", [
    (NO_CHUNKING, "EHLO", "the reply to EHLO"),
    (NO_CHUNKING, "MAIL", "the reply to MAIL"),
    (NO_CHUNKING, "RCPT", "the reply to RCPT"),
    (NO_CHUNKING, "DATA", "the reply to DATA"),
    (NO_CHUNKING, "dot", "the reply to the end of data"),
    (CHUNKING, "MAIL", "the reply to MAIL"),
    (CHUNKING, "RCPT", "the reply to RCPT"),
    (CHUNKING, "BDAT", "the reply to the end of data"),
    (CHUNKING, "dot", "the reply to the end of data"),
    ([], "DATA", "the reply to DATA"),
    (["CHUNKING"], "dot", "the reply to the end of data"),
], ids=lambda value: " ".join(value).replace(" ", ",") if isinstance(value, list) else value.split(" ")[-1])
def test_row_124_a_connection_that_is_closed_anywhere_before_the_last_reply_makes_the_message_wait(relay, sink, extensions, stage,
                                                                                                  where):
    sink.extensions = extensions
    sink.script[stage] = close
    service = relay.start()
    submit(service, "x@elsewhere.example")
    waits_and_then_arrives_once(service, sink, f"connection lost while waiting for {where}")


@pytest.mark.parametrize("extensions", [NO_CHUNKING, CHUNKING], ids=["DATA", "BDAT"])
def test_row_124_a_connection_that_is_closed_inside_the_content_makes_the_message_wait(relay, sink, extensions):
    body = b"Subject: far side\r\n\r\n" + b"twenty octets a line\r\n" * 400_000
    sink.extensions = extensions

    def take_some(session, argument):
        if argument == "":
            session.wfile.write(b"354 go\r\n")
            session.wfile.flush()
        session.rfile.read(100_000)
        raise receivers.Receiver.Close
    sink.script["BDAT" if extensions is CHUNKING else "DATA"] = take_some
    service = relay.start()
    submit(service, "x@elsewhere.example", body)
    waits_and_then_arrives_once(service, sink, "connection lost while sending the message", body, 60)


def test_row_124_a_connection_that_is_closed_after_the_last_reply_sends_nothing_again(relay, sink):
    relay.configuration["smtp_reuse_idle_timeout"] = "0s"

    def say_and_close(session, octets):
        session.wfile.write(b"250 2.0.0 taken\r\n")
        session.wfile.flush()
        raise receivers.Receiver.Close
    sink.script["dot"] = say_and_close
    service = relay.start()
    submit(service, "x@elsewhere.example")
    finish(service)
    time.sleep(3)
    assert sink.sessions == 1 and sum(command.startswith("DATA") for command in sink.commands) == 1
    assert not service.mail("bob")


# ---- row 125 ----

@pytest.mark.parametrize("extensions, verb", [
    (NO_CHUNKING, "EHLO"), (NO_CHUNKING, "MAIL"), (NO_CHUNKING, "RCPT"), (NO_CHUNKING, "DATA"), (NO_CHUNKING, "dot"),
    (CHUNKING, "MAIL"), (CHUNKING, "RCPT"), (CHUNKING, "BDAT"), (CHUNKING, "dot"), ([], "MAIL"), ([], "RCPT"), ([], "DATA"),
    ([], "dot"), (["CHUNKING"], "BDAT"),
], ids=lambda value: ",".join(value) if isinstance(value, list) else value)
@pytest.mark.parametrize("code", ["421 4.3.2 closing", "451 4.7.1 greylisted, come back"], ids=["421", "451"])
def test_row_125_a_temporary_refusal_anywhere_makes_the_message_wait_with_its_text(relay, sink, extensions, verb, code):
    sink.extensions = extensions
    refuse(sink, verb, code)
    service = relay.start()
    submit(service, "x@elsewhere.example")
    waits_and_then_arrives_once(service, sink, code)


@pytest.mark.parametrize("extensions, verb", [
    (NO_CHUNKING, "MAIL"), (NO_CHUNKING, "RCPT"), (NO_CHUNKING, "DATA"), (NO_CHUNKING, "dot"), (CHUNKING, "MAIL"),
    (CHUNKING, "RCPT"), (CHUNKING, "BDAT"), (CHUNKING, "dot"), ([], "MAIL"), ([], "dot"),
], ids=lambda value: ",".join(value) if isinstance(value, list) else value)
def test_row_125_a_permanent_refusal_anywhere_is_reported_with_its_text(relay, sink, extensions, verb):
    sink.extensions = extensions
    refuse(sink, verb, "550 5.7.1 of our own" if verb in ("DATA", "dot") else
           b"550-5.7.1 for reasons\r\n550 5.7.1 of our own\r\n")
    service = relay.start()
    submit(service, "x@elsewhere.example")
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert blocks[1]["Status"] == "5.7.1" and blocks[1]["Action"] == "failed"
    assert "550 5.7.1 of our own" in blocks[1]["Diagnostic-Code"] and "for reasons" not in blocks[1]["Diagnostic-Code"]
    finish(service)
    assert not sink.messages and len(service.mail("bob")) == 1


@pytest.mark.parametrize("extensions", [NO_CHUNKING, CHUNKING, []], ids=["DATA", "BDAT", "one by one"])
def test_row_125_each_recipient_has_the_fate_of_its_own_reply(relay, sink, extensions):
    sink.extensions = extensions
    fates = {"bad@": "550 5.1.1 unknown", "later@": "450 4.2.0 greylisted", "full@": "452 4.2.2 over quota"}
    sink.script["RCPT"] = lambda session, argument: next(
        (text for part, text in fates.items() if part in argument), None)
    service = relay.start()
    submit(service, [f"{name}@elsewhere.example" for name in ("one", "bad", "later", "two", "full")])
    assert sink.wait()[0].recipients == ["one@elsewhere.example", "two@elsewhere.example"]
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert [block["Final-Recipient"] for block in blocks[1:]] == ["rfc822; bad@elsewhere.example"]
    wait_for(lambda: set(waiting(service)) == {"later@elsewhere.example", "full@elsewhere.example"}, 20, "two that wait")
    sink.script.clear()
    finish(service)
    assert sorted(address for message in sink.messages[1:] for address in message.recipients) == \
        ["full@elsewhere.example", "later@elsewhere.example"]
    assert len(service.mail("bob")) == 1


def test_row_125_421_in_the_middle_takes_no_verdict_back(relay, sink):
    """The first recipient's refusal stands; the one that was accepted was not sent anything, and waits with the others."""
    fates = {"bad@": "550 5.1.1 unknown", "third@": "421 4.3.2 closing"}
    sink.script["RCPT"] = lambda session, argument: next(
        (text for part, text in fates.items() if part in argument), None)
    service = relay.start()
    submit(service, [f"{name}@elsewhere.example" for name in ("bad", "second", "third", "fourth")])
    wait_for(lambda: set(waiting(service)) >= {f"{name}@elsewhere.example" for name in ("second", "third", "fourth")}, 20,
             "three that wait")
    assert not sink.messages
    sink.script.clear()
    finish(service)
    assert sorted(address for message in sink.messages for address in message.recipients) == \
        ["fourth@elsewhere.example", "second@elsewhere.example", "third@elsewhere.example"]
    assert len(service.mail("bob")) == 1


# ---- row 126 ----

def test_row_126_when_all_recipients_were_refused_a_host_that_goes_on_gets_a_lone_dot(relay, sink):
    contents = []
    sink.script.update({"RCPT": reply("550 5.1.1 unknown"), "DATA": reply("354 go on"),
                        "dot": lambda session, octets: contents.append(octets)})
    service = relay.start()
    submit(service, ["x@elsewhere.example", "y@elsewhere.example"])
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert [block["Status"] for block in blocks[1:]] == ["5.1.1", "5.1.1"]
    finish(service)
    assert contents == [b""] and not sink.messages


def test_row_126_when_all_recipients_were_refused_no_chunk_leaves(relay, sink):
    """A host that would take a chunk for nobody is not given one, and its session goes on."""
    sink.extensions = CHUNKING
    chunks = []
    relay.configuration["smtp_reuse_idle_timeout"] = "60s"
    relay.matador["smtp_processes"] = 1
    sink.script.update({"RCPT": reply("550 5.1.1 unknown"), "BDAT": lambda session, octets: chunks.append(octets)})
    service = relay.start()
    submit(service, "x@elsewhere.example")
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert blocks[1]["Status"] == "5.1.1"
    service.wait_queue_empty()
    assert not chunks
    sink.script.clear()
    submit(service, "y@elsewhere.example")
    assert sink.wait()[0].session == 1
    finish(service)
    assert len(service.mail("bob")) == 1


def test_row_126_a_host_that_takes_data_after_it_refused_mail_gets_nothing(relay, sink):
    contents = []
    sink.script.update({"MAIL": reply("550 5.7.1 not you"), "RCPT": reply("503 no"), "DATA": reply("354 go on"),
                        "dot": lambda session, octets: contents.append(octets)})
    service = relay.start()
    submit(service, "x@elsewhere.example")
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert blocks[1]["Status"] == "5.7.1"
    finish(service)
    assert contents == []


# ---- row 127 ----

@pytest.mark.parametrize("code", ["500 what", "502 5.5.1 not here", "554 no"])
def test_row_127_where_ehlo_is_refused_helo_does(relay, sink, code):
    sink.script["EHLO"] = reply(code)
    service = relay.start()
    submit(service, "x@elsewhere.example")
    assert sink.wait()[0].octets.endswith(BODY)
    assert sink.commands == ["EHLO hub.acme.com", "HELO hub.acme.com", "MAIL FROM:<bob@acme.com>",
                             "RCPT TO:<x@elsewhere.example>", "DATA"]
    finish(service)


def test_row_127_where_helo_is_refused_too_the_message_waits(relay, sink):
    sink.script.update({"EHLO": reply("502 no"), "HELO": reply("550 5.7.1 go away")})
    service = relay.start()
    submit(service, "x@elsewhere.example")
    waits_and_then_arrives_once(service, sink, "550 5.7.1 go away")


def test_row_127_a_hundred_thousand_capabilities_make_the_message_wait(relay, sink):
    sink.script["EHLO"] = reply(b"250-mx\r\n" + b"250-X-MORE\r\n" * 100_000 + b"250 8BITMIME\r\n")
    service = relay.start()
    submit(service, "x@elsewhere.example")
    waits_and_then_arrives_once(service, sink, "protocol error while waiting for the reply to EHLO: too many lines")


@pytest.mark.parametrize("offers", [
    [], ["XPIPELINING", "PIPELININGX", "SIZE-100", "8BITMIMEX", "CHUNKING-OFF"], [" PIPELINING", "\tCHUNKING"],
    ["AUTH=PLAIN", "AUTH", "STARTTLS", "ETRN", "VERP", "250 PIPELINING"],
], ids=["none", "nearly", "indented", "others"])
def test_row_127_nothing_is_used_that_is_not_offered(relay, sink, offers):
    sink.extensions = offers
    service = relay.start()
    submit(service, ["x@elsewhere.example", "y@elsewhere.example"])
    sink.wait()
    assert sink.commands == ["EHLO hub.acme.com", "MAIL FROM:<bob@acme.com>", "RCPT TO:<x@elsewhere.example>",
                             "RCPT TO:<y@elsewhere.example>", "DATA"]
    finish(service)


def test_row_127_a_host_that_offers_chunking_and_does_not_know_bdat_gets_data(relay, sink):
    sink.extensions = CHUNKING
    sink.script["BDAT"] = reply("502 5.5.1 what is BDAT?")
    service = relay.start()
    submit(service, "x@elsewhere.example")
    assert sink.wait()[0].octets.endswith(BODY)
    finish(service)
    assert [command.split(" ")[0] for command in sink.commands[:7]] == ["EHLO", "MAIL", "RCPT", "BDAT", "RSET", "MAIL", "RCPT"]
    assert sink.sessions == 1 and len(sink.messages) == 1


def test_row_127_a_size_that_is_too_small_for_the_message_is_a_failure_without_a_try(relay, sink):
    sink.extensions = ["PIPELINING", "SIZE 20"]
    service = relay.start()
    submit(service, "x@elsewhere.example")
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert blocks[1]["Status"] == "5.3.4"
    finish(service)
    assert not any(command.startswith("MAIL") for command in sink.commands)


# ---- row 128 ----

@pytest.mark.parametrize("extensions", [NO_CHUNKING, CHUNKING], ids=["DATA", "BDAT"])
@pytest.mark.parametrize("pause", [None, 1], ids=["not at all", "one octet a second"])
def test_row_128_a_host_that_reads_too_slowly_is_given_up_and_other_mail_goes_on(relay, sink, extensions, pause):
    body = b"Subject: far side\r\n\r\n" + b"twenty octets a line\r\n" * 500_000
    relay.configuration["smtp_data_block_timeout"] = f"{3 * PATIENCE}s"
    sink.extensions = extensions
    ended = []

    def read_slowly(session, argument):
        if session.number > 1:
            return None
        if argument == "":
            session.wfile.write(b"354 go\r\n")
            session.wfile.flush()
        started = time.monotonic()
        session.request.settimeout(0.1)
        while not ended and time.monotonic() < started + 60 * PATIENCE:
            time.sleep(pause or 0.2)
            if pause:
                session.request.recv(1)
        raise receivers.Receiver.Close
    sink.script["BDAT" if extensions is CHUNKING else "DATA"] = read_slowly
    service = relay.start()
    submit(service, "x@elsewhere.example", body)
    wait_for(lambda: any(re.match("DATA|BDAT", command) for command in sink.commands), 20, "the content")
    started = time.monotonic()
    submit(service, "y@elsewhere.example")
    sink.wait()
    assert sink.messages[0].recipients == ["y@elsewhere.example"]
    assert time.monotonic() - started < 3 * PATIENCE, "the other message waited for the slow host"
    found = wait_for(lambda: waiting(service), 30, "a deferred message", every=0.1)["x@elsewhere.example"]
    assert "timed out while sending the message" in found["reason"]
    ended.append(True)
    finish(service)
    assert [message.octets.endswith(body) for message in sink.messages[1:]] == [True]
    assert not service.mail("bob")


# ---- row 129 ----

@pytest.mark.parametrize("ending", ["silence", "close"])
def test_row_129_lmtp_recipients_without_a_reply_wait_and_the_others_are_done(one_instance, lmtp_sink, ending):
    one_instance.configuration.update({
        "initial_transfer_retry_interval": "1s", "retry_interval_cap": "1s", "smtp_data_done_timeout": f"{2 * PATIENCE}s",
        "local_delivery": f"lmtp:[127.0.0.1]:{lmtp_sink.port}"})
    rounds = []

    def answer_one(session, octets):
        rounds.append(list(session.recipients))
        if len(rounds) > 1:
            return None
        if ending == "close":
            session.wfile.write(b"250 2.0.0 taken\r\n")
            session.wfile.flush()
            raise receivers.Receiver.Close
        return ["250 2.0.0 taken"]
    lmtp_sink.script["dot"] = answer_one
    service = one_instance.start()
    submit(service, ["jane.doe@acme.com", "bob@acme.com"])
    finish(service)
    assert len(rounds) == 2 and len(rounds[0]) == 2 and rounds[1] == rounds[0][1:]
