"""docs/reference/hostile-inputs.md, parts D and E: addresses, names and content. The numbers are its rows."""

import email
import re
import time

import pytest

from matador import PATIENCE, fresh_session_works, no_worker_died, wait_for


@pytest.fixture
def service(one_instance):
    return one_instance.start()


@pytest.fixture
def relay(one_instance, sink):
    one_instance.relay_to(sink.port)
    one_instance.sink = sink
    return one_instance.start()


def finish(service):
    fresh_session_works(service)
    no_worker_died(service)
    for line in service.log().splitlines():
        assert all(32 <= ord(sign) != 127 for sign in line), line


COMMANDS = [";touch${IFS}%s;", "$(touch${IFS}%s)", "`touch${IFS}%s`", "|touch${IFS}%s", "${run{touch${sp}%s}}"]


@pytest.mark.parametrize("attack", COMMANDS)
def test_row_43_commands_in_addresses_are_plain_data(relay, attack, tmp_path):
    canary = tmp_path / "canary"
    text = attack % str(canary).replace("/", "${slash}")
    for address in (text, f'"{text}"'):
        with relay.connect() as client:
            client.command("EHLO " + text.replace(" ", ""))
            client.command("HELO a.example")
            reply = client.command(f"MAIL FROM:<{address}@example.org>")
            if reply.startswith("250"):
                reply = client.command(f"RCPT TO:<{address}@elsewhere.example>")
                if reply.startswith("250"):
                    client.data(f"Subject: {text}\r\nTo: {text}\r\n\r\nx\r\n.\r\n".encode())
    relay.wait_queue_empty()
    assert not canary.exists()
    finish(relay)


@pytest.mark.parametrize("address", ["../../etc/passwd@acme.com", "/etc/passwd@acme.com", '"../jdoe"@acme.com', '".."@acme.com',
                                     '"a/../../b"@acme.com'])
def test_row_45_addresses_never_become_paths(service, address):
    with service.connect() as client:
        client.command("EHLO a.example")
        client.command("MAIL FROM:<a@example.org>")
        assert client.command(f"RCPT TO:<{address}>")[0] == "5"
    finish(service)


@pytest.mark.parametrize("name", ["../escape", "/etc/escape", "a/../../escape", "..", "."])
def test_row_45_a_mail_file_never_leaves_the_mail_directory(one_instance, name):
    one_instance.people.append({"name": "Path Walker/Acme", "internet_address": "path@acme.com", "mail_file": name})
    one_instance.write_configuration()
    started = one_instance.command("start")
    assert started.returncode == 78 and "mail_file" in started.stderr, started.stderr


@pytest.mark.parametrize("address", ["a%elsewhere.example@acme.com", "elsewhere.example!a@acme.com",
                                     "@acme.com:a@elsewhere.example", '"a@elsewhere.example"@acme.com',
                                     "a@elsewhere.example@acme.com", "a%elsewhere.example%acme.com@acme.com"])
def test_row_46_routed_forms_are_not_relayed_for_strangers(service, address):
    with service.connect() as client:
        client.command("EHLO stranger.example")
        client.command("MAIL FROM:<a@stranger.example>")
        assert client.command(f"RCPT TO:<{address}>")[0] == "5"
    finish(service)


@pytest.mark.parametrize("address,canonical", [
    ('"john doe"@elsewhere.example', '"john doe"@elsewhere.example'),
    ('"a@b"@elsewhere.example', '"a@b"@elsewhere.example'),
    ('"a>b"@elsewhere.example', '"a>b"@elsewhere.example'),
    ('"a\\"b"@elsewhere.example', '"a\\"b"@elsewhere.example'),
    ('"plain"@elsewhere.example', 'plain@elsewhere.example'),
    ('""@elsewhere.example', '""@elsewhere.example'),
])
def test_row_47_quoted_local_parts_are_kept_to_the_next_hop(relay, address, canonical):
    with relay.connect() as client:
        client.command("EHLO a.example")
        assert client.command(f"MAIL FROM:<{address}>").startswith("250")
        assert client.command(f"RCPT TO:<{address}>").startswith("250")
        assert client.data(b"Subject: q\r\n\r\nx\r\n.\r\n").startswith("250")
    wait_for(lambda: relay.sink.messages, 15, "the message")
    assert any(canonical in command for command in relay.sink.commands if command.startswith("RCPT")), relay.sink.commands
    finish(relay)


