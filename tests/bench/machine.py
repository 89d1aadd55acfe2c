"""The machine of a run: where the spools lie, what it is, and how fast its disk and its ends are with no server in between."""

import contextlib
import os
import pathlib
import platform
import re
import subprocess
import tempfile
import time

from ends import Sink, source
from servers import Postfix

MIB = 1 << 20
FILE_OCTETS = 64 * MIB


def appended_rate(folder, octets):
    """fdatasync a second of so many octets that are appended to a file."""
    path = pathlib.Path(folder) / "bench-flush"
    with open(path, "wb", buffering=0) as file:
        rate = flush_rate(file, octets)
    path.unlink()
    return rate


def written_over_rate(folder, octets):
    """The same over octets that were written before."""
    path = pathlib.Path(folder) / "bench-flush"
    with open(path, "wb", buffering=0) as file:
        file.write(b"\0" * FILE_OCTETS)
        os.fsync(file.fileno())
        file.seek(0)
        rate = flush_rate(file, octets)
    path.unlink()
    return rate


def flush_rate(file, octets):
    block, count, began = b"x" * octets, 0, time.time()
    while time.time() - began < 1 and count < FILE_OCTETS // octets:
        file.write(block)
        os.fdatasync(file.fileno())
        count += 1
    return count / (time.time() - began)


def loopback_rate(reuse, count):
    """Messages a second of the generator straight into the sink."""
    sink = Sink(count, 0)
    try:
        began = time.time()
        source(sink.port, count, 20, 4096, reuse)
        return count / (sink.done() - began)
    finally:
        sink.close()


def found(pattern, path):
    match = re.search(pattern, pathlib.Path(path).read_text())
    return match.group(1) if match else "unknown"


def describe_spools(folder):
    """File system, journal, mount options, and whether a loop device beneath passes the page cache by."""
    kind, name, options = (subprocess.run(["findmnt", "-no", "FSTYPE,SOURCE,OPTIONS", "-T", folder], capture_output=True, text=True, check=False)
                           .stdout.split() + 3 * ["unknown"])[:3]
    device = pathlib.Path(name).name
    journal = ""
    if kind == "ext4":
        journal = " with a journal" if pathlib.Path(f"/proc/fs/jbd2/{device}-8").exists() else " without a journal"
    direct = pathlib.Path(f"/sys/block/{device}/loop/dio")
    loop = ""
    if direct.exists():
        loop = " on a loop device " + ("with direct I/O" if direct.read_text().strip() == "1" else "through the page cache")
    return f"{kind}{journal}{loop}, mounted {options}"


def describe(folder, scaled, server_classes, rounds):
    processor = found(r"model name\s*: (.*)", "/proc/cpuinfo")
    memory = int(found(r"MemTotal:\s+(\d+)", "/proc/meminfo")) / MIB
    print(f"{os.cpu_count()} x {processor if processor != 'unknown' else platform.machine()}, {memory:.1f} GiB of memory, Linux {platform.release()}; spools "
          f"on {describe_spools(folder)}; {Postfix.version() if Postfix in server_classes else 'no Postfix'}; {rounds} rounds, medians\n")
    print("| physical limit | a second |\n|---|---|")
    print(f"| fdatasync of 4 KiB appended | {appended_rate(folder, 4096):.0f} |")
    print(f"| fdatasync of 4 KiB written over | {written_over_rate(folder, 4096):.0f} |")
    print(f"| MiB appended and flushed, 1 MiB at a time | {appended_rate(folder, MIB):.0f} |")
    print(f"| MiB written over and flushed, 1 MiB at a time | {written_over_rate(folder, MIB):.0f} |")
    print(f"| generator straight into the sink, new sessions | {loopback_rate(False, scaled(20000)):.0f} |")
    print(f"| the same, sessions reused | {loopback_rate(True, scaled(20000)):.0f} |", flush=True)


@contextlib.contextmanager
def spool_folder():
    """Where spools go: what BENCH_FOLDER says, or for root a journaled ext4 of its own, because a file system without one flatters appends."""
    if "BENCH_FOLDER" in os.environ or os.getuid() != 0:
        yield os.environ.get("BENCH_FOLDER", "/var/tmp")
        return
    image = tempfile.mkstemp(prefix="bench-disk-", dir="/var/tmp")[1]
    mount = tempfile.mkdtemp(prefix="bench-disk-", dir="/var/tmp")
    try:
        subprocess.run(["dd", "if=/dev/zero", f"of={image}", "bs=4M", "count=1536", "conv=fsync", "status=none"], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-N", "500000", image], check=True)
        device = subprocess.run(["losetup", "--show", "--direct-io=on", "-f", image], check=True, capture_output=True, text=True).stdout.strip()
        try:
            subprocess.run(["mount", "-t", "ext4", "-o", "relatime", device, mount], check=True)
            try:
                os.chmod(mount, 0o1777)
                yield mount
            finally:
                subprocess.run(["umount", mount], check=True)
        finally:
            subprocess.run(["losetup", "-d", device], check=True)
    finally:
        os.unlink(image)
        os.rmdir(mount)
