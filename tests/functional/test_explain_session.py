"""
`matador explain session`: what it says is what a client reads, and to ask changes nothing. A sample of the sessions that are
compared runs in `make check`; `make torture` compares 15,000.
"""

import collections
import ipaddress
import json
import os
import random
import re
import signal
import threading
import time

import pytest

import random_settings
from gate import (ACCEPTED, BOB, CONNECTION_REFUSED, DEEP, Gate, JANE, LISTED, LOOKALIKE, OUTSIDE, RELAY_REJECTED, SENDER,
                  SILENT, STRANGER, WELCOME)
from matador import Dialogue, keys, PATIENCE, wait_for
from name_servers import failing, silence

EX_USAGE, EX_UNAVAILABLE, EX_TEMPFAIL = 64, 69, 75
TORTURE = "MATADOR_TORTURE" in os.environ
SETTINGS = 1500 if TORTURE else 120
SESSIONS = 10
STAGES = ["connect", "client", "mail", "rcpt"]
FILTERS = ("private whitelist", "private blacklist", "DNS whitelist", "DNS blacklist")


def explain_command(instance, client, sender, recipient, *options):
    return instance.command("explain", "session", "--client", client, "--from", sender, "--to", recipient, *options)


def explain(instance, client, sender=SENDER, recipient=JANE, *options):
    result = explain_command(instance, client, sender, recipient, "--json", *options)
    assert result.returncode == 0, result
    told, = map(json.loads, result.stdout.splitlines())
    return told


def step(told, control):
    found, = [one for one in told["controls"] if one["control"] == control]
    return found


# ---- the same as the listener: random settings and sessions ----

