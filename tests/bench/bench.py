"""
make bench: smtp-source -> Matador -> smtp-sink, and the same through Postfix, in turn, on the same disk in the same run.

Prints a Markdown table: messages a second (from the first connection to the last message at the sink), CPU seconds per 1000
messages of the whole process tree, memory (proportional set size) idle and under load, and the ratios of the medians. Durability is on for
both: Postfix flushes each message's file before its 250, Matador each batch's journal record.

environment: BENCH_ROUNDS (3), BENCH_SCALE (1; 0.1 for a quick look), BENCH_FOLDER (where the spools go: a real disk; default /var/tmp)
Root runs both servers with their own users; a plain user measures Matador alone.
"""

import contextlib
import grp
import os
import pathlib
import platform
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "functional"))
import matador  # noqa: E402
import receivers  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
FOLDER = os.environ.get("BENCH_FOLDER", "/var/tmp")
TICK = os.sysconf("SC_CLK_TCK")
WARM_UP = 60

# size, messages, sessions, sessions reused
ROWS = [(4096, 5000, 20, True), (4096, 5000, 20, False), (65536, 1500, 20, True), (1048576, 150, 20, True)]


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


def memory_mib(pid):
    total = 0
    for member in tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError, AttributeError):
            total += int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{member}/smaps_rollup").read_text(), re.M).group(1))
    return total / 1024


class Matador:
    name = "Matador"

    def __init__(self, sink_port):
        tempfile.tempdir = FOLDER
        self.instance = matador.Instance()
        self.instance.relay_to(sink_port)
        self.instance.configuration.update({"maximum_sessions_per_client": 20000, "maximum_commands_per_session": 10000000,
                                            "maximum_messages_per_session": 10000000})
        self.instance.start()
        self.port = self.instance.port
        self.pid = self.instance.master

    def close(self):
        self.instance.stop()
        self.instance.close()


class Postfix:
    """The extracted package, with its own queue and configuration; its library folder must be where it expects it."""
    name = "Postfix"

    def __init__(self, sink_port):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-postfix-", dir=FOLDER))
        os.chmod(self.folder, 0o755)
        root = matador.PEERS / "postfix"
        self.port = matador.free_port()
        queue, etc, data = self.folder / "q", self.folder / "etc", self.folder / "data"
        for user in ("postfix", "postdrop"):
            if subprocess.run(["getent", "group", user], capture_output=True, check=False).returncode:
                subprocess.run(["groupadd", "-r", user], check=True)
        if subprocess.run(["getent", "passwd", "postfix"], capture_output=True, check=False).returncode:
            subprocess.run(["useradd", "-r", "-M", "-d", "/nonexistent", "-s", "/usr/sbin/nologin", "-g", "postfix", "postfix"], check=True)
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
        (etc / "main.cf").write_text(f"""compatibility_level = 3.6
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
maillog_file = {self.folder}/maillog
maillog_file_prefixes = /
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_recipient_restrictions = permit_mynetworks, reject
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
""")
        (etc / "master.cf").write_text(f"""127.0.0.1:{self.port} inet n - n - 100 smtpd
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
""")
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
        members = tree(self.pid)
        for member in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGTERM)
        for member in members:
            matador.wait_for(lambda pid=member: not matador.running(pid), 20, "the end of Postfix")
        shutil.rmtree(self.folder, ignore_errors=True)


def measure(server_class, size, count, sessions, reuse):
    """One run: messages/s, CPU seconds per 1000, MiB idle, MiB under load."""
    sink_port = matador.free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    sink = subprocess.Popen([*receivers.postfix_tool("smtp-sink"), *user, "-M", str(count + WARM_UP), f"127.0.0.1:{sink_port}", "1024"],
                            cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = server_class(sink_port)
    try:
        time.sleep(0.5)
        idle = memory_mib(server.pid)
        assert receivers.smtp_source(server.port, WARM_UP, sessions, 4096, reuse, recipient="b@sink.test").returncode == 0
        time.sleep(1)
        cpu, started = cpu_seconds(server.pid), time.monotonic()
        result = receivers.smtp_source(server.port, count, sessions, size, reuse, recipient="b@sink.test", timeout=300)
        loaded = memory_mib(server.pid)
        assert result.returncode == 0, result.stderr
        sink.wait(300)
        seconds = time.monotonic() - started
        time.sleep(0.3)
        return count / seconds, (cpu_seconds(server.pid) - cpu) / count * 1000, idle, loaded
    finally:
        server.close()
        if sink.poll() is None:
            sink.terminate()
            sink.wait()


def main():
    servers = [Matador, Postfix] if os.getuid() == 0 else [Matador]
    processor = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    disk = subprocess.run(["findmnt", "-no", "FSTYPE,OPTIONS", "-T", FOLDER], capture_output=True, text=True, check=False).stdout.strip()
    print(f"{os.cpu_count()} x {processor.group(1) if processor else platform.machine()}, Linux {platform.release()}, "
          f"spools on {FOLDER} ({disk}), {ROUNDS} rounds, medians\n")
    print("| size | sessions | reused | server | messages/s | min-max | CPU s/1000 | MiB idle | MiB loaded |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size, count, sessions, reuse in ROWS:
        count = max(100, int(count * SCALE))
        results = {server.name: [] for server in servers}
        for _ in range(ROUNDS):
            for server in servers:
                results[server.name].append(measure(server, size, count, sessions, reuse))
        medians = {}
        for name, rounds in results.items():
            medians[name] = [statistics.median(values) for values in zip(*rounds)]
            rates = [values[0] for values in rounds]
            rate, cpu, idle, loaded = medians[name]
            print(f"| {size} | {sessions} | {'yes' if reuse else 'no'} | {name} | {rate:.0f} | {min(rates):.0f}-{max(rates):.0f} | "
                  f"{cpu:.2f} | {idle:.0f} | {loaded:.0f} |")
        if len(medians) == 2:
            print(f"| {size} | {sessions} | {'yes' if reuse else 'no'} | ratio | x{medians['Matador'][0] / medians['Postfix'][0]:.2f} | | "
                  f"1/{medians['Postfix'][1] / max(medians['Matador'][1], 1e-9):.1f} | | |")
        sys.stdout.flush()


main()