@pytest.mark.parametrize("literal", ["[127.0.0.1]", "[::1]", "[0.0.0.0]", "[IPv6:::1]", "[IPv6:]", "[1.2.3]", "[256.1.1.1]", "[",
                                     "[]", "[" + "1" * 300 + "]", "[IPv6:" + "1:" * 100 + "]"], ids=lambda l: l[:14])
def test_row_48_literals_are_refused_for_strangers(service, literal):
    with service.connect() as client:
        client.command("EHLO a.example")
        client.command("MAIL FROM:<a@example.org>")
        assert client.command(f"RCPT TO:<a@{literal}>")[0] == "5"
    finish(service)


@pytest.mark.parametrize("address,good", [
    ("a" * 64 + "@example.org", True), ("a" * 65 + "@example.org", False),
    ("a@" + "b" * 63 + ".example", True), ("a@" + "b" * 64 + ".example", False),
    ("a@" + ".".join(["b" * 49] * 5) + ".org", True), ("a@" + ".".join(["b" * 62] * 4) + ".exam", False),
    ("a@example.org.", False), ("a@b..example", False), ("a..b@example.org", False), ("a@-x.example", False),
    (".a@example.org", False), ("a.@example.org", False), ("a@x-.example", False), ("a@", False), ("@example.org", False),
    ("a@b@c", False), ("a b@example.org", False),
])
def test_row_49_limits_of_an_address_are_exact(service, address, good):
    with service.connect() as client:
        client.command("EHLO a.example")
        assert client.command(f"MAIL FROM:<{address}>")[0] == ("2" if good else "5")
    finish(service)


@pytest.mark.parametrize("domain", ["xn--.example", "xn--a.example", "xn--" + "9" * 59 + ".example", "xn---.example", "xn--" + "a" * 200,
                                    "xn--0000h.example", "b\u00fccher.example", "xn--99999999999999.example"], ids=lambda d: ascii(d)[:16])
def test_row_50_bad_a_labels_and_unannounced_u_labels_are_refused(service, domain):
    with service.connect() as client:
        client.command("EHLO a.example")
        assert client.command(f"MAIL FROM:<a@{domain}>".encode())[0] == "5"
        assert client.command("MAIL FROM:<a@xn--bcher-kva.example>").startswith("250")
    finish(service)


def test_row_51_utf8_addresses_need_smtputf8_and_travel_with_it(relay):
    with relay.connect() as client:
        client.command("EHLO a.example")
        address = "jörg@example.org".encode()
        assert client.command(b"MAIL FROM:<" + address + b">")[0] == "5"
        assert client.command(b"MAIL FROM:<" + address + b"> SMTPUTF8").startswith("250")
        assert client.command("RCPT TO:<δοκιμή@elsewhere.example>".encode()).startswith("250")
        assert client.data("Subject: grüße\r\n\r\nx\r\n.\r\n".encode()).startswith("250")
        assert client.command(b"MAIL FROM:<a\xff@example.org> SMTPUTF8")[0] == "5"
    wait_for(lambda: relay.sink.messages, 15, "the message")
    assert relay.sink.messages[0].recipients == ["δοκιμή@elsewhere.example"]
    assert "SMTPUTF8" in relay.sink.messages[0].parameters[0]
    assert b"with UTF8SMTP" in relay.sink.messages[0].octets
    finish(relay)


def test_row_51_a_next_hop_without_smtputf8_is_a_failure_not_mangling(one_instance, sink):
    sink.extensions.remove("SMTPUTF8")
    one_instance.relay_to(sink.port)
    service = one_instance.start()
    with service.connect() as client:
        client.command("EHLO a.example")
        assert client.command("MAIL FROM:<bob@acme.com> SMTPUTF8").startswith("250")
        assert client.command("RCPT TO:<δοκιμή@elsewhere.example>".encode()).startswith("250")
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").startswith("250")
    report = service.wait_mail("bob")[0]
    assert b"5.6.7" in report
    assert not sink.messages
    finish(service)


