"""docs/reference/hostile-inputs.md, part N, seen from inside the walls: stopped, taken-over and odd programs. The numbers are its rows."""

import contextlib
import os
import pathlib
import pwd
import re
import resource
import signal
import socket
import subprocess
import sys
import time

import pytest

import hostile_peer
from matador import (MATADOR, PATIENCE, ROLES, SANITIZED, children_of, fresh_session_works, no_worker_died, program_of, running,
                     wait_for)

TORTURE = "MATADOR_TORTURE" in os.environ
AS_ROOT = os.getuid() == 0


# ---- row 150 ----

def others_go_on(service, role):
    """Check H; without the Directory nobody can say who a recipient is, and the session gets as far as that."""
    if role != "directory":
        fresh_session_works(service)
        return
    with service.connect(5) as client:
        assert client.command("EHLO honest.example").startswith("250")
        assert client.command("MAIL FROM:<a@honest.example>").startswith("250")
        assert client.command("QUIT").startswith("221")


@pytest.mark.parametrize("role", ROLES)
def test_row_150_a_stopped_worker_does_not_stop_the_others(one_instance, sink, role):
    """In torture, and qmgr always, until the watchdog has replaced it; in torture for a minute at least."""
    to_its_end = TORTURE or role == "qmgr"
    one_instance.relay_to(sink.port)
    one_instance.matador.update({"smtpd_processes": 2, "smtp_processes": 2, "watchdog_timeout": "10s"})
    service = one_instance.start()
    # An smtpd that was never told anything by qmgr lets its first clients wait for that.
    wait_for(lambda: service.command("status").stdout.count("queue=accepting") == 2, what="two open smtpd")
    pid = service.worker(role)
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + (60 if TORTURE else 2)
    while time.monotonic() < deadline:
        others_go_on(service, role)
        time.sleep(0.4)
    if to_its_end:
        wait_for(lambda: not running(pid) and len(service.workers(role)) == (2 if role in ("smtpd", "smtp") else 1), 60,
                 f"a new {role}")
        if role != "logger":
            service.wait_log(f"worker-hangs program={role} ")
    else:
        os.kill(pid, signal.SIGCONT)
    service.send(["jane.doe@acme.com", "x@elsewhere.example"])
    service.wait_mail("jdoe", seconds=20)
    sink.wait(seconds=20)
    service.wait_queue_empty()


# ---- row 152 ----

