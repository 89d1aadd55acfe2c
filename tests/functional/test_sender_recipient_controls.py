"""
Inbound sender controls, recipient controls and the words of replies: sections 7.9, 3.3 and 7.12 of
docs/reference/domino-semantics.md, one test a row.
"""

import os
import re
import signal

import pytest

from gate import ACCEPTED, BOB, JANE, OUTSIDE, RECIPIENT_REJECTED, SENDER_REJECTED, Gate
from matador import wait_for
from name_servers import failing, silence

ALIASES = ('global_domain "Acme mail" {\n    local_primary_internet_domain = acme.com\n'
           '    internet_domain_aliases = { "acme.fr" }\n}\n')


@pytest.fixture(scope="module")
def gate():
    made = Gate()
    try:
        made.instance.domains = ALIASES
        made.instance.people += [{"name": "Ann Twin/Acme", "mail_file": "ann"},
                                 {"name": "Ben Twin/Acme", "mail_file": "ben"}]
        made.instance.groups = [
            {"name": "Team", "members": ["Jane Doe/Sales/Acme"], "internet_address": "team@acme.com"},
            {"name": "Spammers", "members": ["spam@partner.example", "bulk.example", "More spammers"],
             "type": "mail_only"},
            {"name": "More spammers", "members": ["ads@partner.example"]},
            {"name": "Bosses", "members": ["Jane Doe/Sales/Acme", "bob@acme.com"]},
        ]
        for name, *records in (("only-mx.example", "@ MX 10 mail.elsewhere.example."),
                               ("only-a.example", "@ A 192.0.2.1"),
                               ("only-aaaa.example", "@ AAAA 2001:db8::1"), ("null-mx.example", "@ MX 0 ."),
                               ("only-txt.example", "@ TXT \"v=spf1 -all\""),
                               ("alias.example", "@ CNAME only-a.example.")):
            made.zones.domain(name, *records)
        made.dns.fault("silent.example", silence)
        made.dns.fault("failing.example", failing("SERVFAIL"))
        yield made.start()
    finally:
        made.close()


def accepted(sender):
    return f"250 2.1.0 {sender or '<>'}... Sender OK"


# ---- 7.9: sender controls ----

@pytest.mark.parametrize("domain", ["only-mx.example", "only-a.example", "only-aaaa.example", "alias.example",
                                    "mail.partner.example"])
def test_verify_takes_a_sender_whose_domain_has_an_mx_or_an_address(gate, domain):
    gate.apply(verify_sender_domain="enabled")
    assert gate.mail(sender=f"a@{domain}") == accepted(f"a@{domain}")


@pytest.mark.parametrize("domain", ["missing.example", "only-txt.example", "null-mx.example"])
def test_verify_refuses_a_sender_whose_domain_has_neither(gate, domain):
    gate.apply(verify_sender_domain="enabled")
    assert gate.mail(sender=f"a@{domain}") == SENDER_REJECTED.format(f"a@{domain}")


@pytest.mark.parametrize("domain", ["silent.example", "failing.example"])
def test_verify_defers_a_sender_while_the_dns_fails(gate, domain):
    gate.apply(verify_sender_domain="enabled")
    assert gate.mail(sender=f"a@{domain}") == f"451 4.4.3 a@{domain}... The sender's domain cannot be looked up now, try again later"


def test_without_verify_no_domain_is_looked_up(gate):
    gate.apply()
    assert gate.mail(sender="a@never-asked.example") == accepted("a@never-asked.example")
    assert gate.dns.asked("never-asked.example") == 0


def test_an_address_on_the_deny_list_is_refused_whole_and_without_case(gate):
    gate.apply(deny_senders=["Spam@Partner.Example"])
    assert gate.mail(sender="spam@partner.example") == SENDER_REJECTED.format("spam@partner.example")
    assert gate.mail(sender="SPAM@partner.example") == SENDER_REJECTED.format("SPAM@partner.example")
    for sender in ("xspam@partner.example", "spam@mail.partner.example", "spam@partner.example.org"):
        assert gate.mail(sender=sender) == accepted(sender)


def test_a_domain_on_the_deny_list_covers_the_domain_and_what_is_below_it(gate):
    gate.apply(deny_senders=["partner.example"])
    for sender in ("a@partner.example", "a@mail.partner.example", "a@deep.mail.Partner.example"):
        assert gate.mail(sender=sender).startswith("554 5.7.1 Mail from "), sender
    assert gate.mail(sender="a@evilpartner.example") == accepted("a@evilpartner.example")


def test_a_group_of_senders_matches_its_members(gate):
    gate.apply(deny_senders=["Spammers"])
    for sender in ("spam@partner.example", "ads@partner.example", "a@bulk.example", "a@mail.bulk.example"):
        assert gate.mail(sender=sender) == SENDER_REJECTED.format(sender)
    assert gate.mail(sender="other@partner.example") == accepted("other@partner.example")


