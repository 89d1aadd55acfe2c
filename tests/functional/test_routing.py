"""
Where recipients go, from end to end: docs/reference/domino-semantics.md 3.1, 3.3, 4.A, 4.B and 4.C, one test a rule.
"""

import re

import pytest

from matador import wait_for
from name_servers import route_by_dns


@pytest.fixture
def internet(one_instance, zones, hosts):
    """An Instance that sends by the DNS and takes mail for anybody from us; nothing of it runs yet."""
    route_by_dns(one_instance, zones, hosts.port)
    one_instance.configuration["verify_local_recipients"] = "disabled"
    return one_instance


def start(internet, zones):
    zones.start()
    return internet.start()


def reports(service, count=1):
    """Bob's mail, which are failure reports, when nothing is left waiting."""
    found = [report.decode() for report in service.wait_mail("bob", count)]
    service.wait_queue_empty()
    assert len(service.mail("bob")) == count
    return found


def report(service, status):
    """Bob's only failure report; it has that status."""
    text, = reports(service)
    assert re.findall(r"^Status: (\S+)", text, re.M) == [status], text
    return text


def recipients(receiver):
    return sorted(recipient for message in receiver.messages for recipient in message.recipients)


def person(name, **settings):
    return {"name": name, "internet_address": f"{name.split()[0].lower()}@acme.com", **settings}


# ---- relay host: both settings ----

def test_the_relay_host_takes_all_mail_for_outside_whatever_its_domain(internet, zones, hosts):
    relay = hosts.receiver(2)
    zones.domain("relay.example", f"@ A {hosts.host(2)}")
    internet.configuration["relay_host"] = "relay.example"
    service = start(internet, zones)
    service.send(["user@b.example", "user@missing.example", "user@[192.0.2.1]"])
    wait_for(lambda: recipients(relay) == ["user@[192.0.2.1]", "user@b.example", "user@missing.example"], what="all three")


def test_a_relay_host_alone_is_not_enough(internet, zones, hosts):
    relay = hosts.receiver(2)
    zones.domain("relay.example", f"@ A {hosts.host(2)}")
    internet.configuration.update({"relay_host": "relay.example", "smtp_outside_local_internet_domain": "disabled"})
    service = start(internet, zones)
    service.send("user@b.example", sender="bob@acme.com")
    text = report(service, "5.4.4")
    assert "No route found to domain b.example" in text and "known neither to the Domino Directory nor to the DNS" in text
    assert relay.sessions == 0


def test_the_relay_host_does_not_take_mail_for_our_own_domain(internet, zones, hosts):
    relay = hosts.receiver(2)
    zones.domain("relay.example", f"@ A {hosts.host(2)}")
    internet.configuration["relay_host"] = "relay.example"
    service = start(internet, zones)
    service.send(["bob@acme.com", "user@b.example"])
    service.wait_mail("bob")
    relay.wait()
    assert recipients(relay) == ["user@b.example"]


# ---- smart host ----

def smart(internet, zones, hosts, **settings):
    zones.domain("smart.example", f"@ A {hosts.host(5)}")
    internet.configuration.update({"local_smart_host": "smart.example", **settings})
    return hosts.receiver(5)


def test_local_recipients_that_nobody_knows_go_to_the_smart_host(internet, zones, hosts):
    host = smart(internet, zones, hosts)
    service = start(internet, zones)
    service.send(["bob@acme.com", "stranger@acme.com"])
    service.wait_mail("bob")
    host.wait()
    service.wait_queue_empty()
    assert recipients(host) == ["stranger@acme.com"]


def test_the_smart_host_may_take_all_local_recipients(internet, zones, hosts):
    host = smart(internet, zones, hosts, smart_host_for_all_local_recipients="enabled")
    service = start(internet, zones)
    service.send(["bob@acme.com", "stranger@acme.com", "postmaster@acme.com"])
    wait_for(lambda: recipients(host) == ["bob@acme.com", "postmaster@acme.com", "stranger@acme.com"], what="all three")
    service.wait_queue_empty()
    assert service.mail("bob") == []


