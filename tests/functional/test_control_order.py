"""
The order in which the inbound controls judge, which of them can override which, and the winners of allow against deny: section
7.10 of docs/reference/domino-semantics.md, one test a row; and that a reload changes lists for new sessions and drops nothing.
"""

import pytest

import naive_controls
from gate import (ACCEPTED, CONNECTION_REFUSED, FORGED, INTERNAL, JANE, LISTED, NO_NAME, OUTSIDE, PARTNER,
                  RECIPIENT_REJECTED,
                  RELAY_REJECTED, SENDER, SENDER_REJECTED, STRANGER, WELCOME, Gate)
from test_random_settings import Engine

SPAMMER = "spam@partner.example"
PRIVATE = "554 5.7.1 Private: {}"
LISTED_AT = "554 5.7.1 DNS: {} {}"


@pytest.fixture(scope="module")
def gate():
    made = Gate()
    try:
        yield made.start()
    finally:
        made.close()


def everything(gate, *but, **more):
    """
    Settings under which every control refuses what comes from LISTED (or the client in more["client"]) as far as it
    can, except those that are named; their replies tell them apart, but for the first two.
    """
    client = gate.entry(more.pop("client", LISTED))
    controls = {
        "connection lists": {"deny_connections_from": [client], "allow_connections_from": [gate.entry(STRANGER)]},
        "verify host": {"verify_connecting_host_name": "enabled"},
        "private BL": {"private_blacklist_filter": "enabled", "private_blacklist_hosts": [client],
                       "private_blacklist_action": "log_and_reject", "private_blacklist_reply": "Private: %s"},
        "DNS WL": {"dns_whitelist_filters": "enabled", "dns_whitelist_sites": ["wl.example"]},
        "DNS BL": {"dns_blacklist_filters": "enabled", "dns_blacklist_sites": ["bl.example"],
                   "dns_blacklist_action": "log_and_reject", "dns_blacklist_reply": "DNS: %s %s"},
        "relay lists": {"relay_deny_destinations": ["*"], "relay_deny_hosts": [client]},
        "sender lists": {"deny_senders": [SPAMMER]},
        "recipient lists": {"deny_recipients": [JANE]},
    }
    assert set(but) <= set(controls)
    settings = {}
    for name, keys in controls.items():
        if name not in but:
            settings.update(keys)
    settings.update(more)
    return settings


CONNECTION = ("connection lists", "verify host")
FILTERS = ("private BL", "DNS WL", "DNS BL")


def judged(gate, client=LISTED, sender=SPAMMER, recipient=JANE):
    """The reply that refuses, at whichever command; that of RCPT when none does."""
    with gate.session(client) as session:
        reply = session.command(f"MAIL FROM:<{sender}>")
        return reply if reply[0] == "5" else session.command(f"RCPT TO:<{recipient}>")


# ---- the order ----

def test_connection_lists_come_first(gate):
    gate.apply(**everything(gate, "verify host"))
    assert judged(gate) == CONNECTION_REFUSED
    gate.instance.wait_log(r" control-refused .*control=\"deny connections\"")


def test_verify_host_name_comes_before_the_filters(gate):
    gate.apply(**everything(gate, "connection lists"))
    assert judged(gate) == CONNECTION_REFUSED
    gate.instance.wait_log(r" control-refused .*control=\"verify host name\"")


def test_the_private_blacklist_comes_before_the_dns_lists(gate):
    gate.apply(**everything(gate, *CONNECTION))
    assert judged(gate) == PRIVATE.format(gate.address(LISTED))


def test_dns_blacklists_come_before_the_sender(gate):
    gate.apply(**everything(gate, *CONNECTION, "private BL"))
    assert judged(gate) == LISTED_AT.format(gate.address(LISTED), "bl.example")


def test_the_sender_comes_before_the_recipient(gate):
    gate.apply(**everything(gate, *CONNECTION, *FILTERS))
    assert judged(gate) == SENDER_REJECTED.format(SPAMMER)