@pytest.mark.parametrize("role", ("smtpd", "smtp"))
def test_row_152_a_taken_over_program_harms_no_peer(one_instance, sink, tmp_path, role):
    taken_over = tmp_path / "taken-over"
    program = pathlib.Path(hostile_peer.__file__).resolve()
    one_instance.wrap_program(role, f'[ "$1" -ge {hostile_peer.FIRST_INSTANCE} ] && [ -e "{taken_over}" ] && '
                              f'exec /usr/bin/python3 -B "{program}" "$@"', tmp_path)
    taken_over.write_text("")
    one_instance.relay_to(sink.port)
    one_instance.matador.update({"smtpd_processes": 1, "smtp_processes": 1, "restart_delay_maximum": "1s",
                                 f"{role}_processes": hostile_peer.FIRST_INSTANCE + len(hostile_peer.ATTACKS)})
    service = one_instance.start()
    peers = {other: service.worker(other) for other in ("qmgr", "logger", "resolver", "directory", "policy", "router", "local")}
    hostile = [pid for pid in service.workers_all() if program_of(pid) == "python3"]
    assert len(hostile) == len(hostile_peer.ATTACKS)
    service.wait_log(rf"qmgr\[\d+\]: peer-lost peer={role} ")
    service.wait_log(rf"logger\[\d+\]: peer-lost peer={role} ")
    service.wait_log(rf"resolver\[\d+\]: peer-lost peer={role} ")
    service.wait_log(rf"qmgr\[\d+\]: peer-lost peer={role} reason=\"?.*surplus descriptors")
    if role == "smtpd":
        service.wait_log(r"directory\[\d+\]: peer-lost peer=smtpd ")
        service.wait_log(r"qmgr\[\d+\]: peer-lost .*deposit_begin without a credit", 20)
        service.wait_log(r"qmgr\[\d+\]: peer-lost .*a block of ids cannot be used up yet")
    else:
        service.wait_log(r"qmgr\[\d+\]: peer-lost .*deliver_holding from one that can hold nothing")
    service.wait_log(r"logger\[\d+\]: peer-lost .*only master may have the log reopened")
    service.wait_log(r"events-dropped count=4294967295|note text=\"a\\nforged line\"")
    assert "\nforged" not in service.log() and "\x1b" not in service.log()
    assert "\x1b" not in service.command("status", check=False).stdout
    fresh_session_works(service)
    wait_for(lambda: descriptors_fit(service), what="few descriptors")
    service.send(["jane.doe@acme.com", "x@elsewhere.example"])
    service.wait_mail("jdoe")
    taken_over.unlink()
    for pid in hostile:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len([pid for pid in service.workers(role) if pid not in hostile]) ==
             hostile_peer.FIRST_INSTANCE + len(hostile_peer.ATTACKS), 20, "the real programs")
    wait_for(lambda: service.command("status").returncode == 0, 20, "a service that is well", every=0.3)
    sink.wait(1, seconds=20)
    for _ in range(20):
        service.send(["jane.doe@acme.com", "y@elsewhere.example"])
    service.wait_mail("jdoe", 21)
    sink.wait(21, seconds=20)
    service.wait_queue_empty()
    for other, pid in peers.items():
        assert service.workers(other) == [pid], (other, service.log()[-4000:])
    assert all(int(pid) in hostile for pid in re.findall(r"worker-died .*?process=(\d+)", service.log()))
    assert "AddressSanitizer" not in service.log() and "runtime error" not in service.log()


def descriptors_fit(service):
    """No worker holds on to what a peer threw at it."""
    return all(len(os.listdir(f"/proc/{pid}/fd")) < 150 for role in ROLES for pid in service.workers(role)) if AS_ROOT else True


# ---- row 153 ----

