"""A private Matador instance for a test: its own folders, ports and processes, and what a test asks of it."""

import contextlib
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("MATADOR_BUILD", "build")).resolve()
PEERS = pathlib.Path(os.environ.get("MATADOR_PEERS", BUILD / "peers")).resolve()
MATADOR = BUILD / "sbin" / "matador"
PROGRAMS = BUILD / "libexec" / "matador"
ROLES = ("logger", "resolver", "directory", "policy", "router", "qmgr", "smtp", "local", "smtpd")
SANITIZED = "MATADOR_SANITIZED" in os.environ
PATIENCE = 4 if SANITIZED else 1  # sanitized programs are slower: every bound on waiting is stretched


def free_port(address="127.0.0.1"):
    """Below the ports that the kernel gives to clients: none of those may take it before its server does."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe, contextlib.suppress(OSError):
            probe.bind((address, port))
            return port


def wait_for(condition, seconds=10, what="condition", every=0.02):
    """Waits until condition() is true and returns its value; fails with `what` after so many seconds."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about within {seconds * PATIENCE} s")
        time.sleep(every)


def quote(value):
    if isinstance(value, bool):
        return "enabled" if value else "disabled"
    if isinstance(value, (list, tuple)):
        return "{ " + ", ".join(quote(item) for item in value) + " }"
    if isinstance(value, int):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def keys(settings, indent="    "):
    """The text of settings: a dict inside is a section."""
    lines = []
    for key, value in settings.items():
        if isinstance(value, dict):
            lines.append(f"{indent}{key} {{\n{keys(value, indent + '    ')}{indent}}}\n")
        else:
            lines.append(f"{indent}{key} = {quote(value)}\n")
    return "".join(lines)


