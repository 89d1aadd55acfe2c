"""
How entries of lists of hosts match, and the inbound connection controls: sections 7.1, 7.8 and 7.11 of
docs/reference/domino-semantics.md, one test a row, with clients of many addresses and names in a real name server.
"""

import re

import pytest

from gate import (DEEP, FORGED, INTERNAL, JANE, LISTED, LOOKALIKE, NO_NAME, OUTSIDE, PARTNER, RELAY_ABC,
                  RELAY_REJECTED, SENDER,
                  SILENT, STRANGER, TWO_NAMES, Gate)
from matador import Dialogue, fresh_session_works, no_worker_died
from name_servers import route_by_dns

BLACKLISTED = "554 5.7.1 Your host {} was found in the DNS blacklist at bl.example"
TOO_MANY_ERRORS = "421 4.7.0 SMTP service not available, closing transmission channel."


@pytest.fixture(scope="module")
def gate():
    made = Gate()
    try:
        yield made.start()
    finally:
        made.close()


def refused_of(gate, *clients):
    return {client for client in clients if gate.refuses(client)}


# ---- 7.1: how entries match ----

def test_a_name_matches_every_host_name_that_ends_in_its_characters(gate):
    gate.apply(deny_connections_from=["partner.example"])
    assert refused_of(gate, PARTNER, LOOKALIKE, DEEP, STRANGER, NO_NAME, INTERNAL) == {PARTNER, LOOKALIKE, DEEP}


def test_a_name_matches_whole_labels_when_the_setting_says_so(gate):
    gate.apply(deny_connections_from=["partner.example"], host_entry_matching="whole_labels")
    assert refused_of(gate, PARTNER, LOOKALIKE, DEEP, STRANGER, NO_NAME) == {PARTNER, DEEP}
    gate.apply(deny_connections_from=["mail.partner.example"], host_entry_matching="whole_labels")
    assert refused_of(gate, PARTNER, LOOKALIKE, DEEP) == {PARTNER}


def test_a_name_with_a_dot_in_front_matches_what_is_below_it(gate):
    gate.apply(deny_connections_from=[".partner.example"])
    assert refused_of(gate, PARTNER, LOOKALIKE, DEEP, STRANGER) == {PARTNER, DEEP}
    gate.apply(deny_connections_from=[".evilpartner.example"])
    assert refused_of(gate, LOOKALIKE, PARTNER) == set()


def test_an_address_in_brackets_matches_that_address(gate):
    gate.apply(deny_connections_from=[gate.entry(PARTNER)])
    assert refused_of(gate, PARTNER, LOOKALIKE, NO_NAME) == {PARTNER}


def test_an_address_without_brackets_is_no_address(gate):
    """It is a host name, which no host can have: the configuration is refused, or it matches nobody."""
    status, _ = gate.check(deny_connections_from=[gate.address(PARTNER)])
    if status == 0:
        gate.apply(deny_connections_from=[gate.address(PARTNER)])
        assert not gate.refuses(PARTNER)
    else:
        assert status == 78


def test_an_asterisk_in_an_address_matches_any_value_of_that_octet(gate):
    gate.apply(deny_connections_from=[f"[{gate.hosts.network}.*]"])
    assert refused_of(gate, PARTNER, NO_NAME, "127.0.0.1") == {PARTNER, NO_NAME}
    first, second, third = gate.hosts.network.split(".")
    gate.apply(deny_connections_from=[f"[{first}.*.{third}.{PARTNER}]"])
    assert refused_of(gate, PARTNER, NO_NAME) == {PARTNER}


def test_a_range_matches_its_octets_beside_an_asterisk_in_another(gate):
    first, second, third = gate.hosts.network.split(".")
    gate.apply(deny_connections_from=[f"[{gate.hosts.network}.{PARTNER}-{DEEP}]"])
    assert refused_of(gate, NO_NAME, PARTNER, LOOKALIKE, DEEP, INTERNAL) == {PARTNER, LOOKALIKE, DEEP}
    gate.apply(deny_connections_from=[f"[{first}.{second}-{second}.*.{PARTNER}-{LOOKALIKE}]"])
    assert refused_of(gate, NO_NAME, PARTNER, LOOKALIKE, DEEP) == {PARTNER, LOOKALIKE}