class Field(Gate):
    """A Gate with many random clients, all with what the generator's settings name: addresses, host names and DNS lists."""

    def __init__(self, dice):
        self.dice = dice
        self.second = dice.randrange(16, 250)
        super().__init__()
        self.instance.people += [{"name": f"User/{unit}/Acme", "internet_address": f"{unit}@acme.com".lower(), "mail_file": unit}
                                 for unit in ("East", "West")]
        taken = {person["name"] for person in self.instance.people}
        self.instance.people += [{"name": name, "internet_address": address, "mail_file": f"m{number}"}
                                 for number, (name, address) in enumerate(random_settings.PEOPLE.items()) if name not in taken]

    def fill(self):
        dice, zones = self.dice, random_settings.WHITE_ZONES + random_settings.BLACK_ZONES
        drawn = {self.here(address) for address in random_settings.ADDRESSES if address.startswith("192.0.")}
        drawn |= {self.here(f"192.0.{dice.randint(2, 3)}.{dice.randint(1, 250)}") for _ in range(20)}
        self.clients = [*sorted(drawn), "::1"]
        listed, pointers, addresses = {zone: [] for zone in zones}, [], collections.defaultdict(list)
        for number, client in enumerate(self.clients):
            reverse = ipaddress.ip_address(client).reverse_pointer
            if number % 9 == 8:
                self.dns.fault(reverse, failing("SERVFAIL"))
            for name in dice.sample(random_settings.HOST_NAMES, dice.choice([0, 1, 1, 1, 2, 3])):
                pointers.append(f"{reverse}. PTR {name}.")
                addresses[name].append(f"@ {'AAAA' if ':' in client else 'A'} {client}" if dice.random() < 0.6 else
                                       f"@ A 127.{self.second}.9.9")
            for zone in dice.sample(zones, dice.choice([0, 0, 1, 2, 3])):
                listed[zone].append(f"{client} :{dice.choice(random_settings.ANSWERS)}:")
        for name, records in addresses.items():
            self.zones.domain(name.lower(), *records)
        self.zones.domain("reverse.invalid", *pointers)
        for zone, entries in listed.items():
            self.lists.entries(zone, *entries)
        self.dns.servers.update({zone: self.lists for zone in zones})
        self.dns.fault(f"{'.'.join(reversed(self.clients[0].split('.')))}.dul.example", failing("SERVFAIL"))
        self.publish_senders()

    def publish_senders(self):
        for name, records in (
                ("partner.example", ["@ MX 5 mail.partner.example.", f'@ TXT "v=spf1 ip4:{self.here("192.0.2.0/26")} -all"']),
                ("acme.net", ['@ TXT "v=spf1 ip4:127.0.0.0/99 -all"']),
                ("other.example", ["@ MX 0 .", '@ TXT "v=spf1 ~all"']), ("acme.fr", ["@ MX 5 mx.acme.fr."])):
            self.zones.domain(name, *self.zones.domains.get(name, []), *records)
        self.dns.fault("evilpartner.example", failing("SERVFAIL"))

    def here(self, value):
        """Settings of the generator with addresses that clients on this machine can have."""
        if isinstance(value, str):
            value = re.sub(r"\b192\.0\.", f"127.{self.second}.", value)
            return re.sub(r"(?i)2001:db8::(?=1\]|/)", "::", value)
        if isinstance(value, dict):
            return {self.here(key): self.here(item) for key, item in value.items()}
        return [self.here(item) for item in value] if isinstance(value, list) else value

    def settings(self):
        dice = self.dice
        made = self.here(random_settings.settings(dice))
        self.instance.domains = "".join(
            f'global_domain "{number}" {{\n' + keys({"local_primary_internet_domain": document["primary"],
                                                   "internet_domain_aliases": document["aliases"]}) + "}\n"
            for number, document in enumerate(made["global_domains"]))
        self.instance.groups = [{"name": name, **group} for name, group in made["groups"].items()]
        self.instance.groups.append({"name": "team", "members": ["jane@acme.com"]})
        configuration = random_settings.configuration_keys(made)
        if dice.random() < 0.4:
            configuration["spf_check"] = True
            for result in ("fail", "softfail", "permerror", "temperror"):
                configuration[f"spf_{result}_action"] = dice.choice(["log", "log_and_tag", "log_and_reject"])
        for key, limit in (("client_session_rate", 6), ("client_message_rate", 4), ("client_recipient_rate", 3),
                           ("network_message_rate", 40)):
            if dice.random() < 0.1:
                configuration[key] = limit
        configuration["rate_interval"] = "1h"
        configuration["greylist"] = dice.random() < 0.15
        if dice.random() < 0.2:
            configuration["smtp_in_smtputf8"] = False
        return configuration

    def session_of(self):
        """Client, HELO (None: its address), sender and recipient."""
        drawn = random_settings.session(self.dice)
        sender, recipient = drawn["sender"], drawn["recipient"]
        if self.dice.random() < 0.04:
            sender = "søren@partner.example"
        if self.dice.random() < 0.02:
            recipient = "jürgen@acme.com"
        return (self.dice.choice(self.clients), self.dice.choice([None, "client.example", "partner.example", "acme.net"]),
                sender, recipient)

    def converse(self, client, helo, sender, recipient):
        """The client's port and the reply that decided."""
        parameters = "" if (sender + recipient).isascii() else " SMTPUTF8"
        hello = helo or (f"[IPv6:{client}]" if ":" in client else f"[{client}]")
        with Dialogue(self.instance.port, 30 * PATIENCE, "::1" if ":" in client else "127.0.0.1", source=client) as session:
            port, reply = session.socket.getsockname()[1], session.greeting
            if reply.startswith("220 "):
                assert session.command(f"EHLO {hello}").startswith("250-")
                reply = session.command(f"MAIL FROM:<{sender}>{parameters}")
            if reply.startswith("250 "):
                reply = session.command(f"RCPT TO:<{recipient}>")
            return port, reply


