"""More mail than the server can take, for receivers that are slow: what is accepted flows, the rest reads 4xx, memory stays bounded."""

import collections
import pathlib
import re
import subprocess
import time

import pytest

import overload
import receivers
from matador import SANITIZED, fresh_session_works, no_worker_died, wait_for

FLUSH_MICROSECONDS = 150000
SESSIONS = 40
PROCESS_KIB_MAX = 96 * 1024


@pytest.fixture
def slow_sink():
    """A receiver that thinks about each message for a moment."""
    sink = receivers.Receiver()

    def think(session, argument):
        time.sleep(0.02)
        return None
    sink.script["dot"] = think
    yield sink
    sink.close()


@pytest.fixture
def narrow(one_instance, slow_sink):
    """A service with small limits over a disk whose flushes take long."""
    library = one_instance.folder / "slow_flush.so"
    source = pathlib.Path(__file__).parent.parent / "bench" / "slow_flush.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-D_GNU_SOURCE", f"-DFLUSH_MICROSECONDS={FLUSH_MICROSECONDS}L", "-o", library, source,
                    "-ldl"], check=True)
    one_instance.wrap_program("qmgr", f"export LD_PRELOAD={library}", one_instance.folder)
    one_instance.relay_to(slow_sink.port)
    one_instance.matador.update({"deposit_memory_limit": 1 << 20, "active_memory_limit": 1 << 20})
    one_instance.configuration.update({"maximum_sessions": SESSIONS, "maximum_sessions_per_destination": 3})
    return one_instance.start()


def most_kib(service):
    """The most memory that any process of the service ever had."""
    peaks = [re.search(r"^VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M) for pid in service.workers_all()]
    return max(int(peak.group(1)) for peak in peaks)


@pytest.mark.skipif(SANITIZED, reason="a preload does not go before a sanitizer's own library")
def capacity(service):
    """Messages a second that clients who wait for each other get rid of."""
    within = overload.Offer(service.port, size=100000, recipient="x@elsewhere.example", mark="within")
    began = time.monotonic()
    within.run_in_turns(10, 6)
    assert within.accepted, within.refused
    return len(within.accepted) / (time.monotonic() - began), within.accepted


def test_ten_times_what_can_be_taken_reads_4xx_and_what_was_accepted_arrives(narrow, slow_sink):
    rate, before = capacity(narrow)
    offer = overload.Offer(narrow.port, size=100000, recipient="x@elsewhere.example")
    offer.run(10 * SESSIONS, 0)
    offer.run(20 * SESSIONS, 10 * rate)
    refused = offer.refused
    assert sum(refused.values()) + len(offer.accepted) == offer.offered == 30 * SESSIONS
    assert offer.accepted and set(refused) <= {"421", "451", "452"}, refused
    assert refused["421"] and refused["451"] + refused["452"], refused

    def arrived():
        return collections.Counter(re.search(rb"^Message-ID: (\S+)", message.octets, re.M).group(1).decode() for message in slow_sink.messages)
    wait_for(lambda: len(slow_sink.messages) >= len(before | offer.accepted), 90, "all that was accepted", every=0.2)
    narrow.wait_queue_empty()
    accepted, found = before | offer.accepted, arrived()
    print(f"\naccepted {len(accepted)}, delivered {len(found)}, duplicated {found.total() - len(found)}, lost {len(accepted - found.keys())}")
    assert found == collections.Counter(accepted)
    assert most_kib(narrow) < PROCESS_KIB_MAX
    fresh_session_works(narrow)
    no_worker_died(narrow)
