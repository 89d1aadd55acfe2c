"""
Random documents of etc/ and random sessions for the comparison of the inbound controls with naive_controls.py.

Everything is drawn from few names, so that entries overlap with clients, senders and recipients in every way.
"""

import itertools
import random

from matador import keys

HOST_NAME = "hub.acme.com"
DOMINO_DOMAIN = "Acme"
GLOBAL_DOMAINS = [
    [{"primary": "acme.com", "aliases": ["acme.fr", "*.acme.net"]}],
    [{"primary": "acme.com", "aliases": []}, {"primary": "other.example", "aliases": ["*.partner.example"]}],
    [{"primary": "elsewhere.example", "aliases": ["acme.fr"]}],
    [],
]

ADDRESSES = ["192.0.2.1", "192.0.2.5", "192.0.2.17", "192.0.2.200", "192.0.3.5", "10.0.0.5", "10.1.0.5",
             "198.51.100.9", "2001:db8::1", "2001:db8::25", "2001:db8:1::5", "::ffff:192.0.2.5"]
HOST_NAMES = ["mail.acme.com", "acme.com", "xacme.com", "deep.mail.acme.com", "mx.acme.fr", "mail.acme.net",
              "acme.net", "HUB.Partner.Example", "partner.example", "evilpartner.example", "a.b.partner.example",
              "other.example", "dialup-1.isp.example", "localhost", "hub.eu.elsewhere.example"]
HOST_TAILS = ["acme.com", ".acme.com", "partner.example", ".partner.example", "Other.example", ".isp.example",
              "isp.example", "acme.fr", "mail.acme.net", ".example", "b.partner.example", "elsewhere.example"]
ADDRESS_ENTRIES = ["[192.0.2.1]", "[192.0.2.5]", "[192.0.2.*]", "[192.0.*.5]", "[192.0.2-3.5]", "[192.0.2.1-17]",
                   "[192.0.2-9.*]", "[10.*.0.5]", "[10.0-0.*.5]", "[10.0.0.0/8]", "[192.0.2.0/24]",
                   "[192.0.2.0/28]", "[192.0.2.5/32]", "[0.0.0.0/0]", "[198.51.100.8/30]", "[*.*.*.*]",
                   "[2001:db8::1]", "[2001:db8::/32]", "[2001:DB8::/64]", "[2001:db8:1::/48]", "[2001:db8::24/127]",
                   "[::/0]"]
HOST_GROUPS = ["Hosts", "More hosts", "Mixed"]
EVERYONE_LISTS = {"relay_deny_hosts", "allow_connections_from"}

DESTINATIONS = ["partner.example", "@partner.example", "evilpartner.example", "Other.example", "@other.example",
                "sub.partner.example", "%East", "%AcmeWest", "acme.net", "@acme.net", "*", "Domains", "Mixed"]

SENDERS = ["", "bob@partner.example", "Bob@Partner.Example", "ann@sub.partner.example", "ann@evilpartner.example",
           "jane@acme.com", "jane@acme.fr", "x@other.example", "carol@mail.acme.net", "x@acme.net", "x@[192.0.2.1]",
           "root@hub.acme.com", "dora@hub.eu.elsewhere.example", '"odd one"@partner.example']
SENDER_ENTRIES = ["partner.example", "@partner.example", ".partner.example", "bob@partner.example",
                  "BOB@partner.example", "acme.com", "jane@acme.com", "other.example", "@acme.net",
                  "sub.partner.example", "People", "Domains", "Mixed", "example.org"]

LOCAL_RECIPIENTS = ["jane@acme.com", "Jane@ACME.com", "bob@acme.com", "team@acme.com", "jane@acme.fr",
                    "jane@mail.acme.net", "jane@deep.mail.acme.net", "user@hub.acme.com", "user@host3.acme.com",
                    "jane@partner.example", "jane@elsewhere.example", "abuse@acme.com", "Root@acme.fr"]
