"""docs/reference/hostile-inputs.md, part H: using us up. The numbers are its rows."""

import contextlib
import os
import pathlib
import re
import resource
import socket
import subprocess
import threading
import time

import pytest

import receivers
from matador import ROLES, Dialogue, PATIENCE, SANITIZED, children_of, program_of, fresh_session_works, no_worker_died, wait_for


def finish(service):
    fresh_session_works(service)
    no_worker_died(service)


def memory_by_process(service):
    """Proportional set size of each process, in KiB."""
    if os.getuid() != 0:
        pytest.skip("only root can look into processes that forbid tracing")
    if SANITIZED:
        pytest.skip("the sanitizers' memory says nothing about ours")
    found = {}
    for pid in [service.master, *children_of(service.master)]:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            found[pid] = int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1))
    return found


def memory_kib(service):
    """Proportional set size of the whole service."""
    return sum(memory_by_process(service).values())


def descriptors(service):
    """Of all workers together."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in children_of(service.master))


@pytest.fixture(autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))


def test_row_95_honest_clients_are_served_beside_two_hundred_bad_ones(one_instance):
    one_instance.configuration["session_idle_timeout"] = "5s"
    service = one_instance.start()
    bad = []
    for i in range(200):
        client = socket.create_connection(("127.0.0.1", service.port))
        if i % 4 == 1:
            client.sendall(b"EHLO drip")
        elif i % 4 == 2:
            client.sendall(b"EHLO a.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bob@acme.com>\r\nDATA\r\nSubject: slow\r\n")
        elif i % 4 == 3:
            client.sendall(b"\r\n" * 3)
        bad.append(client)
    for _ in range(5):
        fresh_session_works(service)
    stop = time.monotonic() + 7 * PATIENCE
    while time.monotonic() < stop:     # drip on: an idle limit alone would never end these
        for client in bad[1::4]:
            try:
                client.sendall(b"x")
            except OSError:
                pass
        time.sleep(0.5)
    assert Dialogue.closed.__get__(_Raw(bad[0]))(10)
    for client in bad:
        client.close()
    finish(service)


class _Raw:
    def __init__(self, connection):
        self.socket = connection


def test_row_96_a_peer_that_never_reads_makes_no_worker_grow(one_instance):
    service = one_instance.start()
    fresh_session_works(service)
    before = memory_kib(service)
    clients = []
    for _ in range(20):
        client = socket.create_connection(("127.0.0.1", service.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.settimeout(0.2)
        try:
            while True:
                client.send(b"NOOP\r\n" * 5000)
        except OSError:
            pass
        clients.append(client)
    assert memory_kib(service) - before < 20 * 256 + 4096
    for client in clients:
        client.close()
    finish(service)


def test_row_97_connections_of_one_address_stop_at_the_limit_and_recover(one_instance):
    one_instance.configuration["maximum_sessions_per_client"] = 20
    service = one_instance.start()
    clients = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(200)]
    time.sleep(1)
    greetings = []
    for client in clients:
        client.settimeout(5 * PATIENCE)
        greetings.append(client.recv(512)[:3])
    processes = max(1, len(service.workers("smtpd")))
    assert greetings.count(b"220") <= 20 * processes
    assert greetings.count(b"421") == 200 - greetings.count(b"220")
    for client in clients:
        client.close()
    time.sleep(0.5)
    finish(service)


def test_row_97_sessions_in_all_stop_at_the_limit(one_instance):
    one_instance.configuration.update({"maximum_sessions": 100, "maximum_sessions_per_client": 10000})
    service = one_instance.start()
    clients = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(300)]
    greetings = []
    for client in clients:
        client.settimeout(5 * PATIENCE)
        try:
            greetings.append(client.recv(512)[:3])
        except (TimeoutError, ConnectionError):
            greetings.append(b"")
    assert greetings.count(b"220") <= 100
    for client in clients:
        client.close()
    time.sleep(0.5)
    finish(service)


def test_row_98_connecting_and_closing_leaks_nothing(one_instance):
    service = one_instance.start()
    fresh_session_works(service)
    before, files = memory_kib(service), descriptors(service)
    stop = time.monotonic() + 5
    count = 0
    while time.monotonic() < stop:
        connection = socket.create_connection(("127.0.0.1", service.port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
        count += 1
    time.sleep(1)
    assert count > 1000
    assert descriptors(service) <= files + 4
    assert memory_kib(service) - before < 8192 * PATIENCE
    for pid in children_of(service.master):
        assert "(zombie)" not in open(f"/proc/{pid}/status").read()
    finish(service)


def test_row_99_with_the_sender_stopped_memory_stays_in_its_window(one_instance):
    """The issue's own figure: smtp stopped, 10,000 messages offered."""
    import signal
    sink = receivers.Receiver()
    one_instance.relay_to(sink.port)
    one_instance.configuration["maximum_messages_per_session"] = 100_000
    service = one_instance.start()
    fresh_session_works(service)
    idle = memory_by_process(service)
    stopped = service.workers("smtp")
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        result = receivers.smtp_source(service.port, 10_000, sessions=20)
        assert result.returncode == 0, result.stderr
        # What each states as its window, in KiB: active_memory_limit and 10,000 envelopes, content_memory_limit, and buffers.
        windows = {"qmgr": 64 * 1024 + 10_000 * 2, "smtpd": 32 * 1024}
        for pid, kib in memory_by_process(service).items():
            assert kib <= 2 * idle[pid] + windows.get(program_of(pid), 4096), (program_of(pid), idle[pid], kib)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    sink.wait(10_000, 120)
    service.wait_queue_empty(60)
    assert len(sink.messages) == 10_000
    sink.close()
    finish(service)


