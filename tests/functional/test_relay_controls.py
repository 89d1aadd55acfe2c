"""
Inbound relay controls and relay enforcement: sections 3.2, 7.2 and 7.3 of docs/reference/domino-semantics.md, one test a row.
"""

import re

import pytest

from gate import (ACCEPTED, FORGED, INTERNAL, JANE, NO_NAME, OUTSIDE, PARTNER, RELAY_ABC, RELAY_REJECTED, SENDER,
                  SILENT, SMTP_EFG,
                  STRANGER, Gate)


@pytest.fixture(scope="module")
def gate():
    made = Gate()
    try:
        # Nothing is denied where the rows of 7.2 name nothing.
        made.base.update(relay_deny_destinations=[], relay_enforcement="all_hosts")
        made.instance.configuration.update(made.base)
        made.instance.domains = ('global_domain "Acme mail" {\n    local_primary_internet_domain = acme.com\n'
                                 '    internet_domain_aliases = { "acme.fr", "*.acme.net" }\n}\n')
        yield made.start()
    finally:
        made.close()


def relay(gate, ad=(), dd=(), as_=(), ds=(), **more):
    return gate.apply(relay_allow_destinations=ad, relay_deny_destinations=dd, relay_allow_hosts=as_,
                      relay_deny_hosts=ds, **more)


# ---- 7.2: the table ----

def test_a_denied_host_may_relay_to_an_allowed_destination(gate):
    relay(gate, ad=["xyz.com"], ds=["smtp.efg.com"])
    assert gate.relays(SMTP_EFG, "a@xyz.com")


def test_a_denied_host_may_not_relay_elsewhere(gate):
    relay(gate, ad=["xyz.com"], ds=["smtp.efg.com"])
    assert not gate.relays(SMTP_EFG, "a@other.com")


def test_an_allowed_host_may_relay_to_a_denied_destination(gate):
    relay(gate, dd=["qrs.com"], as_=["relay.abc.com"])
    assert gate.relays(RELAY_ABC, "a@qrs.com")


def test_other_hosts_may_not_relay_to_a_denied_destination(gate):
    relay(gate, dd=["qrs.com"], as_=["relay.abc.com"])
    assert not gate.relays(STRANGER, "a@qrs.com")


def test_beside_an_allow_list_other_hosts_may_relay_nowhere(gate):
    relay(gate, dd=["qrs.com"], as_=["relay.abc.com"])
    assert not gate.relays(STRANGER, "a@elsewhere.com")


def test_the_same_entry_in_both_destination_lists_denies(gate):
    relay(gate, ad=["xyz.com"], dd=["xyz.com"])
    assert not gate.relays(STRANGER, "a@xyz.com")


def test_the_same_entry_in_both_host_lists_denies(gate):
    relay(gate, as_=["smtp.efg.com"], ds=["SMTP.efg.com"])
    assert not gate.relays(SMTP_EFG)


def test_an_asterisk_is_not_the_same_entry_as_a_destination(gate):
    relay(gate, ad=["partner.com"], dd=["*"])
    assert gate.relays(STRANGER, "a@partner.com")
    assert not gate.relays(STRANGER, "a@elsewhere.com")


def test_an_allowed_address_may_relay_anywhere_although_everything_is_denied(gate):
    relay(gate, dd=["*"], as_=[gate.entry(NO_NAME)])
    assert gate.relays(NO_NAME) and not gate.relays(STRANGER)


def test_an_exact_destination_does_not_cover_what_is_below_it(gate):
    relay(gate, ad=["@xyz.com"], dd=["*"])
    assert gate.relays(STRANGER, "a@xyz.com")
    assert not gate.relays(STRANGER, "a@a.xyz.com") and not gate.relays(STRANGER, "a@axyz.com")


def test_four_empty_lists_are_an_open_relay(gate):
    relay(gate)
    assert gate.relays(STRANGER) and gate.relays(NO_NAME)
    status, lines = gate.check(relay_deny_destinations=[])
    assert status == 0 and any("relay_deny_destinations" in line and "everybody may relay" in line for line in lines), lines


