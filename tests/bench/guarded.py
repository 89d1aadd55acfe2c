"""
A Matador with all its inbound controls on, or all off, before a smart host for its local mail; with the name servers and DNS lists that
the controls ask. RECIPIENT's mail waits: once the smart host has answered the call-out it is down.

The greeting delay alone is off: it is a wait and no work.
"""

import contextlib

from servers import Matador
import matador
import name_servers
import receivers

SENDER, RECIPIENT, HELO = "load@example.org", "jane.doe@acme.com", "load.example"
ENTRIES = 50        # in each list; nobody's
HOUR = 3600         # nothing that was answered expires while it is measured


def others(prefix):
    return [f"{prefix}{number}.example" for number in range(ENTRIES - 1)]


OFF = {"relay_enforcement": "none", "verify_local_recipients": "disabled"}
ON = {
    "relay_enforcement": "all_hosts", "relay_enforcement_exclude_hosts": [], "confirm_host_names": "enabled",
    "relay_allow_hosts": others("relay"), "relay_deny_destinations": ["*"],
    "verify_connecting_host_name": "enabled", "deny_connections_from": others("bad"), "allow_connections_from": [*others("good"), "[127.0.0.1]"],
    "private_whitelist_filter": "enabled", "private_whitelist_hosts": others("friend"),
    "private_blacklist_filter": "enabled", "private_blacklist_hosts": others("foe"), "private_blacklist_action": "log_and_reject",
    "dns_whitelist_filters": "enabled", "dns_whitelist_sites": ["wl.example"],
    "dns_blacklist_filters": "enabled", "dns_blacklist_sites": ["bl.example", "sbl.example"], "dns_blacklist_action": "log_and_reject",
    "verify_sender_domain": "enabled", "deny_senders": others("spam"), "allow_senders": [*others("ham"), "example.org"],
    "spf_check": "enabled", "spf_fail_action": "log_and_reject",
    **{f"{who}_{what}_rate": 1000000 for who in ("client", "network") for what in ("session", "message", "recipient")},
    "early_talker_action": "log_and_reject",
    "deny_recipients": [f"jane.doe@{name}" for name in others("bad")], "allow_recipients": [*(f"jane.doe@{name}" for name in others("good")), RECIPIENT],
    "verify_local_recipients": "enabled", "reject_ambiguous_recipients": "enabled", "deny_mail_to_groups": "enabled",
    "recipient_call_out": "enabled", "greylist": "enabled", "greylist_delay": "1s",
}


def known(port):
    """Whether the client, who was greylisted first, and the recipient, who was called out, are known by now."""
    with matador.Dialogue(port) as client:
        client.command(f"EHLO {HELO}")
        reply = client.command(f"MAIL FROM:<{SENDER}>")
        assert reply.startswith("250"), reply
        reply = client.command(f"RCPT TO:<{RECIPIENT}>")
        assert reply[:3] in ("250", "451"), reply
        return reply.startswith("250")


@contextlib.contextmanager
def guarded(controls):
    """The server, running and warm."""
    with contextlib.ExitStack() as stack:
        zones = name_servers.ZoneServer(ttl=HOUR, negative_ttl=HOUR)
        stack.callback(zones.close)
        zones.domain(HELO, "@ A 127.0.0.1", '@ TXT "v=spf1 a -all"')
        zones.domain("example.org", "@ MX 5 mx", "mx A 127.0.0.1", '@ TXT "v=spf1 mx -all"')
        lists = name_servers.RblServer(ttl=HOUR)
        stack.callback(lists.close)
        for zone in ("wl.example", "bl.example", "sbl.example"):
            lists.entries(zone, "127.9.9.9")
        zones.start()
        lists.start()
        dns = name_servers.NameServerSwitch({"": zones, **{zone: lists for zone in lists.zones}})
        stack.callback(dns.close)
        smart_host = receivers.Receiver()
        stack.callback(smart_host.close)
        server = Matador(9, mode="hold", start=False, settings={
            "local_smart_host": f"[127.0.0.1]:{smart_host.port}", "smart_host_for_all_local_recipients": "enabled", **(ON if controls else OFF)})
        stack.callback(server.close)
        server.instance.matador["nameservers"] = [f"{dns.address}@{dns.port}"]
        server.start()
        matador.wait_for(lambda: known(server.port), 20, "a recipient who is taken", every=0.3)
        smart_host.close()
        yield server
