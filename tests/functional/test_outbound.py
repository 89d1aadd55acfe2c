"""
What leaves by SMTP, as the far side sees it: sessions and their reuse, transactions, extensions, replies and their reports.

What a far side does wrong is in test_queue.py and test_far_side.py, which host is chosen in test_mail_hosts.py.
"""

import email
import email.policy
import re
import time

import pytest

import receivers
from matador import PATIENCE, no_worker_died, wait_for
from name_servers import route_by_dns
from test_bounces import inject, statuses
from test_reports import report_parts

EVERYTHING = ("PIPELINING", "8BITMIME", "SIZE 100000000", "SMTPUTF8", "DSN", "CHUNKING", "ENHANCEDSTATUSCODES")


@pytest.fixture
def relay(one_instance, sink):
    """Not started: all mail goes to the sink, over one smtp process."""
    one_instance.matador["smtp_processes"] = 1
    one_instance.configuration.update({"smtp_reuse_idle_timeout": "60s", "initial_transfer_retry_interval": "1h",
                                       "verify_local_recipients": "disabled"})
    one_instance.relay_to(sink.port)
    return one_instance


def verbs(sink):
    return [command.split(" ")[0].upper() for command in sink.commands]


def commands(sink, verb):
    return [command for command in sink.commands if command.upper().startswith(verb)]


