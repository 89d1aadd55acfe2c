"""8-bit content on its way to a host without 8BITMIME: converted where RFC 6152 allows it, a precise failure where not."""

import email
import email.policy
import re

import pytest

from matador import no_worker_died
from test_reports import report_parts

SEVEN_BIT = ["PIPELINING", "SIZE 100000000"]

TEXT = "Subject: plain\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" \
    "Grüße = Küsse \r\n.\r\n" + "ä" * 400 + "\r\n"

MIXED = """Subject: parts
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_outer"
Content-Transfer-Encoding: 8bit

A message in parts.
--=_outer
Content-Type: multipart/alternative;
 boundary=inner

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße
--inner
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<p>plain = plain</p>
--inner--
--=_outer
Content-Type: application/octet-stream
Content-Transfer-Encoding: binary

eins äöü
zwei\x20
--=_outer
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

w6TDtsO8
--=_outer
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Subject: inside
Content-Type: text/plain; charset=utf-8

Füße
--=_outer--
""".replace("\n", "\r\n")

SIGNED = """Subject: signed
MIME-Version: 1.0
Content-Type: multipart/signed; micalg=pgp-sha256; protocol="application/pgp-signature"; boundary=s

--s
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße
--s
Content-Type: application/pgp-signature

xxxx
--s--
""".replace("\n", "\r\n")


@pytest.fixture
def relay(one_instance, sink):
    sink.extensions = list(SEVEN_BIT)
    one_instance.relay_to(sink.port)
    return one_instance.start()


def submit(service, content, parameters):
    with service.connect() as client:
        client.begin("x@elsewhere.example", sender="bob@acme.com", parameters=parameters)
        assert client.data(content.encode().replace(b"\r\n.", b"\r\n..") + b".\r\n").startswith("250")


def leaves(octets):
    """What a reader sees of each part: its type and its content, decoded."""
    return [(part.get_content_type(), part.get_payload(decode=True))
            for part in email.message_from_bytes(octets, policy=email.policy.SMTP).walk() if not part.is_multipart()]


@pytest.mark.parametrize("announced", [" BODY=8BITMIME", ""], ids=["announced", "not announced"])
@pytest.mark.parametrize("extensions", [SEVEN_BIT, [*SEVEN_BIT, "CHUNKING"], []], ids=["DATA", "BDAT", "plain"])
@pytest.mark.parametrize("content", [TEXT, MIXED], ids=["text", "parts"])
def test_eight_bit_parts_are_converted_and_a_reader_sees_no_difference(relay, sink, announced, extensions, content):
    sink.extensions = extensions
    submit(relay, content, announced)
    octets = sink.wait()[0].octets
    assert not re.search(rb"[^\x00-\x7f]", octets)
    assert max(map(len, octets.split(b"\r\n"))) < 1000
    assert leaves(octets) == leaves(content.encode())
    assert not any(re.search("8BITMIME|SIZE", command) for command in sink.commands[1:])
    relay.wait_queue_empty()
    no_worker_died(relay)


def test_what_is_signed_is_reported_and_not_converted(relay, sink):
    submit(relay, SIGNED, " BODY=8BITMIME")
    _, text, blocks, _ = report_parts(relay.wait_mail("bob")[0])
    assert blocks[1]["Status"] == "5.6.3" and "8BITMIME" in text
    assert not sink.messages and "MAIL" not in " ".join(sink.commands)
    relay.wait_queue_empty()


def test_what_is_signed_goes_out_unchanged_where_8bitmime_is_offered(relay, sink):
    sink.extensions = [*SEVEN_BIT, "8BITMIME"]
    submit(relay, SIGNED, "")
    assert sink.wait()[0].octets.endswith(SIGNED.encode())
    assert "BODY=8BITMIME" in next(command for command in sink.commands if command.startswith("MAIL"))
    relay.wait_queue_empty()