def test_row_100_a_dead_host_does_not_delay_a_live_one(one_instance, sink):
    one_instance.relay_to(1)     # nothing listens there
    one_instance.configuration["maximum_messages_per_session"] = 100_000
    service = one_instance.start()
    assert receivers.smtp_source(service.port, 2000, sessions=20).returncode == 0
    started = time.monotonic()
    service.send("jane.doe@acme.com")
    service.wait_mail("jdoe", seconds=5)
    assert time.monotonic() - started < 5 * PATIENCE
    finish(service)


def test_row_101_twenty_messages_of_twenty_megabytes_are_streamed(one_instance, sink):
    one_instance.relay_to(sink.port)
    service = one_instance.start()
    fresh_session_works(service)
    before = memory_kib(service)
    line = b"z" * 998 + b"\r\n"
    peak = [0]
    done = threading.Event()

    def watch():
        while not done.is_set():
            peak[0] = max(peak[0], memory_kib(service))
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    errors = []

    def send():
        try:
            with service.connect(120) as client:
                client.begin("x@elsewhere.example")
                client.command("DATA")
                client.raw(b"Subject: large\r\n\r\n")
                for _ in range(20):
                    client.raw(line * 1024)
                client.raw(b".\r\n")
                reply = client.reply()
                if not reply.startswith("250"):
                    errors.append(reply)
        except Exception as error:  # pylint: disable=broad-except
            errors.append(repr(error))

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert not errors, errors
        sink.wait(20, 180)
    finally:
        done.set()
        watcher.join()
    assert peak[0] - before < 100 * 1024, f"{before} KiB grew to {peak[0]} KiB"
    service.wait_queue_empty(60)
    finish(service)


def test_row_102_out_of_descriptors_nothing_spins_and_it_recovers(one_instance, tmp_path):
    one_instance.configuration.update({"maximum_sessions": 10000, "maximum_sessions_per_client": 10000})
    one_instance.wrap_program("smtpd", "ulimit -n 48", tmp_path)
    service = one_instance.start()
    clients = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(200)]

    def processor_ticks():
        return sum(sum(map(int, open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[11:13]))
                   for pid in service.workers("smtpd"))
    time.sleep(0.5)
    before = processor_ticks()
    time.sleep(2)
    assert processor_ticks() - before < 50
    for client in clients:
        client.close()
    time.sleep(1.5)
    finish(service)


@pytest.fixture(scope="module")
def fail_malloc(tmp_path_factory):
    library = tmp_path_factory.mktemp("preload") / "fail_malloc.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library,
                    pathlib.Path(__file__).with_name("preload_fail_malloc.c")], check=True)
    for path in [library.parent, *library.parent.parents]:
        if str(path).startswith("/tmp/"):
            path.chmod(0o755)
    return library


def session_works(service):
    with contextlib.suppress(AssertionError):
        fresh_session_works(service)
        return True
    return False


@pytest.mark.skipif(SANITIZED, reason="the sanitizers bring an allocator of their own")
@pytest.mark.parametrize("role", ROLES)
def test_row_103_a_failing_allocation_is_a_clean_exit_and_a_restart(one_instance, sink, fail_malloc, tmp_path, role):
    flag = one_instance.folder / "flag"
    one_instance.relay_to(sink.port)
    one_instance.wrap_program(role, f"export LD_PRELOAD={fail_malloc} FAIL_FLAG={flag} FAIL_AFTER=$(cat {flag} 2>/dev/null || echo 0)",
                              tmp_path)
    service = one_instance.start()
    for after in (50, 150, 300, 600, 1200):
        flag.write_text(str(after))
        os.kill(service.worker(role), 9)
        for _ in range(20):
            try:
                service.send(["jane.doe@acme.com", "x@elsewhere.example"])
            except Exception:  # pylint: disable=broad-except
                time.sleep(0.1)
        flag.unlink(missing_ok=True)
    # A process that is there is not ready yet: until qmgr is, clients read 451.
    wait_for(lambda: session_works(service), 40, f"a {role} that works", every=0.3)
    # A message whose program died several times waits longer than the others.
    wait_for(lambda: service.command("queue", "retry", "--all").returncode == 0, 20, "a queue manager to talk to")
    service.wait_queue_empty(40)
    # The kills above are signal 9; the failing allocation itself must be an exit, never a crash.
    statuses = re.findall(rf'worker-(?:died|failing) program={role} .*?status="(.*?)"', service.log())
    # What stood in a dying logger's channel is lost with it, lines about its own end too.
    assert len(statuses) >= (1 if role == "logger" else 5), statuses
    assert all(status.startswith(("signal 9 ", "exit")) for status in statuses), statuses


def test_row_104_mail_goes_on_when_the_log_cannot_be_written(one_instance):
    if os.getuid() != 0 or not os.path.exists("/dev/full"):
        pytest.skip("needs root and /dev/full")
    service = one_instance.start()
    for pid in service.workers("logger"):
        os.kill(pid, 19)
    try:
        for _ in range(50):
            service.send("jane.doe@acme.com")
        service.wait_mail("jdoe", 50)
    finally:
        for pid in service.workers("logger"):
            os.kill(pid, 18)
    finish(service)