def test_a_mask_matches_its_network(gate):
    gate.apply(deny_connections_from=[f"[{gate.hosts.network}.0/24]"])
    assert refused_of(gate, PARTNER, 200, "127.0.0.1") == {PARTNER, 200}
    gate.apply(deny_connections_from=[f"[{gate.hosts.network}.4/31]"])
    assert refused_of(gate, PARTNER, LOOKALIKE, DEEP, INTERNAL) == {LOOKALIKE, DEEP}


@pytest.mark.parametrize("entry", ["[192.168.*.0/24]", "[192.168.1-10.0/8]", "[192.168.1]", "[192.168.1.256]",
                                   "[192.168.9-1.1]", "[192.168.1.1/33]",
                                   "[192.168.1.1", "[2001:db8::/129]", "[2001:db8::*]", "[]", "partner..example",
                                   "*.partner.example"])
def test_a_malformed_entry_refuses_the_configuration_by_file_and_line(gate, entry):
    for key in ("deny_connections_from", "relay_allow_hosts", "private_blacklist_hosts"):
        status, lines = gate.check(**{key: ["[192.0.2.1]", entry]})
        assert status == 78
        assert any(re.search(rf"/configurations\.conf:\d+: {key}: .*{re.escape(entry)}",
                             line) for line in lines), lines


def test_an_asterisk_alone_matches_every_client(gate):
    gate.apply(deny_connections_from=["*"])
    assert refused_of(gate, PARTNER, NO_NAME, INTERNAL, SILENT, "::1") == {PARTNER, NO_NAME, INTERNAL, SILENT, "::1"}
    gate.apply(allow_connections_from=["*"])
    assert refused_of(gate, PARTNER, NO_NAME, SILENT, "::1") == set()


@pytest.fixture
def grouped(gate):
    gate.instance.groups = [
        {"name": "Friends", "members": [gate.entry(PARTNER), "Inner friends"], "type": "mail_only"},
        {"name": "Inner friends", "members": ["evilpartner.example", "Friends", "Servers"]},
        {"name": "Servers", "members": [gate.entry(STRANGER)], "type": "servers_only"},
    ]
    yield gate
    gate.instance.groups = []


def test_a_group_matches_its_members_and_those_of_its_groups(grouped):
    grouped.apply(deny_connections_from=["Friends"])
    assert refused_of(grouped, PARTNER, LOOKALIKE, DEEP, NO_NAME, STRANGER) == {PARTNER, LOOKALIKE}
    grouped.apply(deny_connections_from=["friends", grouped.entry(NO_NAME)])
    assert refused_of(grouped, PARTNER, LOOKALIKE, NO_NAME, DEEP) == {PARTNER, LOOKALIKE, NO_NAME}


def test_a_group_of_a_wrong_type_or_that_is_missing_refuses_the_configuration(grouped):
    for name in ("Servers", "Nobody"):
        status, lines = grouped.check(deny_connections_from=[name])
        assert status == 78
        assert any(re.search(rf'/configurations\.conf:\d+: deny_connections_from: .*"{name}"',
                             line) for line in lines), lines


def test_a_name_with_a_dot_is_never_a_group(gate):
    gate.instance.groups = [{"name": "friends.example", "members": [gate.entry(PARTNER)]}]
    gate.apply(deny_connections_from=["friends.example"])
    gate.instance.groups = []
    assert not gate.refuses(PARTNER)


def test_the_entries_of_a_list_are_alternatives_and_compare_without_case(gate):
    gate.apply(deny_connections_from=["MAIL.Partner.EXAMPLE", gate.entry(NO_NAME)])
    assert refused_of(gate, PARTNER, NO_NAME, DEEP, STRANGER) == {PARTNER, NO_NAME}


@pytest.mark.parametrize("entry", ["[::1]", "[::/64]", "[::/0]"])
def test_ipv6_addresses_and_prefixes_match(gate, entry):
    gate.apply(deny_connections_from=[entry])
    assert refused_of(gate, "::1", PARTNER) == {"::1"}


@pytest.mark.parametrize("entry", ["[::2]", "[2001:db8::/32]", "[*.*.*.*]", "[0.0.0.0/0]"])
def test_what_is_not_its_address_leaves_an_ipv6_client_alone(gate, entry):
    gate.apply(deny_connections_from=[entry])
    assert not gate.refuses("::1")


