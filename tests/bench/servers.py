"""
The servers that the benchmark compares, each with durable acceptance, the same limits and one next hop: a sink.

mode: "relay" sends on to 127.0.0.1:SINK_PORT; "hold" takes mail and keeps it. flush_delay: microseconds that each flush takes longer.
"""

import contextlib
import grp
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "functional"))
import matador  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")


def compile_here(source, output, *options):
    subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", *options, "-o", output, HERE / source, "-ldl"], check=True)
    return output


def tree(pid):
    found, front = [pid], [pid]
    while front:
        front = [child for parent in front for child in matador.children_of(parent)]
        found += front
    return found


def cpu_seconds(pid):
    """User and system time of a process tree, children that have left included."""
    ticks = 0
    for member in tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = pathlib.Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / TICK


def cpu_by_program(pid):
    """The same by program; of those that run."""
    spent = {}
    for member in tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            name, _, fields = pathlib.Path(f"/proc/{member}/stat").read_text().partition("(")[2].rpartition(")")
            spent[name] = spent.get(name, 0) + sum(int(value) for value in fields.split()[11:13]) / TICK
    return spent


def context_switches(pid):
    """Of all threads of a process tree; of those that run."""
    total = 0
    for member in tree(pid):
        for path in pathlib.Path(f"/proc/{member}/task").glob("*/status"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += sum(int(count) for count in re.findall(r"ctxt_switches:\s+(\d+)", path.read_text()))
    return total


def system_calls(pid, work):
    """Of a process tree while work() is done. None without strace or the right to use it."""
    members = tree(pid)
    if shutil.which("strace") is None:
        work()
        return None
    with tempfile.TemporaryDirectory(prefix="bench-strace-") as folder:
        summary = pathlib.Path(folder) / "summary"
        with subprocess.Popen(["strace", "-c", "-f", "-qq", "-o", summary, *(f"-p{member}" for member in members)],
                              stderr=subprocess.DEVNULL) as tracer:
            matador.wait_for(lambda: tracer.poll() is not None or all(traced(member) for member in members), 20, "strace")
            try:
                work()
            finally:
                tracer.send_signal(signal.SIGINT)
        total = re.search(r"^100\.00\s+\S+\s+(?:\d+\s+)?(\d+)\s.*total$", summary.read_text() if summary.exists() else "", re.M)
        return int(total.group(1)) if total else None


def traced(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return "\nTracerPid:\t0\n" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    return True


def memory_kib(pid):
    """Proportional set size of a process tree."""
    total = 0
    for member in tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError, AttributeError):
            total += int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{member}/smaps_rollup").read_text(), re.M).group(1))
    return total


def end_tree(pid):
    members = tree(pid)
    for member in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGTERM)
    for member in members:
        matador.wait_for(lambda pid=member: not matador.running(pid), 20, "the end of a server")


