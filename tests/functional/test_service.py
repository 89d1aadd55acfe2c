"""The service: start, stop, reload, restarts of workers, and everything that must survive them (part N, rows 148 to 158)."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
from concurrent import futures

import pytest

import receivers
from matador import (MATADOR, PATIENCE, PROGRAMS, ROLES, SANITIZED, Dialogue, children_of, fresh_session_works, no_worker_died,
                     program_of, running, wait_for)
from test_kill import TORTURE, KillLoad, account, delivered, drain


def test_every_mistake_in_etc_is_told_in_one_run_with_file_line_and_remedy(instance):
    instance.server["smtp_inbound"]["tcp_port"] = 70000
    instance.configuration["relay_enforcement"] = "sometimes"
    instance.configuration["relay_hots"] = "typo"
    instance.write_configuration()
    for command in ("check", "start"):
        result = instance.command(command)
        assert result.returncode == 78, result
        for pattern in (r"servers\.conf:\d+: .*tcp_port.*70000", r"configurations\.conf:\d+: .*relay_enforcement.*sometimes",
                        r"configurations\.conf:\d+: .*relay_hots"):
            assert re.search(pattern, result.stderr), (pattern, result.stderr)
        assert "external_hosts" in result.stderr    # what is allowed


def test_config_tells_each_value_its_default_and_its_place(instance):
    instance.configuration["smtp_error_limit"] = 7
    instance.write_configuration()
    text = instance.command("config", "smtp_error_limit", check=True).stdout
    assert "7" in text and "20" in text and "configurations.conf:" in text
    assert len(instance.command("config", check=True).stdout.splitlines()) > 100


def test_row_148_a_second_instance_is_refused(service):
    result = service.command("start")
    assert result.returncode != 0 and "in use by another master" in result.stderr and str(service.master) in result.stderr, result
    fresh_session_works(service)


def test_start_as_root_without_setup_names_the_command(one_instance):
    if os.getuid() != 0 or one_instance.as_user:
        pytest.skip("needs root")
    one_instance.write_configuration()
    result = one_instance.command("start")
    assert result.returncode != 0 and re.search(r"run: matador -c \S+ setup", result.stderr)


def test_stop_is_bounded_and_leaves_nothing(service):
    pids = [service.master, *service.workers_all()]
    started = time.monotonic()
    assert service.stop().returncode == 0
    assert not [pid for pid in pids if running(pid)]
    assert time.monotonic() - started < 35 * PATIENCE
    assert not (service.folder / "run" / "control").exists()
    assert service.command("status").returncode == 69


def test_stop_waits_for_a_message_in_data(service):
    with service.connect() as client:
        client.begin("jane.doe@acme.com")
        client.command("DATA")
        stopping = threading.Thread(target=service.command, args=("stop",))
        stopping.start()
        time.sleep(1)
        client.raw(b"Subject: last\r\n\r\nx\r\n.\r\n")
        assert client.reply().startswith("250")
        stopping.join()
    service.master = None
    if not service.mail("jdoe"):
        service.start(write=False)
        service.wait_mail("jdoe")


def test_status_shows_every_worker_queue_and_port(service):
    text = service.command("status", check=True).stdout
    for role in ROLES:
        assert role in text
    assert f"127.0.0.1:{service.port}" in text
    rows = [json.loads(line) for line in service.command("status", "--json", check=True).stdout.splitlines()]
    workers = [row for row in rows if row["kind"] == "worker"]
    assert {row["program"] for row in workers} >= set(ROLES)
    assert [row["accepting"] for row in workers if row["program"] == "qmgr"] == ["yes"]
    assert text.count("accepting=yes") == 1 and "accepting=1" not in text


def test_help_and_usage(instance):
    for command in ("setup", "start", "stop", "restart", "reload", "status", "check", "config", "queue", "submit", "password", "verify"):
        result = instance.command(command, "--help")
        assert result.returncode == 0 and command in result.stdout, (command, result)
    assert instance.command("no-such-command").returncode == 64
    for command in ("queue list", "queue hold", "show stat", "start", "stop", "status", "explain route", "explain session"):
        result = instance.command(*command.split(), "--no-such-option")
        assert result.returncode == 64, (command, result)
        assert result.stderr == (f"matador {command}: unrecognized option '--no-such-option'\n"
                                 f"matador {command} --help says what is allowed\n")
    result = instance.command("submit", "--no-such-option")
    assert result.returncode == 64 and result.stderr.startswith("matador submit: invalid option"), result
    assert instance.command("help", "queue", check=True).stdout == instance.command("queue", "--help", check=True).stdout
    result = instance.command("help", "queue", "lists")
    assert result.returncode == 64 and "there is no command queue lists" in result.stderr, result


def test_help_and_usage_under_the_other_names(instance, tmp_path):
    for name, command in (("sendmail", "submit"), ("mailq", "queue list")):
        link = tmp_path / name
        link.symlink_to(MATADOR)
        result = subprocess.run([link, "--help"], capture_output=True, text=True, check=True)
        assert result.stdout == instance.command(*command.split(), "--help", check=True).stdout
    result = subprocess.run([tmp_path / "sendmail", "--bogus"], capture_output=True, text=True, check=False)
    assert result.returncode == 64 and result.stderr.startswith("sendmail: invalid option"), result
    assert result.stderr.endswith("\nsendmail --help says what is allowed\n"), result


def test_config_says_why_a_key_of_the_manual_is_not_shown(instance):
    instance.write_configuration()
    for key, text in (("connection.cost", "there is no connection document"),
                      ("person.password", "the documents of directory/ are not shown"),
                      ("group.members", "the documents of directory/ are not shown"),
                      ("configuration.cost", "there is no key configuration.cost")):
        result = instance.command("config", key)
        assert result.returncode == 64 and text in result.stderr and key in result.stderr, (key, result)


def test_password_makes_a_hash_that_crypt_accepts(instance):
    result = instance.command("password", input="secret\n")
    assert result.returncode == 0 and re.fullmatch(r"\$y\$[^\s]+\n", result.stdout)


@pytest.mark.parametrize("role", ROLES)
def test_row_149_a_killed_worker_is_restarted_and_mail_goes_on(instance, sink, role):
    instance.relay_to(sink.port)
    service = instance.start()
    pids = service.workers(role)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(service.workers(role)) == len(pids) and not set(service.workers(role)) & set(pids), 20,
             f"a new {role}")
    def send():
        try:
            service.send(["jane.doe@acme.com", "x@elsewhere.example"])
            return True
        except Exception:  # pylint: disable=broad-except
            return False
    wait_for(send, 20, "an accepted message", every=0.3)
    service.wait_mail("jdoe", seconds=20)
    sink.wait(seconds=20)
    service.wait_queue_empty()


def test_a_killed_smtpd_loses_only_its_sessions_and_new_clients_are_greeted(service):
    # The master keeps the listening socket: a client that connects while no smtpd runs gets its greeting from the next.
    for pid in service.workers("smtpd"):
        os.kill(pid, signal.SIGSTOP)
    client = socket.create_connection(("127.0.0.1", service.port), timeout=30 * PATIENCE)
    for pid in service.workers("smtpd"):
        os.kill(pid, signal.SIGKILL)
    assert client.recv(100).startswith(b"220")
    client.close()


def test_row_149_children_of_a_dead_master_leave_and_the_next_master_finds_the_queue(instance):
    instance.relay_to(1)
    service = instance.start()
    for _ in range(5):
        service.send("x@elsewhere.example")
    children = service.workers_all()
    os.kill(service.master, signal.SIGKILL)
    wait_for(lambda: not any(running(pid) for pid in children), 15, "the workers' end")
    service.master = None
    service.start(write=False)
    assert len(service.queue()) == 5


def test_row_150_stopped_workers_do_not_stop_the_others(one_instance, sink):
    one_instance.relay_to(sink.port)
    service = one_instance.start()
    for role in ("policy", "logger", "local"):
        pid = service.worker(role)
        os.kill(pid, signal.SIGSTOP)
        service.send("x@elsewhere.example")
        fresh_session_works(service)
        os.kill(pid, signal.SIGCONT)
    sink.wait(3)


def computed(pid):
    """Seconds of computing of a process and of its children that ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("role", ["policy", "smtpd", "qmgr"])
