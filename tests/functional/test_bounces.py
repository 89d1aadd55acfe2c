"""docs/reference/hostile-inputs.md, part K: bounces and loops. The numbers are its rows; test_reports.py has the plain cases."""

import collections
import re
import time

import pytest

import conftest
from matador import fresh_session_works, no_worker_died, wait_for
from test_reports import report_parts

HOPS = 25       # the default of maximum_hop_count


@pytest.fixture
def service(one_instance):
    """Unknown recipients are accepted and reported: without that hardly anything bounces."""
    one_instance.configuration["verify_local_recipients"] = "disabled"
    return one_instance.start()


def inject(service, recipients, sender="bob@acme.com", content=b"Subject: x\r\n\r\nx\r\n", mail="", rcpt=""):
    """One message, its recipients all accepted, by raw SMTP."""
    with service.connect(120) as client:
        assert client.command("EHLO a.example").startswith("250")
        assert client.command(f"MAIL FROM:<{sender}>{mail}").startswith("250")
        client.raw(b"".join(f"RCPT TO:<{recipient}>{rcpt}\r\n".encode() for recipient in recipients))
        for recipient in recipients:
            reply = client.reply()
            assert reply.startswith("250"), (recipient, reply)
        reply = client.data(content + b".\r\n")
        assert reply.startswith("250"), reply


def reports_queued(*services):
    return sum(service.log().count(" report-queued ") for service in services)


def statuses(blocks):
    """Final recipient and status of each recipient of a report."""
    return {block["Final-Recipient"].partition(";")[2].strip(): block["Status"] for block in blocks[1:]}


def finish(*services):
    for service in services:
        service.wait_queue_empty(60)
        fresh_session_works(service)
        no_worker_died(service)


# ---- row 132: what is never reported ----

@pytest.mark.parametrize("recipients", [["who@acme.com"], ["who@acme.com", "jane.doe@acme.com", "no@acme.com"]],
                         ids=["alone", "beside one that works"])
def test_row_132_mail_of_the_null_sender_is_dropped_without_a_report(service, recipients):
    inject(service, recipients, sender="", mail=" RET=FULL ENVID=x", rcpt=" NOTIFY=SUCCESS,FAILURE,DELAY")
    service.wait_log("message-done")
    finish(service)
    assert len(service.mail("jdoe")) == ("jane.doe@acme.com" in recipients)
    assert not service.mail("bob") and reports_queued(service) == 0
    assert len(re.findall(" recipient-failed ", service.log())) == len(recipients) - ("jane.doe@acme.com" in recipients)


def test_row_132_a_report_that_cannot_be_delivered_is_dropped(one_instance, sink):
    """The sender's own server refuses the report for good: nobody is told a second time."""
    sink.script["RCPT"] = lambda session, argument: "550 5.1.1 no such sender here"
    one_instance.relay_to(sink.port)
    one_instance.configuration["verify_local_recipients"] = "disabled"
    service = one_instance.start()
    inject(service, ["who@acme.com"], sender="forged@elsewhere.example")
    wait_for(lambda: any(command.startswith("RCPT") for command in sink.commands), what="the attempt to report")
    finish(service)
    assert [command for command in sink.commands if command.startswith("MAIL")] == ["MAIL FROM:<>"] or \
        all(command.startswith("MAIL FROM:<> ") for command in sink.commands if command.startswith("MAIL"))
    assert reports_queued(service) == 1 and len(re.findall(" recipient-failed ", service.log())) == 2
    assert not service.mail("jdoe") and not service.mail("bob")


def test_row_132_undeliverable_mail_of_and_to_the_postmaster_ends(one_instance, lmtp_sink):
    """Whoever gets the postmaster's mail has a mail file that refuses everything."""
    lmtp_sink.script["RCPT"] = lambda session, argument: "550 5.2.1 disabled"
    one_instance.configuration.update({"local_delivery": f"lmtp:[127.0.0.1]:{lmtp_sink.port}",
                                       "verify_local_recipients": "disabled"})
    service = one_instance.start()
    inject(service, ["postmaster@acme.com"], sender="postmaster@acme.com")
    inject(service, ["postmaster"], sender="")
    wait_for(lambda: service.log().count(" message-done ") == 3, what="the end of both messages and of the report")
    finish(service)
    assert reports_queued(service) == 1 and not lmtp_sink.messages
    assert len(re.findall(" recipient-failed ", service.log())) == 3