def test_any_of_several_names_matches(gate):
    for name in ("first.example", "second.example"):
        gate.apply(deny_connections_from=[name])
        assert refused_of(gate, TWO_NAMES, STRANGER) == {TWO_NAMES}, name


def test_a_bare_tail_that_allows_or_exempts_is_warned_of(gate):
    for key in ("allow_connections_from", "relay_allow_hosts", "relay_allow_destinations",
                "relay_enforcement_exclude_hosts",
                "private_whitelist_hosts"):
        status, lines = gate.check(**{key: ["partner.example"]})
        assert status == 0
        assert any(re.search(rf"/configurations\.conf:\d+: .*{key}.*partner\.example", line) for line in lines), lines
    for key, entry in (("allow_connections_from", ".partner.example"), ("relay_allow_hosts", "[192.0.2.1]"),
                       ("relay_allow_destinations", "@partner.example"),
                       ("deny_connections_from", "partner.example")):
        status, lines = gate.check(**{key: [entry]})
        assert status == 0 and not any("partner.example" in line or "192.0.2.1" in line for line in lines), lines


# ---- 7.8: connection controls ----

def test_verify_refuses_a_client_without_a_name_in_reply_to_mail(gate):
    gate.apply(verify_connecting_host_name="enabled")
    assert refused_of(gate, NO_NAME, PARTNER, INTERNAL) == {NO_NAME}


def test_verify_refuses_while_the_dns_is_silent(gate):
    gate.apply(verify_connecting_host_name="enabled")
    assert gate.refuses(SILENT)


def test_verify_is_content_with_a_name_that_does_not_lead_back(gate):
    gate.apply(verify_connecting_host_name="enabled")
    assert not gate.refuses(FORGED)


def test_without_verify_a_client_needs_no_name(gate):
    gate.apply()
    assert refused_of(gate, NO_NAME, SILENT, FORGED) == set()


def test_an_allow_list_takes_only_its_hosts(gate):
    gate.apply(allow_connections_from=[".partner.example", gate.entry(STRANGER)])
    assert refused_of(gate, PARTNER, DEEP, STRANGER, LOOKALIKE, INTERNAL) == {LOOKALIKE, INTERNAL}


def test_an_allow_list_of_names_takes_nobody_whose_name_is_unknown(gate):
    gate.apply(allow_connections_from=["partner.example", "acme.com"])
    assert refused_of(gate, NO_NAME, SILENT, PARTNER) == {NO_NAME, SILENT}


def test_an_allow_list_does_not_believe_a_name_that_does_not_lead_back(gate):
    gate.apply(allow_connections_from=[".acme.com"])
    assert refused_of(gate, FORGED, INTERNAL) == {FORGED}


def test_domino_believes_such_a_name_and_so_do_we_when_told(gate):
    gate.apply(allow_connections_from=[".acme.com"], confirm_host_names="disabled")
    assert refused_of(gate, FORGED, INTERNAL) == set()


def test_a_deny_list_matches_a_name_that_does_not_lead_back(gate):
    gate.apply(deny_connections_from=["trusted.acme.com"])
    assert refused_of(gate, FORGED, INTERNAL) == {FORGED}


def test_deny_beats_allow(gate):
    gate.apply(allow_connections_from=["partner.example"], deny_connections_from=["mail.partner.example"])
    assert refused_of(gate, PARTNER, LOOKALIKE, DEEP) == {PARTNER}


def test_the_same_entry_on_both_lists_denies(gate):
    gate.apply(allow_connections_from=[gate.entry(PARTNER)], deny_connections_from=[gate.entry(PARTNER)])
    assert gate.refuses(PARTNER)


def test_connection_lists_apply_to_internal_and_whitelisted_hosts_too(gate):
    gate.apply(deny_connections_from=[gate.entry(INTERNAL), gate.entry(PARTNER)], private_whitelist_filter="enabled",
               private_whitelist_hosts=[gate.entry(PARTNER)], relay_enforcement_exclude_hosts=[gate.entry(PARTNER)])
    assert refused_of(gate, INTERNAL, PARTNER, STRANGER) == {INTERNAL, PARTNER}