class Instance:
    """One private service. Documents are given as dicts and written by start()."""

    def __init__(self, as_user=None, log_to_file=True):
        self.as_user = as_user
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="matador-test-"))
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        self.relay_port = None
        self.environment = {}
        self.within = []  # what the control command, and so the service, is started through: nsenter and its options
        self.matador = {
            "server_name": "Hub1/Servers/Acme",
            "spool_directory": self.folder / "spool",
            "mail_directory": self.folder / "mail",
            "program_directory": PROGRAMS,
            "control_socket": self.folder / "run" / "control",
            "log_to": self.folder / "log" / "mail.log",
            "listen_addresses": ["127.0.0.1"],
            "nameservers": ["127.0.0.1@9"],
            "postmaster": "Jane Doe/Sales/Acme",
        }
        self.server = {
            "domino_domain": "Acme",
            "internet_host_name": "hub.acme.com",
            "smtp_listener_task": "enabled",
            "smtp_inbound": {"tcp_port": self.port},
        }
        self.configuration = {"maximum_sessions_per_client": 5000}
        self.domains = 'global_domain "Acme mail" {\n    local_primary_internet_domain = acme.com\n}\n'
        self.servers_extra = ""
        self.connections = ""
        self.people = [
            {"name": "Jane Doe/Sales/Acme", "short_names": ["jdoe"], "internet_address": "jane.doe@acme.com",
             "mail_file": "jdoe"},
            {"name": "Bob Roy/Acme", "short_names": ["bob"], "internet_address": "bob@acme.com", "mail_file": "bob"},
        ]
        self.groups = []
        self.master = None
        for name in ("etc", "etc/directory", "log", "mail", "run", "spool"):
            (self.folder / name).mkdir(exist_ok=True)
        if as_user:
            uid = pwd.getpwnam(as_user).pw_uid
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, uid, -1)

    # ---- etc/ ----

    def relay_to(self, port, address="127.0.0.1", scheme=""):
        self.relay_port = port
        self.configuration.update({
            "smtp_outside_local_internet_domain": "enabled",
            "relay_host": f"{scheme}[{address}]:{port}",
            "relay_enforcement_exclude_hosts": ["[127.0.0.1]"],
        })

    def write_configuration(self):
        etc = self.folder / "etc"
        (etc / "matador.conf").write_text(keys(self.matador, ""))
        (etc / "servers.conf").write_text(
            f'server "{self.matador["server_name"]}" {{\n{keys(self.server)}}}\n{self.servers_extra}')
        (etc / "configurations.conf").write_text(f'configuration "*" {{\n{keys(self.configuration)}}}\n')
        (etc / "domains.conf").write_text(self.domains)
        (etc / "connections.conf").write_text(self.connections)
        people = []
        for person in self.people:
            settings = {key: value for key, value in person.items() if key != "name"}
            people.append(f'person "{person["name"]}" {{\n{keys(settings)}}}\n')
        (etc / "directory" / "people.conf").write_text("".join(people))
        groups = []
        for group in self.groups:
            settings = {key: value for key, value in group.items() if key != "name"}
            groups.append(f'group "{group["name"]}" {{\n{keys(settings)}}}\n')
        (etc / "directory" / "groups.conf").write_text("".join(groups))

    def wrap_program(self, name, prelude, folder):
        """Starts one program through a shell that first runs prelude. Others may follow, with the same folder."""
        programs = folder / "programs"
        if not programs.exists():
            shutil.copytree(PROGRAMS, programs)
        for path in [programs, *programs.parents]:
            if str(path).startswith(tempfile.gettempdir() + "/"):
                path.chmod(0o755)
        (programs / name).rename(programs / f"{name}.real")
        (programs / name).write_text(f'#!/bin/sh\n{prelude}\nexec "{programs}/{name}.real" "$@"\n')
        (programs / name).chmod(0o755)
        self.matador["program_directory"] = programs

    # ---- the control command ----

    def command(self, *arguments, input=None, check=False, timeout=60, user=None, binary=False):
        user = user or self.as_user
        command = [str(MATADOR), "-c", str(self.folder / "etc"), *map(str, arguments)]
        if user and os.getuid() == 0:
            entry = pwd.getpwnam(user)
            command = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", *command]
        command = [*self.within, *command]
        environment = {**os.environ, **self.environment}
        result = subprocess.run(command, input=input, capture_output=True, text=not binary, timeout=timeout * PATIENCE,
                                env=environment, cwd="/", check=False)
        if check and result.returncode != 0:
            raise AssertionError(f"{command} exited {result.returncode}:\n{result.stdout}\n{result.stderr}\n{self.log()}")
        return result

    def start(self, write=True):
        if write:
            self.write_configuration()
        self.command("setup", check=True)
        self.command("start", check=True)
        self.master = int((self.folder / "spool" / "master.lock").read_text().split()[0])
        return self

    def stop(self, timeout=60):
        result = self.command("stop", timeout=timeout)
        self.master = None
        return result

    def reload(self, write=True, check=True):
        if write:
            self.write_configuration()
        return self.command("reload", check=check)

    def kill_everything(self):
        """kill -9 for master and every worker, as a power cut would."""
        victims = [self.master, *self.workers_all()]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in victims:
            wait_for(lambda: not running(pid), what=f"the end of process {pid}")
        self.master = None

    def close(self):
        if self.master and running(self.master):
            children = self.workers_all()
            self.command("stop")
            for pid in [self.master, *children]:
                with contextlib.suppress(ProcessLookupError):
                    if running(pid):
                        os.kill(pid, signal.SIGCONT)
                        os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- looking at it ----

    def log(self):
        path = pathlib.Path(str(self.matador["log_to"]))
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_log_quiet(self, seconds=0.15):
        """Events travel in batches: waits until those that are on their way should have been written."""
        path = pathlib.Path(str(self.matador["log_to"]))
        deadline, size = time.monotonic() + 5 * PATIENCE, -1
        while path.exists() and time.monotonic() < deadline and path.stat().st_size != size:
            size = path.stat().st_size
            time.sleep(seconds * PATIENCE)

    def wait_log(self, pattern, seconds=10):
        def found():
            return re.search(pattern, self.log())
        try:
            return wait_for(found, seconds, what=f"log line {pattern!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-6000:]}") from None

    def workers(self, role):
        """Process ids of one program of this instance."""
        return [pid for pid in children_of(self.master) if program_of(pid) in (role, f"{role}.real")]

    def workers_all(self):
        return children_of(self.master)

    def worker(self, role):
        return wait_for(lambda: self.workers(role), what=f"a running {role}")[0]

    def queue(self, *options):
        result = self.command("queue", "list", "--json", *options, check=True)
        return [json.loads(line) for line in result.stdout.splitlines() if line]

    def wait_queue_empty(self, seconds=20):
        try:
            wait_for(lambda: not self.queue(), seconds, what="an empty queue", every=0.1)
            self.wait_log_quiet()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.queue()[:5]}\n{self.log()[-6000:]}") from None

    def mail(self, mail_file):
        """The messages in a mail file, as bytes, oldest name first."""
        folder = self.folder / "mail" / mail_file
        found = []
        for part in ("new", "cur"):
            if (folder / part).is_dir():
                found += sorted((folder / part).iterdir())
        return [path.read_bytes() for path in found]

    def wait_mail(self, mail_file, count=1, seconds=15):
        try:
            return wait_for(lambda: (lambda m: m if len(m) >= count else None)(self.mail(mail_file)), seconds,
                            what=f"{count} messages for {mail_file}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-6000:]}") from None

    # ---- talking to it ----

    def smtp(self, timeout=30):
        return smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.example", timeout=timeout * PATIENCE)

    def connect(self, timeout=30):
        return Dialogue(self.port, timeout * PATIENCE)

    def send(self, recipients, sender="sender@example.org", body=None, subject="test"):
        if isinstance(recipients, str):
            recipients = [recipients]
        if body is None:
            body = f"From: {sender}\r\nTo: {', '.join(recipients)}\r\nSubject: {subject}\r\n\r\nHello.\r\n"
        if isinstance(body, str):
            body = body.encode()
        with self.smtp() as client:
            return client.sendmail(sender, recipients, body)