# ---- row 133: a report is one and bounded ----

def test_row_133_a_thousand_failing_recipients_make_one_report_that_names_each(service):
    recipients = [f"gone{i}@acme.com" for i in range(1000)]
    inject(service, recipients, rcpt=" NOTIFY=FAILURE")
    octets = service.wait_mail("bob", seconds=60)[0]
    finish(service)
    assert len(service.mail("bob")) == 1 and reports_queued(service) == 1
    _, text, blocks, _ = report_parts(octets)
    assert statuses(blocks) == {recipient: "5.1.1" for recipient in recipients}
    assert len(text) < 50_000 and "and 900 more recipients" in text
    assert len(octets) < 1 << 20


def test_row_133_a_thousand_recipients_refused_by_the_far_side_make_one_report(one_instance, sink):
    sink.script["RCPT"] = lambda session, argument: "550 5.1.1 " + "no " * 150
    one_instance.relay_to(sink.port)
    service = one_instance.start()
    recipients = [f"gone{i}@elsewhere.example" for i in range(1000)]
    inject(service, recipients)
    octets = service.wait_mail("bob", seconds=60)[0]
    finish(service)
    assert len(service.mail("bob")) == 1 and reports_queued(service) == 1
    _, _, blocks, _ = report_parts(octets)
    assert statuses(blocks) == {recipient: "5.1.1" for recipient in recipients}
    assert len(octets) < 1 << 20


def test_row_133_recipients_that_fail_one_after_the_other_make_one_report(one_instance, sink):
    """One fails here at once, the other at a far side that takes its time."""
    def slowly(session, argument):
        time.sleep(4)
        return "550 5.1.1 no"
    sink.script["RCPT"] = slowly
    one_instance.relay_to(sink.port)
    one_instance.configuration["verify_local_recipients"] = "disabled"
    service = one_instance.start()
    inject(service, ["who@acme.com", "x@elsewhere.example"])
    octets = service.wait_mail("bob", seconds=30)[0]
    finish(service)
    assert statuses(report_parts(octets)[2]) == {"who@acme.com": "5.1.1", "x@elsewhere.example": "5.1.1"}
    assert len(service.mail("bob")) == 1


