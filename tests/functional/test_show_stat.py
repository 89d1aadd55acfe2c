"""`matador show stat`: the statistics of all processes together, in the layout of the Domino console."""

import os
import re

import pytest

from matador import Dialogue, wait_for


def hit(service):
    """A session of a client that the private blacklist has."""
    with Dialogue(service.port) as session:
        session.begin()
        assert session.command("QUIT").startswith("221")


def test_hits_of_all_processes_are_added_up(one_instance):
    one_instance.matador["smtpd_processes"] = 3
    one_instance.configuration.update({"relay_enforcement": "all_hosts", "private_blacklist_filter": "enabled",
                                       "private_blacklist_hosts": ["[127.0.0.0/8]"]})
    service = one_instance.start()
    for _ in range(12):
        hit(service)
    wait_for(lambda: service.log().count(" client-listed ") == 12, what="twelve hits")
    lines = service.command("show", "stat", "smtp", check=True).stdout.splitlines()
    assert "  SMTP.PrivateBL.TotalHits = 12" in lines and "  SMTP.DNSBL.TotalHits = 0" in lines
    assert all(re.fullmatch(r"  SMTP\.\S+ = \d+", line) for line in lines[:-1]), lines
    assert lines[:-1] == sorted(lines[:-1])
    assert lines[-1] == f"  {len(lines) - 1} statistics found"
    assert service.command("show", "stat", "SMTP", check=True).stdout.splitlines() == lines


def test_an_unknown_facility_and_wrong_arguments(one_instance):
    service = one_instance.start()
    result = service.command("show", "stat", "calendar")
    assert (result.returncode, result.stdout) == (64, "")
    assert result.stderr == "matador show stat: there is no facility calendar; known: smtp\n"
    assert service.command("show", "stat", "smtp", "mail").returncode == 64
    assert service.command("show", "stat", "--all").returncode == 64
    service.stop()
    assert service.command("show", "stat", "smtp").returncode == 69


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
def test_who_may_not_command_is_refused_and_told_no_statistics(one_instance):
    service = one_instance.start()
    result = service.command("show", "stat", "smtp", user="daemon")
    assert result.returncode == 77 and result.stdout == "", result
    assert result.stderr == "matador show stat: only root and the owner of the spool may control the service\n"
