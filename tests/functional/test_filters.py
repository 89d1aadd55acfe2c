"""
The four filters: sections 7.4 to 7.7 of docs/reference/domino-semantics.md, one test a row, with a real rbldnsd, and row 116 of
docs/reference/hostile-inputs.md.
"""

import re
import time

import dns.message
import dns.rrset
import pytest

from gate import (FORGED, INTERNAL, JANE, LISTED, LISTED_LATER, LISTED_TWICE, PARKED, PARTNER, SENDER, STRANGER,
                  WELCOME, Gate)
from matador import PATIENCE, fresh_session_works, no_worker_died, wait_for
from name_servers import failing, header, no_data, question_octets, silence

REFUSED = "554 5.7.1 Your host {} was found in the DNS blacklist at {}"
DENIED_BY_POLICY = "554 5.7.1 Connection denied based on policy reason."
DNS_BLACKLIST = {"dns_blacklist_filters": "enabled", "dns_blacklist_sites": ["bl.example", "sbl.example"],
                 "dns_blacklist_action": "log_and_reject"}


@pytest.fixture(scope="module")
def gate():
    made = Gate()
    try:
        yield made.start()
    finally:
        made.close()


def private(kind, *clients, action=None, **more):
    settings = {f"private_{kind}_filter": "enabled", f"private_{kind}_hosts": list(clients), **more}
    if action:
        settings[f"private_{kind}_action"] = action
    return settings


def accepted(gate, client):
    return gate.mail(client) == f"250 2.1.0 {SENDER}... Sender OK"


def tags(message, name="DNSBLSite"):
    """What the tag fields of a message's header say."""
    return re.findall(rf"^\S*{name}: *(\S+)\r?$", message.partition("\n\n")[0].partition("\r\n\r\n")[0], re.M)


def listings(gate, client):
    return re.findall(rf".* client-listed .*client={re.escape(gate.address(client))} .*", gate.instance.log())


def wait_listing(gate, client, *patterns):
    """The line that says that a list has the client."""
    wait_for(lambda: listings(gate, client), what="a client-listed line")
    line = listings(gate, client)[-1]
    assert all(re.search(pattern, line) for pattern in patterns), line
    return line


def asked(gate, zone, client):
    return gate.dns.asked(".".join(reversed(gate.address(client).split("."))) + "." + zone)


# ---- 7.4: private whitelist ----

def test_a_private_whitelist_hit_spares_all_blacklists(gate):
    gate.apply(**DNS_BLACKLIST, **private("whitelist", gate.entry(LISTED)),
               **private("blacklist", gate.entry(LISTED), action="log_and_reject"))
    assert accepted(gate, LISTED)
    assert not accepted(gate, LISTED_LATER)


def test_the_private_whitelist_is_off_by_default(gate):
    gate.apply(**DNS_BLACKLIST, private_whitelist_hosts=[gate.entry(LISTED)])
    assert gate.mail(LISTED) == REFUSED.format(gate.address(LISTED), "bl.example")


def test_a_private_whitelist_hit_skips_silently_by_default(gate):
    gate.apply(**private("whitelist", gate.entry(40)))
    message = gate.deliver(40)
    gate.instance.wait_log_quiet()
    assert not listings(gate, 40) and not tags(message, "DNSWLSite")


@pytest.mark.parametrize("action, is_tagged", [("log", False), ("log_and_tag", True)])
def test_a_private_whitelist_hit_can_be_logged_and_tagged_and_skips_as_well(gate, action, is_tagged):
    client = 41 + is_tagged
    gate.apply(**private("whitelist", gate.entry(client), action=action),
               **private("blacklist", gate.entry(client), action="log_and_reject"))
    message = gate.deliver(client)
    wait_listing(gate, client, r'control="private whitelist"')
    assert tags(message, "DNSWLSite") == (["PrivateWhitelist"] if is_tagged else []) and not tags(message)


# ---- 7.5: private blacklist ----

