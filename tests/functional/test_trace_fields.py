"""
Header fields that speak in our name: those that came in are taken out, those that the controls found are put in front, and every
other octet of a message arrives as it was sent.
"""

import email.parser
import email.policy
import pathlib
import random
import re

import pytest

import name_servers
from matador import Dialogue, Instance, no_worker_died

JANE = "jane.doe@acme.com"
FORGED = (b"$DNSBLSite: forged.example\r\n", b"$dnswlsite :\r\n forged.example\r\n", b"$SPFResult: pass\r\n",
          b"Authentication-Results: hub.acme.com; spf=pass\r\n\tsmtp.mailfrom=boss@acme.com\r\n",
          b"authentication-results: (a \\) comment) \"HUB.acme.com\" 1; dkim=pass header.d=acme.com\r\n",
          b"Authentication-Results:\r\n", b"Authentication-Results\r\n : hub.acme.com; spf=pass\r\n",
          b"Received-SPF: pass (all is well)\r\n receiver=hub.acme.com; client-ip=192.0.2.1\r\n",
          b"received-spf : pass receiver = \"HUB.acme.com\"\r\n",
          b"Received-SPF: pass helo=\"receiver=mx.example.org\"; client-ip=192.0.2.1\r\n")
OTHERS = (b"Subject: a subject\r\n", b"From: someone@example.org\r\n", b"X-Long: " + b"word " * 150 + b"\r\n",
          b"Authentication-Results: mx.example.org; dkim=pass\r\n\theader.d=example.org\r\n",
          b"Received-SPF: pass (hub.acme.com: so it is) receiver=mx.example.org; client-ip=192.0.2.1\r\n", b"X-" + b"n" * 300 + b": x\r\n",
          b"Comments: $DNSBLSite: not a field\r\n $SPFResult: neither\r\n")


@pytest.fixture(name="service", scope="module")
def start_service():
    """SPF, a private blacklist and a DNS whitelist; 127.0.0.1 is on none of them."""
    instance = Instance()
    zones, lists = name_servers.ZoneServer(), name_servers.RblServer()
    switch = None
    try:
        zones.domain("pass.test", '@ TXT "v=spf1 ip4:127.0.0.0/8 -all"')
        zones.domain("soft.test", '@ TXT "v=spf1 ~all"')
        zones.domain("broken.test", '@ TXT "v=spf1 a:%{d0} -all"')
        zones.start()
        lists.entries("wl.example", "127.0.0.6 :127.0.0.2:")
        lists.start()
        switch = name_servers.NameServerSwitch({"": zones, "wl.example": lists})
        instance.matador.update({"nameservers": [f"{switch.address}@{switch.port}"], "inline_body_limit": "32K"})
        instance.configuration.update({
            "spf_check": "enabled", "private_blacklist_filter": "enabled", "private_blacklist_hosts": ["[127.0.0.5]"],
            "private_blacklist_action": "log_and_tag", "dns_whitelist_filters": "enabled",
            "dns_whitelist_sites": ["wl.example"], "dns_whitelist_action": "log_and_tag", "relay_enforcement": "all_hosts",
            "maximum_messages_per_session": 1000})
        yield instance.start()
        no_worker_died(instance)
    finally:
        instance.close()
        for server in (zones, lists, switch):
            if server is not None:
                server.close()


def deliver(service, content, how="data", sender="user@pass.test", helo="mx.pass.test", source=None, seed=1):
    """What the mail file gets of the content, with a mark that finds it."""
    mark = f"mark-{random.randrange(10**12)}"
    content = b"X-Mark: " + mark.encode() + b"\r\n" + content
    with Dialogue(service.port, source=source) as client:
        client.command(f"EHLO {helo}")
        assert client.command(f"MAIL FROM:<{sender}>").startswith("250")
        assert client.command(f"RCPT TO:<{JANE}>").startswith("250")
        if how == "bdat":
            cuts = random.Random(seed)
            while content:
                count = min(len(content), cuts.choice((1, 7, 100, 5000, 40000)))
                chunk, content = content[:count], content[count:]
                client.raw(f"BDAT {count}{'' if content else ' LAST'}\r\n".encode() + chunk)
                reply = client.reply()
        else:
            stuffed = re.sub(rb"(?m)^\.", b"..", content) + b".\r\n"
            assert client.command("DATA").startswith("354")
            for at in range(0, len(stuffed), 1 if how == "octets" else len(stuffed)):
                client.raw(stuffed[at:at + (1 if how == "octets" else len(stuffed))])
            reply = client.reply()
        assert reply.startswith("250"), reply
    service.wait_queue_empty()
    found = [octets for octets in service.mail("jdoe") if mark.encode() in octets]
    assert len(found) == 1
    for path in (pathlib.Path(service.folder) / "mail" / "jdoe").glob("[nc]*/*"):
        path.unlink()
    # A mail file has the line ends of its host.
    octets = found[0].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    ours, _, rest = octets.partition(b"X-Mark: " + mark.encode() + b"\r\n")
    return email.parser.BytesHeaderParser(policy=email.policy.compat32).parsebytes(ours), rest


def made(count, generator):
    """Fields of ours and of others in any order, and what is to be left of them."""
    sent, kept = [], []
    for _ in range(count):
        field = generator.choice(FORGED + OTHERS)
        sent.append(field)
        kept += [] if field in FORGED else [field]
    return b"".join(sent), b"".join(kept)