@pytest.mark.parametrize("ret", ["", " RET=FULL", " RET=HDRS"])
def test_row_133_a_report_about_twenty_megabytes_has_the_header_and_no_body(service, ret):
    line = b"secret " * 10 + b"\r\n"
    header = b"Subject: large\r\nMessage-ID: <large@acme.com>\r\n" + b"X-Long: " + b"word " * 150 + b"\r\n"
    inject(service, ["who@acme.com"], content=header + b"\r\n" + line * (20_000_000 // len(line)), mail=ret)
    octets = service.wait_mail("bob", seconds=60)[0]
    finish(service)
    message, _, blocks, returned = report_parts(octets)
    assert statuses(blocks) == {"who@acme.com": "5.1.1"}
    assert b"secret" not in octets and len(octets) < 20_000
    assert "Subject: large" in returned.as_string() and message["References"] == "<large@acme.com>"
    assert len(service.mail("bob")) == 1


def test_row_133_a_header_of_nearly_a_megabyte_is_cut_in_the_report(service):
    header = b"Subject: deep\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 900) for i in range(250))
    inject(service, ["who@acme.com"], content=header + b"\r\nsecret\r\n")
    octets = service.wait_mail("bob", seconds=60)[0]
    finish(service)
    _, _, _, returned = report_parts(octets)
    assert "Subject: deep" in returned.as_string() and b"secret" not in octets
    assert len(octets) < len(header)


def test_row_133_notify_never_is_obeyed_for_every_kind_of_failure(one_instance, sink):
    sink.script["RCPT"] = lambda session, argument: "550 5.1.1 no"
    one_instance.relay_to(sink.port)
    one_instance.configuration["verify_local_recipients"] = "disabled"
    service = one_instance.start()
    inject(service, ["who@acme.com", "x@elsewhere.example"], rcpt=" NOTIFY=NEVER")
    inject(service, ["who@acme.com", "x@elsewhere.example"], rcpt=" NOTIFY=SUCCESS")
    wait_for(lambda: service.log().count(" message-done ") == 2, what="the end of both messages")
    finish(service)
    assert len(re.findall(" recipient-failed ", service.log())) == 4
    assert reports_queued(service) == 0 and not service.mail("bob")


# ---- row 134: loops ----

def received(count):
    return b"".join(b"Received: from a.example by b%d.example;\r\n\tMon, 1 Jan 2024 00:00:00 +0000\r\n" % i for i in range(count))


def test_row_134_the_hop_limit_counts_received_fields_at_acceptance(service):
    content = b"Subject: far\r\n\r\nx\r\n"
    inject(service, ["jane.doe@acme.com"], content=received(HOPS) + content)
    service.wait_mail("jdoe")
    inject(service, ["jane.doe@acme.com"], content=received(HOPS + 1) + content)
    _, text, blocks, returned = report_parts(service.wait_mail("bob")[0])
    assert statuses(blocks) == {"jane.doe@acme.com": "5.4.6"} and "Maximum hop count exceeded" in text
    assert len(returned.get_payload() if isinstance(returned.get_payload(), str) else returned.as_string()) > 1000
    finish(service)
    assert len(service.mail("jdoe")) == 1 and len(service.mail("bob")) == 1


def test_row_134_only_fields_of_the_messages_own_header_count(service):
    content = (b"Subject: quoted\r\nContent-Type: message/rfc822\r\nX-Received: no\r\nReceived-SPF: pass\r\n\r\n" +
               received(2 * HOPS) + b"\r\nx\r\n")
    inject(service, ["jane.doe@acme.com"], content=received(HOPS) + content)
    service.wait_mail("jdoe")
    odd = received(HOPS + 1).replace(b"Received:", b"rEcEiVeD:")
    inject(service, ["jane.doe@acme.com"], content=odd + content)
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert statuses(blocks) == {"jane.doe@acme.com": "5.4.6"}
    finish(service)
    assert len(service.mail("jdoe")) == 1


def test_row_134_forwards_count_as_hops_too(one_instance):
    """f0 forwards to f1 and so on to Jane: six forwards."""
    for i in range(6):
        one_instance.people.append({"name": f"F{i}/Acme", "internet_address": f"f{i}@acme.com",
                                    "forwarding_address": f"f{i + 1}@acme.com" if i < 5 else "jane.doe@acme.com"})
    service = one_instance.start()
    inject(service, ["f0@acme.com"], content=received(HOPS - 6) + b"Subject: x\r\n\r\nx\r\n")
    service.wait_mail("jdoe")
    inject(service, ["f0@acme.com"], content=received(HOPS - 5) + b"Subject: x\r\n\r\nx\r\n")
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert list(statuses(blocks).values()) == ["5.4.6"]
    finish(service)
    assert len(service.mail("jdoe")) == 1 and len(service.mail("bob")) == 1


def forwarding(name, to):
    return {"name": f"{name}/Acme", "internet_address": f"{name.lower()}@acme.com", "forwarding_address": to}


SELF = [
    ("alias to itself by another name", [forwarding("Me", "myself@acme.com") | {"short_names": ["myself"]}], [], "me@acme.com"),
    ("a to b to c to a", [forwarding("A", "b@acme.com"), forwarding("B", "C/Acme"), forwarding("C", "A@ACME.com")], [], "a@acme.com"),
    ("a group of itself", [], [{"name": "Self", "members": ["Self"], "internet_address": "self@acme.com"}], "self@acme.com"),
    ("a person in the group she forwards to", [forwarding("Loop", "round@acme.com")],
     [{"name": "Round", "members": ["Loop/Acme"], "internet_address": "round@acme.com"}], "loop@acme.com"),
]


@pytest.mark.parametrize("people, groups, recipient", [case[1:] for case in SELF], ids=[case[0] for case in SELF])
def test_row_134_what_leads_back_to_itself_ends_at_once_with_one_report(one_instance, people, groups, recipient):
    one_instance.people += people
    one_instance.groups += groups
    service = one_instance.start()
    inject(service, [recipient])
    _, _, blocks, _ = report_parts(service.wait_mail("bob")[0])
    assert list(statuses(blocks).values()) == ["5.4.6"]
    finish(service)
    assert len(service.mail("bob")) == 1 and reports_queued(service) == 1


@pytest.mark.parametrize("to", ["me@acme.com", "Me/Acme"])
def test_row_134_an_alias_that_is_plainly_its_own_is_an_error_of_check(one_instance, to):
    one_instance.people.append(forwarding("Me", to))
    one_instance.write_configuration()
    result = one_instance.command("check")
    assert result.returncode == 78 and "forwarding_address: found the person's own" in result.stderr


def test_row_134_a_loop_does_not_cost_the_other_members_their_copy(one_instance):
    """Groups within groups, in circles: everyone in them gets one copy, and nothing is reported."""
    one_instance.groups += [
        {"name": "Outer", "members": ["Inner", "Jane Doe/Sales/Acme", "Third"], "internet_address": "outer@acme.com"},
        {"name": "Inner", "members": ["Outer", "Bob Roy/Acme", "Third"]},
        {"name": "Third", "members": ["Inner", "Outer", "jane.doe@acme.com", "Bob Roy/Acme", "jdoe@acme.com"]},
    ]
    service = one_instance.start()
    inject(service, ["outer@acme.com"], sender="x@elsewhere.example")
    service.wait_mail("jdoe")
    service.wait_mail("bob")
    finish(service)
    assert len(service.mail("jdoe")) == 1 and len(service.mail("bob")) == 1 and reports_queued(service) == 0


def test_row_134_groups_that_multiply_are_expanded_once_each(one_instance):
    """Ten levels of ten groups, each with all ten of the next level: 10^10 ways, 100 groups, two mail files."""
    for level in range(10):
        members = [f"G{level + 1}x{i}" for i in range(10)] if level < 9 else ["Jane Doe/Sales/Acme", "Bob Roy/Acme"]
        one_instance.groups += [{"name": f"G{level}x{i}", "members": members} for i in range(10)]
    one_instance.groups.append({"name": "Top", "members": [f"G0x{i}" for i in range(10)], "internet_address": "top@acme.com"})
    service = one_instance.start()
    inject(service, ["top@acme.com"], sender="x@elsewhere.example")
    service.wait_mail("jdoe", seconds=60)
    service.wait_mail("bob", seconds=60)
    finish(service)
    assert len(service.mail("jdoe")) == 1 and len(service.mail("bob")) == 1 and reports_queued(service) == 0
    assert len(re.findall(" recipient-routed .* transport=group ", service.log())) == 101


def test_row_134_ten_thousand_members_get_one_copy_each(one_instance, sink):
    members = [f"member{i}@elsewhere.example" for i in range(10_000)]
    one_instance.groups += [{"name": f"Part{i}", "members": members[i * 1000:(i + 1) * 1000 + 100]} for i in range(10)]
    one_instance.groups.append({"name": "All", "members": [f"Part{i}" for i in range(10)], "internet_address": "all@acme.com"})
    one_instance.relay_to(sink.port)
    service = one_instance.start()
    inject(service, ["all@acme.com"])
    wait_for(lambda: sum(len(message.recipients) for message in sink.messages) >= 10_000, 120, "10,000 copies", every=0.2)
    finish(service)
    counted = collections.Counter(recipient for message in sink.messages for recipient in message.recipients)
    assert counted == collections.Counter(members)
    assert reports_queued(service) == 0


def test_row_134_ten_thousand_members_that_fail_are_each_reported_once(one_instance):
    """A report tells at most a thousand recipients; together they name every one."""
    one_instance.groups.append({"name": "All", "members": [f"gone{i}@acme.com" for i in range(10_000)],
                                "internet_address": "all@acme.com"})
    service = one_instance.start()
    inject(service, ["all@acme.com"])
    def told():
        counted = collections.Counter()
        for octets in service.mail("bob"):
            counted.update(statuses(report_parts(octets)[2]).keys())
        return counted if sum(counted.values()) >= 10_000 else None
    counted = wait_for(told, 120, "reports about all", every=1)
    finish(service)
    assert len(counted) == 10_000 and set(counted.values()) == {1}
    assert 10 <= len(service.mail("bob")) < 30 and all(len(octets) < 1 << 20 for octets in service.mail("bob"))


# ---- row 134: two servers ----

@pytest.fixture
def two_servers():
    """Ours, for acme.com, and a partner's, for partner.example; each is the other's relay host. Not started."""
    ours, theirs = (conftest.make_instance(conftest.modes()[0]) for _ in range(2))
    theirs.matador.update({"server_name": "Hub1/Servers/Partner", "postmaster": "Pat/Partner"})
    theirs.server.update({"domino_domain": "Partner", "internet_host_name": "hub.partner.example"})
    theirs.domains = 'global_domain "Partner mail" {\n    local_primary_internet_domain = partner.example\n}\n'
    theirs.people = [{"name": "Pat/Partner", "internet_address": "pat@partner.example", "mail_file": "pat"}]
    ours.relay_to(theirs.port)
    theirs.relay_to(ours.port)
    yield ours, theirs
    ours.close()
    theirs.close()


def accepted(*services):
    return sum(service.log().count(" message-accepted ") for service in services)


def test_row_134_two_servers_that_forward_to_each_other_stop_at_the_hop_limit(two_servers):
    ours, theirs = (server.start() for server in two_servers)
    inject(ours, ["x@elsewhere.example"])
    octets = ours.wait_mail("bob", seconds=60)[0]
    finish(ours, theirs)
    _, text, blocks, returned = report_parts(octets)
    assert statuses(blocks) == {"x@elsewhere.example": "5.4.6"} and "Maximum hop count exceeded" in text
    fields = re.findall(r"^Received:", returned.as_string(), re.M)
    assert len(fields) == HOPS + 2     # those that were counted, and that of the server that gave up
    assert len(ours.mail("bob")) == 1 and reports_queued(ours, theirs) == 1
    assert HOPS + 2 <= accepted(ours, theirs) <= HOPS + 3    # the report may have crossed, too


def test_row_134_a_report_that_loops_between_two_servers_ends_without_another(two_servers):
    """The sender is as unreachable as the recipient: the report goes round until it is dropped."""
    ours, theirs = (server.start() for server in two_servers)
    inject(ours, ["x@elsewhere.example"], sender="forged@elsewhere.example")
    wait_for(lambda: reports_queued(ours, theirs) >= 1, 60, "the report")
    wait_for(lambda: not ours.queue() and not theirs.queue(), 60, "two empty queues", every=0.5)
    finish(ours, theirs)
    assert reports_queued(ours, theirs) == 1
    assert accepted(ours, theirs) <= 2 * (HOPS + 2)
    assert not ours.mail("jdoe") and not ours.mail("bob") and not theirs.mail("pat")


def test_row_134_an_alias_that_crosses_two_servers_and_comes_back_ends_with_one_report(two_servers):
    ours, theirs = two_servers
    ours.people.append(forwarding("Wander", "wander@partner.example"))
    theirs.people.append({"name": "Wander/Partner", "internet_address": "wander@partner.example",
                          "forwarding_address": "wander@acme.com"})
    ours.start()
    theirs.start()
    inject(ours, ["wander@acme.com"])
    octets = ours.wait_mail("bob", seconds=60)[0]
    finish(ours, theirs)
    assert list(statuses(report_parts(octets)[2]).values()) == ["5.4.6"]
    assert len(ours.mail("bob")) == 1 and reports_queued(ours, theirs) == 1
    assert accepted(ours, theirs) <= HOPS + 3