def test_a_name_that_nobody_knows_never_goes_to_the_smart_host(internet, zones, hosts):
    host = smart(internet, zones, hosts)
    service = start(internet, zones)
    service.send("stranger%Acme@acme.com", sender="bob@acme.com")
    assert "stranger" in report(service, "5.1.1")
    assert host.sessions == 0


def test_the_smart_host_needs_no_other_switch(internet, zones, hosts):
    host = smart(internet, zones, hosts, smtp_outside_local_internet_domain="disabled")
    service = start(internet, zones)
    service.send("stranger@acme.com")
    assert host.wait()[0].recipients == ["stranger@acme.com"]


def test_without_a_smart_host_they_are_reported(internet, zones):
    service = start(internet, zones)
    service.send("stranger@acme.com", sender="bob@acme.com")
    assert "not listed in Domino Directory" in report(service, "5.1.1")


# ---- looking up: aliases and address_lookup ----

ALIASES = 'global_domain "Acme mail" {\n    local_primary_internet_domain = acme.com\n' \
          '    internet_domain_aliases = { "acme.example", "*.acme.test" }\n}\n'


@pytest.mark.parametrize("address", ["jane.doe@acme.example", "Jane.Doe@mail.acme.test", "jane.doe@a.b.acme.test"])
def test_an_alias_stands_for_the_primary_domain_when_a_whole_address_is_looked_up(internet, zones, address):
    internet.domains = ALIASES
    internet.configuration["address_lookup"] = "fullname_only"
    service = start(internet, zones)
    service.send(address)
    service.wait_mail("jdoe")


def test_what_an_alias_does_not_cover_is_outside(internet, zones, hosts):
    outside = hosts.receiver(2)
    zones.domain("acme.test", f"@ A {hosts.host(2)}")
    internet.domains = ALIASES
    service = start(internet, zones)
    service.send("jane.doe@acme.test")
    assert outside.wait()[0].recipients == ["jane.doe@acme.test"]


@pytest.mark.parametrize("lookup,known,unknown", [
    ("fullname_then_local_part", ["jane.doe", "jdoe", "Jane_Doe"], []),
    ("fullname_only", ["jane.doe"], ["jdoe", "Jane_Doe"]),
    ("local_part_only", ["jdoe", "Jane_Doe"], ["other.name"]),
])
def test_address_lookup_says_what_an_address_is_looked_up_by(internet, zones, lookup, known, unknown):
    """other.name@acme.com is the whole address of somebody whom no name form gives away."""
    internet.people.append({"name": "Someone Else/Acme", "internet_address": "other.name@acme.com", "mail_file": "else"})
    internet.configuration["address_lookup"] = lookup
    service = start(internet, zones)
    service.send([f"{local}@acme.com" for local in known + unknown], sender="bob@acme.com")
    service.wait_mail("jdoe", len(known))
    service.wait_queue_empty()
    assert len(service.mail("jdoe")) == len(known) and service.mail("else") == []
    text = "".join(message.decode() for message in service.mail("bob"))
    assert sorted(re.findall(r"^Final-Recipient: rfc822; ?(\S+)@", text, re.M)) == sorted(unknown)


def test_a_user_of_our_domino_domain_behind_a_percent_sign_is_that_user(internet, zones):
    service = start(internet, zones)
    service.send("jdoe%Acme@acme.com")
    service.wait_mail("jdoe")


# ---- forwarding addresses ----

def test_a_forwarding_address_is_judged_anew(internet, zones, hosts):
    outside = hosts.receiver(2)
    zones.domain("b.example", f"@ A {hosts.host(2)}")
    internet.people += [person("Gone Away/Acme", forwarding_address="new@b.example"),
                        person("Moved On/Acme", forwarding_address="Jane Doe/Sales/Acme")]
    service = start(internet, zones)
    service.send(["gone@acme.com", "moved@acme.com"])
    assert outside.wait()[0].recipients == ["new@b.example"]
    service.wait_mail("jdoe")