def test_row_151_a_worker_that_dies_at_start_is_throttled_and_others_live(one_instance, tmp_path, role):
    """The first ends are told at once, the further ones once a minute, and with their number."""
    lives, sick = tmp_path / "lives", tmp_path / "sick"
    lives.touch()
    lives.chmod(0o666)
    sick.touch()
    one_instance.wrap_program(role, f'test -e {sick} && echo $$ >>{lives} && exit 7', tmp_path)
    one_instance.matador.update({"smtpd_processes": 1, "restart_delay_maximum": "1s"})
    begun = time.monotonic()
    service = one_instance.start()
    others = {other: service.worker(other) for other in ROLES if other != role}
    wait_for(lambda: len(lives.read_text().split()) >= 10, 60, "ten lives")
    assert time.monotonic() - begun > 6, "nine waits: 0.1, 0.2, 0.4, 0.8 and five of a second"
    assert computed(service.master) < PATIENCE
    said = service.log()
    ended = f'program={role} .*status="exit 7" restart_in='
    assert len(re.findall(f"worker-died {ended}", said)) == 4, said
    assert len(re.findall(f"worker-failing {ended}", said)) == 1, said
    assert re.search(f"worker-failing program={role} restarts=5 ends=1 ", said), said
    if role == "policy":
        fresh_session_works(service)
    elif role == "qmgr":        # who connects now is told to come again
        with service.connect() as client:
            assert client.greeting[:3] in ("220", "421"), client.greeting
    sick.unlink()
    service.worker(role)
    wait_for(lambda: service.command("status").returncode == 0, 30, "a service that is well", every=0.3)
    service.send("jane.doe@acme.com")
    service.wait_mail("jdoe")
    assert {other: service.worker(other) for other in others} == others