def attempts(service):
    """The attempt lines of the log, as dicts."""
    found = []
    for line in re.findall(r"^.* attempt (id=.*)$", service.log(), re.M):
        found.append({key: quoted if quoted else bare for key, quoted, bare in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', line)})
    return found


def wait_attempts(service, count):
    return wait_for(lambda: (lambda found: found if len(found) >= count else None)(attempts(service)), 20, f"{count} attempts")


def recipients_of(service, sender="bob@acme.com"):
    """Recipient by address, as queue list tells it, of the one message of a sender."""
    return {recipient["address"]: recipient for message in service.queue("--sender", sender) for recipient in message["recipients"]}


def wait_deferred(service, count=1, sender="bob@acme.com"):
    def deferred():
        found = recipients_of(service, sender)
        return found if sum(bool(recipient["reason"]) for recipient in found.values()) >= count else None
    return wait_for(deferred, 30, f"{count} deferred recipients", every=0.1)


# ---- sessions ----

def test_one_session_carries_many_messages(relay, sink):
    service = relay.start()
    for number in range(20):
        service.send(f"x{number}@elsewhere.example")
        sink.wait(number + 1)
        service.wait_queue_empty()
    assert sink.sessions == 1 and verbs(sink).count("EHLO") == 1 and "QUIT" not in verbs(sink)
    no_worker_died(service)


def test_a_session_ends_after_its_limit_of_messages(relay, sink):
    relay.configuration["smtp_reuse_message_limit"] = 3
    service = relay.start()
    for number in range(7):
        service.send(f"x{number}@elsewhere.example")
        sink.wait(number + 1)
        service.wait_queue_empty()
    assert sorted(message.session for message in sink.messages) == [1, 1, 1, 2, 2, 2, 3]
    wait_for(lambda: verbs(sink).count("QUIT") == 2, what="two polite ends")


def test_without_reuse_each_message_has_a_session_that_ends_with_quit(relay, sink):
    relay.configuration["smtp_reuse_idle_timeout"] = 0
    service = relay.start()
    for number in range(3):
        service.send(f"x{number}@elsewhere.example")
        sink.wait(number + 1)
        wait_for(lambda: sink.open_sessions == 0, what="the end of the session")
    assert sink.sessions == 3 and verbs(sink).count("QUIT") == 3


def test_a_kept_session_that_the_far_side_closed_costs_nothing(relay, sink):
    """The second message finds the session dead, and goes over a fresh one at once: no attempt is counted, nothing is deferred."""
    relay.configuration["smtp_out_pipelining"] = "disabled"
    closing = []

    def close_second(session, argument):
        if session.number == 1 and sink.messages and not closing:
            closing.append(True)
            raise receivers.Receiver.Close()
    sink.script["MAIL"] = close_second
    service = relay.start()
    service.send("x@elsewhere.example")
    sink.wait(1)
    service.wait_queue_empty()
    service.send("y@elsewhere.example")
    sink.wait(2)
    service.wait_queue_empty()
    assert closing and [message.session for message in sink.messages] == [1, 2]
    assert " recipient-deferred " not in service.log()


def test_recipient_domains_with_the_same_mail_hosts_share_a_session(one_instance, zones, hosts):
    mail = hosts.receiver(2)
    other = hosts.receiver(3)
    for name in ("one.example", "two.example"):
        zones.domain(name, "@ MX 10 mx.provider.example.")
    zones.domain("provider.example", f"mx A {hosts.host(2)}")
    zones.domain("three.example", "@ MX 10 mail", f"mail A {hosts.host(3)}")
    zones.start()
    one_instance.matador["smtp_processes"] = 1
    one_instance.configuration["smtp_reuse_idle_timeout"] = "60s"
    service = route_by_dns(one_instance, zones, hosts.port).start()
    for number, name in enumerate(("one", "two", "one", "two")):
        service.send(f"x@{name}.example")
        mail.wait(number + 1)
        service.wait_queue_empty()
    service.send("x@three.example")
    other.wait(1)
    service.wait_queue_empty()
    assert mail.sessions == 1 and other.sessions == 1
    assert [message.recipients for message in mail.messages] == [["x@one.example"], ["x@two.example"]] * 2


# ---- transactions ----

def test_many_recipients_go_in_few_transactions_of_one_session(relay, sink):
    recipients = [f"x{number}@elsewhere.example" for number in range(90)]
    service = relay.start()
    inject(service, recipients)
    service.wait_queue_empty()
    assert len(sink.messages) == 1 and sink.messages[0].recipients == recipients
    more = [f"y{number}@elsewhere.example" for number in range(350)]
    inject(service, more)
    service.wait_queue_empty()
    assert sorted(recipient for message in sink.messages[1:] for recipient in message.recipients) == sorted(more)
    assert len(sink.messages) <= 1 + 10


@pytest.mark.parametrize("reply", ["452 4.5.3 too many recipients", "452 too many recipients"])
@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
def test_452_puts_the_rest_into_a_next_transaction(relay, sink, reply, pipelining):
    sink.script["RCPT"] = lambda session, argument: reply if len(session.recipients) >= 10 else None
    if not pipelining:
        sink.extensions.remove("PIPELINING")
    recipients = [f"x{number}@elsewhere.example" for number in range(35)]
    service = relay.start()
    inject(service, recipients)
    service.wait_queue_empty()
    assert [len(message.recipients) for message in sink.messages] == [10, 10, 10, 5]
    assert [recipient for message in sink.messages for recipient in message.recipients] == recipients
    assert sink.sessions == 1 and " recipient-deferred " not in service.log()
    assert len({message.octets for message in sink.messages}) == 1


def test_452_for_the_first_recipient_is_no_reason_to_go_on(relay, sink):
    sink.script["RCPT"] = lambda session, argument: "452 4.5.3 too many recipients"
    service = relay.start()
    inject(service, [f"x{number}@elsewhere.example" for number in range(5)])
    found = wait_deferred(service, 5)
    assert {recipient["state"] for recipient in found.values()} == {"deferred"}
    assert all("452 4.5.3 too many recipients" in recipient["reason"] for recipient in found.values())
    assert not sink.messages and len(commands(sink, "RCPT")) <= 10


def test_each_recipient_of_a_transaction_has_the_fate_of_its_own_reply(relay, sink):
    """Row 125, in one pipelined transaction."""
    replies = {"full": "452 4.2.2 mailbox full", "gone": "550-5.1.1 first line\r\n550 5.1.1 gone away", "slow": "451 4.7.1 greylisted",
               "plain": "553 not one of ours", "big": "552 5.2.3 too large for her"}
    sink.script["RCPT"] = lambda session, argument: replies.get(argument[4:].split("@")[0])
    service = relay.start()
    names = ["good", "full", "gone", "slow", "plain", "big", "also"]
    inject(service, [f"{name}@elsewhere.example" for name in names])
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert statuses(blocks) == {"gone@elsewhere.example": "5.1.1", "plain@elsewhere.example": "5.0.0", "big@elsewhere.example": "5.2.3"}
    assert {block["Final-Recipient"].split("; ")[1]: block["Diagnostic-Code"] for block in blocks[1:]} == {
        "gone@elsewhere.example": "smtp; 550 5.1.1 gone away", "plain@elsewhere.example": "smtp; 553 not one of ours",
        "big@elsewhere.example": "smtp; 552 5.2.3 too large for her"}
    left = recipients_of(service)
    assert left["full@elsewhere.example"]["reason"].endswith("452 4.2.2 mailbox full")
    assert left["slow@elsewhere.example"]["reason"].endswith("451 4.7.1 greylisted")
    assert {address for address, recipient in left.items() if recipient["state"] == "deferred"} == {
        "full@elsewhere.example", "slow@elsewhere.example"}
    assert sink.messages[0].recipients == ["good@elsewhere.example", "also@elsewhere.example"]
    replies.clear()
    service.command("queue", "retry", "--all", check=True)
    service.wait_queue_empty()
    assert [message.recipients for message in sink.messages[1:]] == [["full@elsewhere.example", "slow@elsewhere.example"]]


@pytest.mark.parametrize("stage", ["DATA", "dot"])
def test_a_refusal_of_the_content_is_that_of_every_accepted_recipient(relay, sink, stage):
    sink.script["RCPT"] = lambda session, argument: "550 5.1.1 who?" if "gone" in argument else None
    sink.script[stage] = lambda session, argument: "554-5.7.1 We looked at it\r\n554-5.7.1 for long\r\n554 5.7.1 and it is spam"
    service = relay.start()
    inject(service, ["a@elsewhere.example", "gone@elsewhere.example", "b@elsewhere.example"])
    _, text, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert statuses(blocks) == {"a@elsewhere.example": "5.7.1", "b@elsewhere.example": "5.7.1", "gone@elsewhere.example": "5.1.1"}
    assert "554 5.7.1 and it is spam" in text and "looked" not in text
    assert not sink.messages
    service.wait_queue_empty()


# ---- extensions ----

PLAIN = b"From: bob@acme.com\r\nSubject: plain\r\n\r\nHello.\r\n..dots\r\n"
LATIN = "From: bob@acme.com\r\nSubject: eight\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" \
        "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße.\r\n".encode()


def without(name):
    return [extension for extension in EVERYTHING if extension.split(" ")[0] != name]


@pytest.mark.parametrize("offered", [True, False], ids=["offered", "not offered"])
def test_size_is_told_where_it_is_offered(relay, sink, offered):
    sink.extensions = EVERYTHING if offered else without("SIZE")
    service = relay.start()
    inject(service, ["x@elsewhere.example"], content=PLAIN)
    message = sink.wait()[0]
    told = re.search(r" SIZE=(\d+)", commands(sink, "MAIL")[0])
    assert (int(told[1]) if told else None) == (len(message.octets) if offered else None)


@pytest.mark.parametrize("offered", [True, False], ids=["offered", "not offered"])
def test_commands_are_pipelined_where_it_is_offered(relay, sink, offered):
    """Whether RCPT came before MAIL had its reply."""
    sink.extensions = [name for name in EVERYTHING if name != "CHUNKING" and (offered or name != "PIPELINING")]
    early = {}

    def watch(verb):
        def look(session, argument):
            early.setdefault(verb, pending(session, 3 * PATIENCE if offered else 0.5))
        return look
    for verb in ("MAIL", "RCPT", "DATA"):
        sink.script[verb] = watch(verb)
    service = relay.start()
    inject(service, ["x@elsewhere.example"], content=PLAIN)
    assert sink.wait()[0].octets.endswith(b"Hello.\r\n.dots\r\n")
    assert early == {"MAIL": offered, "RCPT": offered, "DATA": False}


def pending(session, seconds):
    """Whether the client has said something more, before the command in hand got its reply."""
    session.request.setblocking(False)
    deadline = time.monotonic() + seconds
    try:
        while not session.rfile.peek(1):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True
    finally:
        session.request.setblocking(True)


def test_eight_bit_content_is_announced_where_8bitmime_is_offered(relay, sink):
    sink.extensions = EVERYTHING
    service = relay.start()
    inject(service, ["x@elsewhere.example"], content=LATIN, mail=" BODY=8BITMIME")
    assert sink.wait()[0].octets.endswith(LATIN)
    assert " BODY=8BITMIME" in commands(sink, "MAIL")[0]
    inject(service, ["x@elsewhere.example"], content=PLAIN)
    sink.wait(2)
    assert "8BITMIME" not in commands(sink, "MAIL")[1]


def test_seven_bit_content_that_was_announced_as_eight_goes_to_anyone(relay, sink):
    sink.extensions = without("8BITMIME")
    service = relay.start()
    inject(service, ["x@elsewhere.example"], content=PLAIN, mail=" BODY=8BITMIME")
    sink.wait()
    assert "BODY" not in commands(sink, "MAIL")[0]


def test_eight_bit_content_is_converted_for_a_host_without_8bitmime(relay, sink):
    """Into quoted-printable (RFC 6152 section 3): other octets, the same text."""
    sink.extensions = without("8BITMIME")
    service = relay.start()
    inject(service, ["x@elsewhere.example"], content=LATIN, mail=" BODY=8BITMIME")
    octets = sink.wait()[0].octets
    assert octets.isascii() and "BODY" not in commands(sink, "MAIL")[0]
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert message["Content-Transfer-Encoding"] == "quoted-printable"
    assert message.get_content().split() == ["Grüße."] and message["Subject"] == "eight"
    service.wait_queue_empty()


def test_eight_bit_content_that_was_signed_is_a_precise_failure_there(relay, sink):
    """It cannot be converted without breaking the signature."""
    sink.extensions = without("8BITMIME")
    service = relay.start()
    signed = (b'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary="b"; protocol="application/pgp-signature"\r\n\r\n--b\r\n' +
              LATIN.partition(b"MIME-Version: 1.0\r\n")[2] +
              b"--b\r\nContent-Type: application/pgp-signature\r\n\r\nabc\r\n--b--\r\n")
    inject(service, ["x@elsewhere.example"], content=signed, mail=" BODY=8BITMIME")
    _, text, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert statuses(blocks) == {"x@elsewhere.example": "5.6.3"} and "8BITMIME" in text
    assert "MAIL" not in verbs(sink) and not sink.messages


def test_international_addresses_go_out_as_they_are_where_smtputf8_is_offered(relay, sink):
    sink.extensions = EVERYTHING
    service = relay.start()
    inject(service, ["grüße@bücher.example"], content=PLAIN, mail=" SMTPUTF8")
    assert sink.wait()[0].recipients == ["grüße@bücher.example"]
    assert " SMTPUTF8" in commands(sink, "MAIL")[0]
    inject(service, ["x@elsewhere.example"], content=PLAIN)
    sink.wait(2)
    assert "SMTPUTF8" not in commands(sink, "MAIL")[1]


def test_international_domains_are_converted_where_smtputf8_is_not_offered(relay, sink):
    sink.extensions = without("SMTPUTF8")
    service = relay.start()
    inject(service, ["x@bücher.example"], sender="y@müller.example", content=PLAIN, mail=" SMTPUTF8")
    message = sink.wait()[0]
    assert message.recipients == ["x@xn--bcher-kva.example"] and message.sender == "y@xn--mller-kva.example"
    assert "SMTPUTF8" not in commands(sink, "MAIL")[0]
    service.wait_queue_empty()


@pytest.mark.parametrize("recipients, content, failing", [
    (["grüße@elsewhere.example"], PLAIN, ["grüße@elsewhere.example"]),
    (["grüße@elsewhere.example", "x@elsewhere.example"], PLAIN, ["grüße@elsewhere.example"]),
    (["x@elsewhere.example"], "Subject: Grüße\r\n\r\nx\r\n".encode(), ["x@elsewhere.example"]),
], ids=["local part", "local part beside a plain one", "header"])
def test_what_cannot_be_converted_for_a_host_without_smtputf8_is_a_precise_failure(relay, sink, recipients, content, failing):
    sink.extensions = without("SMTPUTF8")
    service = relay.start()
    inject(service, recipients, content=content, mail=" SMTPUTF8")
    # Python's email knows the parts of a report by the names of RFC 3464 and 6522 only.
    octets = service.wait_mail("bob")[0].replace(b"message/global-delivery-status", b"message/delivery-status")
    _, text, blocks, _ = report_parts(octets.replace(b"message/global-headers", b"message/rfc822"))
    assert [block["Status"] for block in blocks[1:]] == ["5.6.7"] * len(failing)
    assert "SMTPUTF8" in text
    service.wait_queue_empty()
    assert [message.recipients for message in sink.messages] == ([["x@elsewhere.example"]] if len(recipients) > 1 else [])


def test_report_requests_are_passed_on_where_dsn_is_offered(relay, sink):
    relay.configuration["smtp_out_dsn"] = "enabled"
    sink.extensions = EVERYTHING
    service = relay.start()
    inject(service, ["x@elsewhere.example"], content=PLAIN, mail=" RET=HDRS ENVID=QQ+2B314",
           rcpt=" NOTIFY=SUCCESS,DELAY ORCPT=rfc822;old+3Dx@acme.com")
    message = sink.wait()[0]
    assert "RET=HDRS" in message.parameters[0].split() and "ENVID=QQ+2B314" in message.parameters[0].split()
    assert message.parameters[1].split() == ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;old+3Dx@acme.com"]
    service.wait_queue_empty()
    assert " report-queued " not in service.log()


@pytest.mark.parametrize("switch", ["enabled", "disabled"])
def test_where_dsn_is_not_used_we_report_that_the_message_was_relayed(relay, sink, switch):
    relay.configuration["smtp_out_dsn"] = switch
    sink.extensions = without("DSN") if switch == "enabled" else EVERYTHING
    service = relay.start()
    inject(service, ["x@elsewhere.example"], content=PLAIN, mail=" RET=HDRS ENVID=QQ314", rcpt=" NOTIFY=SUCCESS")
    message = sink.wait()[0]
    assert not re.search("RET|ENVID|NOTIFY|ORCPT", " ".join(message.parameters))
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert blocks[0]["Original-Envelope-Id"] == "QQ314" and blocks[1]["Action"] == "relayed"


@pytest.mark.parametrize("offered", [True, False], ids=["offered", "not offered"])
@pytest.mark.parametrize("size", [100, 300_000, 3_000_000])
def test_content_is_the_same_with_chunking_and_without(relay, sink, offered, size):
    sink.extensions = EVERYTHING if offered else without("CHUNKING")
    line = b".a line that begins with a dot\r\n"
    content = b"Subject: chunks\r\n\r\n" + line * (size // len(line)) + b".\r\n"
    service = relay.start()
    with service.connect(120) as client:
        client.begin("x@elsewhere.example", sender="bob@acme.com")
        assert client.data(content.replace(b"\r\n.", b"\r\n..") + b".\r\n").startswith("250")
    message = sink.wait(seconds=60)[0]
    assert message.octets.endswith(content)
    assert ("BDAT" in verbs(sink)) == offered and ("DATA" in verbs(sink)) != offered
    service.wait_queue_empty()


def test_a_host_that_offers_nothing_gets_plain_smtp(relay, sink):
    sink.extensions = []
    service = relay.start()
    inject(service, ["x@elsewhere.example", "y@elsewhere.example"], content=PLAIN, mail=" BODY=8BITMIME RET=HDRS", rcpt=" NOTIFY=FAILURE")
    sink.wait()
    assert sink.commands == ["EHLO hub.acme.com", "MAIL FROM:<bob@acme.com>", "RCPT TO:<x@elsewhere.example>",
                             "RCPT TO:<y@elsewhere.example>", "DATA"]


# ---- replies ----

@pytest.mark.parametrize("extensions", [EVERYTHING, without("CHUNKING")], ids=["BDAT", "DATA"])
def test_a_connection_that_dies_after_the_dot_is_tried_again_and_never_counted_as_delivered(relay, sink, extensions):
    """Row 124. What the far side kept of the first time is its own affair: a second copy is lawful, none is not."""
    dots = []

    def die(session, octets):
        dots.append(octets)
        if len(dots) == 1:
            raise receivers.Receiver.Close()
    sink.script["dot"] = die
    sink.extensions = extensions
    service = relay.start()
    inject(service, ["x@elsewhere.example"], rcpt=" NOTIFY=SUCCESS")
    found = wait_deferred(service)["x@elsewhere.example"]
    assert found["state"] == "deferred" and "connection lost" in found["reason"]
    assert " recipient-delivered " not in service.log() and " report-queued " not in service.log()
    assert [attempt["delivered"] for attempt in wait_attempts(service, 1)] == ["0"]
    service.command("queue", "retry", "--all", check=True)
    service.wait_queue_empty()
    assert len(sink.messages) == 1 and dots[0] == dots[1] and service.log().count(" recipient-delivered ") == 2  # and the report
    assert report_parts(service.wait_mail("bob")[0])[2][1]["Action"] == "relayed"


def test_a_session_that_dies_after_its_reply_is_not_repeated(relay, sink):
    taken = []

    def reply_and_die(session, octets):
        taken.append(octets)
        sink.say(session, "250 2.0.0 taken")
        raise receivers.Receiver.Close()
    sink.script["dot"] = reply_and_die
    sink.extensions = without("CHUNKING")
    service = relay.start()
    inject(service, ["x@elsewhere.example"])
    service.wait_queue_empty()
    assert len(taken) == 1 and service.log().count(" recipient-delivered ") == 1 and " recipient-deferred " not in service.log()


@pytest.mark.parametrize("stage, goes_on, remembered", [
    ("banner", True, True), ("EHLO", True, True), ("MAIL", True, False), ("RCPT", False, False), ("DATA", False, False), ("dot", False, False)])
def test_421_ends_a_session_at_any_step(one_instance, zones, hosts, stage, goes_on, remembered):
    """
    Before MAIL was answered the next host takes the message at once, afterwards it waits. A host is remembered as failed
    when it did not greet us, never for what it says to MAIL or later.
    """
    leaving, staying = hosts.receiver(2, **{stage: "421 4.3.2 going down"}), hosts.receiver(3)
    zones.domain("one.example", "@ MX 5 mail1", "@ MX 10 mail2", f"mail1 A {hosts.host(2)}", f"mail2 A {hosts.host(3)}")
    zones.start()
    service = route_by_dns(one_instance, zones, hosts.port).start()
    inject(service, ["x@one.example"])
    if goes_on:
        staying.wait()
        service.wait_queue_empty()
    else:
        found = wait_deferred(service)["x@one.example"]
        assert found["state"] == "deferred" and "421 4.3.2 going down" in found["reason"]
    assert leaving.sessions == 1 and staying.sessions == goes_on and not leaving.messages
    first = wait_attempts(service, 1)[0]
    assert first["host"] == "mail1.one.example" and "421 4.3.2 going down" in first["reply"] and first["delivered"] == "0"
    leaving.script.clear()
    inject(service, ["y@one.example"])
    wait_for(lambda: any(message.recipients == ["y@one.example"] for message in leaving.messages + staying.messages), what="a second message")
    assert [message.recipients for message in leaving.messages] == ([] if remembered else [["y@one.example"]])


def test_every_attempt_is_a_line_with_host_address_tls_reply_and_times(one_instance, zones, hosts):
    """Two hosts of three fail, each in its way; the third takes the message."""
    hosts.receiver(3, banner="554 5.3.2 no mail here")
    hosts.receiver(4, dot="250 2.0.0 kept as 4711")
    zones.domain("one.example", "@ MX 5 dead", "@ MX 10 closed", "@ MX 20 well", f"dead A {hosts.host(2)}",
                 f"closed A {hosts.host(3)}", f"well A {hosts.host(4)}")
    zones.start()
    service = route_by_dns(one_instance, zones, hosts.port).start()
    inject(service, ["x@one.example", "y@one.example"])
    service.wait_queue_empty()
    lines = wait_attempts(service, 3)
    assert [(line["host"], line["address"], line["delivered"]) for line in lines] == [
        ("dead.one.example", hosts.host(2), "0"), ("closed.one.example", hosts.host(3), "0"), ("well.one.example", hosts.host(4), "2")]
    accepted = re.search(r"message-accepted id=(\S+)", service.log()).group(1)
    for line in lines:
        assert line["id"] == accepted and line["next_hop"] == "one.example" and line["recipients"] == "2" and line["tls"] == "no"
        assert re.fullmatch(r"\d+\.\d{3}", line["seconds"]), line
    assert "refused" in lines[0]["reply"] and "554 5.3.2 no mail here" in lines[1]["reply"]
    assert lines[2]["reply"] == "250 2.0.0 kept as 4711"
    assert re.fullmatch(r"\d+\.\d{3}", lines[2]["connect"])
    delivered = re.findall(r" recipient-delivered .*", service.log())
    assert len(delivered) == 2 and all("host=well.one.example" in line for line in delivered)


def test_sessions_come_from_the_source_address_of_the_settings(one_instance, sink):
    one_instance.relay_to(sink.port)
    one_instance.configuration["smtp_source_addresses"] = ["127.0.0.77"]
    service = one_instance.start()
    service.send("x@elsewhere.example")
    sink.wait()
    one_instance.configuration["smtp_source_addresses"] = ["127.0.0.78", "[::1]"]
    service.reload()
    service.send("x@elsewhere.example")
    sink.wait(2)
    assert sink.peers == ["127.0.0.77", "127.0.0.78"]


def test_a_source_address_that_is_not_ours_keeps_the_mail(one_instance, sink):
    one_instance.relay_to(sink.port)
    one_instance.configuration["smtp_source_addresses"] = ["192.0.2.1"]
    service = one_instance.start()
    inject(service, ["x@elsewhere.example"])
    found = wait_deferred(service)["x@elsewhere.example"]
    assert "192.0.2.1" in found["reason"] and not sink.sessions
    one_instance.configuration["smtp_source_addresses"] = []
    service.reload()
    service.command("queue", "retry", "--all", check=True)
    sink.wait()