def test_an_allow_list_takes_only_its_senders(gate):
    gate.apply(allow_senders=["partner.example", "only@elsewhere.example"])
    for sender in ("a@partner.example", "a@mail.partner.example", "only@elsewhere.example"):
        assert gate.mail(sender=sender) == accepted(sender)
    for sender in ("a@evilpartner.example", "other@elsewhere.example"):
        assert gate.mail(sender=sender) == SENDER_REJECTED.format(sender)


def test_an_allow_list_does_not_restrict_senders_in_local_domains(gate):
    gate.apply(allow_senders=["partner.example"])
    for sender in (JANE, "a@acme.fr"):
        assert gate.mail(sender=sender) == accepted(sender)
    assert gate.mail(sender="a@sub.acme.com") == SENDER_REJECTED.format("a@sub.acme.com")


def test_a_deny_list_does(gate):
    gate.apply(deny_senders=[JANE])
    assert gate.mail(sender=JANE) == SENDER_REJECTED.format(JANE)


def test_deny_beats_allow_for_senders(gate):
    gate.apply(allow_senders=["partner.example"], deny_senders=["mail.partner.example"])
    assert gate.mail(sender="a@partner.example") == accepted("a@partner.example")
    assert gate.mail(sender="a@mail.partner.example") == SENDER_REJECTED.format("a@mail.partner.example")


def test_the_null_sender_passes_all_three(gate):
    gate.apply(verify_sender_domain="enabled", allow_senders=["partner.example"], deny_senders=["Spammers"])
    assert gate.mail(sender="") == accepted("")


def test_a_refused_sender_leaves_the_session_open_for_another(gate):
    gate.apply(deny_senders=["partner.example"])
    with gate.session() as session:
        assert session.command("MAIL FROM:<a@partner.example>") == SENDER_REJECTED.format("a@partner.example")
        assert session.command(f"RCPT TO:<{JANE}>").startswith("503")
        assert session.command("MAIL FROM:<a@example.org>") == accepted("a@example.org")
        assert session.command(f"RCPT TO:<{JANE}>") == ACCEPTED.format(JANE)
    line = gate.instance.wait_log(r".* control-refused .*from=a@partner\.example .*").group()
    assert 'control="deny senders"' in line and re.search(r"rule=\S*deny_senders", line), line


# ---- 7.9: recipient controls ----

def test_verify_refuses_a_local_recipient_who_is_not_in_the_directory(gate):
    gate.apply(verify_local_recipients="enabled")
    assert gate.recipient("nobody@acme.com") == "550 5.1.1 nobody@acme.com... No such user"
    assert gate.recipient(JANE) == ACCEPTED.format(JANE)
    assert gate.recipient("jane.doe@acme.fr") == ACCEPTED.format("jane.doe@acme.fr")


def test_without_verify_such_a_recipient_is_accepted(gate):
    gate.apply(verify_local_recipients="disabled")
    assert gate.recipient("nobody@acme.com") == ACCEPTED.format("nobody@acme.com")


def test_verify_does_not_concern_recipients_elsewhere(gate):
    gate.apply(verify_local_recipients="enabled", relay_enforcement="none")
    assert gate.recipient(OUTSIDE) == ACCEPTED.format(OUTSIDE)


def test_a_smart_host_is_never_reached_for_unknown_recipients(gate):
    gate.apply(verify_local_recipients="enabled", local_smart_host="[127.0.0.1]:9")
    assert gate.recipient("nobody@acme.com") == "550 5.1.1 nobody@acme.com... No such user"


def test_ambiguous_names_are_accepted_unless_they_are_rejected(gate):
    gate.apply()
    assert gate.recipient("twin@acme.com") == ACCEPTED.format("twin@acme.com")
    gate.apply(reject_ambiguous_recipients="enabled")
    assert gate.recipient("twin@acme.com") == "550 5.1.4 twin@acme.com... User ambiguous"
    assert gate.recipient(JANE) == ACCEPTED.format(JANE)


def test_groups_are_accepted_unless_mail_to_them_is_denied(gate):
    gate.apply()
    assert gate.recipient("team@acme.com") == ACCEPTED.format("team@acme.com")
    gate.apply(deny_mail_to_groups="enabled")
    assert gate.recipient("team@acme.com") == RECIPIENT_REJECTED.format("team@acme.com")
    assert gate.recipient(JANE) == ACCEPTED.format(JANE)


def test_both_switches_mean_nothing_without_verify(gate):
    gate.apply(verify_local_recipients="disabled", reject_ambiguous_recipients="enabled",
               deny_mail_to_groups="enabled")
    for recipient in ("twin@acme.com", "team@acme.com"):
        assert gate.recipient(recipient) == ACCEPTED.format(recipient)