def test_row_52_addresses_as_keys_match_nothing_administrative(service):
    with service.connect() as client:
        client.command("EHLO a.example")
        client.command("MAIL FROM:<a@example.org>")
        for address in ('" "@acme.com', "*@acme.com", '"*"@acme.com', '"\\\t"@acme.com', '"' + "a" * 62 + '"@acme.com',
                        "sales/acme@acme.com", "%@acme.com"):
            assert client.command(f"RCPT TO:<{address}>")[0] == "5", address
    finish(service)


NAMES = ["\x1b[2Jx", "x\x07", "%n%n%s", "a]b", "(((", 'a"b', "a=b client=evil", "x\x7f"]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_row_53_and_54_odd_names_make_neither_log_lines_nor_header_lines(service, name):
    with service.connect() as client:
        if client.command(f"EHLO {name}").startswith("250"):
            client.command("MAIL FROM:<a@example.org>")
            client.command("RCPT TO:<jane.doe@acme.com>")
            assert client.data(b"Subject: after\r\n\r\nx\r\n.\r\n").startswith("250")
            message = email.message_from_bytes(service.wait_mail("jdoe")[0])
            received = message.get_all("Received")
            assert len(received) == 1 and received[0].count("(") == received[0].count(")"), received
            assert message.keys() == ["Return-Path", "Delivered-To", "Received", "Subject"]
            assert all(32 <= ord(sign) < 127 or sign in "\n\t" for sign in received[0])
        else:
            client.command("EHLO fine.example")
        client.command(f"JUNK {name}")
    finish(service)


@pytest.mark.parametrize("count,good", [(99, True), (100, True), (101, False), (300, False)])
def test_row_56_too_many_received_fields_are_a_loop(service, count, good):
    with service.connect() as client:
        client.begin("jane.doe@acme.com")
        reply = client.data(b"Received: from x by y; Sun, 22 Nov 2026 12:00:00 +0000\r\n" * count + b"Subject: x\r\n\r\nx\r\n.\r\n")
        assert reply.startswith("250") if good else re.match(r"554[ -]5\.4\.6 ", reply), reply
    finish(service)


@pytest.mark.parametrize("content", [b"\r\nno header\r\n", b"no colon here\r\nat all\r\n", b" continued from nothing\r\nSubject: x\r\n\r\n",
                                     b"From someone Sun Nov 22 12:00:00 2026\r\nSubject: x\r\n\r\nbody\r\n", b"Subject: no body\r\n"])
def test_row_57_without_a_proper_header_ours_comes_first_and_stays_ours(service, content):
    with service.connect() as client:
        client.begin("jane.doe@acme.com")
        reply = client.data(content + b".\r\n")
        if reply.startswith("250"):
            message = service.wait_mail("jdoe")[0]
            assert message.startswith(b"Return-Path: <sender@example.org>\nDelivered-To: ")
            received = message.split(b"\n", 2)[2]
            assert received.startswith(b"Received: from ")
            assert message.endswith(content.replace(b"\r\n", b"\n"))
    finish(service)


@pytest.mark.parametrize("header", [b"X-Big: " + b"x" * 1_000_000 + b"\r\n", b"X-Many: 1\r\n" * 20000,
                                    b"X-Folded: a\r\n" + b" b\r\n" * 20000], ids=["one long", "many", "folded"])
def test_row_58_huge_headers_are_bounded_or_carried(service, header):
    with service.connect(60) as client:
        client.begin("jane.doe@acme.com")
        reply = client.data(header + b"\r\nx\r\n.\r\n")
        assert reply[0] in "25"
        if reply.startswith("250"):
            assert header.replace(b"\r\n", b"\n") in service.wait_mail("jdoe")[0]
    finish(service)


def test_row_59_a_line_of_a_megabyte_is_cut_without_loss(relay):
    line = b"0123456789" * 100_000
    with relay.smtp(60) as client:
        client.sendmail("a@example.org", ["x@elsewhere.example"], b"Subject: long\r\n\r\n" + line + b"\r\n")
    wait_for(lambda: relay.sink.messages, 30, "the message")
    assert b"".join(relay.sink.messages[0].body.split()) == line
    assert max(len(piece) for piece in relay.sink.messages[0].octets.split(b"\r\n")) <= 998
    finish(relay)