def logged_sessions(log):
    """What the log tells of sessions: by address and port of the client the lists of their events, each a dict, in turn."""
    sessions, clients = {}, collections.defaultdict(list)
    for line in log.splitlines():
        event = re.search(r" (session-opened|control-refused|recipient-refused|client-listed|spf-verdict) ", line)
        if event:
            values = {key: quoted or plain for key, quoted, plain in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', line)}
            if event[1] == "session-opened":
                sessions[values["session"]] = []
                clients[values["client"], int(values["port"])].append(sessions[values["session"]])
            else:
                sessions[values["session"]].append({"event": event[1], **values})
    return clients


def compare(told, reply, events, configuration):
    """The listener's reply and log against what was told before."""
    assert told["reply"] == reply
    refusing = [one for one in told["controls"] if one["verdict"] == "refuses"]
    refused = [event for event in events if event["event"].endswith("-refused")]
    assert (told["decision"] == "refused") == (len(refusing) == 1) == (len(refused) == 1) == (reply[0] != "2")
    if refusing:
        assert refusing[0]["reply"] == reply and refusing[0]["stage"] == told["stage"]
        assert refused[0]["rule"] == refusing[0]["rule"]
        assert (refused[0]["event"] == "recipient-refused") == (told["stage"] == "rcpt")
        assert refused[0].get("control", refusing[0]["control"]) == refusing[0]["control"]
    silent = {control for control, key in (("private whitelist", "private_whitelist_action"),
                                           ("DNS whitelist", "dns_whitelist_action"))
              if configuration.get(key, "skip_silently") == "skip_silently"}
    hits = [(one["control"], one["rule"]) for one in told["controls"]
            if one["control"] in FILTERS and one["verdict"] in ("hits", "refuses") and one["control"] not in silent]
    assert hits == [(event["control"], event["rule"]) for event in events if event["event"] == "client-listed"]
    spf = [f"SPF: HELO {event['helo_result']}, MAIL FROM {event['mail_result']}" for event in events
           if event["event"] == "spf-verdict"]
    assert [one["found"].partition(" (")[0].rpartition("; ")[2] for one in told["controls"] if "SPF: " in one["found"]] == spf
    # Behind the control that refuses none is reached, and each stands in its place.
    at = told["controls"].index(refusing[0]) + 1 if refusing else len(told["controls"])
    assert [one["verdict"] == "not_reached" for one in told["controls"]] == [i >= at for i in range(len(told["controls"]))]
    assert [one["stage"] for one in told["controls"]] == sorted((one["stage"] for one in told["controls"]), key=STAGES.index)


def test_the_listener_and_explain_session_agree_on_random_settings_and_sessions():
    field = Field(random.Random("explain session"))
    refused_by, listed_by, accepted, cases = collections.Counter(), collections.Counter(), 0, []
    try:
        field.start()
        for _ in range(SETTINGS):
            configuration = field.settings()
            field.apply(**configuration)
            for _ in range(SESSIONS):
                client, helo, sender, recipient = session = field.session_of()
                result = explain_command(field.instance, client, sender, recipient, "--json",
                                         *(["--helo", helo] if helo else []))
                port, reply = field.converse(*session)
                if not (sender + recipient).isascii() and configuration.get("smtp_in_smtputf8", True) is False:
                    assert result.returncode == EX_USAGE and "SMTPUTF8" in result.stderr, (result, reply)
                    assert reply.startswith(("555 5.5.4 ", "421 4.7.0 ")), reply
                    cases.append((configuration, session, None, port, reply))   # a later session may have its port again
                    continue
                assert result.returncode == 0, (result, configuration, session)
                cases.append((configuration, session, json.loads(result.stdout), port, reply))
        field.instance.stop()
        logged = logged_sessions(field.instance.log())
    finally:
        field.close()
    for configuration, session, told, port, reply in cases:
        events = logged[session[0], port].pop(0)
        if told is None:
            continue
        try:
            compare(told, reply, events, configuration)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{configuration}\n{session}\n{json.dumps(told, indent=1)}\n{reply}\n"
                                 f"{events}") from None
        refused_by.update(one["control"] for one in told["controls"] if one["verdict"] == "refuses")
        listed_by.update(one["control"] for one in told["controls"] if one["verdict"] == "hits")
        accepted += told["decision"] == "accepted"
    print(f"{len(cases)} sessions under {SETTINGS} settings, {accepted} accepted, refused {dict(refused_by)}, "
          f"listed {dict(listed_by)}")
    # What never happened was not compared.
    assert len(cases) >= 500 and accepted >= 100
    assert {"admission", "message rate", "recipient rate", "greylist", "deny connections", "allow connections", "verify host name", "private blacklist", "DNS blacklist",
            "verify sender", "deny senders", "allow senders", "SPF", "relay", "deny recipients", "allow recipients",
            "verify recipient"} <= set(refused_by), refused_by
    assert set(FILTERS) <= set(listed_by), listed_by


