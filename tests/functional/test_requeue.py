"""Mail that is queued already follows the new documents after a reload, also where the old ones made it wait."""

import re
import time

import pytest

import receivers
from matador import PATIENCE, no_worker_died, wait_for


@pytest.fixture
def closed_port():
    """A port of a relay host that refuses connections for as long as the test wants."""
    made = receivers.Receiver()
    made.close()
    return made.port


def send(service, count, domain="elsewhere.example"):
    with service.smtp() as client:
        for number in range(count):
            client.sendmail("bob@acme.com", [f"x{number}@{domain}"], f"Subject: {number}\r\n\r\nHello.\r\n")


def wait_reasons(service, count):
    """Until so many messages wait and say why."""
    return wait_for(lambda: (lambda found: found if len(found) == count and all(m["recipients"][0]["reason"] for m in found)
                             else None)(service.queue()), 30, f"{count} deferred messages", every=0.2)


def destinations(service):
    """The next hops of the attempts, in the order of the log."""
    return re.findall(r" recipient-delivered .*? next_hop=(\S+)", service.log())


def test_mail_does_not_wait_for_the_back_off_of_the_old_relay_host(one_instance, sink, closed_port):
    """40 messages behind a host that is down for a quarter of an hour: some wait for it, most stand behind them."""
    one_instance.relay_to(closed_port)
    service = one_instance.start()
    send(service, 40)
    wait_reasons(service, 40)
    service.relay_to(sink.port)
    service.reload()
    sink.wait(40, 30)
    service.wait_queue_empty()
    assert set(destinations(service)) == {f"[127.0.0.1]:{sink.port}"}
    assert len(sink.messages) == 40
    no_worker_died(service)


def test_mail_parked_by_an_earlier_start_follows_the_documents_of_this_one(one_instance, sink, closed_port):
    one_instance.configuration.update({"initial_transfer_retry_interval": "6s", "retry_interval_cap": "6s"})
    one_instance.relay_to(closed_port)
    service = one_instance.start()
    send(service, 8)
    wait_reasons(service, 8)
    service.stop()
    service.relay_to(sink.port)
    service.start()
    sink.wait(8, 60)
    service.wait_queue_empty()
    assert set(destinations(service)) == {f"[127.0.0.1]:{sink.port}"}


def test_mail_in_the_queue_of_a_slow_host_goes_to_the_new_one(one_instance, sink):
    """What is in a session stays there; what only stood in line goes elsewhere at once."""
    slow = receivers.Receiver()
    slow.script["MAIL"] = lambda session, argument: time.sleep(20 * PATIENCE)
    one_instance.relay_to(slow.port)
    service = one_instance.start()
    send(service, 40)
    wait_for(lambda: slow.open_sessions > 0 and len(service.queue()) == 40, 20, "sessions with the slow host")
    service.relay_to(sink.port)
    service.reload()
    sink.wait(20, 15)
    assert slow.most_open <= 20 and not slow.messages
    slow.close()


def test_a_reload_that_changes_no_route_tries_nothing_early(one_instance, closed_port):
    one_instance.relay_to(closed_port)
    service = one_instance.start()
    send(service, 5)
    service.wait_log(" recipient-deferred ")
    before = {m["id"]: m["recipients"][0]["next_attempt"] for m in wait_reasons(service, 5)}
    deferred = service.log().count(" recipient-deferred ")
    service.reload()
    time.sleep(5)      # router is asked again after three
    wait_reasons(service, 5)
    assert service.log().count(" recipient-deferred ") == deferred
    assert {m["id"]: m["recipients"][0]["next_attempt"] for m in service.queue()} == before


def test_a_greylisted_message_keeps_its_own_back_off(one_instance, sink):
    sink.script["RCPT"] = lambda session, argument: "451 4.7.1 later"
    one_instance.relay_to(sink.port)
    service = one_instance.start()
    send(service, 1)
    wait_reasons(service, 1)
    other = receivers.Receiver()
    service.relay_to(other.port)
    service.reload()
    time.sleep(5)
    assert not other.messages
    service.command("queue", "retry", "--all", check=True)
    other.wait(1)
    service.wait_queue_empty()
    other.close()
