"""
A second evaluator of the inbound controls, deliberately naive: lists are walked, nothing is prepared, nothing is remembered.

It was written from docs/reference/domino-semantics.md alone, never from the engine: sections 7 (in full) and 3.2, and the
choices of section 13, points 8 to 18 and 22. judge() takes settings (a dict of keys as in configurations.conf; what is
missing has its default) and a session, and says what becomes of it.

    settings   key: value (True and False for switches), besides
               "host_name", "domino_domain"   of the Server document
               "global_domains"   [{"primary": domain, "aliases": [...]}]
               "groups"           {name: {"type": ..., "members": [...]}}
               "people"           {name: internet address}
    session    "client": an address, or "local" for a user of this host
               "names": [(name, whether it leads back)], or None when the DNS is silent
               "zones": {zone: its answers inside 127.0.0.0/8, or None when it is silent}
               "user": who authenticated, or None
               "sender", "recipient": addresses as the client wrote them, without the angle brackets
               "sender_domain": "exists", "missing" or "silent"
               "directory": "person", "group", "ambiguous", "unknown" or "silent"
"""

import collections
import ipaddress
import re

# What differs from "" and disabled; of choices the default comes first.
DEFAULTS = {
    "relay_deny_destinations": ["*"],
    "relay_deny_takes_precedence": 0,
    "relay_enforcement": "external_hosts",
    "relay_authenticated_users": "allow_all",
    "confirm_host_names": True,
    "host_entry_matching": "character_tail",
    "private_whitelist_action": "skip_silently",
    "private_blacklist_action": "log",
    "dns_whitelist_action": "skip_silently",
    "dns_blacklist_action": "log",
    "private_blacklist_reply": "",
    "dns_blacklist_reply": "Your host %s was found in the DNS blacklist at %s",
    "dns_list_threshold": 0,
    "verify_local_recipients": True,
}
LISTS = ("relay_allow_destinations", "relay_deny_destinations", "relay_allow_hosts", "relay_deny_hosts",
         "relay_enforcement_exclude_hosts", "private_whitelist_hosts", "private_blacklist_hosts",
         "dns_whitelist_sites",
         "dns_blacklist_sites", "dns_list_weight", "allow_connections_from", "deny_connections_from", "allow_senders",
         "deny_senders", "allow_recipients", "deny_recipients")

# 7.12
CONNECTION_REFUSED = "554 Connection refused for policy reasons."
SENDER_REJECTED = "554 Mail from {} rejected for policy reasons."
SENDER_DOMAIN_UNKNOWN = "451 {}... The sender's domain cannot be looked up now, try again later"
RELAY_REJECTED = "554 Relay rejected for policy reasons."
RECIPIENT_REJECTED = "554 Recipient {} rejected for policy reasons."
NO_SUCH_USER = "550 {}... No such user"
USER_AMBIGUOUS = "550 {}... User ambiguous"
DIRECTORY_AWAY = "451 {}... Recipient cannot be looked up now, try again later"
BLACKLISTED = "554 {}"
NO_TEXT = "Connection denied based on policy reason."

# stage, control (a word of order.def) and reply are None when the session is accepted. hits: (control, site, "nothing", "log" or
# "tag") of each filter that has the client; asked: what had to be known.
Outcome = collections.namedtuple("Outcome", "stage control reply hits asked")


class Refused(Exception):
    def __init__(self, stage, control, reply):
        super().__init__(reply)
        self.told = (stage, control, reply)


