"""docs/reference/hostile-inputs.md, parts B and C: commands and state. The numbers are its rows."""

import random
import socket
import time

import pytest

from matador import Dialogue, PATIENCE, fresh_session_works, no_worker_died, wait_for


@pytest.fixture
def service(one_instance):
    return one_instance.start()


def finish(service):
    fresh_session_works(service)
    no_worker_died(service)


def ehlo(service, timeout=30):
    client = service.connect(timeout)
    assert client.command("EHLO client.example").startswith("250")
    return client


@pytest.mark.parametrize("length", [511, 512, 513, 1024, 2047, 2048, 2049, 4096, 65536, 131072])
def test_row_15_the_tail_of_a_long_line_never_runs(service, length):
    with ehlo(service) as client:
        tail = b"MAIL FROM:<evil@example.org>"
        client.raw(b"X" * (length - len(tail) - 2) + tail + b"\r\n")
        reply = client.reply()
        assert reply == "" or reply[0] == "5", reply
        if reply:
            assert client.command("RCPT TO:<bob@acme.com>")[:3] in ("503", "")
    finish(service)


def test_row_16_a_line_without_end_is_ended_after_a_bounded_amount(service):
    client = ehlo(service)
    sent = 0
    try:
        while sent < 100_000_000:
            client.socket.sendall(b"A" * 65536)
            sent += 65536
    except (ConnectionError, TimeoutError):
        pass
    assert sent < 50_000_000
    finish(service)


def test_row_17_a_huge_ehlo_is_refused(service):
    with service.connect() as client:
        assert client.command("EHLO " + "a" * 11000)[:3] in ("500", "501")
        assert client.command("EHLO fine.example").startswith("250")
    finish(service)


@pytest.mark.parametrize("line", [b"RCPT TO:<jane.doe@acme.com\0.theirs>", b"NO\0OP", b"\0", b"MAIL FROM:<a\0@b.example>"])
def test_row_18_a_nul_spoils_the_whole_command(service, line):
    with ehlo(service) as client:
        client.command("MAIL FROM:<a@example.org>")
        assert client.command(line)[0] == "5"
        assert client.command("DATA").startswith("503")
    finish(service)


@pytest.mark.parametrize("between", [b"\r", b"\n", b"\r\0\n", b"\n\r"])
def test_row_19_a_bare_cr_or_lf_makes_one_refusal_not_two_commands(service, between):
    with ehlo(service) as client:
        client.raw(b"MAIL FROM:<a@example.org>" + between + b"RCPT TO:<jane.doe@acme.com>\r\nNOOP\r\n")
        assert client.reply()[0] == "5"
        assert client.reply().startswith("250")    # NOOP, at once: there was one reply
        assert client.command("DATA").startswith("503")
        assert client.command("MAIL FROM:<a" + between.decode() + "@example.org>")[0] == "5"
    finish(service)


@pytest.mark.parametrize("line", [b"MAIL FROM:<" + b"\xff" * 200 + b"@example.org>", b"RCPT TO:<\xff\xfe@acme.com>",
                                  b"MAIL FROM:<j\xc3\xb6rg@example.org>", b"EHLO \xc3\xb6.example", b"\xff" * 400])
def test_row_20_octets_above_ascii_are_refused_where_not_announced(service, line):
    with ehlo(service) as client:
        assert client.command(line)[0] == "5"
    finish(service)