def test_the_private_blacklist_is_off_by_default(gate):
    gate.apply(private_blacklist_hosts=["*"], private_blacklist_action="log_and_reject")
    assert accepted(gate, STRANGER)


def test_a_private_blacklist_hit_is_logged_only_by_default(gate):
    gate.apply(**private("blacklist", gate.entry(43)))
    message = gate.deliver(43)
    wait_listing(gate, 43, r'control="private blacklist"', r"rule=\S*private_blacklist_hosts")
    assert not tags(message)


def test_a_private_blacklist_hit_can_be_tagged(gate):
    gate.apply(**private("blacklist", gate.entry(44), action="log_and_tag"))
    assert tags(gate.deliver(44)) == ["PrivateBlacklist"]
    wait_listing(gate, 44)


def test_a_private_blacklist_hit_can_be_refused_at_every_mail(gate):
    gate.apply(**private("blacklist", gate.entry(45), action="log_and_reject"))
    with gate.session(45) as session:
        for _ in range(3):
            assert session.command(f"MAIL FROM:<{SENDER}>") == DENIED_BY_POLICY
        assert session.command(f"RCPT TO:<{JANE}>").startswith("503")
        assert session.command("QUIT").startswith("221")
    wait_listing(gate, 45)


def test_the_text_of_a_private_refusal_names_the_client_once(gate):
    gate.apply(**private("blacklist", gate.entry(PARTNER), action="log_and_reject",
                         private_blacklist_reply="Go away, %s"))
    assert gate.mail(PARTNER) == f"554 5.7.1 Go away, {gate.address(PARTNER)}"


def test_a_private_blacklist_hit_is_final_whatever_the_action(gate):
    """It is found before any DNS list is asked, and overrides the DNS whitelist; after "log" too nothing else is looked at."""
    gate.apply(**DNS_BLACKLIST, **private("blacklist", gate.entry(WELCOME), action="log_and_reject"),
               dns_whitelist_filters="enabled",
               dns_whitelist_sites=["wl.example"])
    assert gate.mail(WELCOME) == DENIED_BY_POLICY
    gate.apply(**DNS_BLACKLIST, **private("blacklist", gate.entry(LISTED), action="log"))
    assert accepted(gate, LISTED)


def test_no_dns_list_is_asked_about_a_client_of_a_private_list(gate):
    gate.apply(**DNS_BLACKLIST, **private("blacklist", gate.entry(46), action="log"),
               **private("whitelist", gate.entry(47)))
    assert accepted(gate, 46) and accepted(gate, 47)
    assert asked(gate, "bl.example", 46) == asked(gate, "bl.example", 47) == 0
    assert accepted(gate, 48)
    assert asked(gate, "bl.example", 48) == 1


def test_private_blacklists_match_names_that_do_not_lead_back_and_whitelists_do_not(gate):
    gate.apply(**private("blacklist", "trusted.acme.com", action="log_and_reject"))
    assert gate.mail(FORGED) == DENIED_BY_POLICY
    gate.apply(**private("blacklist", gate.entry(FORGED), action="log_and_reject"),
               **private("whitelist", "trusted.acme.com"))
    assert gate.mail(FORGED) == DENIED_BY_POLICY


# ---- 7.6: DNS whitelists ----

WHITELIST = {"dns_whitelist_filters": "enabled", "dns_whitelist_sites": ["wl.example"]}


def test_a_dns_whitelist_hit_skips_the_dns_blacklists(gate):
    gate.apply(**DNS_BLACKLIST, **WHITELIST)
    assert accepted(gate, WELCOME)
    assert gate.mail(LISTED) == REFUSED.format(gate.address(LISTED), "bl.example")


def test_dns_whitelists_are_off_by_default(gate):
    gate.apply(**DNS_BLACKLIST, dns_whitelist_sites=["wl.example"])
    assert gate.mail(WELCOME) == REFUSED.format(gate.address(WELCOME), "bl.example")