def chain(length):
    """person1 forwards to person2, ..., and the last one to Jane."""
    people = [person(f"Person{number} Chain/Acme", forwarding_address=f"person{number + 1}@acme.com")
              for number in range(1, length)]
    return [*people, person(f"Person{length} Chain/Acme", forwarding_address="jane.doe@acme.com")]


def test_as_many_forwards_as_the_maximum_hop_count_are_followed(internet, zones):
    """The one hop of the message itself, its Received field, counts too."""
    internet.people += chain(4)
    internet.configuration["maximum_hop_count"] = 5
    service = start(internet, zones)
    service.send("person1@acme.com", sender="bob@acme.com")
    service.wait_mail("jdoe")
    service.wait_queue_empty()
    assert service.mail("bob") == []


def test_one_forward_more_is_a_loop(internet, zones):
    internet.people += chain(6)
    internet.configuration["maximum_hop_count"] = 5
    service = start(internet, zones)
    service.send("person1@acme.com", sender="bob@acme.com")
    assert "Maximum hop count exceeded" in report(service, "5.4.6")
    assert service.mail("jdoe") == []


def test_forwarding_addresses_in_a_circle_end_in_one_report(internet, zones):
    internet.people += [person("One Circle/Acme", forwarding_address="two@acme.com"),
                        person("Two Circle/Acme", forwarding_address="three@acme.com"),
                        person("Three Circle/Acme", forwarding_address="one@acme.com")]
    service = start(internet, zones)
    service.send("one@acme.com", sender="bob@acme.com")
    assert "routing loop" in report(service, "5.4.6")


# ---- groups ----

def test_nested_groups_give_each_person_one_copy_whatever_names_lead_there(internet, zones, hosts):
    outside = hosts.receiver(2)
    zones.domain("b.example", f"@ A {hosts.host(2)}")
    internet.groups = [
        {"name": "Sales", "members": ["Jane Doe/Sales/Acme", "East", "West", "user@b.example"]},
        {"name": "East", "members": ["jdoe@acme.com", "Bob Roy/Acme", "user@B.example"]},
        {"name": "West", "members": ["jane.doe@acme.com", "bob@acme.com", "East", "Sales"]}]
    service = start(internet, zones)
    service.send(["sales@acme.com", "jane.doe@acme.com"])
    service.wait_queue_empty()
    assert len(service.mail("jdoe")) == 1 and len(service.mail("bob")) == 1
    assert recipients(outside) == ["user@b.example"]


def test_groups_that_lead_nowhere_but_to_each_other_end_in_one_report(internet, zones):
    """Of three, so that the way back to the first one is longer than a step."""
    internet.groups = [{"name": "Ring", "members": ["Ring Two"]}, {"name": "Ring Two", "members": ["Ring Three"]},
                       {"name": "Ring Three", "members": ["Ring"]}]
    service = start(internet, zones)
    service.send("ring@acme.com", sender="bob@acme.com")
    assert "routing loop" in report(service, "5.4.6")


@pytest.mark.parametrize("also", ([], ["jane.doe@acme.com"]), ids=("nobody else", "and another"))
def test_two_that_forward_to_each_other_are_reported_when_mail_is_for_both(internet, zones, also):
    """Each is there already when the other is expanded: neither has the other for an ancestor."""
    internet.groups = [{"name": "Ping", "members": ["Pong"]}, {"name": "Pong", "members": ["Ping"]}]
    service = start(internet, zones)
    service.send(["ping@acme.com", "pong@acme.com", *also], sender="bob@acme.com")
    assert "routing loop" in report(service, "5.4.6")
    service.wait_queue_empty()
    assert len(service.mail("jdoe")) == len(also)


