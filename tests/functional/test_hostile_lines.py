"""docs/reference/hostile-inputs.md, part A: line ends and the end of data. The numbers are its rows."""

import itertools

import pytest

from matador import PATIENCE, fresh_session_works, no_worker_died, wait_for

SMUGGLED = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<bob@acme.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nboo\r\n.\r\n"


@pytest.fixture
def service(one_instance):
    return one_instance.start()


def finish(service):
    """Checks H and P."""
    fresh_session_works(service)
    no_worker_died(service)


def settle(service):
    service.wait_queue_empty()
    return service.mail("jdoe"), service.mail("bob")


FALSE_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n\r.\n\r", b"\r\r\n.\r\r\n", b"\r\n\0.\r\n",
              b"\r\n.\0\r\n"]


@pytest.mark.parametrize("end", FALSE_ENDS, ids=repr)
def test_row_1_and_3_only_the_true_end_ends_data(service, end):
    with service.connect() as client:
        client.begin("jane.doe@acme.com")
        reply = client.data(b"Subject: one\r\n\r\nbefore" + end + SMUGGLED)
        assert reply[0] in "25"
        # What was smuggled was content: the session is where it was, in step.
        assert client.command("NOOP").startswith("250")
        assert client.command("QUIT").startswith("221")
    janes, bobs = settle(service)
    assert not bobs
    if reply.startswith("250"):
        assert len(janes) == 1 and b"smuggled" in janes[0]
    else:
        assert not janes
    finish(service)


def test_row_2_every_cr_has_its_lf_on_the_wire_outward(one_instance, sink):
    one_instance.relay_to(sink.port)
    service = one_instance.start()
    with service.connect() as client:
        client.begin("x@elsewhere.example")
        assert client.data(b"Subject: lawful\r\n\r\na\r\nb\r\n.\r\n").startswith("250")
    sink.wait()
    wire = sink.wire[0]
    assert wire.count(b"\r") == wire.count(b"\n") == wire.count(b"\r\n")
    finish(service)


def test_row_4_the_true_end_split_after_each_octet_is_found_once(service):
    for cut in range(1, 5):
        with service.connect() as client:
            client.begin("jane.doe@acme.com")
            client.command("DATA")
            end = b"\r\n.\r\n"
            client.raw(b"Subject: split\r\n\r\nx" + end[:cut])
            import time
            time.sleep(0.05)
            client.raw(end[cut:])
            assert client.reply().startswith("250")
            assert client.command("NOOP").startswith("250")
    service.wait_mail("jdoe", 4)
    finish(service)