class Dialogue:
    """A raw SMTP client: says octets, reads replies line by line."""

    def __init__(self, port, timeout=30, address="127.0.0.1", greet=True, source=None):
        self.socket = socket.create_connection((address, port), timeout, (source, 0) if source else None)
        self.pending = b""
        self.greeting = self.reply() if greet else None

    def raw(self, octets):
        self.socket.sendall(octets)

    def line(self):
        while b"\n" not in self.pending:
            octets = self.socket.recv(65536)
            if not octets:
                line, self.pending = self.pending, b""
                return line
            self.pending += octets
        line, _, self.pending = self.pending.partition(b"\n")
        return line + b"\n"

    def reply(self):
        """One reply, all its lines, as text; "" when the server has closed. Every line must be lawful."""
        lines = []
        while True:
            line = self.line()
            if not line:
                return "\n".join(lines)
            assert re.fullmatch(rb"[2-5][0-9][0-9][ -][\x20-\x7e\x80-\xff]*\r\n", line) and len(line) <= 512, line
            lines.append(line[:-2].decode())
            if line[3:4] == b" ":
                return "\n".join(lines)

    def command(self, text):
        self.raw(text.encode() + b"\r\n" if isinstance(text, str) else text + b"\r\n")
        return self.reply()

    def closed(self, seconds=10):
        """Whether the server closes within so many seconds; what it still says is read and dropped."""
        self.socket.settimeout(seconds * PATIENCE)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def begin(self, recipient="jane.doe@acme.com", sender="sender@example.org", parameters=""):
        """EHLO, MAIL and RCPT, all accepted."""
        assert self.command("EHLO client.example").startswith("250"), "EHLO"
        assert self.command(f"MAIL FROM:<{sender}>{parameters}").startswith("250"), "MAIL"
        for address in [recipient] if isinstance(recipient, str) else recipient:
            reply = self.command(f"RCPT TO:<{address}>")
            assert reply.startswith("250"), reply

    def data(self, octets):
        """DATA, the octets as they are, and the reply that follows."""
        reply = self.command("DATA")
        assert reply.startswith("354"), reply
        self.raw(octets)
        return self.reply()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, TypeError):
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    return []


def program_of(pid):
    """The program a worker runs, by its command line (the executable's link needs more rights)."""
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


def fresh_session_works(instance, seconds=5):
    """Check H of docs/reference/hostile-inputs.md: a plain session is served in time."""
    started = time.monotonic()
    with instance.connect(seconds) as client:
        assert client.greeting.startswith("220"), client.greeting
        assert client.command("EHLO honest.example").startswith("250")
        assert client.command("MAIL FROM:<a@honest.example>").startswith("250")
        assert client.command("RCPT TO:<jane.doe@acme.com>").startswith("250")
        assert client.command("RSET").startswith("250")
        assert client.command("QUIT").startswith("221")
    assert time.monotonic() - started < seconds * PATIENCE


def no_worker_died(instance):
    """Check P: no worker ended by itself (kills that a test makes are its own business)."""
    found = re.findall(r".*worker-died.*", instance.log())
    assert not found, found
    assert "AddressSanitizer" not in instance.log()