# ---- what it says ----

@pytest.fixture(scope="module")
def gate():
    made = Gate()
    try:
        yield made.start()
    finally:
        made.close()


def test_every_control_is_told_in_its_place_with_what_it_looked_at_and_where_its_rule_stands(gate):
    gate.apply(dns_blacklist_filters="enabled", dns_blacklist_sites=["sbl.example", "bl.example"],
               dns_blacklist_action="log_and_reject", deny_connections_from=["dialup.example"])
    client = gate.address(LISTED)
    text = explain_command(gate.instance, client, SENDER, JANE, "--helo", "client.example").stdout
    conf = re.escape(str(gate.instance.folder / "etc" / "configurations.conf"))
    for pattern in (rf"^{re.escape(client)}$", r"^  helo       client\.example$", rf"^  from       {SENDER}$", rf"^  to         {JANE}$",
                    r"^    client   deny connections   passes", r"^             host names: none$",
                    r"^    client   private whitelist  skipped",
                    rf"^    client   DNS blacklist      refuses      {conf}:\d+ +dns_blacklist_sites",
                    r"^             DNS lists: sbl\.example not listed, bl\.example 127\.0\.0\.2$",
                    r"^    mail     verify sender      not reached$", r"^  decision   refused at MAIL$",
                    rf"^  reply      554 5\.7\.1 Your host {re.escape(client)} was found in the DNS blacklist at bl\.example$"):
        assert re.search(pattern, text, re.M), (pattern, text)


def test_the_list_entry_that_decides_is_told(gate):
    gate.apply(deny_connections_from=["[203.0.113.0/24]", "[2001:db8::/32]", "evil.example"])
    for client, entry in (("203.0.113.9", "[203.0.113.0/24]"), ("2001:db8::25", "[2001:db8::/32]"),
                          ("::ffff:203.0.113.9", "[203.0.113.0/24]")):
        told = explain(gate.instance, client)
        assert (told["decision"], told["stage"], told["reply"]) == ("refused", "client", CONNECTION_REFUSED)
        refusing = step(told, "deny connections")
        assert (refusing["verdict"], refusing["rule"], refusing["entry"].lower()) == ("refuses", "deny_connections_from", entry)
        assert refusing["file"].endswith("/configurations.conf") and refusing["line"] > 0
    assert explain(gate.instance, "2001:db9::25")["decision"] == "accepted"


def test_the_null_sender_is_taken_in_brackets_and_without(gate):
    gate.apply(deny_senders=["example.org"])
    for sender in ("<>", ""):
        told = explain(gate.instance, "192.0.2.1", sender)
        assert (told["decision"], told["from"], told["reply"]) == ("accepted", "", ACCEPTED.format(JANE))
    assert explain(gate.instance, "192.0.2.1", SENDER)["stage"] == "mail"


def test_a_user_who_authenticated_is_not_subject_to_the_relay_controls(gate):
    gate.apply()
    assert explain(gate.instance, "192.0.2.1", SENDER, OUTSIDE)["reply"] == RELAY_REJECTED
    told = explain(gate.instance, "192.0.2.1", SENDER, OUTSIDE, "--user", "jdoe")
    assert (told["decision"], step(told, "relay enforcement")["verdict"]) == ("accepted", "exempts")


