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


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become each worker's user")
def test_each_workers_user_can_read_nothing_of_the_others(one_instance):
    """Row 154."""
    one_instance.start()
    one_instance.send("jane.doe@acme.com")
    one_instance.wait_mail("jdoe")
    secret = one_instance.folder / "etc" / "secret.conf"
    secret.write_text("password")
    secret.chmod(0o600)
    own = {"qmgr": "mailbox", "directory": "directory"}
    for role in ROLES:
        uid = pwd.getpwnam(f"matador-{role}").pw_uid
        for name in ("mailbox", "directory"):
            if own.get(role) == name:
                continue
            result = subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", "ls", one_instance.folder / "spool" / name],
                                    capture_output=True, check=False)
            assert result.returncode != 0, (role, name)
        if role != "local":
            result = subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", "ls", one_instance.folder / "mail" / "jdoe"],
                                    capture_output=True, check=False)
            assert result.returncode != 0, role
        result = subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", "cat", secret], capture_output=True,
                                check=False)
        assert result.returncode != 0, role
        for other in ROLES:
            if other != role:
                pid = one_instance.worker(other)
                result = subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", "kill", "-0", str(pid)],
                                        capture_output=True, check=False)
                assert result.returncode != 0, (role, other)


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