EXTERNAL_RECIPIENTS = ["bob@partner.example", "bob@evilpartner.example", "bob@sub.partner.example",
                       "x@a.b.partner.example", "x@other.example", "x@acme.net", "x@xacme.com", "x@a.b.acme.com",
                       "x@[192.0.2.1]", "@acme.com:bob@partner.example",
                       "@partner.example,@other.example:jane@acme.com"]
ROUTED_RECIPIENTS = ["bob%partner.example@acme.com", "bob%acme.com@acme.com", "bob%other.example%acme.com@acme.com",
                     '"bob@partner.example"@acme.com', '"bob@acme.com"@acme.com',
                     '"bob%other.example@acme.com"@acme.com', "partner.example!bob@acme.com",
                     "acme.com!bob@acme.com", "acme.com!other.example!bob@acme.com", "bob%East@acme.com",
                     "bob%Acme@acme.com", "bob%acmewest@acme.com", "bob%partner.example@other.example",
                     "partner.example!bob@other.example", '"jane"@acme.com', "bob%@acme.com", "!bob@acme.com",
                     '"bob@"@acme.com', "bob%partner.example%@acme.com", "!partner.example!bob@acme.com",
                     "%East@acme.com", "East!bob@acme.com", '"bob@East"@acme.com', "bob%East%Acme@acme.com"]
RECIPIENT_ENTRIES = ["jane@acme.com", "JANE@acme.com", "bob@acme.com", "team@acme.com", "jane@acme.fr",
                     "jane@mail.acme.net", "user@hub.acme.com", "jane@partner.example", "People", "Mixed",
                     "bob%East@acme.com", "bob@partner.example"]

WHITE_ZONES = ["wl.example", "trusted.example"]
BLACK_ZONES = ["bl.example", "dul.example", "sbl.example"]
WEIGHTS = ["bl.example*3", "bl.example=127.0.0.2*5", "bl.example=127.0.0.3-9*2", "bl.example=127.0.0.9*-2",
           "dul.example*0", "dul.example=127.0.0.2*2", "sbl.example=127.0.1-2.4*10", "sbl.example*1",
           "wl.example*-4", "wl.example=127.0.0.3*-1", "trusted.example=127.0.0.2-3*-2"]
ANSWERS = ["127.0.0.2", "127.0.0.3", "127.0.0.9", "127.0.1.4", "127.0.0.1"]

PEOPLE = {"Jane Doe/Acme": "jane@acme.com", "Bob Roy/Acme": "bob@partner.example", "Silent Sam/Acme": ""}


def some(of, most, dice):
    return dice.sample(of, dice.randint(0, min(most, len(of))))


def groups(dice):
    """Nested ones, one that is in itself, one of a type that is not for mail, members that fit only some lists."""
    made = {
        "Hosts": {"type": "mail_only", "members": some(ADDRESS_ENTRIES, 3, dice) + ["More hosts"]},
        "More hosts": {"type": "multi_purpose", "members": some(ADDRESS_ENTRIES + HOST_TAILS, 3, dice) + ["Servers"]},
        "Servers": {"type": "servers_only", "members": some(ADDRESS_ENTRIES, 2, dice)},
        "People": {"type": "multi_purpose", "members": some([*PEOPLE, "bob@acme.com", "ann@sub.partner.example"], 3,
                                                            dice) + ["Mixed"]},
        "Domains": {"type": "mail_only", "members": some(["jane@acme.com", "Bob Roy/Acme", "partner.example",
                                                          "acme.net", "other.example"], 3, dice)},
        "Mixed": {"type": "multi_purpose", "members": some(["[192.0.2.5]", "[10.0.0.0/8]", "jane@acme.com",
                                                            "Bob Roy/Acme",
                                                           "x@other.example", "sub.partner.example",
                                                           ".partner.example", "People", "Hosts", "Domains"], 5,
                                                           dice)},
    }
    for group in made.values():
        dice.shuffle(group["members"])
    return made