def test_who_is_expanded_to_others_that_got_the_mail_already_is_not_reported(internet, zones):
    internet.groups = [{"name": "Ping", "members": ["Jane Doe/Sales/Acme"]}, {"name": "Pong", "members": ["Ping"]},
                       {"name": "Pang", "members": ["Pong", "Ping"]}]
    service = start(internet, zones)
    service.send(["jane.doe@acme.com", "ping@acme.com", "pong@acme.com", "pang@acme.com"], sender="bob@acme.com")
    service.wait_mail("jdoe")
    service.wait_queue_empty()
    assert len(service.mail("jdoe")) == 1 and not service.mail("bob") and " recipient-failed " not in service.log()


def test_a_group_with_a_person_who_forwards_to_the_group_reaches_the_others(internet, zones):
    internet.people.append(person("Back Forward/Acme", forwarding_address="sales@acme.com"))
    internet.groups = [{"name": "Sales", "members": ["Back Forward/Acme", "Jane Doe/Sales/Acme"]}]
    service = start(internet, zones)
    service.send("sales@acme.com", sender="bob@acme.com")
    report(service, "5.4.6")
    assert len(service.mail("jdoe")) == 1


def test_groups_nested_deeper_than_the_limit_are_reported(internet, zones):
    internet.groups = [{"name": f"G{number}", "members": [f"G{number + 1}"]} for number in range(1, 5)]
    internet.groups.append({"name": "G5", "members": ["Jane Doe/Sales/Acme"]})
    internet.configuration["maximum_group_depth"] = 5
    service = start(internet, zones)
    service.send("g1@acme.com")
    service.wait_mail("jdoe")
    internet.configuration["maximum_group_depth"] = 4
    service.reload()
    service.send("g1@acme.com", sender="bob@acme.com")
    assert "nested deeper" in report(service, "5.4.6")
    assert len(service.mail("jdoe")) == 1


def test_a_failing_member_of_a_group_is_reported_alone(internet, zones):
    internet.groups = [{"name": "Sales", "members": ["Jane Doe/Sales/Acme", "nobody@acme.com"]}]
    service = start(internet, zones)
    service.send("sales@acme.com", sender="bob@acme.com")
    assert "nobody@acme.com" in report(service, "5.1.1")
    assert len(service.mail("jdoe")) == 1


# ---- other servers, foreign SMTP domains ----

SECOND = 'server "Hub2/Servers/Acme" {{ domino_domain = Acme smtp_listener_task = {listener} ' \
         "internet_host_name = hub2.acme.com }}\n"


def test_another_server_of_our_domain_is_reached_by_its_address_not_its_mx_records(internet, zones, hosts):
    other, second = hosts.receiver(2), hosts.receiver(3)
    zones.domain("hub2.acme.com", "@ MX 1 other", f"other A {hosts.host(2)}", f"@ A {hosts.host(3)}")
    internet.servers_extra = SECOND.format(listener="enabled")
    internet.people.append(person("Far Away/Acme", mail_file="far", mail_server="Hub2/Servers/Acme"))
    internet.configuration["smtp_within_local_internet_domain"] = "mime_only"
    service = start(internet, zones)
    service.send("far@acme.com")
    assert second.wait()[0].recipients == ["far@acme.com"]
    assert other.sessions == 0


def test_another_server_without_a_listener_cannot_be_reached_by_smtp(internet, zones):
    internet.servers_extra = SECOND.format(listener="disabled")
    internet.people.append(person("Far Away/Acme", mail_file="far", mail_server="Hub2/Servers/Acme"))
    internet.configuration["smtp_within_local_internet_domain"] = "mime_only"
    service = start(internet, zones)
    service.send("far@acme.com", sender="bob@acme.com")
    assert "no SMTP listener" in report(service, "5.4.4")


