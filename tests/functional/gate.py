"""
A service that is judged from outside: a Gate stands before one Instance, has clients on addresses of 127/8 whose names are in
a real name server, and DNS lists from a real rbldnsd. Settings change by reload, so one Gate serves many cases.
"""

import collections
import re

from matador import Dialogue, Instance, PATIENCE
from name_servers import LoopbackHosts, NameServerSwitch, RblServer, ZoneServer

ACCEPTED = "250 2.1.5 {}... Recipient OK"
CONNECTION_REFUSED = "554 5.7.1 Connection refused for policy reasons."
RELAY_REJECTED = "554 5.7.1 Relay rejected for policy reasons."
SENDER_REJECTED = "554 5.7.1 Mail from {} rejected for policy reasons."
RECIPIENT_REJECTED = "554 5.7.1 Recipient {} rejected for policy reasons."

JANE = "jane.doe@acme.com"
BOB = "bob@acme.com"
OUTSIDE = "someone@elsewhere.example"
SENDER = "sender@example.org"

# Clients: number of the host, by which others name it, and its name in the DNS.
NO_NAME = 2              # no PTR
PARTNER = 3              # mail.partner.example
LOOKALIKE = 4            # evilpartner.example
DEEP = 5                 # a.b.partner.example
INTERNAL = 6             # hub2.acme.com, in a local Internet domain; in bl.example
FORGED = 7               # says trusted.acme.com, which leads elsewhere
STRANGER = 8             # mx.elsewhere.example
SMTP_EFG = 9             # smtp.efg.com
RELAY_ABC = 10           # relay.abc.com
TWO_NAMES = 11           # first.example and second.example
SILENT = 12              # the DNS does not answer
LISTED = 20              # in bl.example
LISTED_TWICE = 21        # in bl.example (127.0.0.4) and sbl.example
WELCOME = 22             # in wl.example and bl.example
LISTED_LATER = 23        # in sbl.example only
PARKED = 24              # in parked.example, which answers 192.0.2.80

ZONES = ("bl.example", "sbl.example", "wl.example", "parked.example")