@pytest.mark.parametrize("action, is_logged, is_tagged", [(None, False, False), ("log", True, False),
                                                          ("log_and_tag", True, True)])
def test_a_dns_whitelist_hit_leaves_behind_what_the_action_says(gate, action, is_logged, is_tagged):
    gate.instance.wait_log_quiet()
    before = len(listings(gate, WELCOME))
    gate.apply(**WHITELIST, **({"dns_whitelist_action": action} if action else {}))
    message = gate.deliver(WELCOME)
    if is_logged:
        wait_for(lambda: len(listings(gate, WELCOME)) > before, what="a client-listed line")
        wait_listing(gate, WELCOME, r'control="DNS whitelist"', r"site=wl\.example")
    else:
        gate.instance.wait_log_quiet()
        assert len(listings(gate, WELCOME)) == before
    assert tags(message, "DNSWLSite") == (["wl.example"] if is_tagged else [])


# ---- 7.7: DNS blacklists ----

def test_dns_blacklists_are_off_by_default(gate):
    gate.apply(dns_blacklist_sites=["bl.example"], dns_blacklist_action="log_and_reject")
    assert accepted(gate, LISTED)


def test_a_listed_client_is_refused_at_every_mail_and_the_session_goes_on(gate):
    gate.apply(**DNS_BLACKLIST)
    with gate.session(LISTED) as session:
        for _ in range(3):
            assert session.command(f"MAIL FROM:<{SENDER}>") == REFUSED.format(gate.address(LISTED), "bl.example")
        assert session.command("NOOP").startswith("250") and session.command("QUIT").startswith("221")
    assert accepted(gate, STRANGER)


def test_a_listed_client_is_logged_only_by_default(gate):
    gate.apply(dns_blacklist_filters="enabled", dns_blacklist_sites=["sbl.example"])
    message = gate.deliver(LISTED_LATER)
    wait_listing(gate, LISTED_LATER, r'control="DNS blacklist"', r"site=sbl\.example")
    assert not tags(message)


def test_the_first_zone_in_order_that_lists_the_client_is_named(gate):
    gate.apply(**DNS_BLACKLIST)
    assert gate.mail(LISTED_TWICE) == REFUSED.format(gate.address(LISTED_TWICE), "bl.example")
    assert gate.mail(LISTED_LATER) == REFUSED.format(gate.address(LISTED_LATER), "sbl.example")
    gate.apply(**{**DNS_BLACKLIST, "dns_blacklist_sites": ["sbl.example", "bl.example"]})
    assert gate.mail(LISTED_TWICE) == REFUSED.format(gate.address(LISTED_TWICE), "sbl.example")


def test_a_listed_client_can_be_tagged_with_the_zone(gate):
    gate.apply(**{**DNS_BLACKLIST, "dns_blacklist_action": "log_and_tag"})
    assert tags(gate.deliver(LISTED_TWICE)) == ["bl.example"]


def test_tags_that_a_client_brings_are_removed(gate):
    gate.apply(**{**DNS_BLACKLIST, "dns_blacklist_action": "log_and_tag"})
    field = re.search(r"^(\S*DNSBLSite):", gate.deliver(LISTED), re.M).group(1)
    other = field.replace("BL", "WL")
    for client, expected in ((STRANGER, []), (LISTED, ["bl.example"])):
        message = gate.deliver(client, headers=f"{field}: forged.example\r\n{other.upper()}: forged.example\r\n")
        assert tags(message) == expected and not tags(message, "DNSWLSite") and "forged.example" not in message


def test_the_reply_names_the_client_and_the_zone(gate):
    gate.apply(**DNS_BLACKLIST, dns_blacklist_reply="%s? Ask %s!")
    assert gate.mail(LISTED) == f"554 5.7.1 {gate.address(LISTED)}? Ask bl.example!"
    gate.apply(**DNS_BLACKLIST, dns_blacklist_reply="Not from %s")
    assert gate.mail(LISTED) == f"554 5.7.1 Not from {gate.address(LISTED)}"
    gate.apply(**DNS_BLACKLIST, dns_blacklist_reply="")
    assert gate.mail(LISTED) == DENIED_BY_POLICY