@pytest.mark.parametrize("how", ["data", "octets", "bdat"])
@pytest.mark.parametrize("lines", [0, 3, 4000])
def test_what_is_forged_goes_and_everything_else_stays(service, how, lines):
    if how == "octets" and lines > 100:
        lines = 100
    generator = random.Random(f"{how}{lines}")
    for round_number in range(3):
        header, kept = made(generator.choice((1, 5, 12)), generator)
        body = b"\r\n" + b"".join(b".%d $DNSBLSite: in the body\r\n" % line + FORGED[line % 3] for line in range(lines))
        assert deliver(service, header + body, how, seed=round_number)[1] == kept + body


@pytest.mark.parametrize("how", ["data", "bdat"])
def test_a_large_header_is_cleaned_before_it_is_written_to_a_file(service, how):
    header, kept = made(600, random.Random(how))
    body = b"\r\n" + b"the body\r\n" * 20000
    assert deliver(service, header + body, how)[1] == kept + body


@pytest.mark.parametrize("how", ["data", "bdat"])
def test_a_message_that_ends_in_its_header_is_cleaned(service, how):
    assert deliver(service, b"".join(FORGED) + OTHERS[0] + FORGED[0], how)[1].rstrip(b"\r\n") == OTHERS[0].rstrip(b"\r\n")


@pytest.mark.parametrize("how", ["data", "octets", "bdat"])
@pytest.mark.parametrize("odd", [b"X\r\n", b"no field, and words\r\n", b"X\x01: y\r\n", b": y\r\n", b"caf\xc3\xa9 : y\r\n",
                                 b"Subject\r\n continued: y\r\n"])
def test_a_line_that_is_no_field_hides_none_of_ours(service, odd, how):
    """For some readers the header goes on behind it, up to the empty line."""
    header, kept = made(5, random.Random(how))
    sent, left = header + odd + b"".join(FORGED) + header, kept + odd + kept
    body = b"\r\n" + b"".join(FORGED) + b"x\r\n"
    assert deliver(service, sent + body, how)[1] == left + body


def test_a_text_without_a_header_is_not_limited_like_one(service):
    body = b"a line of a text without a header and without an empty line\r\n" * 8000
    with Dialogue(service.port) as client:
        client.begin(JANE)
        assert client.data(body + b"$SPFResult: pass\r\n.\r\n").startswith("552")
        client.begin(JANE)
        assert client.data(body + b".\r\n").startswith("250")
    service.wait_queue_empty()
    found = service.mail("jdoe")
    assert len(found) == 1 and found[0].replace(b"\r\n", b"\n").endswith(body.replace(b"\r\n", b"\n"))
    for path in (pathlib.Path(service.folder) / "mail" / "jdoe").glob("[nc]*/*"):
        path.unlink()


def words(value):
    return " ".join(value.split())


def test_spf_is_told_in_the_forms_of_rfc_8601_and_rfc_7208(service):
    ours, _ = deliver(service, OTHERS[0] + b"\r\nx\r\n")
    assert ours.keys() == ["Return-Path", "Delivered-To", "Authentication-Results", "Received-SPF", "Received"]
    assert words(ours["Authentication-Results"]) == ("hub.acme.com; spf=pass smtp.mailfrom=user@pass.test; "
                                                     "spf=none smtp.helo=mx.pass.test")
    assert words(ours["Received-SPF"]) == ("pass receiver=hub.acme.com; client-ip=127.0.0.1; envelope-from=\"user@pass.test\"; "
                                           "helo=mx.pass.test; identity=mailfrom")
    assert len(ours.get_all("Received-SPF")) == 1
    assert "$SPFResult" not in ours
    assert max(map(len, ours.as_string().splitlines())) <= 120


def test_a_softfail_and_a_broken_record_leave_a_tag(service):
    for sender, verdict in (("user@soft.test", "softfail"), ("user@broken.test", "permerror")):
        ours, _ = deliver(service, b"".join(FORGED) + OTHERS[0] + b"\r\nx\r\n", sender=sender)
        assert ours.get_all("$SPFResult") == [verdict]
        assert ours.get_all("Authentication-Results")[0].startswith("hub.acme.com;")
        assert words(ours["Received-SPF"]).startswith(f"{verdict} receiver=")
        assert ("problem=" in ours["Received-SPF"]) == (verdict == "permerror")


def test_a_null_sender_is_told_by_helo(service):
    ours, _ = deliver(service, OTHERS[0] + b"\r\nx\r\n", sender="", helo="soft.test")
    assert words(ours["Authentication-Results"]) == "hub.acme.com; spf=softfail smtp.helo=soft.test"
    assert words(ours["Received-SPF"]).endswith("envelope-from=\"\"; helo=soft.test; identity=helo")


def test_the_list_that_has_the_client_is_told_and_a_forged_one_is_not(service):
    message = b"".join(FORGED) + OTHERS[0] + b"\r\nx\r\n"
    for source, blacklist, whitelist in (("127.0.0.1", None, None), ("127.0.0.5", ["PrivateBlacklist"], None),
                                         ("127.0.0.6", None, ["wl.example"])):
        ours, rest = deliver(service, message, source=source)
        assert (ours.get_all("$DNSBLSite"), ours.get_all("$DNSWLSite")) == (blacklist, whitelist)
        assert rest == OTHERS[0] + b"\r\nx\r\n"