def test_a_host_that_the_dns_is_silent_about_is_judged_like_a_live_one(gate):
    gate.apply(verify_connecting_host_name="enabled")
    told = explain(gate.instance, gate.address(SILENT))
    assert step(told, "verify host name")["found"] == "host names: no answer of the DNS"
    assert told["reply"] == gate.mail(SILENT)


# ---- it changes nothing ----

def test_nothing_is_counted_logged_or_sent(gate):
    gate.apply(dns_blacklist_filters="enabled", dns_blacklist_sites=["bl.example"], dns_whitelist_filters="enabled",
               dns_whitelist_sites=["wl.example"], dns_whitelist_action="log", dns_blacklist_action="log")
    gate.instance.wait_log_quiet()
    counted = ("connections_accepted", "SMTP.DNSBL.TotalHits", "SMTP.DNSWL.TotalHits")
    before, log = [gate.statistic(name) for name in counted], gate.instance.log()
    assert step(explain(gate.instance, gate.address(LISTED)), "DNS blacklist")["verdict"] == "hits"
    assert step(explain(gate.instance, gate.address(WELCOME)), "DNS whitelist")["verdict"] == "hits"
    gate.instance.wait_log_quiet()
    assert [gate.statistic(name) for name in counted] == before
    assert gate.instance.log() == log
    assert gate.instance.queue() == [] and gate.instance.mail("jdoe") == []
    gate.mail(LISTED)
    gate.mail(WELCOME)
    after = [gate.statistic(name) for name in counted]
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1, 1]


def test_rates_are_looked_at_and_not_used_up(gate):
    gate.apply(client_message_rate=2, client_recipient_rate=100)
    client = gate.address(DEEP)
    for _ in range(5):
        assert explain(gate.instance, client)["decision"] == "accepted"
    for _ in range(2):
        assert gate.mail(DEEP).startswith("250 ")
    told = explain(gate.instance, client)
    assert (step(told, "message rate")["verdict"], told["stage"]) == ("refuses", "mail")
    assert told["reply"] == gate.mail(DEEP)


def test_a_client_that_may_have_no_more_sessions_is_told_so(gate):
    gate.apply(maximum_sessions_per_client=2)
    client = gate.address(DEEP)
    with gate.session(DEEP), gate.session(DEEP):
        with Dialogue(gate.instance.port, source=client) as surplus:
            assert surplus.greeting.startswith("421 ")
            told = explain(gate.instance, client)
            assert (told["stage"], told["reply"]) == ("connect", surplus.greeting)
        assert explain(gate.instance, gate.address(STRANGER))["decision"] == "accepted"


def test_nobody_is_remembered_for_the_greylist(gate):
    """Whoever is asked about comes for the first time all the same, however long it was before."""
    gate.apply(greylist="enabled", greylist_delay="1s")
    client, sender = gate.address(LOOKALIKE), "new@partner.example"
    first = explain(gate.instance, client, sender)
    assert (step(first, "greylist")["verdict"], first["stage"]) == ("refuses", "rcpt")
    time.sleep(1.5)
    assert explain(gate.instance, client, sender)["reply"] == first["reply"]
    assert gate.recipient(client=LOOKALIKE, sender=sender) == first["reply"]
    time.sleep(1.5)
    assert explain(gate.instance, client, sender)["decision"] == "accepted"
    assert gate.recipient(client=LOOKALIKE, sender=sender) == ACCEPTED.format(JANE)


def test_the_greeting_is_not_waited_for(gate):
    gate.apply(greeting_delay="60s", early_talker_action="log_and_reject")
    told = explain(gate.instance, gate.address(STRANGER))
    assert (told["decision"], step(told, "early talker")["verdict"]) == ("accepted", "passes")


def test_it_answers_while_the_listener_is_busy(gate):
    gate.apply(deny_recipients=[BOB])
    failures, done = [], threading.Event()

    def talk():
        while not done.is_set():
            try:
                with gate.session() as session:
                    assert session.command(f"MAIL FROM:<{SENDER}>").startswith("250")
                    assert session.command(f"RCPT TO:<{BOB}>").startswith("554")
                    assert session.command(f"RCPT TO:<{JANE}>").startswith("250")
            except (AssertionError, OSError) as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=talk) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert explain(gate.instance, gate.address(STRANGER))["decision"] == "accepted"
            assert explain(gate.instance, gate.address(STRANGER), SENDER, BOB)["decision"] == "refused"
    finally:
        done.set()
        for thread in threads:
            thread.join(30 * PATIENCE)
    assert failures == []