def test_a_worker_that_does_not_leave_is_ended_before_its_successor_starts(one_instance, tmp_path):
    lives = tmp_path / "lives"
    lives.touch()
    lives.chmod(0o666)
    # In its second life it ends its pair to master, as a worker that leaves does, and stays.
    one_instance.wrap_program("policy", f"echo $$ >>{lives}; test $(wc -l <{lives}) = 2 && exec sleep 30 3>&-", tmp_path)
    service = one_instance.start()
    os.kill(service.workers("policy")[0], signal.SIGKILL)
    wait_for(lambda: len(lives.read_text().split()) == 3, 30, "its third life")
    assert not running(int(lives.read_text().split()[1]))
    wait_for(lambda: re.search("worker-died.*program=policy.*signal 9.*worker-died.*program=policy.*signal 9",
                               service.log(), re.S), what="the second death in the log")


def test_row_155_a_hundred_sessions_in_data_finish_across_two_reloads(one_instance):
    one_instance.configuration["maximum_recipients_per_message"] = 50
    service = one_instance.start()
    workers = set(service.workers("smtpd"))
    clients = []
    for i in range(100):
        client = service.connect(60)
        client.begin("jane.doe@acme.com")
        client.command("DATA")
        client.raw(b"Subject: across %d\r\n\r\nhalf\r\n" % i)
        clients.append(client)
    service.configuration["maximum_recipients_per_message"] = 3
    service.reload()
    service.configuration["maximum_recipients_per_message"] = 2
    service.reload()
    for client in clients:
        client.raw(b"rest\r\n.\r\n")
    for client in clients:
        assert client.reply().startswith("250")
        # the session keeps the documents it began with
        client.command("MAIL FROM:<a@example.org>")
        for _ in range(4):
            assert client.command("RCPT TO:<bob@acme.com>").startswith("250")
        client.close()
    assert set(service.workers("smtpd")) == workers
    with service.connect() as client:
        client.command("EHLO a.example")
        client.command("MAIL FROM:<a@example.org>")
        replies = [client.command(f"RCPT TO:<{name}@acme.com>")[:3] for name in ("bob", "jdoe", "jane.doe")]
        assert replies == ["250", "250", "452"], replies
    service.wait_mail("jdoe", 100, 60)


def test_row_155_a_reload_beside_another_waits_for_the_workers_too(one_instance):
    """It used to be told success while the first one still waited, before anybody had its documents."""
    service = one_instance.start()
    stopped = service.workers("smtpd")
    with futures.ThreadPoolExecutor(2) as commands:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            first = commands.submit(service.command, "reload")
            service.wait_log("reloaded")
            service.configuration["maximum_recipients_per_message"] = 1
            service.write_configuration()
            second = commands.submit(service.command, "reload")
            time.sleep(0.7)
            early = second.done()
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        assert not early, "the second reload ended while a program had not taken it"
        assert first.result().returncode == 0 and second.result().returncode == 0
    with service.connect() as client:
        client.begin("bob@acme.com")
        assert client.command("RCPT TO:<jdoe@acme.com>").startswith("452")


def test_row_155_a_broken_file_keeps_the_old_configuration(service):
    service.configuration["relay_enforcement"] = "sometimes"
    result = service.reload(check=False)
    assert result.returncode == 78 and "relay_enforcement" in result.stderr
    fresh_session_works(service)
    service.wait_log("configuration-refused")


def test_reload_refuses_by_name_what_needs_a_restart(service):
    service.matador["smtpd_processes"] = 3
    result = service.reload(check=False)
    assert result.returncode != 0 and "smtpd_processes" in result.stderr and "restart" in result.stderr