def test_by_default_external_hosts_relay_nowhere(gate):
    gate.base.pop("relay_deny_destinations")
    gate.base.pop("relay_enforcement")
    try:
        gate.apply()
        assert not gate.relays(STRANGER) and not gate.relays(NO_NAME)
    finally:
        gate.base.update(relay_deny_destinations=[], relay_enforcement="all_hosts")


def test_an_allowed_destination_beside_no_other_list_allows_nothing_else(gate):
    relay(gate, ad=["xyz.com"])
    assert gate.relays(STRANGER, "a@xyz.com") and not gate.relays(STRANGER, "a@other.com")


def test_a_denied_host_beside_no_other_list_is_the_only_one(gate):
    relay(gate, ds=["smtp.efg.com"])
    assert not gate.relays(SMTP_EFG) and gate.relays(STRANGER)


def test_all_hosts_are_denied_by_an_asterisk(gate):
    relay(gate, ad=["xyz.com"], ds=["*"])
    assert gate.relays(NO_NAME, "a@xyz.com") and not gate.relays(NO_NAME, "a@other.com")


@pytest.mark.parametrize("ad, dd, as_, ds, recipient", [
    (["xyz.com"], [], [], ["smtp.efg.com"], "a@xyz.com"), ([], ["qrs.com"], ["smtp.efg.com"], [], "a@qrs.com"),
    (["partner.com"], ["*"], [], [], "a@partner.com")])
def test_the_r5_switch_lets_deny_win(gate, ad, dd, as_, ds, recipient):
    relay(gate, ad, dd, as_, ds)
    assert gate.relays(SMTP_EFG, recipient)
    relay(gate, ad, dd, as_, ds, relay_deny_takes_precedence=1)
    assert not gate.relays(SMTP_EFG, recipient)


# ---- 7.1: destinations ----

def test_a_destination_matches_every_domain_that_ends_in_its_characters(gate):
    relay(gate, ad=["xyz.com"], dd=["*"])
    assert all(gate.relays(STRANGER, f"a@{domain}") for domain in ("xyz.com", "dev.xyz.com", "abcxyz.com"))
    assert gate.recipient("a@XYZ.Com") == ACCEPTED.format("a@xyz.com")
    assert not gate.relays(STRANGER, "a@xyz.com.example")


def test_a_destination_matches_whole_labels_when_the_setting_says_so(gate):
    relay(gate, ad=["xyz.com"], dd=["*"], host_entry_matching="whole_labels")
    assert gate.relays(STRANGER, "a@xyz.com") and gate.relays(STRANGER, "a@dev.xyz.com")
    assert not gate.relays(STRANGER, "a@abcxyz.com")


def test_a_domino_domain_is_a_destination_of_its_own(gate):
    relay(gate, ad=["%AcmeEast"], dd=["*"])
    assert gate.recipient("user%AcmeEast@acme.com") != RELAY_REJECTED
    assert gate.recipient("user%acmeeast@acme.com") != RELAY_REJECTED
    assert gate.recipient("user%AcmeWest@acme.com") == RELAY_REJECTED
    assert not gate.relays(STRANGER, "a@acmeeast.example")


def test_our_own_domino_domain_is_no_relay(gate):
    relay(gate, dd=["*"])
    assert gate.recipient("jdoe%Acme@acme.com") == ACCEPTED.format("jdoe%Acme@acme.com")


def test_a_group_of_destinations_matches_its_members(gate):
    gate.instance.groups = [{"name": "Partners", "members": ["xyz.com", "More partners"]},
                            {"name": "More partners", "members": ["qrs.com"]}]
    try:
        relay(gate, ad=["Partners"], dd=["*"])
        assert gate.relays(STRANGER, "a@xyz.com") and gate.relays(STRANGER, "a@qrs.com") and not gate.relays(STRANGER, "a@other.com")
    finally:
        gate.instance.groups = []
        gate.apply()


