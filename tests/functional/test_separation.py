"""The walls, seen from outside: uid, root, descriptors, no_new_privs of each worker, and what the kernel refuses it."""

import os
import pathlib
import pwd
import re
import stat
import subprocess

import pytest

from matador import ROLES, SANITIZED, fresh_session_works, wait_for

NETWORK_ROLES = ("smtpd", "smtp", "resolver", "router", "policy")


def status_field(pid, field):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return re.search(rf"^{field}:[ \t]*(.*)$", text, re.M).group(1)


def test_every_program_runs_once_more_than_one_smtpd_may(service):
    for role in ROLES:
        assert service.workers(role), role


@pytest.mark.skipif(os.getuid() != 0, reason="only root can separate users")
def test_as_root_each_worker_has_a_user_root_and_nothing_else_of_its_own(one_instance):
    one_instance.start()
    users = set()
    for role in ROLES:
        for pid in one_instance.workers(role):
            uids = set(status_field(pid, "Uid").split())
            assert uids == {str(pwd.getpwnam(f"matador-{role}").pw_uid)}, (role, uids)
            assert status_field(pid, "Groups") == "", role
            assert status_field(pid, "NoNewPrivs") == "1", role
            for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(status_field(pid, capabilities), 16) == 0, (role, capabilities)
            root = os.readlink(f"/proc/{pid}/root")
            expected = {"qmgr": "spool/mailbox", "directory": "spool/directory", "local": "mail"}.get(role, "spool/empty")
            if role == "logger":
                assert root == "/"
            else:
                assert root == str(one_instance.folder / expected), role
            users.add((role, uids.pop()))
    assert len({uid for _, uid in users}) == len(ROLES)
    empty = one_instance.folder / "spool" / "empty"
    assert empty.stat().st_uid == 0 and not empty.stat().st_mode & 0o222 and not list(empty.iterdir())


def test_a_plain_users_workers_have_no_new_privs_and_landlock(service):
    status = service.command("status", check=True).stdout
    for role in ROLES:
        for pid in service.workers(role):
            assert status_field(pid, "NoNewPrivs") == "1", role
    assert "landlock" in status or "chroot" in status


@pytest.mark.skipif(os.getuid() != 0, reason="only root can look into processes that forbid tracing")
def test_network_workers_hold_no_file_but_sealed_settings(service):
    for role in NETWORK_ROLES:
        for pid in service.workers(role):
            for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                target = os.readlink(descriptor)
                kind = target.split(":")[0]
                assert (kind in ("socket", "anon_inode", "pipe", "/dev/null", "/dev/urandom") or
                        target.startswith("/memfd:") or int(descriptor.name) == 2), (role, descriptor.name, target)


INJECTION = pathlib.Path(__file__).with_name("inject_syscalls.c")


@pytest.fixture(scope="module")
def injector(tmp_path_factory):
    program = tmp_path_factory.mktemp("inject") / "inject"
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, INJECTION], check=True)
    return program


@pytest.mark.skipif(os.getuid() != 0, reason="tracing another process needs root")
@pytest.mark.skipif(SANITIZED, reason="the sanitizers' threads do not like a tracer")
def test_openat_and_execve_injected_into_live_workers_are_refused(instance, injector):
    instance.start()
    for role in NETWORK_ROLES:
        pid = instance.worker(role)
        for path in ("/etc/passwd", str(instance.folder / "etc" / "matador.conf"), str(instance.folder / "spool")):
            result = subprocess.run([injector, str(pid), "openat", path], capture_output=True, text=True, check=True)
            assert result.stdout.strip() in ("ENOENT", "EACCES", "EPERM"), (role, path, result.stdout)
        result = subprocess.run([injector, str(pid), "execve", "/bin/true"], capture_output=True, text=True, check=True)
        assert result.stdout.strip() in ("ENOENT", "EACCES", "EPERM"), (role, result.stdout)
        assert instance.worker(role) == pid
    fresh_session_works(instance)


def as_worker(role, root, *command):
    """Runs a command as a worker's user and, where there are words for it, seen from its root directory."""
    entry = pwd.getpwnam(f"matador-{role}")

    def become():
        os.chroot(root)
        os.chdir("/")
        os.setgroups([])
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    return subprocess.run(command, preexec_fn=become, capture_output=True, text=True, check=False)