@pytest.mark.skipif("MATADOR_TORTURE" not in os.environ, reason="a session waits for the Directory for half a minute")
def test_a_recipient_is_deferred_while_the_directory_is_away(one_instance, tmp_path):
    one_instance.matador["restart_delay_maximum"] = "1s"
    one_instance.wrap_program("directory", f"test ! -e {tmp_path}/away || exit 75", tmp_path)
    service = one_instance.start()
    with service.connect(60) as session:
        session.begin()
        (tmp_path / "away").touch()
        os.kill(service.worker("directory"), signal.SIGKILL)
        service.wait_log("worker-died program=directory")
        assert session.command(f"RCPT TO:<{BOB}>") == f"451 4.3.0 {BOB}... Recipient cannot be looked up now, try again later"
        (tmp_path / "away").unlink()
        wait_for(lambda: session.command(f"RCPT TO:<{BOB}>") == ACCEPTED.format(BOB), 30,
                 "a directory that answers again", 0.2)


def test_an_allow_list_takes_only_its_recipients(gate):
    gate.apply(allow_recipients=["Jane.Doe@ACME.com"])
    assert gate.recipient(JANE) == ACCEPTED.format(JANE)
    assert gate.recipient(BOB) == RECIPIENT_REJECTED.format(BOB)


def test_recipients_on_the_deny_list_are_refused_and_others_accepted(gate):
    gate.apply(deny_recipients=[JANE])
    assert gate.recipient(JANE) == RECIPIENT_REJECTED.format(JANE)
    assert gate.recipient(BOB) == ACCEPTED.format(BOB)


def test_deny_beats_allow_for_recipients(gate):
    gate.apply(allow_recipients=[JANE, BOB], deny_recipients=[JANE])
    assert gate.recipient(JANE) == RECIPIENT_REJECTED.format(JANE)
    assert gate.recipient(BOB) == ACCEPTED.format(BOB)


def test_a_group_of_recipients_matches_its_members(gate):
    gate.apply(deny_recipients=["Bosses"])
    assert gate.recipient(JANE) == RECIPIENT_REJECTED.format(JANE)
    assert gate.recipient(BOB) == RECIPIENT_REJECTED.format(BOB)
    assert gate.recipient("team@acme.com") == ACCEPTED.format("team@acme.com")


def test_recipient_lists_compare_the_address_as_given(gate):
    """Another spelling of the same person is another address."""
    gate.apply(deny_recipients=[JANE])
    for recipient in ("jdoe@acme.com", "jane.doe@acme.fr"):
        assert gate.recipient(recipient) == ACCEPTED.format(recipient)
    gate.apply(deny_recipients=[JANE], address_lookup="fullname_only")
    assert gate.recipient("jdoe@acme.com") == "550 5.1.1 jdoe@acme.com... No such user"


def test_recipient_lists_do_not_touch_recipients_elsewhere(gate):
    gate.apply(allow_recipients=[JANE], deny_recipients=[OUTSIDE], relay_enforcement="none")
    assert gate.recipient(OUTSIDE) == ACCEPTED.format(OUTSIDE)
    assert gate.recipient(BOB) == RECIPIENT_REJECTED.format(BOB)


def test_a_domain_is_no_recipient(gate):
    for key in ("allow_recipients", "deny_recipients"):
        status, lines = gate.check(**{key: ["acme.com"]})
        assert status == 78 and any(re.search(rf"/configurations\.conf:\d+: {key}: ", line) for line in lines), lines


def test_a_refused_recipient_is_in_the_log_with_its_rule(gate):
    gate.apply(deny_recipients=["logged@acme.com"])
    assert gate.recipient("logged@acme.com") == RECIPIENT_REJECTED.format("logged@acme.com")
    line = gate.instance.wait_log(r".* recipient-refused .*to=logged@acme\.com .*").group()
    assert re.search(r"rule=\S*deny_recipients", line), line


# ---- 7.12: replies that no other test reads ----

def test_the_greeting_names_the_host_and_the_service_and_the_setting_replaces_it(gate):
    gate.apply()
    with gate.session() as session:
        assert re.match(r"220 hub\.acme\.com ESMTP Service \(.+\) ready at .+", session.greeting), session.greeting
    gate.apply(smtp_greeting="Hello since %s")
    with gate.session() as session:
        assert re.match(r"220 hub\.acme\.com Hello since .*20\d\d", session.greeting), session.greeting
        assert "%s" not in session.greeting


def test_a_size_above_the_limit_is_refused_at_mail(gate):
    gate.apply(maximum_message_size_kb=100)
    with gate.session() as session:
        assert session.command("MAIL FROM:<a@example.org> SIZE=200000") == "552 5.3.4 Message size exceeds fixed maximum message size"


def test_a_message_reads_the_replies_of_the_table_from_end_to_end(gate):
    gate.apply()
    with gate.session() as session:
        assert session.command("MAIL FROM:<a@example.org>") == accepted("a@example.org")
        assert session.command(f"RCPT TO:<{BOB}>") == ACCEPTED.format(BOB)
        assert session.command("DATA") == '354 Enter message, end with "." on a line by itself'
        session.raw(b"Subject: x\r\n\r\nx\r\n.\r\n")
        assert session.reply().startswith("250 2.0.0 Message accepted for delivery")
        assert session.command("QUIT") == "221 2.0.0 hub.acme.com SMTP Service closing transmission channel"
