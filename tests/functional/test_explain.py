"""`matador explain route`: what it says, and that what it says is what happens to a message."""

import json
import os
import random
import re
import signal
import subprocess

import pytest

from matador import MATADOR, PATIENCE, wait_for
from name_servers import route_by_dns


def explain(instance, address, *options):
    """The objects of --json, one a recipient: the address itself, then what came of it."""
    result = instance.command("explain", "route", "--json", *options, "--", address, check=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def explain_text(instance, address, *options):
    return instance.command("explain", "route", *options, "--", address, check=True).stdout


@pytest.fixture
def internet(one_instance, zones, hosts):
    return route_by_dns(one_instance, zones, hosts.port)


# ---- what it says ----

def test_every_step_names_the_file_and_the_line_of_its_rule(service):
    text = explain_text(service, "jane.doe@acme.com")
    etc = re.escape(str(service.folder / "etc"))
    for pattern in (rf"^    {etc}/domains\.conf:2 +acme\.com is a local Internet domain by global_domain \"Acme mail\"$",
                    r"^    default +0 forwards so far, maximum_hop_count is 25$",
                    r"^    - +asking the Directory for the address \"jane\.doe@acme\.com\"$",
                    rf"^    {etc}/directory/people\.conf:1 +found person \"Jane Doe/Sales/Acme\"$",
                    r"^  decision   deliver$", r"^  transport  local$", r"^  mail file  jdoe$",
                    rf"^  rule       person \"Jane Doe/Sales/Acme\" {etc}/directory/people\.conf:1$"):
        assert re.search(pattern, text, re.M), (pattern, text)


def test_a_notes_name_is_explained_too(service):
    told, = explain(service, "Bob Roy")
    assert (told["decision"], told["transport"], told["delivery_address"]) == ("deliver", "local", "bob")


def test_a_failure_is_explained_with_its_class_status_and_reason(service):
    told, = explain(service, "nobody@acme.com")
    assert (told["decision"], told["failure"], told["status"]) == ("fail", "username", "5.1.1")
    assert "nobody@acme.com" in told["reason"]
    assert "not listed in Domino Directory" in explain_text(service, "nobody@acme.com")


def test_the_form_of_the_message_counts(one_instance):
    """Table 4.B: Notes format is only sent by SMTP when the setting is all."""
    one_instance.configuration["smtp_within_local_internet_domain"] = "mime_only"
    one_instance.configuration["host_name_lookup"] = "local_only"
    one_instance.servers_extra = ('server "Hub2/Servers/Acme" { domino_domain = Acme smtp_listener_task = enabled '
                                  "internet_host_name = hub2.acme.com }\n")
    one_instance.people.append({"name": "Far Away/Acme", "internet_address": "far@acme.com", "mail_file": "far",
                                "mail_server": "Hub2/Servers/Acme"})
    one_instance.start()
    mime, = explain(one_instance, "far@acme.com", "--format", "mime")
    notes, = explain(one_instance, "far@acme.com", "--format", "notes")
    assert (mime["decision"], mime["next_hop"]) == ("deliver", "[hub2.acme.com]")
    assert (notes["decision"], notes["failure"]) == ("fail", "transfer")
    assert "Notes format" in notes["reason"]


def test_members_of_groups_and_forwarding_addresses_are_followed(one_instance):
    one_instance.groups = [{"name": "Sales", "members": ["Bob Roy/Acme", "gone@acme.com"]}]
    one_instance.people.append({"name": "Gone Away/Acme", "internet_address": "gone@acme.com",
                                "forwarding_address": "Jane Doe/Sales/Acme"})
    one_instance.start()
    told = explain(one_instance, "sales@acme.com")
    assert [(t["address"], t["from"], t["forwards"], t["decision"]) for t in told] == [
        ("sales@acme.com", "", 0, "expand"), ("Bob Roy/Acme", "sales@acme.com", 1, "deliver"),
        ("gone@acme.com", "sales@acme.com", 1, "forward"), ("Jane Doe/Sales/Acme", "gone@acme.com", 2, "deliver")]
    assert told[0]["members"] == ["Bob Roy/Acme", "gone@acme.com"]
    text = explain_text(one_instance, "sales@acme.com")
    assert "Bob Roy/Acme  (member of sales@acme.com)" in text
    assert "Jane Doe/Sales/Acme  (forwarded from gone@acme.com)" in text


def test_loops_and_duplicates_are_shown_and_not_followed(one_instance):
    one_instance.groups = [{"name": "Sales", "members": ["Everyone", "jdoe@acme.com"]},
                           {"name": "Everyone", "members": ["Sales", "jane.doe@acme.com", "jdoe@acme.com"]},
                           {"name": "Ring", "members": ["Other Ring"]}, {"name": "Other Ring", "members": ["Ring"]}]
    one_instance.start()
    told = [(t["address"], t["decision"]) for t in explain(one_instance, "Sales")]
    assert told == [("Sales", "expand"), ("Everyone", "expand"), ("Sales", "loop"), ("jane.doe@acme.com", "deliver"),
                    ("jdoe@acme.com", "duplicate"), ("jdoe@acme.com", "duplicate")]
    ring = explain(one_instance, "Ring")
    assert [(t["address"], t["decision"], t.get("status")) for t in ring] == [
        ("Ring", "expand", ""), ("Other Ring", "fail", "5.4.6"), ("Ring", "loop", None)]


def test_a_group_of_very_many_is_explained_within_bounds(one_instance):
    one_instance.groups = [{"name": "All", "members": [f"user{number}@acme.com" for number in range(3000)]}]
    one_instance.start()
    told = explain(one_instance, "All")
    assert len(told) == 3001 and len(told[0]["members"]) == 3000
    decisions = [t["decision"] for t in told]
    assert decisions.count("fail") == 999 and decisions.count("not_asked") == 2001
    assert "and 2990 more" in explain_text(one_instance, "All")


def test_nothing_is_sent_and_nothing_is_queued(service):
    explain(service, "jane.doe@acme.com")
    assert service.queue() == [] and service.mail("jdoe") == []
    assert "recipient-routed" not in service.log()


# ---- mail hosts ----

def test_mail_hosts_are_told_in_the_order_in_which_they_would_be_tried(internet, zones, hosts):
    zones.domain("b.example", "@ MX 20 late", "@ MX 5 soon", f"soon A {hosts.host(2)}", f"late A {hosts.host(3)}",
                 f"late A {hosts.host(4)}")
    zones.start()
    internet.start()
    told, = explain(internet, "user@b.example")
    assert [(h["preference"], h["name"], sorted(h["addresses"]), h["state"]) for h in told["hosts"]] == [
        (5, "soon.b.example", [hosts.host(2)], "usable"),
        (20, "late.b.example", [hosts.host(3), hosts.host(4)], "usable")]
    assert told["hosts_outcome"] == "found" and told["by_mx"] and told["port"] == hosts.port
    text = explain_text(internet, "user@b.example")
    assert re.search(rf"^      1      5  soon\.b\.example  {re.escape(hosts.host(2))} +usable$", text, re.M), text


def test_a_remembered_failure_is_told_with_its_reason_and_how_long_it_lasts(internet, zones, hosts):
    zones.domain("b.example", "@ MX 5 bad", "@ MX 10 good", f"bad A {hosts.host(2)}", f"good A {hosts.host(3)}")
    good = hosts.receiver(3)
    zones.start()
    internet.start()
    internet.send("user@b.example")
    good.wait()
    internet.wait_queue_empty()
    bad, usable = explain(internet, "user@b.example")[0]["hosts"]
    assert bad["name"] == "bad.b.example" and bad["state"] == "failed"
    assert 3000 < bad["failed_seconds"] <= 3600 and "refused" in bad["text"]
    assert usable["state"] == "usable"
    assert re.search(r"bad\.b\.example .* failed, not tried for \S+ \(.*refused\)", explain_text(internet, "user@b.example"))


def test_when_all_hosts_have_failed_it_says_when_the_first_is_tried_again(internet, zones, hosts):
    zones.domain("b.example", "@ MX 5 bad", f"bad A {hosts.host(2)}")
    zones.start()
    internet.start()
    internet.send("user@b.example")
    wait_for(lambda: explain(internet, "user@b.example")[0]["hosts_outcome"] == "all_failed", what="a remembered failure")
    told, = explain(internet, "user@b.example")
    assert 3000 < told["retry_seconds"] <= 3600
    assert re.search(r"^  attempt +(1h0m0s|59m\d+s) from now: ", explain_text(internet, "user@b.example"), re.M)


@pytest.mark.parametrize("records,outcome,verdict", [
    ([], "no_name", "fails"),
    (['@ TXT "nothing"'], "no_data", "fails"),
    (["@ MX 0 ."], "null_mx", "fails"),
    (["@ MX 5 gone"], "no_address", "fails"),
    (["@ MX 5 hub.acme.com."], "loop", "fails"),
])
def test_a_domain_that_mail_cannot_go_to_is_told_as_such(internet, zones, records, outcome, verdict):
    zones.domain("b.example", *records)
    zones.domain("hub.acme.com", "@ A 127.0.0.1")
    zones.start()
    internet.start()
    told, = explain(internet, "user@b.example")
    assert told["hosts_outcome"] == outcome and told["own_domain"], told
    assert re.search(rf"^  attempt +{verdict}: \S", explain_text(internet, "user@b.example"), re.M)


def test_without_an_mx_record_the_domain_itself_is_the_host(internet, zones, hosts):
    zones.domain("b.example", f"@ A {hosts.host(2)}")
    zones.start()
    internet.start()
    told, = explain(internet, "user@b.example")
    assert told["implicit_mx"] and [h["addresses"] for h in told["hosts"]] == [[hosts.host(2)]]


def test_a_silent_name_server_is_told_and_does_not_hold_the_command_for_ever(internet, zones):
    internet.matador["dns_timeout"] = "1s"
    internet.start()
    told, = explain(internet, "user@b.example")
    assert told["decision"] == "deliver" and told["hosts_outcome"] == "no_answer"
    assert re.search(r"^  attempt +later: ", explain_text(internet, "user@b.example"), re.M)


def test_a_resolver_that_hangs_does_not_hold_the_command_for_ever(internet, zones):
    internet.matador["dns_timeout"] = "1s"
    internet.start()
    resolver = internet.worker("resolver")
    os.kill(resolver, signal.SIGSTOP)
    try:
        told, = explain(internet, "user@b.example")
    finally:
        os.kill(resolver, signal.SIGCONT)
    assert told["hosts_outcome"] == "no_answer" and "resolver does not answer" in told["hosts_text"]


# ---- the command itself ----

def test_a_stopped_service_is_unavailable(one_instance):
    one_instance.write_configuration()
    one_instance.command("setup", check=True)
    result = one_instance.command("explain", "route", "jane.doe@acme.com")
    assert result.returncode == 69 and "the service does not run" in result.stderr and result.stdout == ""


def test_strangers_are_told_nothing(one_instance):
    if os.getuid() != 0:
        pytest.skip("needs a second user")
    one_instance.start()
    (one_instance.folder / "run").chmod(0o755)
    (one_instance.folder / "etc").chmod(0o755)
    result = one_instance.command("explain", "route", "jane.doe@acme.com", user="nobody")
    assert result.returncode == 77 and result.stdout == "", result


@pytest.mark.parametrize("arguments", [[], [""], ["a@b.example", "c@d.example"], ["--format", "text", "a@b.example"],
                                       ["a" * 1025], ["--from", "a" * 1025, "a@b.example"], ["--nonsense", "a@b.example"]])
def test_a_wrong_command_line_is_a_usage_error(one_instance, arguments):
    one_instance.write_configuration()
    result = one_instance.command("explain", "route", *arguments)
    assert result.returncode == 64 and result.stderr and result.stdout == ""


def test_help_says_what_it_takes(one_instance):
    result = one_instance.command("explain", "route", "--help", check=True)
    assert "--format mime|notes" in result.stdout and "--from ADDRESS" in result.stdout


def test_control_characters_do_not_reach_the_terminal(service):
    text = explain_text(service, "evil\x1b[2J\n@acme.com")
    assert "\x1b" not in text and "evil?[2J?" in text


def test_a_router_that_dies_with_the_question_is_no_hang(internet, zones):
    """Whatever of the two comes first: a new router's answer is not promised, an end is."""
    internet.matador["dns_timeout"] = "30s"
    internet.start()
    router = internet.worker("router")
    os.kill(router, signal.SIGSTOP)
    try:
        command = subprocess.Popen([MATADOR, "-c", str(internet.folder / "etc"), "explain", "route", "jdoe@acme.com"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: command.poll() is None, what="the running command")
        os.kill(router, signal.SIGKILL)
        out, err = command.communicate(timeout=30 * PATIENCE)
    finally:
        command.kill()
    assert command.returncode in (0, 75), (out, err)
    assert command.returncode == 0 or "router" in err


# ---- what it says is what happens ----

DOMAINS = 'global_domain "Acme mail" {\n    local_primary_internet_domain = acme.com\n' \
          '    internet_domain_aliases = { "acme.example", "*.acme.test" }\n}\n' \
          'foreign_domain "Fax" { gateway_server = "Hub1/Servers/Acme" gateway_mail_file = faxout }\n'
FOREIGN = 'foreign_smtp_domain "*.partner.example" { next_domain = Partners }\n' \
          'foreign_smtp_domain "other.example" { next_domain = Second }\n' \
          'foreign_smtp_domain "*.nowhere.example" { next_domain = Nowhere }\n'
CONNECTIONS = 'smtp_connection "Partners" { source_server = "Hub1/Servers/Acme" destination_domain = Partners ' \
              'relay_host = "relay.hosts.example" }\n' \
              'smtp_connection "Second" { source_server = "Hub2/Servers/Acme" destination_domain = Second }\n'

CONFIGURATIONS = {
    "by the DNS": {},
    "a relay host": {"relay_host": "relay.hosts.example"},
    "a relay host without its switch": {"relay_host": "relay.hosts.example",
                                        "smtp_outside_local_internet_domain": "disabled"},
    "a smart host": {"local_smart_host": "smart.hosts.example"},
    "a smart host for all": {"local_smart_host": "smart.hosts.example", "smart_host_for_all_local_recipients": "enabled"},
    "fullname only": {"address_lookup": "fullname_only"},
    "local part only, other servers by SMTP": {"address_lookup": "local_part_only",
                                               "smtp_within_local_internet_domain": "all"},
    "foreign SMTP domains": {"foreign": True, "smtp_within_local_internet_domain": "mime_only"},
}


def generated_addresses(seed):
    """Addresses of all kinds, put together at random but the same in each run."""
    generator = random.Random(seed)
    locals_known = ["jane.doe", "JDOE", "Jane_Doe", "bob", "Bob.Roy", "gone", "far", "sales", "chain1", "loop1", "ring"]
    locals_unknown = [f"nobody{generator.randrange(1000)}", "postmaster", "jdoe%Acme", "fax%Fax", "x%Nowhere"]
    ours = ["acme.com", "ACME.com", "acme.example", "mail.acme.test"]
    theirs = ["mx.example", "MX.Example", "implicit.example", "null.example", f"missing{generator.randrange(1000)}.example",
              "a.partner.example", "other.example", "x.nowhere.example", "notacme.com"]
    addresses = [f"{local}@{generator.choice(ours)}" for local in [*locals_known, *locals_unknown]]
    addresses += [f"user{generator.randrange(1000)}@{domain}" for domain in theirs]
    return addresses


def prepare(instance, zones, hosts):
    instance.matador["log_format"] = "json"
    instance.matador["postmaster"] = "Bob Roy/Acme"
    instance.configuration["verify_local_recipients"] = "disabled"
    instance.domains = DOMAINS
    instance.servers_extra = ('server "Hub2/Servers/Acme" { domino_domain = Acme smtp_listener_task = enabled '
                              "internet_host_name = hub2.hosts.example }\n")
    instance.people += [
        {"name": "Gone Away/Acme", "internet_address": "gone@acme.com", "forwarding_address": "new@mx.example"},
        {"name": "Far Away/Acme", "internet_address": "far@acme.com", "mail_file": "far",
         "mail_server": "Hub2/Servers/Acme"},
        {"name": "Chain One/Acme", "short_names": ["chain1"], "internet_address": "chain1@acme.com",
         "forwarding_address": "chain2@acme.com"},
        {"name": "Chain Two/Acme", "internet_address": "chain2@acme.com", "forwarding_address": "Bob Roy/Acme"},
        {"name": "Loop One/Acme", "short_names": ["loop1"], "internet_address": "loop1@acme.com",
         "forwarding_address": "loop2@acme.com"},
        {"name": "Loop Two/Acme", "internet_address": "loop2@acme.com", "forwarding_address": "loop1@acme.com"}]
    instance.groups = [
        {"name": "Sales", "members": ["Jane Doe/Sales/Acme", "jdoe@acme.com", "More", "user@mx.example", "nobody@acme.com"]},
        {"name": "More", "members": ["Sales", "Bob Roy/Acme", "Gone Away/Acme", f"user@[{hosts.host(2)}]"]},
        {"name": "Ring", "members": ["Other Ring"]}, {"name": "Other Ring", "members": ["Ring"]}]
    zones.domain("mx.example", "@ MX 5 down", "@ MX 10 mail", f"down A {hosts.host(9)}", f"mail A {hosts.host(2)}")
    zones.domain("implicit.example", f"@ A {hosts.host(3)}")
    zones.domain("null.example", "@ MX 0 .")
    zones.domain("a.partner.example", f"@ A {hosts.host(3)}")
    zones.domain("other.example", f"@ A {hosts.host(3)}")
    zones.domain("x.nowhere.example", f"@ A {hosts.host(3)}")
    zones.domain("notacme.com", f"@ MX 1 mail.mx.example.")
    # the server of our domain is reached by its address: what its MX record names must not see its mail
    zones.domain("hosts.example", "relay MX 5 relay1", f"relay1 A {hosts.host(4)}", f"smart A {hosts.host(5)}",
                 f"hub2 A {hosts.host(6)}", "hub2 MX 1 relay1")
    zones.start()
    receivers = {hosts.host(number): hosts.receiver(number) for number in range(2, 7)}
    return receivers


def send_one(instance, recipient):
    """The id of one message to that recipient."""
    with instance.connect() as client:
        assert client.command("EHLO client.example").startswith("250")
        assert client.command("MAIL FROM:<watcher@hosts.example>").startswith("250")
        reply = client.command(f"RCPT TO:<{recipient}>")
        assert reply.startswith("250"), (recipient, reply)
        return client.data(b"Subject: compared\r\n\r\nx\r\n.\r\n").split()[-1].strip("()")


def events_of(instance, identities):
    """What the log says of each message: its events in order."""
    found = {identity: [] for identity in identities}
    for line in instance.log().splitlines():
        event = json.loads(line)
        if event.get("id") in found:
            found[event["id"]].append(event)
    return found


def canonical(address):
    """As the SMTP listener hands an address on to the router."""
    local_part, at, domain = address.rpartition("@")
    return local_part + at + domain.lower()


def compare(address, told, events):
    """Every recipient that was explained, with what the log says of it."""
    routed = {e["to"]: e for e in events if e["event"] == "recipient-routed"}
    failed = {e["to"]: e for e in events if e["event"] == "recipient-failed"}
    duplicates = {e["to"] for e in events if e["event"] == "recipient-duplicate"}
    delivered = {e["to"] for e in events if e["event"] == "recipient-delivered"}
    asked = {t["address"]: t for t in told if t["decision"] != "loop" and ("rule" in t or t["decision"] != "duplicate")}
    assert set(asked) == set(routed) | set(failed), (address, sorted(asked), sorted(routed), sorted(failed))
    taken = set()
    for recipient, one in asked.items():
        if one["decision"] in ("expand", "forward"):
            assert routed[recipient]["transport"] == {"expand": "group"}.get(one["decision"], "forward"), (address, one)
        elif one["decision"] == "fail":
            assert recipient not in routed and failed[recipient]["status"] == one["status"], (address, one)
            assert failed[recipient]["reason"] == one["reason"]
        else:
            log = routed[recipient]
            assert (log["transport"], log["next_hop"], log["rule"]) == (one["transport"], one["next_hop"], one["rule"]), \
                (address, one, log)
            place = (one["transport"], one["next_hop"], one["delivery_address"])
            # of several that end at one place it is open which is the one that is delivered
            assert (one["decision"] == "duplicate") == (place in taken), (address, one)
            taken.add(place)
            if recipient in delivered:
                assert one.get("hosts_outcome", "found") == "found", (address, one)
            elif recipient in failed:
                assert one["own_domain"] and one["hosts_outcome"] in ("no_name", "null_mx", "loop"), (address, one)
            else:
                assert recipient in duplicates, (address, recipient, events)
    assert len(duplicates) == sum(t["decision"] == "duplicate" and "rule" in t for t in told), (address, duplicates)
    return len(asked)


def wait_done(instance, identities):
    def done():
        return all(any(e["event"] == "message-done" for e in events) for events in
                   events_of(instance, identities).values())
    try:
        wait_for(done, 60, "the end of all messages", every=0.2)
    except AssertionError as error:
        open_ones = {identity: events for identity, events in events_of(instance, identities).items()
                     if not any(e["event"] == "message-done" for e in events)}
        raise AssertionError(f"{error}\n{open_ones}\n{instance.queue()}") from None


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_explain_says_is_what_happens_to_a_message(internet, zones, hosts, name):
    receivers = prepare(internet, zones, hosts)
    changes = dict(CONFIGURATIONS[name])
    if changes.pop("foreign", False):
        internet.domains, internet.connections = DOMAINS + FOREIGN, CONNECTIONS
    internet.configuration.update(changes)
    internet.start()
    addresses = generated_addresses(name)
    told = {address: explain(internet, canonical(address)) for address in addresses}
    sent = {address: send_one(internet, address) for address in addresses}
    wait_done(internet, list(sent.values()))
    events = events_of(internet, list(sent.values()))
    compared = sum(compare(address, told[address], events[sent[address]]) for address in addresses)
    assert compared >= 25, compared
    for address in addresses:
        arrivals(receivers, told[address])


def arrivals(receivers, told):
    """What was to be delivered by SMTP lies with the first host that works, under the address that was told."""
    for one in told:
        if one["decision"] != "deliver" or one["transport"] != "smtp" or one["hosts_outcome"] != "found":
            continue
        reached = [address for host in one["hosts"] if host["state"] == "usable" for address in host["addresses"]
                   if address in receivers]
        if reached:
            taken = [recipient for message in receivers[reached[0]].messages for recipient in message.recipients]
            assert one["delivery_address"] in taken, (one, taken)