def test_the_sender_s_domain_is_verified_before_the_sender_s_lists(gate):
    gate.dns.fault("silent.example", lambda server, query, transport: None)
    gate.apply(verify_sender_domain="enabled", deny_senders=["silent.example"])
    assert gate.mail(sender="a@silent.example").startswith("451 4.4.3")


def test_relay_and_recipient_lists_come_last_each_for_its_recipients(gate):
    gate.apply(**everything(gate, *CONNECTION, *FILTERS, "sender lists"))
    assert judged(gate, recipient=OUTSIDE) == RELAY_REJECTED
    assert judged(gate, recipient=JANE) == RECIPIENT_REJECTED.format(JANE)


def test_recipient_lists_come_before_the_directory(gate):
    gate.apply(deny_recipients=["nobody@acme.com"], verify_local_recipients="enabled")
    assert gate.recipient("nobody@acme.com") == RECIPIENT_REJECTED.format("nobody@acme.com")
    gate.apply(allow_recipients=[JANE], verify_local_recipients="enabled")
    assert gate.recipient("nobody@acme.com") == RECIPIENT_REJECTED.format("nobody@acme.com")


def test_refusals_of_the_client_are_spoken_at_mail_and_at_every_mail(gate):
    gate.apply(**everything(gate))
    with gate.session(LISTED) as session:
        assert session.greeting.startswith("220") and session.command("NOOP").startswith("250")
        assert {session.command(f"MAIL FROM:<{sender}>") for sender in (SPAMMER, SENDER, "")} == {CONNECTION_REFUSED}


# ---- the override matrix: a row spares the host ... ----

def spares(gate, client=LISTED, **exempting):
    """What still refuses, control by control, when the settings of a row of the matrix are added."""
    found = set()
    for control, but, sender, recipient, expected in (
            ("connection lists", {"verify host"}, SENDER, JANE, CONNECTION_REFUSED),
            ("verify host", {"connection lists"}, SENDER, JANE, CONNECTION_REFUSED),
            ("private BL", {*CONNECTION}, SENDER, JANE, PRIVATE.format(gate.address(client))),
            ("DNS BL", {*CONNECTION, "private BL"}, SENDER, JANE,
             LISTED_AT.format(gate.address(client), "bl.example")),
            ("relay lists", {*CONNECTION, *FILTERS, "sender lists"}, SENDER, OUTSIDE, RELAY_REJECTED),
            ("sender lists", {*CONNECTION, *FILTERS}, SPAMMER, JANE, SENDER_REJECTED.format(SPAMMER)),
            ("recipient lists", {*CONNECTION, *FILTERS, "sender lists"}, SENDER, JANE,
             RECIPIENT_REJECTED.format(JANE))):
        gate.apply(**everything(gate, *but, client=client, **exempting))
        if judged(gate, client, sender, recipient) == expected:
            found.add(control)
    return found


CLIENT_LISTS = {"connection lists", "verify host"}
ALWAYS = {"sender lists", "recipient lists"}


def test_nothing_spares_a_stranger(gate):
    """So every control refuses where nothing exempts: the rows below show what they spare."""
    assert spares(gate) == CLIENT_LISTS | ALWAYS | {"private BL", "DNS BL", "relay lists"}


def test_a_private_whitelist_hit_spares_the_blacklists_only(gate):
    row = {"private_whitelist_filter": "enabled", "private_whitelist_hosts": [gate.entry(LISTED)]}
    assert spares(gate, **row) == CLIENT_LISTS | ALWAYS | {"relay lists"}


def test_a_private_blacklist_hit_skips_the_dns_whitelist(gate):
    gate.apply(**everything(gate, *CONNECTION, client=WELCOME))
    assert judged(gate, WELCOME) == PRIVATE.format(gate.address(WELCOME))


def test_a_dns_whitelist_hit_spares_the_dns_blacklists_only(gate):
    row = {"dns_whitelist_filters": "enabled", "dns_whitelist_sites": ["wl.example"]}
    assert spares(gate, WELCOME, **row) == CLIENT_LISTS | ALWAYS | {"private BL", "relay lists"}
    assert "DNS BL" in spares(gate, WELCOME, dns_whitelist_filters="disabled")