class Judge:
    def __init__(self, settings, session):
        self.settings = settings
        self.session = session
        self.hits = []
        self.asked = set()
        self.is_exempt = False

    def setting(self, key):
        return self.settings.get(key, DEFAULTS.get(key, [] if key in LISTS else False))

    def judge(self):
        try:
            if self.session["client"] == "local":
                self.is_exempt = True
            else:
                self.judge_client()
            self.judge_sender()
            self.judge_recipient()
        except Refused as refused:
            return Outcome(*refused.told, self.hits, self.asked)
        return Outcome(None, None, None, self.hits, self.asked)

    # ---- 7.1: lists ----

    def members(self, group, kind, seen):
        """What a group, and the groups in it, stand for in a list of that kind."""
        document = self.settings["groups"].get(group)
        if document is None or group in seen or document.get("type", "multi_purpose") not in ("mail_only", "multi_purpose"):
            return []
        seen.add(group)
        found = []
        for member in document["members"]:
            if kind == "hosts" and (member.startswith("[") or ("." in member and "@" not in member and "/" not in member)):
                found.append(member)
            elif kind == "destinations" and "." in member and not re.search(r"[@\[/]", member):
                found.append(member)
            elif kind in ("senders", "recipients") and "@" in member:
                found.append(member)
            elif kind == "senders" and "." in member and not re.search(r"[\[/]", member):
                found.append(member)
            elif kind in ("senders", "recipients") and member in self.settings["people"]:
                found.append(self.settings["people"][member])
            elif member in self.settings["groups"]:
                found += self.members(member, kind, seen)
        return found

    def entries(self, key, kind):
        """The entries of a list in lower case, groups replaced by their members."""
        found = []
        for entry in self.setting(key):
            if re.search(r"[.@%*\[]", entry):
                found.append(entry.lower())
            else:
                found += [member.lower() for member in self.members(entry, kind, set())]
        return found

    def client(self):
        address = ipaddress.ip_address(self.session["client"])
        return getattr(address, "ipv4_mapped", None) or address

    def address_fits(self, entry):
        address, inside = self.client(), entry[1:-1]
        if "/" in inside:
            network = ipaddress.ip_network(inside)
            return address.version == network.version and address in network
        if ":" in inside:
            return address == ipaddress.ip_address(inside)
        if address.version == 6:
            return False
        for pattern, octet in zip(inside.split("."), str(address).split("."), strict=True):
            low, _, high = ("0-255" if pattern == "*" else pattern).partition("-")
            if not int(low) <= int(octet) <= int(high or low):
                return False
        return True

    def name_fits(self, entry, name):
        name = name.lower()
        if not entry.startswith(".") and self.setting("host_entry_matching") == "whole_labels":
            return name == entry or name.endswith("." + entry)
        return name.endswith(entry)

    def names(self, only_confirmed):
        self.asked.add("host names")
        return [name for name, is_confirmed in self.session["names"] or [] if is_confirmed or not only_confirmed]

    def client_is_on(self, key, exempts, but_not_on=None):
        """
        Whether a list has the client. What allows or exempts looks at names that lead back to the address only (section 5 and
        13.12), what denies at all. Entries that stand on the other list too do not count.
        """
        only_confirmed = exempts and self.setting("confirm_host_names")
        ignored = self.entries(but_not_on, "hosts") if but_not_on else []
        for entry in self.entries(key, "hosts"):
            if entry in ignored:
                continue
            if entry == "*" or (entry.startswith("[") and self.address_fits(entry)):
                return True
            if not entry.startswith("[") and any(self.name_fits(entry, name) for name in self.names(only_confirmed)):
                return True
        return False

    # ---- 3.2 ----

    def is_local(self, domain):
        domain = domain.lower()
        documents = self.settings["global_domains"]
        for document in documents:
            if domain == document["primary"]:
                return True
        for document in documents:
            for alias in document["aliases"]:
                if domain == alias or (alias.startswith("*.") and domain.endswith(alias[1:]) and domain != alias[1:]):
                    return True
        if documents:
            return False
        own = self.settings["host_name"]
        parent = own.partition(".")[2]
        if "." not in parent:
            parent = own
        return domain in (own, parent) or domain.partition(".")[2] == parent

    # ---- stage 1: connection controls, 7.8 ----

    def judge_client(self):
        if self.setting("deny_connections_from") and self.client_is_on("deny_connections_from", exempts=False):
            raise Refused("CLIENT", "deny connections", CONNECTION_REFUSED)
        if self.setting("allow_connections_from") and not self.client_is_on("allow_connections_from", exempts=True):
            raise Refused("CLIENT", "allow connections", CONNECTION_REFUSED)
        if self.setting("verify_connecting_host_name") and not self.names(only_confirmed=False):
            raise Refused("CLIENT", "verify host name", CONNECTION_REFUSED)
        self.is_exempt = not self.is_subject()
        if not self.is_exempt:
            self.filter()

    # ---- stage 2: relay enforcement, 7.3 ----

    def is_internal(self):
        """Its name, or the domain that its name is in, is a local Internet domain."""
        return any(self.is_local(name) or self.is_local(name.partition(".")[2])
                   for name in self.names(self.setting("confirm_host_names")))

    def is_subject(self):
        scope = self.setting("relay_enforcement")
        if scope == "none":
            return False
        if self.session["user"] and self.setting("relay_authenticated_users") == "allow_all":
            return False
        if scope == "external_hosts" and self.is_internal():
            return False
        return not self.client_is_on("relay_enforcement_exclude_hosts", exempts=True)

    # ---- stage 3: filters, 7.4 to 7.7; the first that hits ends the chain ----

    def filter(self):
        actions = {"skip_silently": "nothing", "log": "log", "log_and_tag": "tag", "log_and_reject": "log"}

        def hit(control, prefix, site):
            self.hits.append((control, site, actions[self.setting(f"{prefix}_action")]))

        if self.setting("private_whitelist_filter") and self.client_is_on("private_whitelist_hosts", exempts=True):
            return hit("private whitelist", "private_whitelist", "PrivateWhitelist")
        if self.setting("private_blacklist_filter") and self.client_is_on("private_blacklist_hosts", exempts=False):
            hit("private blacklist", "private_blacklist", "PrivateBlacklist")
            return self.refuse_listed("private blacklist", "private_blacklist", [self.session["client_text"]])
        threshold = self.setting("dns_list_threshold")
        if self.setting("dns_whitelist_filters") and threshold == 0:
            for zone in self.setting("dns_whitelist_sites"):
                if self.answers(zone):
                    return hit("DNS whitelist", "dns_whitelist", zone)
        if self.setting("dns_blacklist_filters"):
            zone = self.first_listing() if threshold == 0 else self.weighed_listing(threshold)
            if zone:
                hit("DNS blacklist", "dns_blacklist", zone)
                self.refuse_listed("DNS blacklist", "dns_blacklist", [self.session["client_text"], zone])
        return None

    def answers(self, zone):
        """A silent zone does not list the client (13.22)."""
        self.asked.add("DNS lists")
        return self.session["zones"].get(zone) or []

    def first_listing(self):
        for zone in self.setting("dns_blacklist_sites"):
            if self.answers(zone):
                return zone
        return None

    def weight(self, zone, default):
        """dns_list_weight: the first entry that matches an answer counts, of several answers the heaviest."""
        entries = [re.fullmatch(r"([^=*]+)(?:=([^*]+))?\*(-?\d+)",
                                entry).groups() for entry in self.setting("dns_list_weight")]
        if not any(named == zone for named, _, _ in entries):
            return default
        weights = []
        for answer in self.answers(zone):
            for named, pattern, weight in entries:
                if named == zone and (pattern is None or answer_fits(pattern, answer)):
                    weights.append(int(weight))
                    break
        return max(weights, default=0)

    def weighed_listing(self, threshold):
        """The first blacklist that speaks against the client, when all lists together do so heavily enough."""
        total, accuser = 0, None
        for zone in self.setting("dns_whitelist_sites") if self.setting("dns_whitelist_filters") else []:
            if self.answers(zone):
                total += self.weight(zone, -1)
        for zone in self.setting("dns_blacklist_sites"):
            if self.answers(zone):
                weight = self.weight(zone, 1)
                total += weight
                accuser = accuser or (zone if weight > 0 else None)
        return accuser if total >= threshold else None

    def refuse_listed(self, control, prefix, arguments):
        if self.setting(f"{prefix}_action") != "log_and_reject":
            return
        text = self.setting(f"{prefix}_reply") or NO_TEXT
        for argument in arguments:
            text = text.replace("%s", argument, 1)
        raise Refused("CLIENT", control, BLACKLISTED.format(text))

    # ---- stage 5: sender controls, 7.9 ----

    def judge_sender(self):
        sender = canonical(self.session["sender"])
        if sender == "":
            return
        domain = sender.rpartition("@")[2]
        if self.setting("verify_sender_domain") and self.session["client"] != "local" and not domain.startswith("["):
            self.asked.add("sender domain")
            if self.session["sender_domain"] == "silent":
                raise Refused("MAIL", "verify sender", SENDER_DOMAIN_UNKNOWN.format(sender))
            if self.session["sender_domain"] == "missing":
                raise Refused("MAIL", "verify sender", SENDER_REJECTED.format(sender))
        if self.sender_is_on("deny_senders", sender, domain):
            raise Refused("MAIL", "deny senders", SENDER_REJECTED.format(sender))
        if self.setting("allow_senders") and not self.is_local(domain) and not self.sender_is_on("allow_senders", sender, domain):
            raise Refused("MAIL", "allow senders", SENDER_REJECTED.format(sender))

    def sender_is_on(self, key, sender, domain):
        for entry in self.entries(key, "senders"):
            if entry.startswith("@"):
                fits = domain == entry[1:]
            elif "@" in entry:
                fits = sender.lower() == entry
            elif entry.startswith("."):
                fits = domain.endswith(entry)
            else:
                fits = domain == entry or domain.endswith("." + entry)
            if fits:
                return True
        return False

    # ---- stages 6 and 7: recipients, 7.2 and 7.9 ----

    def judge_recipient(self):
        recipient = canonical(self.session["recipient"])
        if recipient.lower() == "postmaster":
            return  # 13.2
        destination = self.destination(recipient)
        if destination is not None:
            if not self.is_exempt and not self.may_relay(destination):
                raise Refused("RCPT", "relay", RELAY_REJECTED)
        else:
            self.judge_by_lists(recipient)
        # We send user%DominoDomain on (3.3): any other routed address must be somebody's name here.
        if self.is_local(recipient.rpartition("@")[2]) and not self.is_for_other_domino_domain(recipient):
            self.verify_recipient(recipient)

    def is_for_other_domino_domain(self, recipient):
        user, _, domain = without_quotes(recipient.rpartition("@")[0]).rpartition("%")
        return bool(user) and re.fullmatch(r"[^.@/ ]+", domain) is not None and domain.lower() != self.settings["domino_domain"].lower()

    def judge_by_lists(self, recipient):
        if recipient.lower() in self.entries("deny_recipients", "recipients"):
            raise Refused("RCPT", "deny recipients", RECIPIENT_REJECTED.format(recipient))
        if self.setting("allow_recipients") and recipient.lower() not in self.entries("allow_recipients", "recipients"):
            raise Refused("RCPT", "allow recipients", RECIPIENT_REJECTED.format(recipient))

    def verify_recipient(self, recipient):
        if not self.setting("verify_local_recipients") or recipient.partition("@")[0].lower() in ("postmaster", "abuse", "root"):
            return
        self.asked.add("directory")
        found = self.session["directory"]
        if found == "silent":
            raise Refused("RCPT", "verify recipient", DIRECTORY_AWAY.format(recipient))
        if found == "unknown":
            raise Refused("RCPT", "verify recipient", NO_SUCH_USER.format(recipient))
        if found == "ambiguous" and self.setting("reject_ambiguous_recipients"):
            raise Refused("RCPT", "verify recipient", USER_AMBIGUOUS.format(recipient))
        if found == "group" and self.setting("deny_mail_to_groups"):
            raise Refused("RCPT", "verify recipient", RECIPIENT_REJECTED.format(recipient))

    def destination(self, address):
        """
        Where the mail would go in the end when it leaves the local Internet domains: a domain, or % and a Domino domain; None
        when it stays. Routed addresses are unwrapped for as long as we would be the ones to route them; a separator with nothing
        beside it leads nowhere.
        """
        local_part, _, domain = address.rpartition("@")
        if not self.is_local(domain):
            return domain
        rest = without_quotes(local_part)
        while re.search("[@!%]", rest):
            if "@" in rest:
                rest, _, host = rest.rpartition("@")
            elif "!" in rest:
                host, _, rest = rest.partition("!")
            else:
                rest, _, host = rest.rpartition("%")
            if host and not self.is_local(host) and host.lower() != self.settings["domino_domain"].lower():
                return host.lower() if re.search(r"[.\[]", host) else f"%{host}".lower()
        return None

    def destination_fits(self, entry, destination):
        if entry == "*":
            return True
        if entry.startswith("%") or destination.startswith("%"):
            return entry == destination
        if entry.startswith("@"):
            return destination == entry[1:]
        return self.name_fits(entry, destination)

    def may_relay(self, destination):
        """The algorithm of 7.2, line by line."""
        denied = self.entries("relay_deny_destinations", "destinations")
        allowed = [entry for entry in self.entries("relay_allow_destinations", "destinations") if entry not in denied]
        ad = any(self.destination_fits(entry, destination) for entry in allowed)
        dd = any(self.destination_fits(entry, destination) for entry in denied)
        as_ = self.client_is_on("relay_allow_hosts", exempts=True, but_not_on="relay_deny_hosts")
        ds = self.client_is_on("relay_deny_hosts", exempts=False)
        if self.setting("relay_deny_takes_precedence") and (dd or ds):
            return False
        if ad or as_:
            return True
        if dd or ds:
            return False
        return not self.setting("relay_allow_destinations") and not self.setting("relay_allow_hosts")


def answer_fits(pattern, answer):
    for wanted, octet in zip(pattern.split("."), answer.split("."), strict=True):
        low, _, high = wanted.partition("-")
        if not int(low) <= int(octet) <= int(high or low):
            return False
    return True


def without_quotes(local_part):
    if local_part.startswith('"') and local_part.endswith('"'):
        return re.sub(r"\\(.)", r"\1", local_part[1:-1])
    return local_part


def canonical(address):
    """Without a source route, quotes only where they are needed, the domain in lower case."""
    if address.startswith("@"):
        address = address.partition(":")[2]
    local_part, at, domain = address.rpartition("@")
    if not at:
        return address
    plain = without_quotes(local_part)
    if not re.fullmatch(r"[^\s()<>@,;:\\\".\[\]]+(\.[^\s()<>@,;:\\\".\[\]]+)*", plain):
        plain = '"' + re.sub(r'(["\\])', r"\\\1", plain) + '"'
    return f"{plain}@{domain.lower()}"


def judge(settings, session):
    return Judge(settings, session).judge()