def test_reload_opens_and_closes_ports(service):
    from matador import free_port
    old = service.port
    service.port = free_port()
    service.server["smtp_inbound"]["tcp_port"] = service.port
    service.reload()
    fresh_session_works(service)
    # Another test may have been given the old port meanwhile: what this service listens on is what counts.
    status = service.command("status", check=True).stdout
    assert f"127.0.0.1:{service.port}" in status and f"127.0.0.1:{old}" not in status


def test_reload_brings_new_people(service):
    service.people.append({"name": "New Comer/Acme", "internet_address": "new@acme.com", "mail_file": "newcomer"})
    service.reload()
    def accepted():
        with service.connect() as client:
            client.command("EHLO a.example")
            client.command("MAIL FROM:<a@example.org>")
            return client.command("RCPT TO:<new@acme.com>").startswith("250")
    wait_for(accepted, 10, "the new person")
    service.send("new@acme.com")
    service.wait_mail("newcomer")


def test_sighup_reloads_and_sigterm_stops(service):
    os.kill(service.master, signal.SIGHUP)
    service.wait_log(r"reloaded")
    fresh_session_works(service)
    pids = [service.master, *service.workers_all()]
    os.kill(service.master, signal.SIGTERM)
    wait_for(lambda: not any(running(pid) for pid in pids), 40, "the end")


@pytest.mark.skipif(SANITIZED, reason="the sanitized build is too slow for this load; the plain one is what is tested")
def test_row_156_stop_under_load_and_start_again_loses_and_doubles_nothing(one_instance):
    """A session between two messages reads 421, one in a message gets its answer first."""
    sink = receivers.Receiver()
    one_instance.relay_to(sink.port)
    one_instance.configuration.update({"smtp_error_limit": 100000, "maximum_messages_per_session": 1000000,
                                       "maximum_commands_per_session": 10000000})
    service = one_instance.start()
    load = KillLoad(service)
    rounds = 10 if TORTURE else 3
    for turn in range(rounds):
        load.wait_accepted(len(load.accepted) + 100, 60)
        with service.connect() as idle, service.connect() as busy, futures.ThreadPoolExecutor() as aside:
            assert idle.command("EHLO idle.example").startswith("250")
            busy.begin("bob@acme.com")
            assert busy.command("DATA").startswith("354")
            busy.raw(b"Subject: half %d\r\n\r\n" % turn)
            stopping = aside.submit(service.command, "stop")
            assert idle.reply().startswith("421")
            busy.raw(b"and the rest\r\n.\r\n")
            assert busy.reply().startswith("250")
            assert stopping.result().returncode == 0
        service.start(write=False)
    load.wait_accepted(len(load.accepted) + 100, 60)
    load.end()
    drain(service, 60)
    account(load, delivered(service, sink), 0)
    halves = sorted(int(re.search(rb"half (\d+)", mail).group(1)) for mail in service.mail("bob"))
    assert halves == list(range(rounds))
    no_worker_died(service)
    sink.close()


def test_a_hundred_thousand_people_load_and_answer_fast(one_instance):
    service = one_instance
    service.write_configuration()
    with open(service.folder / "etc" / "directory" / "many.conf", "w") as file:
        for i in range(100_000):
            file.write(f'person "Person {i}/Many/Acme" {{\n    short_names = {{ p{i} }}\n    internet_address = person.{i}@acme.com\n'
                       f'    mail_file = "many/p{i}"\n}}\n')
    started = time.monotonic()
    service.command("check", check=True)
    checked = time.monotonic() - started
    service.start(write=False)
    service.wait_log("directory-loaded", 30)
    with service.connect() as client:
        client.command("EHLO a.example")
        client.command("MAIL FROM:<a@example.org>")
        started = time.monotonic()
        for i in range(0, 100_000, 1000):
            assert client.command(f"RCPT TO:<person.{i}@acme.com>").startswith("250"), i
        answered = time.monotonic() - started
    print(f"\n100,000 people: checked in {checked:.2f} s, 100 look-ups in {answered:.3f} s")
    assert checked < 15 * PATIENCE and answered < 5 * PATIENCE


def test_idle_limits_close_a_silent_session(one_instance):
    one_instance.configuration["session_idle_timeout"] = "2s"
    service = one_instance.start()
    with service.connect() as client:
        client.command("EHLO a.example")
        client.socket.settimeout(10 * PATIENCE)
        assert client.reply().startswith("421")
        assert client.closed()


def test_total_session_time_is_limited(one_instance):
    one_instance.configuration["session_time_limit"] = "3s"
    service = one_instance.start()
    with service.connect() as client:
        stop = time.monotonic() + 20 * PATIENCE
        reply = ""
        while time.monotonic() < stop and not reply.startswith("421"):
            reply = client.command("NOOP")
            time.sleep(0.3)
        assert reply.startswith("421")