@pytest.mark.parametrize("text", ["%s %s %s", "%d", "100 % sure", "%n", "%%s", "%10s"])
def test_a_reply_that_is_no_such_text_refuses_the_configuration(gate, text):
    for key in ("dns_blacklist_reply", "private_blacklist_reply"):
        status, lines = gate.check(**{key: text})
        assert status == 78 and any(re.search(rf"/configurations\.conf:\d+: {key}: ", line) for line in lines), lines


def test_an_ipv6_client_is_looked_up_by_its_nibbles(gate):
    gate.apply(**DNS_BLACKLIST)
    assert gate.mail("::1") == REFUSED.format("::1", "bl.example")


def test_all_zones_are_asked_at_once_and_judged_in_order(gate):
    """The first zone's answer comes when the second has long been asked."""
    name = ".".join(reversed(gate.address(49).split(".")))
    gate.dns.fault(f"{name}.bl.example", lambda server, query, transport:
                   listed(server, query, transport) if gate.dns.asked(f"{name}.sbl.example") else None)
    gate.dns.fault(f"{name}.sbl.example", listed)
    gate.apply(**DNS_BLACKLIST, dns_list_timeout="20s")
    assert gate.mail(49) == REFUSED.format(gate.address(49), "bl.example")


def test_the_answers_of_lists_are_remembered(gate):
    gate.apply(**DNS_BLACKLIST)
    before = asked(gate, "bl.example", LISTED)
    for _ in range(5):
        assert accepted(gate, 50) and not accepted(gate, LISTED)
    assert asked(gate, "bl.example", 50) == asked(gate, "sbl.example", 50) == 1
    assert asked(gate, "bl.example", LISTED) <= before + 1


@pytest.mark.parametrize("exempt", [{"relay_enforcement": "none"},
                                    {"relay_enforcement_exclude_hosts": ["[0.0.0.0/0]"]}])
def test_filters_apply_only_to_hosts_subject_to_relay_enforcement(gate, exempt):
    gate.apply(**DNS_BLACKLIST, **private("blacklist", "[0.0.0.0/0]", action="log_and_reject"), **exempt)
    assert accepted(gate, LISTED) and accepted(gate, STRANGER)


def test_an_internal_host_is_not_filtered_unless_all_hosts_are_checked(gate):
    gate.apply(**private("blacklist", gate.entry(INTERNAL), action="log_and_reject"))
    assert accepted(gate, INTERNAL)
    gate.apply(**private("blacklist", gate.entry(INTERNAL), action="log_and_reject"), relay_enforcement="all_hosts")
    assert gate.mail(INTERNAL) == DENIED_BY_POLICY


# ---- statistics ----

@pytest.mark.parametrize("name, client, settings", [
    ("PrivateWL", STRANGER, {"private_whitelist_filter": "enabled", "private_whitelist_hosts": ["[0.0.0.0/0]"]}),
    ("PrivateBL", STRANGER, {"private_blacklist_filter": "enabled", "private_blacklist_hosts": ["[0.0.0.0/0]"]}),
    ("DNSWL", WELCOME, {"dns_whitelist_filters": "enabled", "dns_whitelist_sites": ["wl.example"]}),
    ("DNSBL", LISTED, {"dns_blacklist_filters": "enabled", "dns_blacklist_sites": ["bl.example"]})])