@pytest.mark.parametrize("around", [1024, 2048, 4096, 8192, 16384, 30000, 32768, 65536, 262144])
def test_row_4_the_true_end_across_every_buffer_size_is_found_once(one_instance, sink, around):
    one_instance.relay_to(sink.port)
    service = one_instance.start()
    header = b"Subject: edge\r\n\r\n"
    sizes = range(around - 4, around + 2)
    with service.connect(60) as client:
        client.command("EHLO client.example")
        for size in sizes:
            assert client.command("MAIL FROM:<a@example.org>").startswith("250")
            assert client.command("RCPT TO:<x@elsewhere.example>").startswith("250")
            filler = (b"x" * 70 + b"\r\n") * (size // 72 + 1)
            body = filler[:size - len(header)]
            if body.endswith(b"\r"):
                body = body[:-1] + b"y"
            reply = client.data(header + body + b"\r\n.\r\n" if not body.endswith(b"\n") else header + body + b".\r\n")
            assert reply.startswith("250"), (size, reply)
    sink.wait(len(sizes), 60)
    finish(service)


def test_row_5_a_dot_at_once_is_an_empty_message_and_dot_lf_is_none(service):
    with service.connect() as client:
        client.begin("jane.doe@acme.com")
        assert client.data(b".\r\n").startswith("250")
        client.begin("jane.doe@acme.com")
        assert client.command("DATA").startswith("354")
        client.raw(b".\nstill data\r\n.\r\n")
        assert client.reply()[0] in "25"
        assert client.command("NOOP").startswith("250")
    service.wait_mail("jdoe")
    finish(service)


def test_row_6_dots_are_taken_off_and_put_on_once(one_instance, sink):
    one_instance.relay_to(sink.port)
    service = one_instance.start()
    body = b".\r\n..\r\n...\r\n.x\r\nx.\r\n" + b".\r\n" * 100000
    with service.smtp(60) as client:
        client.sendmail("a@example.org", ["x@elsewhere.example"], b"Subject: dots\r\n\r\n" + body)
    assert sink.wait(seconds=60)[0].body == body
    finish(service)


def test_row_6_pieces_of_a_line_that_is_cut_get_their_dots_too(one_instance, sink):
    one_instance.relay_to(sink.port)
    service = one_instance.start()
    with service.smtp(60) as client:
        client.sendmail("a@example.org", ["x@elsewhere.example"], b"Subject: long\r\n\r\n" + b"." * 5000 + b"\r\n")
    message = sink.wait()[0]
    assert b"".join(message.body.split()) == b"." * 5000
    assert max(len(line) for line in message.octets.split(b"\r\n")) <= 998
    finish(service)


def test_row_7_the_next_transaction_in_the_same_segment_is_served_in_order(service):
    with service.connect() as client:
        client.command("EHLO client.example")
        client.raw(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<jane.doe@acme.com>\r\nDATA\r\n")
        assert [client.reply()[:3] for _ in range(3)] == ["250", "250", "354"]
        client.raw(b"Subject: 1\r\n\r\nx\r\n.\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bob@acme.com>\r\nDATA\r\n")
        assert [client.reply()[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        client.raw(b"Subject: 2\r\n\r\nx\r\n.\r\nQUIT\r\n")
        assert [client.reply()[:3] for _ in range(2)] == ["250", "221"]
    service.wait_mail("jdoe")
    service.wait_mail("bob")
    finish(service)


def test_row_8_counted_octets_are_content_whatever_they_say(service):
    with service.connect() as client:
        client.begin("jane.doe@acme.com")
        first = b"Subject: chunk\r\n\r\nend?\r\n.\r\nRSET\r\nx\r"
        second = b"\nlast without a line end"
        client.raw(b"BDAT %d\r\n" % len(first) + first)
        assert client.reply().startswith("250")
        client.raw(b"BDAT %d LAST\r\n" % len(second) + second)
        assert client.reply().startswith("250")
        assert client.command("NOOP").startswith("250")
    message = service.wait_mail("jdoe")[0]
    assert b"end?\n.\nRSET\nx\nlast without a line end" in message
    finish(service)


CHUNK = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<bob@acme.com>\r\n"


def test_row_9_a_chunk_without_a_transaction_is_read_off(service):
    with service.connect() as client:
        client.command("EHLO client.example")
        client.raw(b"BDAT %d LAST\r\n" % len(CHUNK) + CHUNK + b"NOOP\r\n")
        assert client.reply().startswith("503")
        assert client.reply().startswith("250")  # NOOP: nothing of the chunk ran
    with service.connect() as client:
        client.command("EHLO client.example")
        client.command("MAIL FROM:<a@example.org>")
        client.command("RCPT TO:<nobody-here@acme.com>")
        client.raw(b"BDAT %d LAST\r\n" % len(CHUNK) + CHUNK + b"NOOP\r\n")
        assert client.reply()[0] in "5"
        assert client.reply().startswith("250")
    finish(service)


@pytest.mark.parametrize("argument", ["", "-5", "0x10", "18446744073709551617", "9" * 300, "1 2", "10 FIRST", "abc", "9999999999"])
def test_row_9_a_malformed_or_huge_chunk_size_runs_nothing(service, argument):
    with service.connect() as client:
        client.begin("jane.doe@acme.com")
        client.raw(f"BDAT {argument}\r\n".encode())
        first = client.reply()
        assert first == "" or first[0] in "45", first
        try:
            client.raw(CHUNK)
            client.socket.settimeout(1)
            replies = client.reply()
        except (ConnectionError, TimeoutError):
            replies = ""
        # An error without a known length: either nothing runs, or the connection is closed.
        assert not replies.startswith("2") or "Sender OK" not in replies
    assert not service.mail("bob")
    finish(service)


def test_row_10_after_a_failed_chunk_only_a_new_transaction_goes_on(service):
    with service.connect() as client:
        client.begin("jane.doe@acme.com")
        client.raw(b"BDAT 5\r\nab\ncd")   # a bare LF spoils the message
        client.reply()
        client.raw(b"BDAT 0 LAST\r\n")
        assert client.reply()[0] in "5"
        assert client.command("DATA").startswith("503")
        assert client.command("RCPT TO:<bob@acme.com>").startswith("503")
        client.begin("jane.doe@acme.com")
        assert client.data(b"Subject: fine\r\n\r\nx\r\n.\r\n").startswith("250")
    finish(service)


def test_row_11_twenty_thousand_chunks_of_one_octet_need_flat_memory(service):
    def resident():
        return max(int(line.split()[1]) for pid in service.workers("smtpd")
                   for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))
    before = resident()
    with service.connect(120) as client:
        client.begin("jane.doe@acme.com")
        content = b"Subject: drip\r\n\r\n" + b"x" * 60 + b"\r\n"
        content = (content + (b"y" * 62 + b"\r\n") * 400)[:20000 - 2] + b"\r\n"
        for start in range(0, len(content), 500):
            piece = content[start:start + 500]
            client.raw(b"".join(b"BDAT 1\r\n" + piece[i:i + 1] for i in range(len(piece))))
            for _ in piece:
                assert client.reply().startswith("250")
        client.raw(b"BDAT 0 LAST\r\n")
        assert client.reply().startswith("250")
    assert resident() - before < 4096 * PATIENCE * 4
    service.wait_mail("jdoe")
    finish(service)


def test_row_12_stray_line_ends_before_the_body_never_split_header_from_body(service):
    for stray in (b"Subject: a\n\r\nx", b"Subject: a\r\r\nx", b"Subject: a\r\n\rx", b"Subject: a\r\n\nx"):
        with service.connect() as client:
            client.begin("jane.doe@acme.com")
            assert client.data(stray + b"\r\n.\r\n").startswith("5")
    assert not service.mail("jdoe")
    finish(service)


def test_row_14_other_separators_are_plain_octets(service):
    with service.connect() as client:
        client.begin("jane.doe@acme.com", parameters=" BODY=8BITMIME")
        content = b"Subject: marks\r\n\r\na\x0bb\x0cc\xc2\x85d\xe2\x80\xa8.\xe2\x80\xa8e\r\n.\r\n"
        assert client.data(content).startswith("250")
        assert client.command(b"NOOP \x0b\x0c").count("\n") == 0
    assert b"a\x0bb\x0cc\xc2\x85d\xe2\x80\xa8.\xe2\x80\xa8e" in service.wait_mail("jdoe")[0]
    finish(service)
