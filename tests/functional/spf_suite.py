"""
The cases of the RFC 7208 test suite, as Debian's python3-spf ships it, and the answers of its zones in the form of
common/ipc/dns.def. Nothing of the suite is copied: it is read when a test needs it.
"""

import gzip
import ipaddress
import pathlib
import re
import struct

SUITE = pathlib.Path("/usr/share/doc/python3-spf/rfc7208-tests.yml.gz")
KINDS = {1: "PTR", 2: "A", 3: "AAAA", 4: "MX", 5: "TXT"}  # enum dns_kind
FOUND, NO_NAME, NO_DATA, NO_ANSWER = range(4)  # enum dns_outcome


def string(octets):
    return struct.pack("<I", len(octets)) + octets + b"\0"


def octets(data):
    return struct.pack("<I", len(data)) + data


def load():
    """The scenarios: each has cases under "tests" and records under "zonedata"."""
    import yaml  # not everywhere: whoever lacks it has skipped the test by now
    with gzip.open(SUITE) as file:
        return [scenario for scenario in yaml.safe_load_all(file) if scenario]


def as_octets(text):
    """The suite writes octets above 127 as characters of the same number."""
    return text if isinstance(text, bytes) else str(text).encode("latin-1")


def unescape(name):
    return re.sub(rb"\\(\d{3})", lambda match: bytes([int(match.group(1))]), name)


def escape(name):
    return b"".join(bytes([octet]) if 33 <= octet <= 126 and octet not in b'\\"();@$' else b"\\%03d" % octet for octet in name)


class Zone:
    """Answers out of one scenario's zonedata, as resolver would."""

    def __init__(self, zonedata):
        self.names = {}
        for name, records in zonedata.items():
            self.names[as_octets(name).lower()] = self.records_of(records)

    @staticmethod
    def records_of(records):
        """As the suite's own notes say: an SPF record is a TXT record too, unless the name has one."""
        found, has_txt = [], any(isinstance(record, dict) and "TXT" in record for record in records)
        for record in records:
            if record in ("TIMEOUT", "SILENCE"):
                found.append((record, None))
                continue
            (kind, value), = record.items()
            if kind == "SPF" and not has_txt:
                kind = "TXT"
            if value != "NONE":
                found.append((kind, value))
        return found

    def lookup(self, name, kind, aliases=8):
        """The outcome and the values."""
        records = self.names.get(unescape(name).lower())
        if records is None:
            return NO_NAME, []
        values = [value for found, value in records if found == kind]
        if values:
            return FOUND, values
        if ("SILENCE", None) in records:
            return None, []
        if ("TIMEOUT", None) in records:
            return NO_ANSWER, []
        for found, value in records:
            if found == "CNAME":
                return self.lookup(as_octets(value).rstrip(b"."), kind, aliases - 1) if aliases else (NO_ANSWER, [])
        return NO_DATA, []

    def leads_back(self, name, address):
        _, values = self.lookup(name, "A" if address.version == 4 else "AAAA")
        return any(ipaddress.ip_address(value) == address for value in values)

    def pointers(self, text):
        address = ipaddress.ip_address(text.decode())
        outcome, values = self.lookup(address.reverse_pointer.encode(), "PTR")
        names = [as_octets(value).rstrip(b".") for value in values]
        return outcome, [string(escape(name)) + bytes([self.leads_back(name, address)]) for name in names]

    def answer(self, number, name):
        """The outcome (None: silence) and the packed records of a dns_question."""
        kind = KINDS[number]
        if kind == "PTR":
            return self.pointers(name)
        outcome, values = self.lookup(name, kind)
        if kind in ("A", "AAAA"):
            return outcome, [octets(ipaddress.ip_address(value).packed) for value in values]
        if kind == "MX":
            return outcome, [struct.pack("<H", preference) + string(escape(as_octets(host).rstrip(b".")))
                             for preference, host in values]
        return outcome, [octets(b"".join(map(as_octets, value)) if isinstance(value, list) else as_octets(value))
                         for value in values]


VERDICTS = ("none", "neutral", "pass", "fail", "softfail", "temperror", "permerror")  # enum spf_verdict


def is_right(case, verdict, text):
    """Whether a verdict and its text are what a case expects."""
    expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
    if verdict not in expected:
        return False
    explanation = case.get("explanation")
    return explanation is None or verdict != "fail" or text == ("" if explanation == "DEFAULT" else explanation)
