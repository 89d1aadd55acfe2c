"""Failure reports: RFC 3464, with the class texts of docs/reference/domino-semantics.md 8.3 (and part K of hostile-inputs)."""

import email
import email.policy
import re
import time

import pytest

from matador import PATIENCE, fresh_session_works, no_worker_died, wait_for


def report_parts(octets):
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    text, status, header = message.iter_parts()
    assert status.get_content_type() == "message/delivery-status"
    assert header.get_content_type() in ("text/rfc822-headers", "message/rfc822")
    return message, text.get_content(), [dict(block.items()) for block in status.get_payload()], header


@pytest.fixture
def backscatter(instance):
    """Unknown recipients are accepted and reported, as a Domino server without verification does."""
    instance.configuration["verify_local_recipients"] = "disabled"
    return instance.start()


def test_an_unknown_user_is_reported_with_its_class_text(backscatter):
    backscatter.send("who@acme.com", sender="bob@acme.com", subject="the original", body=None)
    octets = backscatter.wait_mail("bob")[0]
    assert octets.startswith(b"Return-Path: <>\n")
    message, text, blocks, header = report_parts(octets)
    assert message["Auto-Submitted"] == "auto-replied"
    assert "bob@acme.com" in message["To"]
    assert "who@acme.com" in text and "not listed in Domino Directory" in text
    assert "Reporting-MTA" in blocks[0] and "hub.acme.com" in blocks[0]["Reporting-MTA"]
    assert blocks[1]["Final-Recipient"] == "rfc822; who@acme.com" or "who@acme.com" in blocks[1]["Final-Recipient"]
    assert blocks[1]["Action"] == "failed" and blocks[1]["Status"].startswith("5.1.1")
    assert "the original" in header.as_string()
    backscatter.wait_queue_empty()


def test_unknown_users_are_refused_at_rcpt_by_default(service):
    with service.connect() as client:
        client.command("EHLO a.example")
        client.command("MAIL FROM:<a@example.org>")
        reply = client.command("RCPT TO:<who@acme.com>")
        assert reply.startswith("550") and "No such user" in reply


def test_a_remote_refusal_is_quoted_by_its_last_line(instance, sink):
    sink.script["RCPT"] = lambda session, argument: b"550-5.7.1 first line\r\n550 5.7.1 we do not like <you>\r\n"
    instance.relay_to(sink.port)
    service = instance.start()
    service.send("x@elsewhere.example", sender="bob@acme.com")
    _, text, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert "we do not like" in text
    assert blocks[1]["Status"] == "5.7.1"
    assert "we do not like" in blocks[1]["Diagnostic-Code"] and "first line" not in blocks[1]["Diagnostic-Code"]
    service.wait_queue_empty()


def test_mail_past_its_lifetime_is_reported_after_an_attempt(one_instance):
    one_instance.relay_to(1)
    one_instance.configuration.update({"mail_timeout_minutes": 1, "expired_message_purge_interval": "10s",
                                       "initial_transfer_retry_interval": "15s"})
    service = one_instance.start()
    service.send("x@elsewhere.example", sender="bob@acme.com")
    octets = service.wait_mail("bob", seconds=100)[0]
    _, text, blocks, _ = report_parts(octets)
    assert "x@elsewhere.example" in text
    assert blocks[1]["Status"].startswith("4.4.7") or blocks[1]["Status"].startswith("5.4.7")
    service.wait_queue_empty()


def test_row_132_nothing_is_reported_about_a_report_or_to_the_null_sender(backscatter):
    with backscatter.connect() as client:
        client.begin("who@acme.com", sender="")
        assert client.data(b"Subject: from nobody\r\n\r\nx\r\n.\r\n").startswith("250")
    backscatter.wait_queue_empty()
    # a report that cannot be delivered: its sender does not exist here
    with backscatter.connect() as client:
        client.begin("who@acme.com", sender="also-unknown@acme.com")
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").startswith("250")
    backscatter.wait_queue_empty()
    assert not backscatter.mail("bob") and not [m for m in backscatter.mail("jdoe") if m.count(b"multipart/report") > 1]
    assert len(re.findall("report-queued", backscatter.log())) == 1


def test_row_133_notify_never_and_many_failures_make_one_report(backscatter):
    with backscatter.connect() as client:
        client.command("EHLO a.example")
        client.command("MAIL FROM:<bob@acme.com> RET=HDRS ENVID=QQ314159")
        client.command("RCPT TO:<silent@acme.com> NOTIFY=NEVER")
        for i in range(300):
            assert client.command(f"RCPT TO:<gone{i}@acme.com> NOTIFY=FAILURE ORCPT=rfc822;old{i}@acme.com").startswith("250")
        assert client.data(b"Subject: x\r\n\r\nsecret body\r\n.\r\n").startswith("250")
    octets = backscatter.wait_mail("bob")[0]
    _, text, blocks, header = report_parts(octets)
    assert blocks[0]["Original-Envelope-Id"] == "QQ314159"
    assert len(blocks) == 301
    assert "silent@acme.com" not in octets.decode()
    assert blocks[1]["Original-Recipient"] == "rfc822;old0@acme.com" or "old" in blocks[1]["Original-Recipient"]
    assert b"secret body" not in octets
    backscatter.wait_queue_empty()
    assert len(backscatter.mail("bob")) == 1


def test_row_132_notify_success_is_reported(service):
    with service.connect() as client:
        client.command("EHLO a.example")
        client.command("MAIL FROM:<bob@acme.com>")
        assert client.command("RCPT TO:<jane.doe@acme.com> NOTIFY=SUCCESS").startswith("250")
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").startswith("250")
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert blocks[1]["Action"] == "delivered"


def test_a_forwarding_loop_ends_at_once_or_at_the_hop_limit(instance):
    instance.people += [{"name": "Ping/Acme", "internet_address": "ping@acme.com", "forwarding_address": "pong@acme.com"},
                        {"name": "Pong/Acme", "internet_address": "pong@acme.com", "forwarding_address": "ping@acme.com"}]
    service = instance.start()
    service.send("ping@acme.com", sender="bob@acme.com")
    report_parts(service.wait_mail("bob", seconds=30)[0])
    service.wait_queue_empty()
    assert len(service.mail("bob")) == 1


def test_a_size_refused_by_the_next_hop_is_a_size_failure(instance, sink):
    sink.extensions = ["SIZE 1000", "PIPELINING"]
    instance.relay_to(sink.port)
    service = instance.start()
    service.send("x@elsewhere.example", sender="bob@acme.com", body="Subject: big\r\n\r\n" + "x" * 70 * 100)
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert blocks[1]["Status"] == "5.3.4"
    assert not [command for command in sink.commands if command.startswith("DATA")]


def test_a_far_reply_with_odd_octets_makes_one_escaped_line(instance, sink):
    """Row 122."""
    sink.script["RCPT"] = lambda session, argument: b"550 5.1.1 bad\x1b[2J\xff\x07 X-Evil: yes\r\n"
    instance.relay_to(sink.port)
    service = instance.start()
    service.send("x@elsewhere.example", sender="bob@acme.com")
    octets = service.wait_mail("bob")[0]
    assert b"\x1b" not in octets and b"\x07" not in octets
    message = email.message_from_bytes(octets)
    assert "X-Evil" not in message
    for line in service.log().splitlines():
        assert all(32 <= ord(sign) != 127 for sign in line), line
    no_worker_died(service)
