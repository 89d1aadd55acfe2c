"""The main job: mail from real clients arrives in a mail file or at the relay host, unchanged."""

import email
import os
import smtplib
import subprocess

import pytest

import receivers
from matador import MATADOR, PATIENCE, wait_for


def test_mail_for_a_person_arrives_in_the_mail_file(service):
    service.send("jane.doe@acme.com", subject="first light")
    message = service.wait_mail("jdoe")[0]
    assert message.startswith(b"Return-Path: <sender@example.org>\n")
    assert b"Delivered-To: jane.doe@acme.com\n" in message
    parsed = email.message_from_bytes(message)
    assert parsed["Subject"] == "first light"
    assert "by hub.acme.com" in parsed["Received"]
    assert parsed.get_payload().strip() == "Hello."
    service.wait_queue_empty()


def test_a_short_name_and_a_full_name_as_local_part_find_the_person(service):
    service.send(["jdoe@acme.com", "bob.roy@acme.com"])
    service.wait_mail("jdoe")
    service.wait_mail("bob")


def test_swaks_delivers(service):
    result = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(service.port), "--to", "bob@acme.com",
                             "--from", "swaks@example.org", "--helo", "swaks.example", "--body", "from swaks"],
                            capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout
    assert b"from swaks" in service.wait_mail("bob")[0]


def test_mail_for_the_internet_goes_to_the_relay_host_unchanged(instance, sink):
    instance.relay_to(sink.port)
    instance.start()
    body = b"From: <a@example.org>\r\nSubject: out\r\n\r\n.\r\n..dots\r\nline with blanks  \r\n\r\n\xc3\xa9\r\n"
    instance.send("friend@elsewhere.example", body=body)
    message = sink.wait()[0]
    assert message.sender == "sender@example.org"
    assert message.recipients == ["friend@elsewhere.example"]
    received, _, rest = message.octets.partition(b"From: <a@example.org>")
    assert received.startswith(b"Received: from client.example ")
    assert b"From: <a@example.org>" + rest == body
    instance.wait_queue_empty()


def test_mail_for_strangers_is_not_relayed(service):
    with service.connect() as client:
        client.command("EHLO stranger.example")
        client.command("MAIL FROM:<a@stranger.example>")
        reply = client.command("RCPT TO:<victim@elsewhere.example>")
        assert reply.startswith("554") and "Relay rejected for policy reasons." in reply
        assert client.command("DATA").startswith("503")


def test_smtp_source_sends_a_thousand_through_smtp_sink(instance):
    sink = receivers.SmtpSink()
    try:
        instance.relay_to(sink.port)
        instance.start()
        result = receivers.smtp_source(instance.port, 1000)
        assert result.returncode == 0, result.stderr
        wait_for(lambda: len(sink.messages()) == 1000, 60, what="1000 messages at the sink")
        instance.wait_queue_empty()
    finally:
        sink.close()


def test_dovecot_receives_by_lmtp(instance):
    dovecot = receivers.DovecotLmtp()
    try:
        instance.configuration["local_delivery"] = f"lmtp:[127.0.0.1]:{dovecot.port}"
        instance.start()
        instance.send(["jane.doe@acme.com", "bob@acme.com"], body="Subject: by lmtp\r\n\r\nhello\r\n")
        wait_for(lambda: dovecot.mail("jane.doe") and dovecot.mail("bob"), 20, what="mail in Dovecot")
        assert b"Subject: by lmtp" in dovecot.mail("bob")[0]
        instance.wait_queue_empty()
    finally:
        dovecot.close()