def test_the_hits_of_a_filter_are_counted_once_a_session(gate, name, client, settings):
    gate.apply(**settings)
    names = [f"SMTP.{filter_name}.TotalHits" for filter_name in ("PrivateWL", "PrivateBL", "DNSWL", "DNSBL")]
    before = {counted: gate.statistic(counted) for counted in names}
    for _ in range(3):
        with gate.session(client) as session:
            for _ in range(2):
                assert session.command(f"MAIL FROM:<{SENDER}>").startswith("250")
                assert session.command("RSET").startswith("250")
    expected = {**before, f"SMTP.{name}.TotalHits": before[f"SMTP.{name}.TotalHits"] + 3}
    wait_for(lambda: {counted: gate.statistic(counted) for counted in names} == expected, what="three hits more",
             every=0.1)


@pytest.mark.parametrize("kind, prefix, zone", [("BL", "dns_blacklist", "bl.example"),
                                                ("WL", "dns_whitelist", "wl.example")])
def test_the_hits_of_a_zone_and_an_address_are_counted_when_the_setting_says_so(gate, kind, prefix, zone):
    site, address = f"SMTP.DNS{kind}.{zone}.TotalHits", f"SMTP.DNS{kind}.{zone}.{gate.address(WELCOME)}.Hits"
    settings = {f"{prefix}_filters": "enabled", f"{prefix}_sites": [zone]}
    gate.apply(**settings)
    assert accepted(gate, WELCOME)
    assert gate.statistic(site) == gate.statistic(address) == 0
    gate.apply(**settings, **{f"{prefix}_expand_stats": 1})
    assert accepted(gate, WELCOME) and accepted(gate, WELCOME)
    wait_for(lambda: gate.statistic(site) == gate.statistic(address) == 2, what="two hits", every=0.1)


# ---- weights, which Domino does not have ----

def test_weights_are_added_up_to_a_threshold(gate):
    gate.apply(**DNS_BLACKLIST, dns_list_threshold=2)
    assert accepted(gate, LISTED) and accepted(gate, LISTED_LATER)
    assert gate.mail(LISTED_TWICE) == REFUSED.format(gate.address(LISTED_TWICE), "bl.example")


def test_a_whitelist_weighs_against_the_blacklists(gate):
    gate.apply(**DNS_BLACKLIST, **WHITELIST, dns_list_threshold=1)
    assert not accepted(gate, LISTED) and accepted(gate, WELCOME)
    gate.apply(**DNS_BLACKLIST, **WHITELIST, dns_list_threshold=1, dns_list_weight=["bl.example*3"])
    assert not accepted(gate, WELCOME)
    gate.apply(**DNS_BLACKLIST, **WHITELIST, dns_list_threshold=1, dns_list_weight=["bl.example*3", "wl.example*-3"])
    assert accepted(gate, WELCOME)


def test_one_answer_of_a_zone_can_weigh_more_than_another(gate):
    gate.apply(**DNS_BLACKLIST, dns_list_threshold=5, dns_list_weight=["bl.example=127.0.0.4-9*5", "bl.example*1"])
    assert accepted(gate, LISTED) and not accepted(gate, LISTED_TWICE)
    gate.apply(**DNS_BLACKLIST, dns_list_threshold=5, dns_list_weight=["bl.example=127.0.0.2*5", "bl.example*1"])
    assert not accepted(gate, LISTED) and accepted(gate, LISTED_TWICE)


@pytest.mark.parametrize("entry", ["bl.example", "bl.example*", "bl.example*many", "bl.example=127.0.0.256*2",
                                   "bl.example=127.0.0*2", "*3"])
def test_a_malformed_weight_refuses_the_configuration(gate, entry):
    status, lines = gate.check(dns_list_weight=["sbl.example*2", entry])
    assert status == 78 and any(re.search(r"/configurations\.conf:\d+: dns_list_weight: ",
                                          line) for line in lines), lines


# ---- hostile inputs, row 116 ----

def listed(server, query, transport, *answers):
    answer = dns.message.make_response(query, recursion_available=True)
    answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", *(answers or ("127.0.0.2",))))
    return answer


def answering(*answers):
    return lambda server, query, transport: listed(server, query, transport, *answers)


def faulty_list(gate, client, fault):
    gate.dns.fault(".".join(reversed(gate.address(client).split("."))) + ".bl.example", fault)