def test_the_exclude_list_spares_filters_and_relay_lists(gate):
    assert spares(gate, relay_enforcement_exclude_hosts=[gate.entry(LISTED)]) == CLIENT_LISTS | ALWAYS


def test_an_internal_host_is_spared_filters_and_relay_lists(gate):
    its_name_is_known = CLIENT_LISTS - {"verify host"}
    assert spares(gate, INTERNAL) == its_name_is_known | ALWAYS
    assert spares(gate, INTERNAL,
                  relay_enforcement="all_hosts") == its_name_is_known | ALWAYS | {"private BL", "DNS BL", "relay lists"}


def test_scope_none_spares_filters_and_relay_lists(gate):
    assert spares(gate, relay_enforcement="none") == CLIENT_LISTS | ALWAYS


def test_a_relay_allow_list_spares_the_relay_deny_lists_only(gate):
    everyone = CLIENT_LISTS | ALWAYS | {"private BL", "DNS BL"}
    assert spares(gate, relay_deny_hosts=[], relay_allow_hosts=[gate.entry(LISTED)]) == everyone
    assert spares(gate, relay_allow_destinations=["elsewhere.example"]) == everyone


@pytest.mark.parametrize("users_are, spared", [("allow_all", True), ("check", False)])
def test_who_authenticates_is_spared_filters_and_relay_lists_when_users_may_relay(tmp_path, users_are, spared):
    """The listener has no AUTH yet: the controls themselves are asked, about a session that has a user."""
    engine = Engine(tmp_path / "etc")
    settings = {"host_name": "hub.acme.com", "domino_domain": "Acme", "groups": {},
                "people": {"Jane Doe/Acme": "jane@acme.com"},
                "global_domains": [{"primary": "acme.com", "aliases": []}], "relay_authenticated_users": users_are}
    session = {"client": "192.0.2.1", "client_text": "192.0.2.1", "names": [], "zones": {"bl.example": ["127.0.0.2"]},
               "user": "jdoe", "sender": SPAMMER,
               "sender_domain": "exists", "recipient": "jane@acme.com", "directory": "person"}
    rows = [
        ({"deny_connections_from": ["[192.0.2.1]"]}, {}, "deny connections", False),
        ({"verify_connecting_host_name": True}, {}, "verify host name", False),
        ({"private_blacklist_filter": True, "private_blacklist_hosts": ["[192.0.2.1]"],
          "private_blacklist_action": "log_and_reject"}, {},
         "private blacklist", True),
        ({"dns_blacklist_filters": True, "dns_blacklist_sites": ["bl.example"],
          "dns_blacklist_action": "log_and_reject"}, {}, "DNS blacklist", True),
        ({}, {"recipient": OUTSIDE}, "relay", True),
        ({"deny_senders": [SPAMMER]}, {}, "deny senders", False),
        ({"deny_recipients": ["jane@acme.com"]}, {}, "deny recipients", False),
    ]
    for more, other, control, depends in rows:
        row = {**settings, **more}
        engine.read(row)
        found = engine.judge(row, {**session, **other})
        assert found.control == (None if depends and spared else control), (more, found)
        assert found[:4] == naive_controls.judge(row, {**session, **other})[:4]
        assert engine.judge(row, {**session, **other, "user": None}).control == control
    engine.close()


# ---- allow against deny in one picture ----

def test_connection_allow_and_deny_deny_wins(gate):
    gate.apply(allow_connections_from=["*"], deny_connections_from=[gate.entry(PARTNER)])
    assert gate.refuses(PARTNER) and not gate.refuses(STRANGER)


def test_relay_destination_against_relay_source_allow_wins_and_the_r5_switch_reverses(gate):
    for lists in ({"relay_allow_destinations": ["elsewhere.example"], "relay_deny_destinations": [],
                   "relay_deny_hosts": ["*"]},
                  {"relay_allow_hosts": [gate.entry(NO_NAME)], "relay_deny_destinations": ["elsewhere.example"]}):
        gate.apply(**lists)
        assert gate.relays(NO_NAME)
        gate.apply(**lists, relay_deny_takes_precedence=1)
        assert not gate.relays(NO_NAME)