@pytest.mark.parametrize("octets", [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xf8\x88", b"\xc0\xaf", b"\xed\xa0\x80"])
def test_row_21_a_cut_utf8_sequence_ends_nothing_but_the_command(service, octets):
    with ehlo(service) as client:
        for line in (b"MAIL FROM:<a" + octets + b"@example.org> SMTPUTF8", b"MAIL FROM:<a@example.org> ENVID=" + octets,
                     b"VRFY " + octets):
            started = time.monotonic()
            assert client.command(line)[0] in "25"
            assert time.monotonic() - started < 2 * PATIENCE
        client.command("RSET")
        assert client.command(b"MAIL FROM:<a" + octets + b"@example.org> SMTPUTF8")[0] == "5"
    finish(service)


@pytest.mark.parametrize("address", ["(" * 1900, '"' * 1900, "\\" * 1900, "<" * 1900, "@a," * 600, '<"".""@x>', "<.!>",
                                     '"' + "\\" * 1800 + '"@x.example'], ids=lambda a: a[:6])
def test_row_22_nested_and_repeated_signs_are_refused_in_linear_time(service, address):
    with ehlo(service) as client:
        started = time.monotonic()
        assert client.command(f"MAIL FROM:<{address}>")[0] == "5"
        assert time.monotonic() - started < 2 * PATIENCE
    finish(service)


@pytest.mark.parametrize("parameters", ["=", '="a=b"', '"', 'A="', "SIZE=", "SIZE", "SIZE=1 SIZE=2", "UNKNOWN=1", "BODY=9BIT",
                                        " ".join(f"X{i}=1" for i in range(300)), "RET=FULL RET=FULL", "RET=ALL", "SMTPUTF8=1",
                                        "AUTH=<>", "=" * 500], ids=lambda p: p[:12])
def test_row_23_odd_parameters_are_refused(service, parameters):
    with ehlo(service) as client:
        assert client.command(f"MAIL FROM:<a@example.org> {parameters}")[:3] in ("501", "555", "500")
        assert client.command("RCPT TO:<jane.doe@acme.com>").startswith("503")
    finish(service)


@pytest.mark.parametrize("size", ["-1", "0x10", "18446744073709551617", "9" * 300, "1e3", "+5"])
def test_row_24_a_malformed_size_is_501(service, size):
    with ehlo(service) as client:
        reply = client.command(f"MAIL FROM:<a@example.org> SIZE={size}")
        assert reply[:3] in ("501", "552") and (reply[:3] == "501" or size.isdigit()), reply
    finish(service)


def test_row_24_size_above_the_limit_is_552_and_a_lie_is_caught(one_instance):
    one_instance.configuration["maximum_message_size_kb"] = 100
    service = one_instance.start()
    with ehlo(service) as client:
        assert client.command("MAIL FROM:<a@example.org> SIZE=102401").startswith("552")
        assert client.command("MAIL FROM:<a@example.org> SIZE=1000").startswith("250")
        assert client.command("RCPT TO:<jane.doe@acme.com>").startswith("250")
        reply = client.data(b"Subject: big\r\n\r\n" + (b"x" * 78 + b"\r\n") * 2000 + b".\r\n")
        assert reply.startswith("552"), reply
        assert client.command("RCPT TO:<jane.doe@acme.com>").startswith("503")
    assert not service.mail("jdoe") and not service.queue()
    finish(service)


@pytest.mark.parametrize("value", ["+00", "+0A", "+0D+0A", "+0G", "+", "a" * 101, "+ff+"])
def test_row_25_envid_never_makes_a_line(service, value):
    with ehlo(service) as client:
        assert client.command(f"MAIL FROM:<a@example.org> ENVID={value}").startswith("501")
    finish(service)


@pytest.mark.parametrize("value", ["rfc822;a+0D+0Ab", "rfc822;+00", "rfc822", ";", "rfc822;" + "a" * 501, "rfc822;+"])
def test_row_25_orcpt_never_makes_a_line(service, value):
    with ehlo(service) as client:
        client.command("MAIL FROM:<a@example.org>")
        assert client.command(f"RCPT TO:<jane.doe@acme.com> ORCPT={value}").startswith("501")
    finish(service)


def test_row_26_auth_parameter_is_refused(service):
    with ehlo(service) as client:
        assert client.command("MAIL FROM:<a@example.org> AUTH=a+0D+0Ab")[0] == "5"
    finish(service)


@pytest.mark.parametrize("command", ["XCLIENT ADDR=127.0.0.1 NAME=localhost", "XFORWARD ADDR=127.0.0.1",
                                     "PROXY TCP4 127.0.0.1 127.0.0.1 1 25", 'ETRN "x', "TURN", "DEBUG", "WIZ", "AUTH PLAIN AAAA",
                                     "STARTTLS", "EXPN staff", "SEND FROM:<a@b>", "SAML FROM:<a@b>", "SOML FROM:<a@b>"])
def test_row_27_commands_for_insiders_are_refused(service, command):
    with ehlo(service) as client:
        assert client.command(command)[0] == "5"
        assert client.command("MAIL FROM:<a@example.org>").startswith("250")
        assert client.command("RCPT TO:<victim@elsewhere.example>").startswith("554")
    finish(service)


@pytest.mark.parametrize("line", ["FOO", "", "MAIL FROM:<>x"])
def test_row_28_errors_without_end_are_ended_by_421(service, line):
    with ehlo(service) as client:
        for count in range(500):
            if count % 7 == 3:
                reply = client.command("RSET")   # counters survive RSET
            else:
                reply = client.command(line)
            if reply.startswith("421") or reply == "":
                break
        assert reply.startswith("421")
        assert "SMTP service not available, closing transmission channel." in reply
        assert client.closed()
        assert count < 100
    finish(service)


def test_row_28_endless_commands_are_ended_too(one_instance):
    one_instance.configuration["maximum_commands_per_session"] = 300
    service = one_instance.start()
    with ehlo(service) as client:
        for count in range(400):
            reply = client.command(("EHLO client.example", "RSET", "NOOP")[count % 3])
            if reply.startswith("421"):
                break
        assert reply.startswith("421") and count < 310
    finish(service)


def test_row_29_an_http_request_is_sent_away_at_its_first_line(service):
    with service.connect() as client:
        client.raw(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bob@acme.com>\r\nDATA\r\n")
        replies = []
        try:
            while reply := client.reply():
                replies.append(reply)
        except ConnectionError:
            pass
        assert replies and all(reply[0] in "45" for reply in replies) and len(replies) == 1
    finish(service)


@pytest.mark.parametrize("noise", [bytes(range(256)) * 4, bytes.fromhex("16030100c8010000c40303") + bytes(200),
                                   b"SSH-2.0-OpenSSH_9.2\r\n", b"\r\n\r\n\r\n", b"\0" * 1000 + b"\r\n"], ids=lambda n: repr(n[:8]))
def test_row_30_noise_reads_5xx_or_a_close(service, noise):
    with service.connect() as client:
        client.raw(noise)
        client.socket.settimeout(3 * PATIENCE)
        try:
            reply = client.reply()
            assert reply == "" or reply[0] in "45"
        except (TimeoutError, ConnectionError):
            pass
    finish(service)


def test_row_31_talking_before_the_greeting_keeps_the_order(service):
    client = Dialogue(service.port, greet=False)
    client.raw(b"EHLO early.example\r\nNOOP\r\n")
    first = client.reply()
    assert first[:3] in ("220", "554", "421")
    if first.startswith("220"):
        assert client.reply().startswith("250-")
        assert client.reply().startswith("250")
    client.close()
    finish(service)


def test_row_32_a_thousand_pipelined_commands_are_answered_in_order(one_instance):
    one_instance.configuration["smtp_in_vrfy"] = "enabled"
    service = one_instance.start()
    with ehlo(service, 60) as client:
        client.raw(b"".join(b"NOOP\r\n" if i % 2 else b"VRFY x%d\r\n" % i for i in range(1000)))
        for i in range(1000):
            assert client.reply()[:3] == ("250" if i % 2 else "252"), i
    finish(service)


def test_row_32_a_peer_that_does_not_read_its_replies_is_bounded_and_dropped(one_instance):
    one_instance.configuration["session_idle_timeout"] = "3s"
    service = one_instance.start()
    client = ehlo(service)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.socket.settimeout(2)
    sent = 0
    try:
        while sent < 50_000_000:
            sent += client.socket.send(b"NOOP\r\n" * 2000)
    except (TimeoutError, ConnectionError):
        pass
    assert sent < 50_000_000
    wait_for(lambda: "reason=" in service.log() and "session-closed" in service.log(), 15, what="the end of the session")
    finish(service)


STAGES = [b"", b"EHLO a.example\r\n", b"EHLO a.example\r\nMAIL FROM:<a@example.org>\r\n",
          b"EHLO a.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<jane.doe@acme.com>\r\n",
          b"EHLO a.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<jane.doe@acme.com>\r\nDATA\r\n",
          b"EHLO a.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<jane.doe@acme.com>\r\nDATA\r\nSubject: x\r\n\r\nhalf",
          b"EHLO a.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<jane.doe@acme.com>\r\nDATA\r\n" + b"x" * 400000,
          b"EHLO a.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<jane.doe@acme.com>\r\nBDAT 100\r\nhalf"]


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_row_33_a_close_at_every_stage_leaves_nothing_half_done(service, reset):
    for stage in STAGES:
        client = service.connect()
        client.raw(stage)
        time.sleep(0.05)
        if reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    time.sleep(0.5)
    assert not service.queue() and not service.mail("jdoe")
    bodies = [path for path in (service.folder / "spool" / "mailbox" / "bodies").rglob("*") if path.is_file()] \
        if (service.folder / "spool" / "mailbox" / "bodies").exists() else []
    assert not bodies
    finish(service)


def test_row_34_cut_between_the_final_dot_and_the_reply_is_a_whole_message_or_none(service):
    for _ in range(20):
        client = service.connect()
        client.begin("jane.doe@acme.com")
        client.command("DATA")
        client.raw(b"Subject: cut\r\n\r\n" + b"whole\r\n" * 100 + b".\r\n")
        client.close()
    service.wait_queue_empty()
    time.sleep(0.5)
    for message in service.mail("jdoe"):
        assert message.count(b"whole\n") == 100
    finish(service)


@pytest.mark.parametrize("commands", [["RCPT TO:<jane.doe@acme.com>"], ["DATA"], ["BDAT 0 LAST"],
                                      ["MAIL FROM:<a@example.org>", "DATA"],
                                      ["MAIL FROM:<a@example.org>", "MAIL FROM:<a@example.org>"],
                                      ["MAIL FROM:<a@example.org>", "RCPT TO:<nobody-here@acme.com>", "DATA"]])
def test_row_35_commands_out_of_order_are_503(service, commands):
    with ehlo(service) as client:
        replies = [client.command(command) for command in commands]
        assert replies[-1].startswith("503") or (commands[-1] == "DATA" and replies[-1].startswith("554")), replies
    with service.connect() as client:
        assert client.command("MAIL FROM:<a@example.org>").startswith("503")
    finish(service)


@pytest.mark.parametrize("seed", range(6))
def test_row_36_random_walks_agree_with_the_model(one_instance, seed):
    one_instance.configuration.update({"smtp_error_limit": 100000, "maximum_commands_per_session": 100000,
                                       "maximum_messages_per_session": 100000})
    service = one_instance.start()
    rng = random.Random(seed)
    with ehlo(service, 60) as client:
        sender, recipients, chunks, spoiled = False, 0, False, False
        for step in range(400):
            move = rng.choice(["mail", "bad mail", "rcpt", "bad rcpt", "relay rcpt", "data", "bad data", "bdat", "last", "bad bdat",
                               "rset", "noop", "ehlo", "vrfy", "junk", "helo"])
            if move == "mail":
                reply = client.command("MAIL FROM:<a@example.org>")
                assert reply[:3] == ("503" if sender else "250"), (step, reply)
                sender = True
            elif move == "bad mail":
                reply = client.command("MAIL FROM:<a@@>")
                assert reply[0] == "5", (step, reply)
            elif move in ("rcpt", "bad rcpt", "relay rcpt"):
                address = {"rcpt": "bob@acme.com", "bad rcpt": "nobody-here@acme.com", "relay rcpt": "x@far.example"}[move]
                reply = client.command(f"RCPT TO:<{address}>")
                if not sender or chunks:
                    assert reply.startswith("503"), (step, reply)
                else:
                    assert reply[:3] == {"rcpt": "250", "bad rcpt": "550", "relay rcpt": "554"}[move], (step, reply)
                    recipients += move == "rcpt"
            elif move in ("data", "bad data"):
                reply = client.command("DATA")
                if sender and recipients and not chunks:
                    assert reply.startswith("354"), (step, reply)
                    client.raw(b"Subject: walk\r\n\r\nx\r\n.\r\n" if move == "data" else b"Subject: walk\r\n\r\nx\ny\r\n.\r\n")
                    assert client.reply()[:3] == ("250" if move == "data" else "554"), step
                    sender, recipients = False, 0
                else:
                    assert reply[:3] in ("503", "554"), (step, reply)
            elif move in ("bdat", "last", "bad bdat"):
                octets = b"a: b\r\n\r\n" if move != "bad bdat" else b"a\nb\r\n"
                client.raw(b"BDAT %d%s\r\n" % (len(octets), b" LAST" if move == "last" else b"") + octets)
                reply = client.reply()
                if not (sender and recipients):
                    # a chunk that fails ends the transaction, whatever it was (row 10)
                    assert reply[0] == "5", (step, reply)
                    sender, recipients = False, 0
                elif move == "last":
                    assert reply[:3] == ("554" if spoiled else "250"), (step, reply)
                    sender, recipients, chunks, spoiled = False, 0, False, False
                elif reply[0] == "5":
                    # a refused chunk ends the transaction
                    sender, recipients, chunks, spoiled = False, 0, False, False
                else:
                    chunks = True
                    spoiled = spoiled or move == "bad bdat"
            elif move in ("rset", "ehlo", "helo"):
                assert client.command({"rset": "RSET", "ehlo": "EHLO b.example", "helo": "HELO b.example"}[move])[:3] == "250"
                sender, recipients, chunks, spoiled = False, 0, False, False
            elif move == "noop":
                assert client.command("NOOP").startswith("250")
            elif move == "vrfy":
                assert client.command(b"VRFY j\xc3\xb6rg")[0] in "25"
            else:
                assert client.command("JUNK")[0] == "5"
    finish(service)


def test_row_37_ehlo_and_rset_end_a_transaction(service):
    for reset in ("EHLO again.example", "HELO again.example", "RSET"):
        with ehlo(service) as client:
            client.begin("jane.doe@acme.com")
            assert client.command(reset).startswith("250")
            assert client.command("RCPT TO:<bob@acme.com>").startswith("503")
            assert client.command("MAIL FROM:<a@example.org>").startswith("250")
    finish(service)


def test_row_38_recipients_up_to_the_limit_are_taken_and_delivered(one_instance, sink):
    one_instance.relay_to(sink.port)
    one_instance.configuration["maximum_recipients_per_message"] = 100
    service = one_instance.start()
    with ehlo(service) as client:
        client.command("MAIL FROM:<a@example.org>")
        for i in range(100):
            assert client.command(f"RCPT TO:<r{i}@elsewhere.example>").startswith("250"), i
        assert client.command("RCPT TO:<surplus@elsewhere.example>").startswith("452")
        assert client.data(b"Subject: many\r\n\r\nx\r\n.\r\n").startswith("250")
    service.wait_queue_empty()
    got = sorted(recipient for message in sink.messages for recipient in message.recipients)
    assert got == sorted(f"r{i}@elsewhere.example" for i in range(100))
    finish(service)


def test_row_39_fifty_thousand_recipients_are_bounded(one_instance):
    one_instance.configuration["smtp_error_limit"] = 100
    service = one_instance.start()
    with ehlo(service, 120) as client:
        client.command("MAIL FROM:<a@example.org>")
        accepted = 0
        for i in range(0, 50000, 500):
            try:
                client.raw(b"".join(b"RCPT TO:<jane.doe+%d@acme.com>\r\n" % (i + n) for n in range(500)))
                replies = [client.reply() for _ in range(500)]
            except (ConnectionError, AssertionError):
                break
            accepted += sum(reply.startswith("250") for reply in replies)
            if "" in replies or replies[-1].startswith("421"):
                break
        assert accepted <= 1000
    finish(service)


def test_row_40_one_recipient_two_thousand_times_is_one_delivery(one_instance):
    one_instance.configuration["maximum_recipients_per_message"] = 5000
    service = one_instance.start()
    with ehlo(service, 60) as client:
        client.command("MAIL FROM:<a@example.org>")
        names = ["Jane.Doe@acme.com", "JANE.DOE@ACME.COM", "jane.doe@acme.com", "jane.doe@Acme.Com"]
        for i in range(0, 2000, 100):
            client.raw(b"".join(f"RCPT TO:<{names[n % 4]}>\r\n".encode() for n in range(100)))
            for _ in range(100):
                assert client.reply().startswith("250")
        assert client.data(b"Subject: once\r\n\r\nx\r\n.\r\n").startswith("250")
    service.wait_queue_empty()
    assert len(service.mail("jdoe")) == 1
    finish(service)


def test_row_41_a_message_after_a_refused_one_is_judged_afresh(service):
    with ehlo(service) as client:
        client.begin("jane.doe@acme.com")
        assert client.data(b"Subject: bad\r\n\r\nx\ny\r\n.\r\n").startswith("554")
        client.begin("jane.doe@acme.com")
        assert client.data(b"Subject: good\r\n\r\nx\r\n.\r\n").startswith("250")
    service.wait_queue_empty()
    assert len(service.mail("jdoe")) == 1
    finish(service)


def test_row_42_a_session_ends_between_transactions_at_a_set_limit(one_instance):
    one_instance.configuration["maximum_messages_per_session"] = 50
    service = one_instance.start()
    with ehlo(service, 60) as client:
        for count in range(200):
            reply = client.command("MAIL FROM:<a@example.org>")
            if not reply.startswith("250"):
                break
            assert client.command("RCPT TO:<bob@acme.com>").startswith("250")
            assert client.data(b"Subject: n\r\n\r\nx\r\n.\r\n").startswith("250")
        assert reply.startswith("421") and count == 50
    service.wait_mail("bob", 50, 30)
    finish(service)