def status_field(pid, field):
    return re.search(rf"^{field}:[ \t]*(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)


def limits_of(pid):
    """Soft and hard limit by name."""
    return {name.strip(): (soft, hard) for name, soft, hard in
            re.findall(r"^(Max [a-z ]+?) {2,}(\S+) +(\S+)", pathlib.Path(f"/proc/{pid}/limits").read_text(), re.M)}


OPEN_FILES = {"smtpd": None, "resolver": "4096", "qmgr": "4096", "smtp": "4096"}
ROOTS = {"qmgr": "spool/mailbox", "directory": "spool/directory", "local": "mail", "logger": "log"}


def may_be_open(service, role, target):
    """Whether docs/security.md lets a program hold this descriptor."""
    inside = {"qmgr": service.folder / "spool" / "mailbox", "directory": service.folder / "spool" / "directory",
              "local": service.folder / "mail", "logger": service.folder / "log"}.get(role)
    kind = target.split(":")[0]
    return (kind in ("socket", "anon_inode", "pipe", "/dev/null") or target.startswith("/memfd:matador") or
            target.startswith("/memfd:") or (inside is not None and (target == str(inside) or target.startswith(f"{inside}/"))))


@pytest.mark.skipif(not AS_ROOT, reason="only root can look into processes that forbid tracing")
def test_row_153_every_process_has_what_the_design_gives_it_and_no_more(instance, sink):
    instance.relay_to(sink.port)
    instance.configuration["maximum_sessions"] = 400
    service = instance.start()
    service.send(["jane.doe@acme.com", "x@elsewhere.example"])
    service.wait_mail("jdoe")
    sink.wait()
    separated = service.as_user is None
    owner = str(pwd.getpwnam(service.as_user or "root").pw_uid)
    assert set(status_field(service.master, "Uid").split()) == {owner}
    for role in ROLES:
        for pid in service.workers(role):
            user = pwd.getpwnam(f"matador-{role}" if separated else service.as_user)
            assert set(status_field(pid, "Uid").split()) == {str(user.pw_uid)}, role
            if separated:
                assert set(status_field(pid, "Gid").split()) == {str(user.pw_gid)}, role
            assert status_field(pid, "Groups") == "", role
            assert status_field(pid, "NoNewPrivs") == "1", role
            for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(status_field(pid, capabilities), 16) == 0, (role, capabilities)
            assert status_field(pid, "Seccomp") == "0", f"{role}: docs/security.md has no filter but the evaluator's"
            root = os.readlink(f"/proc/{pid}/root")
            assert root == (str(service.folder / ROOTS.get(role, "spool/empty")) if separated and role != "logger" else "/"), role
            assert os.stat(f"/proc/{pid}/status").st_uid == 0, f"{role} may be dumped and traced"
            limits = limits_of(pid)
            assert limits["Max core file size"] == ("0", "0"), role
            open_files = {"smtpd": str(400 * 3 // 2 + 512)}.get(role, OPEN_FILES.get(role, "1024"))
            assert limits["Max open files"] == (open_files, open_files), (role, limits["Max open files"])
            if role == "policy":
                assert limits["Max processes"] == ("64", "64") or not separated
            elif role != "qmgr":
                assert limits["Max processes"] == ("0", "0"), role
            if role != "qmgr":
                assert len(os.listdir(f"/proc/{pid}/task")) == 1 or SANITIZED, role
            assert (limits["Max file size"][1] != "unlimited") == (role == "smtpd"), (role, limits["Max file size"])
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
                assert may_be_open(service, role, target), (role, descriptor, target)
            environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            names = {entry.split(b"=")[0] for entry in environment if b"=" in entry}
            assert names <= {b"PATH", b"LC_ALL", b"TZ", b"ASAN_OPTIONS"}, (role, names)
    no_worker_died(service)


# ---- rows 157 and 158: what a local user can do with `matador submit` ----

MESSAGE = b"Subject: odd\n\nHello.\n"


def submit(service, *arguments, input=MESSAGE, close=(), environment=None, limits=(), argv0=None, timeout=60, block=()):
    """matador submit, started by a caller with odd habits."""
    command = [str(MATADOR) if argv0 is None else argv0, "-c", str(service.folder / "etc"), "submit", *arguments]

    def become_odd():
        for kind, value in limits:
            resource.setrlimit(kind, (value, value))
        if block:
            signal.pthread_sigmask(signal.SIG_BLOCK, block)
        for descriptor in close:
            os.close(descriptor)

    return subprocess.run(command, executable=str(MATADOR), input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=become_odd, env=environment, timeout=timeout * PATIENCE, check=False, cwd="/")


def test_row_157_submit_without_standard_descriptors(one_instance):
    service = one_instance.start()
    for close in ((2,), (1,), (1, 2)):
        assert submit(service, "jane.doe@acme.com", close=close).returncode == 0, close
    service.wait_mail("jdoe", 3)
    for close in ((0,), (0, 1), (0, 2), (0, 1, 2)):
        assert submit(service, "jane.doe@acme.com", close=close).returncode == 66, close
    # Errors that nobody reads must not go to the server instead.
    assert submit(service, "nobody.at.all@acme.com", "jane.doe@acme.com", close=(1, 2)).returncode == 67
    # Nothing that looks like a pair of the server's replies and standard input.
    assert submit(service, "-bs", close=(0, 1, 2)).returncode >= 0
    assert len(service.mail("jdoe")) == 3
    fresh_session_works(service)
    no_worker_died(service)


def test_row_157_submit_with_limits_at_zero_blocked_signals_and_an_odd_environment(one_instance):
    service = one_instance.start()
    odd = [{}, {"PATH": "", "HOME": "/nonexistent", "USER": "root", "LOGNAME": "root", "TZ": "../../../../etc/passwd",
                "LC_ALL": "\xff", "TMPDIR": "/proc/self", "IFS": "x"},
           {f"NAME{i}": "x" * 1000 for i in range(500)}, {"POSIXLY_CORRECT": "1", "MALLOC_PERTURB_": "85"}]
    taken = 0
    for environment in odd:
        assert submit(service, "jane.doe@acme.com", environment=environment).returncode == 0, environment
        taken += 1
    everything = set(range(1, signal.NSIG)) - {32, 33}
    assert submit(service, "jane.doe@acme.com", block=everything).returncode == 0
    taken += 1
    for limits in ([(resource.RLIMIT_FSIZE, 0)], [(resource.RLIMIT_CORE, 0)], [(resource.RLIMIT_NPROC, 0)],
                   [(resource.RLIMIT_STACK, 1 << 17)], [(resource.RLIMIT_NOFILE, 4)], [(resource.RLIMIT_NOFILE, 3)],
                   [(resource.RLIMIT_CPU, 1)]):
        result = submit(service, "jane.doe@acme.com", limits=limits)
        assert result.returncode >= 0 or limits[0][0] == resource.RLIMIT_STACK, (limits, result)
        taken += result.returncode == 0
    service.wait_mail("jdoe", taken)
    time.sleep(0.5)
    assert len(service.mail("jdoe")) == taken
    assert submit(service, argv0="").returncode == 64
    fresh_session_works(service)
    no_worker_died(service)


def test_row_157_submit_that_is_killed_at_any_step_submits_all_or_nothing(one_instance):
    service = one_instance.start()
    taken = 0
    attempts = 200 if TORTURE else 25
    for number in range(attempts):
        with subprocess.Popen([MATADOR, "-c", service.folder / "etc", "submit", "jane.doe@acme.com"], stdin=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, cwd="/") as process:
            process.stdin.write(b"Subject: %d\n\nwhole\n" % number)
            process.stdin.close()
            time.sleep(0.002 * (number % 20))
            process.send_signal((signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)[number % 3])
            process.stdin = None
            taken += process.wait(10 * PATIENCE) == 0
    service.wait_queue_empty()
    mail = service.mail("jdoe")
    subjects = [re.search(rb"^Subject: (\d+)$", message, re.M).group(1) for message in mail]
    assert taken <= len(mail) <= attempts and len(set(subjects)) == len(subjects)
    assert all(message.endswith(b"whole\n") for message in mail)
    no_worker_died(service)


def test_row_158_line_ends_and_nul_in_arguments_and_message(one_instance):
    service = one_instance.start()
    for arguments in (("-f", "a@b.example\r\nRCPT TO:<bob@acme.com>", "jane.doe@acme.com"),
                      ("-f", "a@b.example> SIZE=1\nDATA", "jane.doe@acme.com"),
                      ("jane.doe@acme.com\r\nDATA",), ("jane.doe@acme.com\x01",), ("jane.doe\x7f@acme.com",),
                      ("-N", "never\r\nQUIT", "jane.doe@acme.com"), ("-R", "full\nRSET", "jane.doe@acme.com"),
                      ("x" * 70000 + "@acme.com",), ("(" * 100000,), ('"' + "\\" * 60001,), ("@" * 5000,)):
        result = submit(service, *arguments)
        assert result.returncode > 0, (arguments[0][:40], result)
    assert submit(service, "jane.doe@acme.com", input=b"Subject: x\n\na\0b\n").returncode == 65
    assert not service.queue() and not service.mail("jdoe") and not service.mail("bob")
    assert submit(service, "-F", "Eve\r\nBcc: bob@acme.com\r\n\r\nbody", "jane.doe@acme.com").returncode == 0
    tricky = b"Subject: tricky\n\n.\r\n\r\n.\r\nMAIL FROM:<evil@acme.com>\r\nRCPT TO:<bob@acme.com>\r\nDATA\r\n..\rx\r\r\n.\n"
    assert submit(service, "-i", "jane.doe@acme.com", input=tricky).returncode == 0
    assert submit(service, "jane.doe@acme.com", input=tricky).returncode == 0
    mail = service.wait_mail("jdoe", 3)
    assert sum(b"\nMAIL FROM:<evil@acme.com>\nRCPT TO:<bob@acme.com>\n" in message for message in mail) == 1
    assert not any(b"\nBcc" in message for message in mail)
    assert not any(b"\r" in message for message in mail)
    time.sleep(0.5)
    assert len(service.mail("jdoe")) == 3 and not service.mail("bob")
    fresh_session_works(service)
    no_worker_died(service)


def test_row_158_huge_lists_of_arguments_and_a_pipe_that_never_ends(one_instance):
    service = one_instance.start()
    names = [f"user{number}@acme.com" for number in range(20000)]
    assert submit(service, *names).returncode > 0
    assert submit(service, ",".join(names[:5000])).returncode > 0
    assert submit(service, *(["-f", "a@b.example"] * 10000), "jane.doe@acme.com").returncode == 0
    header = b"".join(b"To: " + name.encode() + b"\n" for name in names)
    assert submit(service, "-t", input=header + b"\nx\n").returncode > 0
    with subprocess.Popen([MATADOR, "-c", service.folder / "etc", "submit", "jane.doe@acme.com"], stdin=subprocess.PIPE,
                          cwd="/") as endless:
        endless.stdin.write(b"Subject: never\n")
        endless.stdin.flush()
        assert submit(service, "jane.doe@acme.com").returncode == 0
        service.wait_mail("jdoe", 2)
        endless.kill()
        endless.stdin = None
    fresh_session_works(service)
    no_worker_died(service)
    assert len(service.mail("jdoe")) == 2


FLOOD = """
import socket, sys, time
greetings = []
sockets = []
for _ in range(60):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(sys.argv[1])
    greetings.append(client.recv(100)[:3].decode())
    sockets.append(client)
print(greetings.count("220"), greetings.count("421"), flush=True)
sys.stdin.read()
"""


def test_row_158_one_local_user_cannot_take_all_sessions(one_instance):
    one_instance.matador["smtpd_processes"] = 1
    one_instance.configuration.update({"maximum_sessions_per_client": 10})
    service = one_instance.start()
    other = ["setpriv", "--reuid=65534", "--clear-groups"] if AS_ROOT and service.as_user is None else []
    with subprocess.Popen([*other, sys.executable, "-c", FLOOD, service.folder / "run" / "control.submit"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/") as flood:
        served, refused = map(int, flood.stdout.readline().split())
        assert served == 10 and refused == 50
        fresh_session_works(service)
        if other:
            assert submit(service, "jane.doe@acme.com").returncode == 0
        flood.stdin.close()
        flood.stdin = None
        flood.wait(10 * PATIENCE)
    assert submit(service, "jane.doe@acme.com").returncode == 0
    service.wait_mail("jdoe", 2 if other else 1)
    no_worker_died(service)


def test_row_158_what_is_not_ours_to_remove_stays(one_instance, tmp_path):
    """A link, a FIFO or a file in the place of the control socket or the log is refused by name, and left as it is."""
    target = tmp_path / "target"
    target.write_text("precious")
    path = one_instance.folder / "run" / "control"
    for make in (lambda: path.symlink_to(target), lambda: os.mkfifo(path), lambda: path.write_text("mine"), path.mkdir):
        make()
        one_instance.write_configuration()
        one_instance.command("setup", check=True)
        result = one_instance.command("start")
        assert result.returncode != 0 and "in the way" in result.stderr, result
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    log = one_instance.folder / "log" / "mail.log"
    log.unlink(missing_ok=True)
    for make in (lambda: log.symlink_to(target), lambda: os.link(target, log)):
        before = target.stat()
        make()
        result = one_instance.command("start")
        assert result.returncode != 0 and "log" in result.stderr, result
        assert target.read_text() == "precious" and target.stat().st_uid == before.st_uid
        log.unlink()
    assert not one_instance.workers_all()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as nobody:
        nobody.bind(str(path))
    one_instance.start()
    fresh_session_works(one_instance)
    assert children_of(one_instance.master)