def hosts(key, dice):
    pool = ADDRESS_ENTRIES + HOST_TAILS + HOST_GROUPS + (["*"] if key in EVERYONE_LISTS else [])
    return dice.sample(pool, dice.randint(1, 4))


def settings(dice):
    """As naive_controls.judge() takes them."""
    made = {"host_name": HOST_NAME, "domino_domain": DOMINO_DOMAIN, "people": PEOPLE, "groups": groups(dice),
            "global_domains": dice.choice(GLOBAL_DOMAINS + GLOBAL_DOMAINS[:1] * 3)}

    def sometimes(chance, key, draw):
        if dice.random() < chance:
            made[key] = draw()

    for key, chance in (("deny_connections_from", 0.2), ("allow_connections_from", 0.15), ("relay_allow_hosts", 0.4),
                        ("relay_deny_hosts", 0.3), ("relay_enforcement_exclude_hosts", 0.25),
                        ("private_whitelist_hosts", 0.4),
                        ("private_blacklist_hosts", 0.4)):
        sometimes(chance, key, lambda key=key: hosts(key, dice))
    sometimes(0.5, "relay_allow_destinations",
              lambda: [entry for entry in some(DESTINATIONS, 3, dice) if entry != "*"])
    sometimes(0.7, "relay_deny_destinations", lambda: some(DESTINATIONS, 3, dice))
    sometimes(0.3, "deny_senders", lambda: some(SENDER_ENTRIES, 3, dice))
    sometimes(0.3, "allow_senders", lambda: some(SENDER_ENTRIES, 5, dice))
    sometimes(0.3, "deny_recipients", lambda: some(RECIPIENT_ENTRIES, 3, dice))
    sometimes(0.3, "allow_recipients", lambda: some(RECIPIENT_ENTRIES, 6, dice))
    for key, chance in (("verify_connecting_host_name", 0.1), ("confirm_host_names", 0.7),
                        ("private_whitelist_filter", 0.5),
                        ("private_blacklist_filter", 0.5), ("dns_whitelist_filters", 0.5),
                        ("dns_blacklist_filters", 0.6),
                        ("verify_sender_domain", 0.3), ("verify_local_recipients", 0.6),
                        ("reject_ambiguous_recipients", 0.5),
                        ("deny_mail_to_groups", 0.5)):
        if dice.random() < 0.8:
            made[key] = dice.random() < chance
    sometimes(0.3, "relay_deny_takes_precedence", lambda: 1)
    sometimes(0.5, "relay_enforcement", lambda: dice.choice(["external_hosts", "all_hosts", "all_hosts", "none"]))
    sometimes(0.5, "relay_authenticated_users", lambda: dice.choice(["check", "allow_all"]))
    sometimes(0.4, "host_entry_matching", lambda: dice.choice(["character_tail", "whole_labels"]))
    for kind in ("private", "dns"):
        sometimes(0.7, f"{kind}_whitelist_action", lambda: dice.choice(["skip_silently", "log", "log_and_tag"]))
        sometimes(0.8, f"{kind}_blacklist_action",
                  lambda: dice.choice(["log", "log_and_tag", "log_and_reject", "log_and_reject"]))
    sometimes(0.5, "private_blacklist_reply", lambda: dice.choice(["", "Go away, %s", "No mail from you"]))
    sometimes(0.5, "dns_blacklist_reply", lambda: dice.choice(["", "%s is in %s", "See the site for %s", "Listed"]))
    sometimes(0.8, "dns_whitelist_sites", lambda: some(WHITE_ZONES, 2, dice))
    sometimes(0.8, "dns_blacklist_sites", lambda: some(BLACK_ZONES, 3, dice))
    sometimes(0.3, "dns_list_threshold", lambda: dice.randint(1, 6))
    sometimes(0.5, "dns_list_weight", lambda: some(WEIGHTS, 5, dice))
    return made