def test_a_foreign_smtp_domain_has_a_relay_host_of_its_own(internet, zones, hosts):
    relay, partners, second = hosts.receiver(2), hosts.receiver(3), hosts.receiver(4)
    zones.domain("relay.example", f"@ A {hosts.host(2)}")
    zones.domain("partners.example", "@ MX 1 mail", f"mail A {hosts.host(3)}")
    zones.domain("hub2.acme.com", f"@ A {hosts.host(4)}")
    internet.configuration.update({"relay_host": "relay.example", "smtp_within_local_internet_domain": "all"})
    internet.servers_extra = SECOND.format(listener="enabled")
    internet.domains += 'foreign_smtp_domain "*.partner.example" { next_domain = Partners }\n' \
                        'foreign_smtp_domain "second.example" { next_domain = Second }\n'
    internet.connections = \
        'smtp_connection "P" { source_server = "Hub1/Servers/Acme" destination_domain = Partners ' \
        'relay_host = partners.example }\n' \
        'smtp_connection "S" { source_server = "Hub2/Servers/Acme" destination_domain = Second }\n'
    service = start(internet, zones)
    service.send(["user@a.partner.example", "user@second.example", "user@b.example"])
    for receiver, recipient in ((partners, "user@a.partner.example"), (second, "user@second.example"),
                                (relay, "user@b.example")):
        receiver.wait()
        assert recipients(receiver) == [recipient]


def test_a_foreign_smtp_domain_that_leads_nowhere_is_reported(internet, zones, hosts):
    relay = hosts.receiver(2)
    zones.domain("relay.example", f"@ A {hosts.host(2)}")
    internet.configuration["relay_host"] = "relay.example"
    internet.domains += 'foreign_smtp_domain "*.partner.example" { next_domain = Nowhere }\n'
    service = start(internet, zones)
    service.send("user@a.partner.example", sender="bob@acme.com")
    report(service, "5.4.4")
    assert relay.sessions == 0


# ---- what waits follows the documents in force at its next attempt ----

def test_with_the_smtp_port_disabled_mail_waits_and_leaves_when_it_is_enabled(internet, zones, hosts):
    outside = hosts.receiver(2)
    zones.domain("b.example", f"@ A {hosts.host(2)}")
    internet.server["smtp_outbound"]["tcp_status"] = "disabled"
    service = start(internet, zones)
    service.send("user@b.example")
    deferred = wait_for(lambda: [r for m in service.queue() for r in m["recipients"] if r["reason"]], what="a reason")
    assert deferred[0]["status"] == "4.3.5" and "disabled" in deferred[0]["reason"] and outside.sessions == 0
    internet.server["smtp_outbound"]["tcp_status"] = "enabled"
    service.reload()
    service.command("queue", "retry", "--all", check=True)
    assert outside.wait()[0].recipients == ["user@b.example"]
    service.wait_queue_empty()


def test_queued_mail_follows_a_new_relay_host_at_its_next_attempt(internet, zones, hosts):
    zones.domain("old.example", f"@ A {hosts.host(2)}")
    zones.domain("new.example", f"@ A {hosts.host(3)}")
    internet.configuration["relay_host"] = "old.example"
    new = hosts.receiver(3)
    service = start(internet, zones)
    service.send("user@b.example")
    wait_for(lambda: [r for m in service.queue() for r in m["recipients"] if r["reason"]], what="a failed attempt")
    internet.configuration["relay_host"] = "new.example"
    service.reload()
    service.command("queue", "retry", "--all", check=True)
    assert new.wait()[0].recipients == ["user@b.example"]
    service.wait_queue_empty()


def test_queued_mail_follows_a_new_mail_server_at_its_next_attempt(internet, zones, hosts):
    zones.domain("hub2.acme.com", f"@ A {hosts.host(2)}")
    internet.servers_extra = SECOND.format(listener="enabled")
    internet.people.append(person("Far Away/Acme", mail_file="far", mail_server="Hub2/Servers/Acme"))
    internet.configuration["smtp_within_local_internet_domain"] = "mime_only"
    service = start(internet, zones)
    service.send("far@acme.com")
    wait_for(lambda: [r for m in service.queue() for r in m["recipients"] if r["reason"]], what="a failed attempt")
    internet.people[-1]["mail_server"] = "Hub1/Servers/Acme"
    service.reload()
    service.command("queue", "retry", "--all", check=True)
    service.wait_mail("far")
    service.wait_queue_empty()