# Tries all that a worker's user might, and prints what was granted. Arguments: process ids, then "--", then paths.
ATTEMPTS = """
import ctypes, os, socket, sys
pids, paths = sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:]
libc = ctypes.CDLL(None, use_errno=True)

def attempt(what, action):
    try:
        action()
        print("granted:", what)
    except OSError:
        pass

def trace(pid):
    if libc.ptrace(16, pid, None, None) != 0:       # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")

def connect(path):
    for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as client:
            try:
                client.connect(path)
                return
            except OSError:
                pass
    raise OSError(path)

for pid in map(int, pids):
    attempt(f"signal {pid}", lambda: os.kill(pid, 0))
    attempt(f"trace {pid}", lambda: trace(pid))
    for part in ("mem", "environ", "fd/3", "root/"):
        attempt(f"open /proc/{pid}/{part}", lambda: os.close(os.open(f"/proc/{pid}/{part}", os.O_RDONLY)))
for path in paths:
    attempt(f"read {path}", lambda: os.close(os.open(path, os.O_RDONLY)))
    attempt(f"write {path}", lambda: os.close(os.open(path, os.O_WRONLY)))
    attempt(f"connect to {path}", lambda: connect(path))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become each worker's user")
def test_row_154_each_workers_user_reaches_nothing_of_the_others(one_instance):
    """Even without its walls: the passwords and keys of etc/, mail, queue, Directory, other workers. And what is in its root."""
    one_instance.relay_to(1)
    service = one_instance.start()
    service.send("jane.doe@acme.com")
    service.wait_mail("jdoe")
    service.send("x@elsewhere.example", body="Subject: large\r\n\r\n" + ("x" * 70 + "\r\n") * 10000)
    bodies = [path for path in (service.folder / "spool" / "mailbox" / "bodies").rglob("*") if path.is_file()]
    segments = list((service.folder / "spool" / "mailbox" / "journal").glob("seg-*"))
    index = [path for path in (service.folder / "spool" / "mailbox" / "index").iterdir() if path.is_file()]
    mails = [path for path in (service.folder / "mail" / "jdoe").rglob("*") if path.is_file()]
    assert bodies and segments and index and mails
    secret = service.folder / "etc" / "matador.conf"
    secret.chmod(0o600)     # as `matador check` wants it of a file with a password in it
    whose = {"qmgr": bodies + segments + index, "local": mails, None: [secret]}
    for role in ROLES:
        others = [str(pid) for other in ROLES if other != role for pid in service.workers(other)] + [str(service.master)]
        paths = [str(path) for owner, found in whose.items() if owner != role for path in found]
        result = as_worker(role, "/", "/usr/bin/python3", "-c", ATTEMPTS, *others, "--", *paths)
        granted = [line for line in result.stdout.splitlines() if "granted" in line]
        assert result.returncode == 0 and not granted, (role, granted, result.stderr)
        own = {"qmgr": "mailbox", "directory": "directory"}
        for name in ("mailbox", "directory"):
            if own.get(role) != name:
                assert as_worker(role, "/", "ls", str(service.folder / "spool" / name)).returncode != 0, (role, name)
    # What a root directory holds for its program: nothing, or what is its own.
    for role, root in (("qmgr", "spool/mailbox"), ("directory", "spool/directory"), ("local", "mail"), ("smtpd", "spool/empty")):
        uid = pwd.getpwnam(f"matador-{role}").pw_uid
        for path in (service.folder / root).rglob("*"):
            assert not path.is_symlink() and not stat.S_ISSOCK(path.stat().st_mode), path
            assert path.stat().st_uid == uid, (role, path)


def test_the_control_socket_serves_only_root_and_the_owner(one_instance):
    one_instance.start()
    other = "daemon"
    if os.getuid() == 0:
        result = one_instance.command("status", user=other)
        assert result.returncode == 77, result
        result = one_instance.command("stop", user=other)
        assert result.returncode == 77, result
        result = one_instance.command("submit", "bob@acme.com", user=other, input="Subject: anyone may\n\nx\n")
        assert result.returncode == 0, result
        one_instance.wait_mail("bob")