def test_a_refused_client_is_in_the_log_with_the_rule_that_decided(gate):
    gate.apply(deny_connections_from=[gate.entry(RELAY_ABC)])
    assert gate.refuses(RELAY_ABC)
    line = gate.instance.wait_log(rf".* control-refused .*client={re.escape(gate.address(RELAY_ABC))} .*").group()
    assert 'control="deny connections"' in line and re.search(r"rule=\S*deny_connections_from", line), line


# ---- 7.11: error limit ----

def errors_until_the_end(session, command):
    """How often the command was answered by something else than the end."""
    for count in range(50):
        reply = session.command(command)
        if reply.startswith("421"):
            assert reply == TOO_MANY_ERRORS and session.closed()
            return count
    return None


def test_a_session_ends_when_its_errors_exceed_the_limit(gate):
    gate.apply(smtp_error_limit=3)
    with gate.session() as session:
        assert errors_until_the_end(session, "NONSENSE") == 3


def test_refusals_of_recipients_count_as_errors(gate):
    gate.apply(smtp_error_limit=2)
    with gate.session() as session:
        assert session.command(f"MAIL FROM:<{SENDER}>").startswith("250")
        assert errors_until_the_end(session, f"RCPT TO:<{OUTSIDE}>") == 2


def test_refusals_by_a_blacklist_count_as_errors(gate):
    gate.apply(smtp_error_limit=2, dns_blacklist_filters="enabled", dns_blacklist_sites=["bl.example"],
               dns_blacklist_action="log_and_reject")
    with gate.session(LISTED) as session:
        assert session.command(f"MAIL FROM:<{SENDER}>") == BLACKLISTED.format(gate.address(LISTED))
        assert errors_until_the_end(session, f"MAIL FROM:<{SENDER}>") == 1


def test_an_error_limit_of_0_is_no_limit(gate):
    gate.apply(smtp_error_limit=0)
    with gate.session() as session:
        assert errors_until_the_end(session, "NONSENSE") is None
        assert session.command("NOOP").startswith("250")


# ---- hostile inputs, row 115 ----

NAMES = {
    "a_thousand_names": [f"h{number}.partner.example" for number in range(1000)],
    "255_octets": [".".join(["x" * 62, "y" * 62, "z" * 62, "w" * 45, "partner.example"])],
    "control_characters": [r"evil\010\013\010name\027[31m.partner.example", r"a\000b.partner.example"],
    "per_cent_signs": ["%s%n%s%n.partner.example", r"$\(id\).partner.example",
                       r"quote\"\\.partner.example", r"two\032words.partner.example"],
}


@pytest.mark.parametrize("kind", NAMES)
def test_row_115_hostile_names_are_bounded_unconfirmed_and_escaped(one_instance, faulty, hosts, kind):
    """A name is believed for what denies, if it is a host name at all, and never for what allows or exempts."""
    client = hosts.host(2)
    faulty.add(".".join(reversed(client.split("."))) + ".in-addr.arpa", "PTR", *(f"{name}." for name in NAMES[kind]))
    route_by_dns(one_instance, faulty)
    one_instance.configuration.update({"relay_enforcement_exclude_hosts": ["partner.example"],
                                       "relay_allow_hosts": ["partner.example"],
                                       "deny_connections_from": ["nobody.example"],
                                       "verify_sender_domain": "disabled"})
    service = one_instance.start()
    with Dialogue(service.port, source=client) as session:
        session.begin(JANE)
        assert session.command(f"RCPT TO:<{OUTSIDE}>") == RELAY_REJECTED
    service.wait_log(f" recipient-refused .*client={re.escape(client)} ")
    assert len({question.name for question in faulty.questions}) <= 20, "every name was looked up"
    for line in service.log().splitlines():
        assert re.fullmatch(r"[\x20-\x7e]+", line) and len(line) < 4000, line
    fresh_session_works(service)
    no_worker_died(service)


def test_row_115_a_name_that_is_not_confirmed_counts_as_unknown(gate):
    gate.apply(relay_enforcement_exclude_hosts=["acme.com"], relay_allow_hosts=["trusted.acme.com"])
    assert not gate.relays(FORGED) and gate.relays(INTERNAL)
