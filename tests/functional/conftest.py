"""Fixtures: instances as root with full separation and as a plain user; receivers on loopback ports."""

import fcntl
import os
import pwd
import subprocess

import pytest

import matador
import name_servers
import receivers

PLAIN_USER = "nobody"


def modes():
    """As root both ways are tested; a plain user can only be itself."""
    return ["root", "user"] if os.getuid() == 0 else ["user"]


def make_instance(mode):
    if mode == "root" or os.getuid() != 0:
        return matador.Instance()
    return matador.Instance(as_user=PLAIN_USER)


@pytest.fixture(params=modes())
def instance(request):
    """A private instance, not started, in each mode in turn."""
    made = make_instance(request.param)
    yield made
    made.close()


@pytest.fixture
def one_instance():
    """A private instance, not started, in the mode with the most separation: for tests that need not run twice."""
    made = make_instance(modes()[0])
    yield made
    made.close()


@pytest.fixture
def service(instance):
    return instance.start()


@pytest.fixture
def zones():
    """A real name server, not started, without any domain."""
    made = name_servers.ZoneServer()
    yield made
    made.close()


@pytest.fixture
def faulty():
    """A scripted name server, running, that knows no name."""
    made = name_servers.FaultyNameServer()
    yield made
    made.close()


@pytest.fixture
def hosts():
    """Loopback addresses for receivers, all on one port, of this test alone."""
    made = name_servers.LoopbackHosts()
    yield made
    made.close()


@pytest.fixture
def sink():
    """A scripted SMTP receiver that accepts everything unless told otherwise."""
    made = receivers.Receiver()
    yield made
    made.close()


@pytest.fixture
def lmtp_sink():
    made = receivers.Receiver(lmtp=True)
    yield made
    made.close()