class Gate:
    def __init__(self, addresses=("127.0.0.1", "[::1]")):
        self.hosts = LoopbackHosts()
        self.zones = ZoneServer()
        self.lists = RblServer()
        self.dns = NameServerSwitch({"": self.zones, **{zone: self.lists for zone in ZONES}})
        self.instance = Instance()
        self.instance.matador.update({"nameservers": [f"{self.dns.address}@{self.dns.port}"], "dns_timeout": "2s",
                                      "listen_addresses": list(addresses)})
        # What is relayed stays here: there is nobody to take it.
        self.instance.configuration.update({"smtp_outside_local_internet_domain": "disabled", "smtp_error_limit": 0})
        self.base = dict(self.instance.configuration)
        self.pointers = collections.defaultdict(list)
        self.fill()

    def fill(self):
        for number, name in ((PARTNER, "mail.partner.example"), (LOOKALIKE, "evilpartner.example"),
                             (DEEP, "a.b.partner.example"),
                             (INTERNAL, "hub2.acme.com"), (STRANGER, "mx.elsewhere.example"),
                             (SMTP_EFG, "smtp.efg.com"),
                             (RELAY_ABC, "relay.abc.com"), (TWO_NAMES, "first.example"),
                             (TWO_NAMES, "second.example")):
            self.named(number, name)
        self.pointers[FORGED].append("trusted.acme.com")
        self.zones.domain("trusted.acme.com", f"@ A {self.address(99)}")
        self.dns.fault(self.reverse_name(SILENT), lambda server, query, transport: None)
        self.lists.entries("bl.example", self.address(LISTED), f"{self.address(LISTED_TWICE)} :127.0.0.4:",
                           self.address(WELCOME),
                           self.address(INTERNAL), "::1 :127.0.0.6:")
        self.lists.entries("sbl.example", f"{self.address(LISTED_TWICE)} :127.0.0.9:", self.address(LISTED_LATER))
        self.lists.entries("wl.example", self.address(WELCOME))
        self.lists.entries("parked.example", f"{self.address(PARKED)} :192.0.2.80:")

    def named(self, number, name):
        """Gives a client a name that leads back to it."""
        self.pointers[number].append(name)
        self.zones.domain(name, f"@ A {self.address(number)}")

    def address(self, number):
        return self.hosts.host(number)

    def reverse_name(self, number):
        return ".".join(reversed(self.address(number).split("."))) + ".in-addr.arpa"

    def entry(self, number):
        """The client as an entry of a list of hosts."""
        return f"[{self.address(number)}]"

    def start(self):
        network = ".".join(reversed(self.hosts.network.split(".")))
        self.zones.domain(f"{network}.in-addr.arpa", *(f"{number} PTR {name}." for number,
                                                       names in self.pointers.items()
                                                       for name in names))
        self.zones.start()
        self.lists.start()
        self.instance.start()
        return self

    def close(self):
        self.instance.close()
        for made in (self.dns, self.lists, self.zones, self.hosts):
            made.close()

    # ---- settings ----

    def apply(self, **configuration):
        """Puts these settings, and otherwise those of the beginning, in force for new sessions."""
        self.instance.configuration = {**self.base, **configuration}
        self.instance.reload()
        return self

    def check(self, **configuration):
        """What `matador check` says of them: its exit status and its lines."""
        before, self.instance.configuration = self.instance.configuration, {**self.base, **configuration}
        self.instance.write_configuration()
        result = self.instance.command("check")
        self.instance.configuration = before
        self.instance.write_configuration()
        return result.returncode, (result.stdout + result.stderr).splitlines()

    def statistic(self, name):
        """A statistic of `matador status`, all smtpd processes together."""
        status = self.instance.command("status", check=True).stdout
        return sum(int(number) for number in re.findall(rf"\s{re.escape(name)}=(\d+)\b", status))

    # ---- sessions ----

    def session(self, client=STRANGER, hello="EHLO client.example", timeout=30):
        """A session of that client (a number, or an address) after EHLO."""
        source = client if isinstance(client, str) else self.address(client)
        made = Dialogue(self.instance.port, timeout * PATIENCE, "::1" if ":" in source else "127.0.0.1",
                        source=source)
        assert made.greeting.startswith("220 "), made.greeting
        assert made.command(hello).startswith("250"), "EHLO"
        return made

    def mail(self, client=STRANGER, sender=SENDER):
        """The reply to MAIL."""
        with self.session(client) as session:
            return session.command(f"MAIL FROM:<{sender}>")

    def recipient(self, recipient=JANE, client=STRANGER, sender=SENDER):
        """The reply to RCPT, MAIL being accepted."""
        with self.session(client) as session:
            reply = session.command(f"MAIL FROM:<{sender}>")
            assert reply.startswith("250 2.1.0"), reply
            return session.command(f"RCPT TO:<{recipient}>")

    def relays(self, client=STRANGER, recipient=OUTSIDE):
        reply = self.recipient(recipient, client)
        assert reply in (RELAY_REJECTED, ACCEPTED.format(recipient.rpartition(":")[2])), reply
        return reply != RELAY_REJECTED

    def refuses(self, client):
        """Whether the connection controls refuse a client, at each MAIL and nowhere else."""
        with self.session(client) as session:
            replies = {session.command(f"MAIL FROM:<{SENDER}>") for _ in range(2)}
            if replies != {CONNECTION_REFUSED}:
                assert sorted(reply[:4] for reply in replies) == ["250 ", "503 "], replies
                assert session.command(f"RCPT TO:<{JANE}>") == ACCEPTED.format(JANE)
            assert session.command("NOOP").startswith("250") and session.command("QUIT").startswith("221")
            return replies == {CONNECTION_REFUSED}

    def deliver(self, client=STRANGER, mail_file="jdoe", recipient=JANE, headers=""):
        """Sends a message and returns it as it was delivered."""
        before = self.instance.mail(mail_file)
        with self.session(client) as session:
            assert session.command(f"MAIL FROM:<{SENDER}>").startswith("250")
            assert session.command(f"RCPT TO:<{recipient}>").startswith("250")
            assert session.data(f"{headers}Subject: x\r\n\r\nx\r\n.\r\n".encode()).startswith("250")
        after = self.instance.wait_mail(mail_file, len(before) + 1)
        return next(message for message in after if message not in before).decode()