def session(dice):
    """As naive_controls.judge() takes it."""
    client = dice.choice(ADDRESSES) if dice.random() < 0.97 else "local"
    names = None if dice.random() < 0.1 else [(name, dice.random() < 0.6) for name in dice.sample(HOST_NAMES, dice.choice([0, 1, 1, 1, 2, 3]))]
    zones = {}
    for zone in WHITE_ZONES + BLACK_ZONES:
        zones[zone] = None if dice.random() < 0.1 else dice.sample(ANSWERS, dice.choice([0, 0, 1, 1, 2, 3]))
    return {
        "client": client,
        "client_text": client,
        "names": names,
        "zones": zones,
        "user": "jdoe" if dice.random() < 0.15 else None,
        "sender": dice.choice(SENDERS),
        "sender_domain": dice.choice(["exists", "exists", "exists", "missing", "silent"]),
        "recipient": dice.choice(dice.choices([LOCAL_RECIPIENTS, EXTERNAL_RECIPIENTS, ROUTED_RECIPIENTS,
                                               ["Postmaster"]], [10, 8, 5, 1])[0]),
        "directory": dice.choice(["person", "person", "person", "group", "ambiguous", "unknown", "silent"]),
    }


# ---- as the programs read them ----

def configuration_keys(made):
    return {key: value for key, value in made.items()
            if key not in ("host_name", "domino_domain", "people", "groups", "global_domains")}


def write(folder, made):
    """etc/ with these settings."""
    (folder / "directory").mkdir(parents=True, exist_ok=True)
    (folder / "matador.conf").write_text(keys({"server_name": "Hub1/Servers/Acme", "postmaster": "Jane Doe/Acme"},
                                              ""))
    server = {"domino_domain": made["domino_domain"], "internet_host_name": made["host_name"],
              "smtp_listener_task": "enabled"}
    (folder / "servers.conf").write_text(f'server "Hub1/Servers/Acme" {{\n{keys(server)}}}\n')
    (folder / "configurations.conf").write_text('configuration "*" {\n' + keys(configuration_keys(made)) + "}\n")
    (folder / "domains.conf").write_text("".join(
        f'global_domain "{number}" {{\n' + keys({"local_primary_internet_domain": document["primary"],
                                                 "internet_domain_aliases": document["aliases"]}) + "}\n"
        for number, document in enumerate(made["global_domains"])))
    directory = [f'person "{name}" {{\n' + keys({"internet_address": address, "mail_file": f"m{number}"}) + "}\n"
                 for number, (name, address) in enumerate(made["people"].items())]
    directory += [f'group "{name}" {{\n' + keys(group) + "}\n" for name, group in made["groups"].items()]
    (folder / "directory" / "all.conf").write_text("".join(directory))


def session_line(made, told):
    """As judge_sessions reads it; made are the settings."""
    fields = [("client", told["client"]), ("sender", told["sender"]), ("sender_domain", told["sender_domain"]),
              ("recipient", told["recipient"]), ("directory", told["directory"])]
    if told["user"]:
        fields.append(("user", told["user"]))
    if told["names"] is None:
        fields.append(("names_silent", ""))
    fields += [("name", f"{name},{int(is_confirmed)}") for name, is_confirmed in told["names"] or []]
    for zone in itertools.chain(made.get("dns_whitelist_sites", []), made.get("dns_blacklist_sites", [])):
        answers = told["zones"][zone]
        fields.append(("list", "silent" if answers is None else ",".join(answers)))
    return "session\t" + "\t".join(f"{key}={value}" for key, value in fields) + "\n"


def pairs(seed, count, sessions):
    """So many settings, each with so many sessions, the same for the same seed."""
    dice = random.Random(seed)
    for _ in range(count):
        yield settings(dice), [session(dice) for _ in range(sessions)]