def slow_flush_library(flush_delay):
    """Makes flushes slower for who preloads it; in a folder of its own."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-flush-"))
    folder.chmod(0o755)
    return compile_here("slow_flush.c", folder / "slow_flush.so", "-shared", "-fPIC", f"-DFLUSH_MICROSECONDS={flush_delay}L")


class Matador:
    name = "Matador"

    def __init__(self, sink_port, mode="relay", flush_delay=0, settings=None, start=True):
        self.instance = matador.Instance()
        self.instance.relay_to(sink_port if mode == "relay" else 9)
        self.instance.configuration.update({"maximum_sessions_per_client": 20000, "maximum_commands_per_session": 10000000,
                                            "maximum_messages_per_session": 10000000, "maximum_recipients_per_message": 20000})
        self.instance.configuration.update(settings or {})
        self.library = slow_flush_library(flush_delay) if flush_delay else None
        if self.library is not None:
            self.instance.wrap_program("qmgr", f"export LD_PRELOAD={self.library}", self.library.parent)
        self.port = self.instance.port
        if start:
            self.start()

    def start(self):
        self.instance.start()
        self.pid = self.instance.master

    def close(self):
        self.instance.stop()
        self.instance.close()
        if self.library is not None:
            shutil.rmtree(self.library.parent)


class Postfix:
    """The extracted package, with its own queue and configuration; its library folder must be where it expects it."""
    name = "Postfix"

    @staticmethod
    def version():
        root = matador.PEERS / "postfix"
        result = subprocess.run([root / "usr/sbin/postconf", "-dh", "mail_version"], capture_output=True, text=True, check=True,
                                env={**os.environ, "LD_LIBRARY_PATH": str(root / "usr/lib/postfix")})
        return f"Postfix {result.stdout.strip()}"

    def __init__(self, sink_port, mode="relay", flush_delay=0):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-postfix-"))
        os.chmod(self.folder, 0o755)
        root = matador.PEERS / "postfix"
        self.port = matador.free_port()
        queue, etc, data = self.folder / "q", self.folder / "etc", self.folder / "data"
        make_users()
        uid, drop = pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postdrop").gr_gid
        etc.mkdir()
        data.mkdir()
        queue.mkdir()
        os.chown(data, uid, -1)
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "saved", "trace", "private"):
            (queue / name).mkdir(mode=0o700)
            os.chown(queue / name, uid, -1)
        (queue / "public").mkdir(mode=0o710)
        (queue / "maildrop").mkdir(mode=0o730)
        (queue / "pid").mkdir()
        for name in ("public", "maildrop"):
            os.chown(queue / name, uid, drop)
        self.library = slow_flush_library(flush_delay) if flush_delay else None
        (etc / "main.cf").write_text(MAIN_CF.format(queue=queue, data=data, root=root, folder=self.folder, sink_port=sink_port,
                                                    hold="check_client_access static:HOLD, " if mode == "hold" else "",
                                                    preload=f"LD_PRELOAD={self.library}" if self.library else ""))
        (etc / "master.cf").write_text(MASTER_CF.format(port=self.port))
        # Its programs look for their libraries in /usr/lib/postfix: a private mount namespace shows them there.
        pathlib.Path("/usr/lib/postfix").mkdir(exist_ok=True)
        hosts = self.folder / "hosts"
        hosts.write_text("127.0.0.1 localhost\n127.0.0.2 bench.test\n")
        subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-ec",
                        f"mount --bind {root}/usr/lib/postfix /usr/lib/postfix; mount --bind {hosts} /etc/hosts; "
                        f"exec {root}/usr/lib/postfix/sbin/master -c {etc} -w"], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        matador.wait_for(self.listening, 20, "Postfix")
        self.pid = int((queue / "pid" / "master.pid").read_text())

    def listening(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self):
        end_tree(self.pid)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.library is not None:
            shutil.rmtree(self.library.parent)


def make_users():
    for user in ("postfix", "postdrop"):
        if subprocess.run(["getent", "group", user], capture_output=True, check=False).returncode:
            subprocess.run(["groupadd", "-r", user], check=True)
    if subprocess.run(["getent", "passwd", "postfix"], capture_output=True, check=False).returncode:
        subprocess.run(["useradd", "-r", "-M", "-d", "/nonexistent", "-s", "/usr/sbin/nologin", "-g", "postfix", "postfix"], check=True)


MAIN_CF = """compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
command_directory = {root}/usr/sbin
daemon_directory = {root}/usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{sink_port}
relay_domains =
alias_maps =
local_recipient_maps =
local_transport = error:no local
biff = no
maillog_file = {folder}/maillog
maillog_file_prefixes = /
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_recipient_restrictions = {hold}permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 100
smtp_destination_concurrency_limit = 20
initial_destination_concurrency = 20
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = [127.0.0.1]:{sink_port}
smtp_tls_security_level = none
smtpd_tls_security_level = none
in_flow_delay = 0
qmgr_message_active_limit = 20000
message_size_limit = 52428800
max_use = 1000
import_environment = MAIL_CONFIG {preload}
"""

MASTER_CF = """127.0.0.1:{port} inet n - n - 100 smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