def test_the_same_entry_in_allow_and_deny_of_one_relay_pair_deny_wins(gate):
    gate.apply(relay_allow_destinations=["elsewhere.example"], relay_deny_destinations=["Elsewhere.Example"])
    assert not gate.relays(NO_NAME)
    gate.apply(relay_allow_hosts=[gate.entry(NO_NAME)], relay_deny_hosts=[gate.entry(NO_NAME)],
               relay_deny_destinations=[])
    assert not gate.relays(NO_NAME)


def test_senders_and_recipients_deny_wins(gate):
    gate.apply(allow_senders=[SPAMMER], deny_senders=[SPAMMER])
    assert gate.mail(sender=SPAMMER) == SENDER_REJECTED.format(SPAMMER)
    gate.apply(allow_recipients=[JANE], deny_recipients=[JANE])
    assert gate.recipient(JANE) == RECIPIENT_REJECTED.format(JANE)


def test_private_blacklist_against_dns_whitelist_the_private_blacklist_wins(gate):
    gate.apply(private_blacklist_filter="enabled", private_blacklist_hosts=[gate.entry(WELCOME)],
               private_blacklist_action="log_and_reject",
               dns_whitelist_filters="enabled", dns_whitelist_sites=["wl.example"])
    assert gate.mail(WELCOME).startswith("554")


def test_private_whitelist_against_every_other_filter_the_private_whitelist_wins(gate):
    gate.apply(**everything(gate, *CONNECTION, "sender lists", "recipient lists", private_whitelist_filter="enabled",
                            private_whitelist_hosts=[gate.entry(LISTED)]))
    assert judged(gate) == ACCEPTED.format(JANE)


def test_an_unconfirmed_name_denies_and_does_not_allow(gate):
    gate.apply(allow_connections_from=["*"], deny_connections_from=["trusted.acme.com"])
    assert gate.refuses(FORGED)
    gate.apply(allow_connections_from=["trusted.acme.com"])
    assert gate.refuses(FORGED)


# ---- reload ----

def test_a_reload_changes_lists_for_new_sessions_and_drops_nothing(gate):
    gate.apply()
    with gate.session(PARTNER) as before, gate.session(PARTNER) as idle:
        assert before.command(f"MAIL FROM:<{SENDER}>").startswith("250")
        gate.apply(deny_connections_from=["partner.example"], deny_recipients=[JANE], relay_enforcement="none")
        assert gate.refuses(PARTNER), "a new session"
        # The old ones go on under the lists that they began with.
        assert before.command(f"RCPT TO:<{JANE}>") == ACCEPTED.format(JANE)
        assert before.command(f"RCPT TO:<{OUTSIDE}>") == RELAY_REJECTED
        assert idle.command(f"MAIL FROM:<{SENDER}>").startswith("250")
        assert idle.command(f"RCPT TO:<{JANE}>") == ACCEPTED.format(JANE)
        for session, subject in ((before, b"before the reload"), (idle, b"idle at the reload")):
            assert session.data(b"Subject: " + subject + b"\r\n\r\nx\r\n.\r\n").startswith("250")
        gate.apply()
        assert not gate.refuses(PARTNER), "a new session after the lists were emptied"
    gate.instance.wait_queue_empty()
    for subject in (b"before the reload", b"idle at the reload"):
        assert sum(subject in message for message in gate.instance.mail("jdoe")) == 1


def test_a_reload_with_a_malformed_entry_keeps_the_old_lists(gate):
    gate.apply(deny_connections_from=[gate.entry(PARTNER)])
    gate.instance.configuration = {**gate.base, "deny_connections_from": ["[192.168.*.0/24]"]}
    assert gate.instance.reload(check=False).returncode == 78
    assert gate.refuses(PARTNER) and not gate.refuses(STRANGER)