@pytest.mark.parametrize("size", [0, 1, 4000, 30000, 250_000, 300_000, 3_000_000])
def test_content_of_any_size_arrives_octet_for_octet(one_instance, sink, size):
    one_instance.relay_to(sink.port)
    one_instance.start()
    line = bytes(range(33, 127)) * 9
    body = b"".join(b"%08d " % i + line[:900] + b"\r\n" for i in range(size // 911 + 1))[:size]
    if body and not body.endswith(b"\r\n"):
        body = body[:-2] + b"\r\n" if size > 1 else body
    content = b"Subject: size\r\n\r\n" + body
    with one_instance.smtp(120) as client:
        client.sendmail("a@example.org", ["b@elsewhere.example"], content)
    expected = content if content.endswith(b"\r\n") else content + b"\r\n"
    assert sink.wait(seconds=60)[0].octets.endswith(expected)
    one_instance.wait_queue_empty()


def test_bdat_carries_what_data_carries(service):
    with service.connect() as client:
        client.begin("bob@acme.com")
        client.raw(b"BDAT 22\r\nSubject: chunks\r\n\r\n.\r\n")
        assert client.reply().startswith("250")
        client.raw(b"BDAT 14 LAST\r\nRSET\r\n.\r\nend\r\n")
        assert client.reply().startswith("250")
    message = service.wait_mail("bob")[0]
    assert b"Subject: chunks" in message and b"\n.\nRSET\n.\n" in message


def test_a_group_is_expanded_and_each_member_gets_one_copy(instance):
    instance.groups = [
        {"name": "Sales", "members": ["Jane Doe/Sales/Acme", "bob@acme.com", "Everyone"], "type": "mail_only"},
        {"name": "Everyone", "members": ["Sales", "Bob Roy/Acme", "jdoe@acme.com"], "type": "multi_purpose"},
    ]
    instance.start()
    instance.send("sales@acme.com")
    instance.wait_mail("jdoe")
    instance.wait_mail("bob")
    instance.wait_queue_empty()
    assert len(instance.mail("jdoe")) == 1 and len(instance.mail("bob")) == 1


def test_a_forwarding_address_sends_the_mail_on(instance, sink):
    instance.relay_to(sink.port)
    instance.people.append({"name": "Gone Away/Acme", "internet_address": "gone@acme.com",
                            "forwarding_address": "new@elsewhere.example"})
    instance.start()
    instance.send("gone@acme.com")
    assert sink.wait()[0].recipients == ["new@elsewhere.example"]
    instance.wait_queue_empty()


def test_a_host_name_as_relay_host_is_looked_up_by_the_resolver(one_instance, sink):
    one_instance.relay_to(sink.port)
    one_instance.configuration["relay_host"] = f"localhost:{sink.port}"
    one_instance.start()
    one_instance.send("friend@elsewhere.example")
    assert sink.wait()[0].recipients == ["friend@elsewhere.example"]


def test_local_submission_needs_no_port(service):
    result = service.command("submit", "-i", "-f", "jane.doe@acme.com", "bob@acme.com", check=True,
                             input="Subject: by hand\n\nwith bare line feeds\n.\nand a dot\n")
    assert result.returncode == 0
    message = service.wait_mail("bob")[0]
    parsed = email.message_from_bytes(message)
    assert parsed["Date"] and parsed["Message-ID"] and parsed["From"]
    assert b"\n.\nand a dot\n" in message


def test_submission_completes_addresses_with_the_domain_of_the_organization(service):
    service.command("submit", "bob", "root", check=True, input="Subject: completed\n\nhello\n")
    message = email.message_from_bytes(service.wait_mail("bob")[0])
    assert message["From"].endswith("@acme.com>") and message["Delivered-To"] == "bob@acme.com"
    assert b"Subject: completed" in service.wait_mail("jdoe")[0]


def test_without_i_a_line_with_a_dot_ends_the_message_as_sendmail_has_it(service):
    service.command("submit", "bob@acme.com", check=True, input="Subject: dot\n\nbefore\n.\nafter\n")
    message = service.wait_mail("bob")[0]
    assert b"before" in message and b"after" not in message


def test_submission_to_a_stopped_service_takes_nothing(instance):
    instance.write_configuration()
    instance.command("setup", check=True)
    assert instance.command("submit", "bob@acme.com", input="Subject: x\n\ny\n").returncode == 75


def test_sendmail_reads_recipients_from_the_header_and_hides_bcc(service):
    sendmail = service.folder / "sendmail"
    sendmail.symlink_to(MATADOR)
    result = subprocess.run([sendmail, "-C", str(service.folder / "etc"), "-t", "-i"], text=True, capture_output=True,
                            input="From: jane.doe@acme.com\nTo: bob@acme.com\nBcc: Jane <jane.doe@acme.com>\n"
                                  "Subject: blind\n\n.\nstill here\n", timeout=30, check=False)
    assert result.returncode == 0, result.stderr
    assert b"Bcc" not in service.wait_mail("jdoe")[0]
    assert b"still here" in service.wait_mail("bob")[0]


def test_one_message_is_followed_by_its_id_through_the_log(instance, sink):
    instance.relay_to(sink.port)
    instance.start()
    with instance.connect() as client:
        client.begin(["bob@acme.com", "friend@elsewhere.example"])
        reply = client.data(b"Subject: traced\r\n\r\nx\r\n.\r\n")
        identity = reply.split()[-1].strip("()")
    instance.wait_queue_empty()
    wait_for(lambda: "message-done" in instance.log(), what="message-done")
    events = [line.split(": ", 1)[1].split(" ")[0] for line in instance.log().splitlines() if f"id={identity}" in line]
    for name in ("message-accepted", "message-queued", "recipient-routed", "recipient-delivered", "message-done"):
        assert name in events, (name, events)