@pytest.mark.parametrize("entry", ["@", "%", "%Acme.East", "xyz..com", "[192.168.1", "a@xyz.com"])
def test_a_malformed_destination_refuses_the_configuration(gate, entry):
    status, lines = gate.check(relay_deny_destinations=["xyz.com", entry])
    assert status == 78
    assert any(re.search(rf"/configurations\.conf:\d+: relay_deny_destinations: .*{re.escape(entry)}",
                         line) for line in lines), lines


# ---- what a relay is ----

def test_local_recipients_are_no_relay(gate):
    relay(gate, dd=["*"], ds=["*"], verify_local_recipients="disabled")
    for recipient in (JANE, "x@acme.fr", "x@sub.acme.net", "x@deep.sub.acme.net", "X@ACME.COM"):
        assert gate.recipient(recipient).startswith("250 2.1.5"), recipient
    for recipient in ("x@sales.acme.com", "x@acme.net", "x@notacme.com", "x@hub.acme.com", "x@[127.0.0.1]"):
        assert gate.recipient(recipient) == RELAY_REJECTED, recipient


def test_without_a_global_domain_our_own_host_name_decides_what_is_a_relay(gate):
    before, gate.instance.domains = gate.instance.domains, ""
    try:
        relay(gate, dd=["*"], verify_local_recipients="disabled")
        for recipient in ("x@host3.acme.com", "x@hub.acme.com", "x@acme.com"):
            assert gate.recipient(recipient).startswith("250 2.1.5"), recipient
        for recipient in ("x@a.b.acme.com", "x@notacme.com", "x@com"):
            assert gate.recipient(recipient) == RELAY_REJECTED, recipient
    finally:
        gate.instance.domains = before
        gate.apply()


def test_postmaster_without_a_domain_is_always_accepted(gate):
    relay(gate, dd=["*"], deny_recipients=[JANE], allow_recipients=["bob@acme.com"])
    assert gate.recipient("Postmaster").startswith("250 2.1.5")


@pytest.mark.parametrize("recipient", [
    "a%other.com@acme.com", '"a@other.com"@acme.com', "other.com!a@acme.com", '"a%other.com"@acme.com',
    "a%other.com%acme.com@acme.com",
    '"a%other.com@acme.com"@acme.com', "acme.com!other.com!a@acme.com", "@acme.com:a@other.com",
    "@acme.com,@hub.acme.com:a@other.com",
    '"other.com!a"@acme.com', '"a%other\\.com"@acme.com', "@other.com:a%other.com@acme.com"])
def test_a_routed_address_is_judged_by_where_it_goes_in_the_end(gate, recipient):
    relay(gate, dd=["other.com"], as_=[gate.entry(SMTP_EFG)], ds=["*"])
    assert gate.recipient(recipient) == RELAY_REJECTED


def test_a_source_route_over_others_does_not_make_a_local_recipient_a_relay(gate):
    relay(gate, dd=["*"])
    assert gate.recipient(f"@other.com,@third.com:{JANE}") == ACCEPTED.format(JANE)


def test_a_routed_address_may_go_where_its_destination_may(gate):
    relay(gate, ad=["xyz.com"], dd=["*"])
    assert gate.recipient("a%xyz.com@acme.com") != RELAY_REJECTED
    assert gate.relays(STRANGER, "@acme.com:a@xyz.com")


def test_a_refused_relay_is_in_the_log_with_its_rule(gate):
    relay(gate, dd=["other.com"])
    assert not gate.relays(RELAY_ABC, "logged@other.com")
    line = gate.instance.wait_log(r".* recipient-refused .*to=logged@other\.com .*").group()
    assert re.search(r"rule=\S*relay_deny_destinations", line) and "554" in line, line