# ---- exit statuses ----

@pytest.mark.parametrize(("client", "sender", "recipient", "options"), [
    ("192.0.2", SENDER, JANE, []), ("mail.example", SENDER, JANE, []), ("192.0.2.1/24", SENDER, JANE, []),
    ("fe80::1%lo", SENDER, JANE, []),
    ("", SENDER, JANE, []), ("1" * 65, SENDER, JANE, []),
    ("192.0.2.1", "nobody", JANE, []), ("192.0.2.1", "a b@example.org", JANE, []), ("192.0.2.1", "a@b@c", JANE, []),
    ("192.0.2.1", "a@example.org> SIZE=1", JANE, []), ("192.0.2.1", "a@example.org\r\nRSET", JANE, []),
    ("192.0.2.1", "x" * 65 + "@example.org", JANE, []), ("192.0.2.1", "x" * 1024, JANE, []),
    ("192.0.2.1", "x" * 1025, JANE, []),
    ("192.0.2.1", SENDER, "", []), ("192.0.2.1", SENDER, "<>", []), ("192.0.2.1", SENDER, "jane@", []),
    ("192.0.2.1", SENDER, "jane@[127.0.0.300]", []),
    ("192.0.2.1", SENDER, JANE, ["--helo", "two words"]), ("192.0.2.1", SENDER, JANE, ["--helo", "x" * 256]),
    ("192.0.2.1", SENDER, JANE, ["--helo", "søren.example"]), ("192.0.2.1", SENDER, JANE, ["--user", "x" * 256]),
    ("192.0.2.1", SENDER, JANE, ["--format", "mime"]), ("192.0.2.1", SENDER, JANE, ["surplus"]),
])
def test_a_question_that_makes_no_sense_is_one_of_usage(gate, client, sender, recipient, options):
    result = explain_command(gate.instance, client, sender, recipient, *options)
    assert result.returncode == EX_USAGE and result.stdout == "" and "explain session: " in result.stderr, result


@pytest.mark.parametrize("missing", ["--client", "--from", "--to"])
def test_client_sender_and_recipient_are_required(gate, missing):
    options = {"--client": "192.0.2.1", "--from": SENDER, "--to": JANE}
    del options[missing]
    result = gate.instance.command("explain", "session", *(word for option in options.items() for word in option))
    assert result.returncode == EX_USAGE and missing in result.stderr, result


def test_status_69_when_the_service_does_not_run(one_instance):
    one_instance.write_configuration()
    assert explain_command(one_instance, "192.0.2.1", SENDER, JANE).returncode == EX_UNAVAILABLE


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_status_75_when_the_listener_ends_meanwhile(one_instance, faulty, end):
    faulty.fault("1.2.0.192.in-addr.arpa", silence)
    one_instance.matador["nameservers"] = [f"{faulty.address}@{faulty.port}"]
    one_instance.matador["dns_timeout"] = "300s"
    one_instance.configuration["verify_connecting_host_name"] = "enabled"
    one_instance.start()
    results = []
    asking = threading.Thread(target=lambda: results.append(explain_command(one_instance, "192.0.2.1", SENDER, JANE)))
    asking.start()
    wait_for(lambda: faulty.asked("1.2.0.192.in-addr.arpa"), what="the question to the DNS")
    if end == "killed":
        for pid in one_instance.workers("smtpd"):
            os.kill(pid, signal.SIGKILL)
    else:
        one_instance.stop()
    asking.join(30 * PATIENCE)
    result, = results
    assert result.returncode == EX_TEMPFAIL and "smtpd ended the conversation" in result.stderr, result