def test_row_116_a_parked_zone_that_answers_everything_blocks_nobody(gate):
    gate.apply(**{**DNS_BLACKLIST, "dns_blacklist_sites": ["parked.example"]})
    assert accepted(gate, PARKED)
    gate.instance.wait_log(rf" dns-list-ignored zone=parked\.example client={re.escape(gate.address(PARKED))} answer=192\.0\.2\.80")


@pytest.mark.parametrize("number, answers, is_listed", [
    (60, ["0.0.0.0"], False), (61, ["128.0.0.2"], False), (62, ["126.255.255.255"], False),
    (63, ["192.0.2.1", "127.0.0.2"], True),
    (64, ["127.255.255.254"], True), (65, [f"127.0.0.{octet}" for octet in range(1, 256)], True),
    (66, [f"10.0.{octet // 250}.{octet % 250 + 1}" for octet in range(1000)], False)])
def test_row_116_only_answers_inside_127_count(gate, number, answers, is_listed):
    faulty_list(gate, number, answering(*answers))
    gate.apply(**DNS_BLACKLIST)
    assert gate.mail(number) == (REFUSED.format(gate.address(number),
                                                "bl.example") if is_listed else f"250 2.1.0 {SENDER}... Sender OK")
    if not is_listed:
        gate.instance.wait_log(rf" dns-list-ignored zone=bl\.example client={re.escape(gate.address(number))} ")


def test_row_116_a_silent_list_fails_open_in_time_and_is_logged(gate):
    faulty_list(gate, 67, silence)
    gate.apply(**DNS_BLACKLIST, dns_list_timeout="1s")
    started = time.monotonic()
    assert accepted(gate, 67)
    assert time.monotonic() - started < 15 * PATIENCE
    gate.instance.wait_log(rf" dns-list-silent zone=bl\.example client={re.escape(gate.address(67))}")


def test_row_116_a_silent_list_does_not_keep_another_from_counting(gate):
    faulty_list(gate, 68, silence)
    gate.dns.fault(".".join(reversed(gate.address(68).split("."))) + ".sbl.example", listed)
    gate.apply(**DNS_BLACKLIST, dns_list_timeout="1s")
    assert gate.mail(68) == REFUSED.format(gate.address(68), "sbl.example")


@pytest.mark.parametrize("number, fault", [
    (69, failing("SERVFAIL")), (70, failing("REFUSED")), (71, no_data), (72, failing("NXDOMAIN")),
    (73, lambda server, query, transport: header(query) + question_octets(query) + bytes(400))],
    ids=["SERVFAIL", "REFUSED", "no_data", "NXDOMAIN", "noise"])
def test_row_116_a_list_that_fails_lists_nobody(gate, number, fault):
    faulty_list(gate, number, fault)
    gate.apply(**DNS_BLACKLIST, dns_list_timeout="2s")
    assert accepted(gate, number)


def test_row_116_64_kilobytes_of_text_do_no_harm(gate):
    def texts(server, query, transport):
        answer = listed(server, query, transport)
        answer.additional.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", *(
            " ".join(f'"{number:02}{"x" * 250}"' for _ in range(4)) for number in range(60))))
        return answer
    faulty_list(gate, 74, texts)
    gate.apply(**DNS_BLACKLIST)
    assert gate.mail(74) == REFUSED.format(gate.address(74), "bl.example")
    fresh_session_works(gate.instance)
    no_worker_died(gate.instance)


def test_row_116_the_client_cannot_choose_what_the_reply_says(gate):
    """The custom text is not a format: per cent signs in the name of a client stay what they are."""
    gate.apply(**DNS_BLACKLIST, dns_blacklist_reply="%s %s")
    with gate.session(LISTED, hello="EHLO %s%n.example") as session:
        assert session.command(r"MAIL FROM:<%s%n%x@elsewhere.example>") == f"554 5.7.1 {gate.address(LISTED)} bl.example"