def test_some_recipients_may_be_refused_and_the_others_taken(gate):
    relay(gate, dd=["*"])
    with gate.session() as session:
        assert session.command(f"MAIL FROM:<{SENDER}>").startswith("250")
        assert session.command(f"RCPT TO:<{OUTSIDE}>") == RELAY_REJECTED
        assert session.command(f"RCPT TO:<{JANE}>") == ACCEPTED.format(JANE)
        assert session.command("RCPT TO:<a@other.com>") == RELAY_REJECTED
        assert session.data(b"Subject: one of three\r\n\r\nx\r\n.\r\n").startswith("250")
    gate.instance.wait_queue_empty()
    assert sum(b"one of three" in message for message in gate.instance.mail("jdoe")) == 1


# ---- 7.3: to whom it applies ----

DENIED = {"dd": ["*"]}


def test_external_hosts_are_checked_and_internal_ones_are_not(gate):
    relay(gate, **DENIED, relay_enforcement="external_hosts")
    assert gate.relays(INTERNAL)
    assert not gate.relays(STRANGER) and not gate.relays(PARTNER)


def test_a_host_without_a_name_is_external(gate):
    relay(gate, **DENIED, relay_enforcement="external_hosts")
    assert not gate.relays(NO_NAME)


def test_a_host_is_external_while_the_dns_is_silent(gate):
    relay(gate, **DENIED, relay_enforcement="external_hosts")
    assert not gate.relays(SILENT)


def test_a_name_that_does_not_lead_back_makes_nobody_internal(gate):
    relay(gate, **DENIED, relay_enforcement="external_hosts")
    assert not gate.relays(FORGED)


def test_domino_believes_such_a_name_and_so_do_we_when_told(gate):
    relay(gate, **DENIED, relay_enforcement="external_hosts", confirm_host_names="disabled")
    assert gate.relays(FORGED)


def test_all_hosts_may_be_checked(gate):
    relay(gate, **DENIED, relay_enforcement="all_hosts")
    assert not gate.relays(INTERNAL) and not gate.relays(STRANGER)


def test_no_host_may_be_checked(gate):
    relay(gate, **DENIED, ds=["*"], relay_enforcement="none")
    assert gate.relays(STRANGER) and gate.relays(NO_NAME)


def test_excluded_hosts_are_not_checked(gate):
    relay(gate, **DENIED, ds=["*"], relay_enforcement_exclude_hosts=[gate.entry(NO_NAME), ".partner.example"])
    assert gate.relays(NO_NAME) and gate.relays(PARTNER) and not gate.relays(STRANGER)


def test_an_exclude_list_does_not_believe_a_name_that_does_not_lead_back(gate):
    relay(gate, **DENIED, relay_enforcement_exclude_hosts=["trusted.acme.com"])
    assert not gate.relays(FORGED)


def test_an_allow_list_does_not_believe_such_a_name_either_but_a_deny_list_does(gate):
    relay(gate, dd=["*"], as_=["trusted.acme.com"])
    assert not gate.relays(FORGED)
    relay(gate, ds=["trusted.acme.com"])
    assert not gate.relays(FORGED) and gate.relays(STRANGER)


def test_an_exempt_session_stays_exempt_for_all_its_messages(gate):
    relay(gate, **DENIED, relay_enforcement="external_hosts")
    with gate.session(INTERNAL) as session:
        for _ in range(3):
            assert session.command(f"MAIL FROM:<{SENDER}>").startswith("250")
            assert session.command(f"RCPT TO:<{OUTSIDE}>") == ACCEPTED.format(OUTSIDE)
            assert session.command("RSET").startswith("250")


def test_users_of_this_host_may_send_anywhere(gate):
    """Over the control socket there is no client to be checked."""
    relay(gate, **DENIED, ds=["*"], deny_connections_from=["*"], verify_connecting_host_name="enabled")
    result = gate.instance.command("submit", OUTSIDE, input="Subject: x\n\nx\n")
    assert result.returncode == 0, result