def test_row_60_eight_bit_content_for_a_seven_bit_hop_is_reported_or_converted(one_instance, sink):
    sink.extensions.remove("8BITMIME")
    one_instance.relay_to(sink.port)
    service = one_instance.start()
    with service.connect() as client:
        client.begin("x@elsewhere.example", sender="bob@acme.com", parameters=" BODY=8BITMIME")
        assert client.data("Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                           "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n.\r\n".encode()).startswith("250")
    service.wait_queue_empty()
    if sink.messages:
        assert email.message_from_bytes(sink.messages[0].octets).get_payload(decode=True).decode().strip() == "Grüße"
    else:
        assert b"5.6.3" in service.wait_mail("bob")[0]
    finish(service)


@pytest.mark.parametrize("declared", [True, False])
def test_row_61_exactly_the_limit_is_taken_and_one_octet_more_is_not(one_instance, declared):
    one_instance.configuration["maximum_message_size_kb"] = 400
    service = one_instance.start()
    limit = 400 * 1024
    for size, good in ((limit, True), (limit + 1, False)):
        content = b"Subject: edge\r\n\r\n"
        content += (b"x" * 62 + b"\r\n") * ((size - len(content)) // 64)
        content += b"y" * (size - len(content) - 2) + b"\r\n"
        assert len(content) == size
        with service.connect(60) as client:
            client.command("EHLO a.example")
            reply = client.command("MAIL FROM:<a@example.org>" + (f" SIZE={size}" if declared else ""))
            if declared and not good:
                assert reply.startswith("552")
                continue
            assert reply.startswith("250")
            assert client.command("RCPT TO:<jane.doe@acme.com>").startswith("250")
            reply = client.data(content + b".\r\n")
            assert reply[:3] == ("250" if good else "552"), reply
    service.wait_queue_empty()
    assert len(service.mail("jdoe")) == 1
    bodies = service.folder / "spool" / "mailbox" / "bodies"
    wait_for(lambda: not [path for path in bodies.rglob("*") if path.is_file()], what="no body left behind")
    finish(service)


def test_row_66_odd_from_fields_are_carried_as_they_are(service):
    header = (b"From: a@example.org\r\nFrom: b@example.org\r\nFrom: group: " + b"c@example.org (comment (nested)), " * 5000 +
              b"d@example.org;\r\n")
    with service.connect(60) as client:
        client.begin("jane.doe@acme.com")
        reply = client.data(header + b"\r\nx\r\n.\r\n")
        assert reply[0] in "25"
        if reply.startswith("250"):
            assert header.replace(b"\r\n", b"\n") in service.wait_mail("jdoe")[0]
    finish(service)


def test_row_67_a_signed_message_is_relayed_octet_for_octet(relay):
    signed = (b"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.org;\r\n\tb=abc\r\n  def\r\nFrom:  a@example.org \r\n"
              b"subject:   Odd   blanks\t\r\nX-Empty:\r\n\r\n \r\n\ttrailing \t\r\n\r\n\r\n")
    with relay.smtp() as client:
        client.sendmail("a@example.org", ["x@elsewhere.example"], signed)
    wait_for(lambda: relay.sink.messages, 15, "the message")
    octets = relay.sink.messages[0].octets
    assert octets[octets.index(b"DKIM-Signature"):] == signed
    finish(relay)


def test_row_68_format_directives_are_plain_data(one_instance):
    service = one_instance.start()
    with service.connect() as client:
        client.begin("jane.doe@acme.com", sender='"%s%n%x"@example.org')
        assert client.data(b"Subject: %s%n%n\r\nMessage-ID: <%s%n@x>\r\n\r\n%n\r\n.\r\n").startswith("250")
    assert b"Subject: %s%n%n\n" in service.wait_mail("jdoe")[0]
    finish(service)


def test_row_69_bcc_is_untouched_on_relay_and_removed_on_submission(relay):
    with relay.smtp() as client:
        client.sendmail("a@example.org", ["x@elsewhere.example"], b"Bcc: hidden@example.org\r\nSubject: x\r\n\r\nx\r\n")
    wait_for(lambda: relay.sink.messages, 15, "the message")
    assert b"Bcc: hidden@example.org\r\n" in relay.sink.messages[0].octets
    relay.command("submit", "-t", input="From: bob@acme.com\nTo: jane.doe@acme.com\nBcc: bob@acme.com\nSubject: y\n\ny\n", check=True)
    assert b"Bcc" not in relay.wait_mail("jdoe")[0]
    finish(relay)
