"""Receivers for outbound mail: a scripted SMTP/LMTP server, Postfix's smtp-sink, Dovecot's LMTP server."""

import grp
import os
import pathlib
import pwd
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time

from matador import PEERS, free_port, wait_for


class Message:
    def __init__(self, sender, recipients, octets, parameters, session):
        self.sender = sender
        self.recipients = recipients
        self.octets = octets          # after dot-unstuffing, CRLF line ends as received
        self.parameters = parameters  # what stood behind MAIL FROM:<...> and each RCPT TO:<...>
        self.session = session

    @property
    def body(self):
        return self.octets.partition(b"\r\n\r\n")[2]


class Receiver:
    """
    A threaded SMTP (or LMTP) server. `script` maps a verb (or "banner", or "dot": the end of a message, by DATA or BDAT)
    to a function(session, argument) that returns a reply to say instead of the usual one, None for the usual one, or
    raises Close.
    """

    class Close(Exception):
        """Drop the connection now, without a reply."""

    def __init__(self, lmtp=False, extensions=("PIPELINING", "8BITMIME", "SIZE 100000000", "SMTPUTF8", "DSN",
                                               "ENHANCEDSTATUSCODES"), port=0, address="127.0.0.1"):
        self.lmtp = lmtp
        self.extensions = list(extensions)
        self.script = {}
        self.messages = []
        self.commands = []       # every command line of every session, in order
        self.wire = []           # raw octets between 354 and the end of data, or of the chunks, for each message
        self.sessions = 0
        self.peers = []          # the address that each session came from
        self.open_sessions = 0
        self.most_open = 0
        self.lock = threading.Lock()
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                with receiver.lock:
                    receiver.sessions += 1
                    receiver.peers.append(self.client_address[0])
                    receiver.open_sessions += 1
                    receiver.most_open = max(receiver.most_open, receiver.open_sessions)
                    self.number = receiver.sessions
                self.sender, self.recipients, self.parameters, self.chunks = None, [], [], []
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    receiver.converse(self)
                except (Receiver.Close, ConnectionError, BrokenPipeError):
                    pass
                finally:
                    with receiver.lock:
                        receiver.open_sessions -= 1

        class Server(socketserver.ThreadingTCPServer):
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

        self.server = Server((address, port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def say(self, session, reply):
        if isinstance(reply, str):
            reply = reply.encode() + b"\r\n"
        session.wfile.write(reply)
        session.wfile.flush()

    def scripted(self, session, verb, argument):
        function = self.script.get(verb)
        return function(session, argument) if function else None

    def converse(self, session):
        self.say(session, self.scripted(session, "banner", "") or "220 sink.example ESMTP")
        while True:
            line = session.rfile.readline(65536)
            if not line:
                return
            text = line.rstrip(b"\r\n").decode("utf-8", "replace")
            with self.lock:
                self.commands.append(text)
            verb = text.split(" ")[0].upper()
            argument = text[len(verb) + 1:]
            if verb == "BDAT":   # RFC 3030: the chunk follows its command, whatever the reply will be
                session.chunks.append(session.rfile.read(int(argument.split(" ")[0])))
            reply = self.scripted(session, verb, argument)
            if verb == "QUIT":
                self.say(session, reply or "221 2.0.0 bye")
                return
            if reply is not None:
                self.say(session, reply)
                if not (verb == "DATA" and reply.startswith("354")):
                    continue
            if verb in ("EHLO", "LHLO"):
                if reply is None:
                    lines = ["sink.example", *self.extensions]
                    self.say(session, "\r\n".join(f"250{'-' if i < len(lines) - 1 else ' '}{text}"
                                                  for i, text in enumerate(lines)))
            elif verb == "HELO":
                self.say(session, "250 sink.example")
            elif verb == "MAIL":
                session.sender, _, rest = argument.partition("<")[2].partition(">")
                session.recipients, session.parameters, session.chunks = [], [rest.strip()], []
                self.say(session, "250 2.1.0 ok")
            elif verb == "RCPT":
                address, _, rest = argument.partition("<")[2].partition(">")
                session.recipients.append(address)
                session.parameters.append(rest.strip())
                self.say(session, "250 2.1.5 ok")
            elif verb == "DATA":
                if reply is None:
                    if not session.recipients:
                        self.say(session, "503 5.5.1 no recipients")
                        continue
                    self.say(session, "354 go")
                self.receive(session)
            elif verb == "BDAT":
                if not session.recipients:
                    self.say(session, "503 5.5.1 no recipients")
                elif argument.upper().endswith(" LAST"):
                    self.take(session, b"".join(session.chunks), b"".join(session.chunks))
                else:
                    self.say(session, f"250 2.0.0 {len(session.chunks[-1])} octets")
            elif verb == "RSET":
                session.sender, session.recipients, session.parameters, session.chunks = None, [], [], []
                self.say(session, "250 2.0.0 ok")
            elif verb == "NOOP":
                self.say(session, "250 2.0.0 ok")
            else:
                self.say(session, "500 5.5.1 what?")

    def receive(self, session):
        lines, wire = [], []
        while True:
            line = session.rfile.readline()
            if not line:
                return
            wire.append(line)
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        self.take(session, b"".join(lines), b"".join(wire))

    def take(self, session, octets, wire):
        """A whole message has come: says what becomes of it, by the script of "dot"."""
        reply = self.scripted(session, "dot", octets)
        replies = reply if isinstance(reply, list) else [reply] * (len(session.recipients) if self.lmtp else 1)
        accepted = [recipient for recipient, answer in
                    zip(session.recipients, replies if self.lmtp else replies * len(session.recipients))
                    if answer is None or str(answer).startswith("2")]
        if accepted:
            with self.lock:
                self.wire.append(wire)
                self.messages.append(Message(session.sender, accepted, octets, session.parameters,
                                             session.number))
        for answer in replies:
            self.say(session, answer or "250 2.0.0 taken")
        session.recipients = []

    def wait(self, count=1, seconds=15):
        wait_for(lambda: len(self.messages) >= count, seconds, what=f"{count} messages at the receiver")
        return self.messages

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def postfix_tool(name):
    """The command line of one of Postfix's test programs, from the extracted package."""
    root = PEERS / "postfix"
    return ["env", f"LD_LIBRARY_PATH={root}/usr/lib/postfix", str(root / "usr/sbin" / name)]


class SmtpSink:
    """Postfix's smtp-sink, dumping each message into a file of its own folder."""

    def __init__(self, *options):
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="matador-sink-"))
        user = []
        if os.getuid() == 0:
            shutil.chown(self.folder, "nobody")
            user = ["-u", "nobody"]
        self.process = subprocess.Popen([*postfix_tool("smtp-sink"), *user, "-d", f"{self.folder}/%H%M%S.", *options,
                                         f"127.0.0.1:{self.port}", "256"], cwd=self.folder,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.listening, what="smtp-sink")

    def listening(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def messages(self):
        return [path.read_bytes() for path in self.folder.iterdir() if path.stat().st_size]

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def smtp_source(port, count, sessions=10, size=4096, reuse=True, sender="load@example.org",
                recipient="someone@elsewhere.example", timeout=120):
    """Postfix's smtp-source sends count messages; its result object."""
    options = ["-s", str(sessions), "-m", str(count), "-l", str(size), "-f", sender, "-t", recipient, "-M", "load.example"]
    if reuse:
        options.append("-d")
    return subprocess.run([*postfix_tool("smtp-source"), *options, f"127.0.0.1:{port}"], capture_output=True, text=True,
                          timeout=timeout, check=False)


class DovecotLmtp:
    """Dovecot as an LMTP server that delivers into Maildirs of its own folder."""

    def __init__(self):
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="matador-dovecot-"))
        os.chmod(self.folder, 0o755)
        user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        group = "nogroup" if os.getuid() == 0 else grp.getgrgid(os.getgid()).gr_name
        entry = pwd.getpwnam(user)
        (self.folder / "mail").mkdir()
        os.chown(self.folder / "mail", entry.pw_uid, entry.pw_gid)
        (self.folder / "dovecot.conf").write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
protocols = lmtp
ssl = no
first_valid_uid = 1
mail_location = maildir:{self.folder}/mail/%n
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
service lmtp {{
  user = {user}
  chroot =
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
userdb {{
  driver = static
  args = uid={user} gid={entry.pw_gid} home={self.folder}/mail/%n allow_all_users=yes
}}
passdb {{
  driver = static
  args = nopassword=y
}}
lda_mailbox_autocreate = yes
protocol lmtp {{
  postmaster_address = postmaster@acme.com
}}
""")
        self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", str(self.folder / "dovecot.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.listening, what="Dovecot's LMTP server")

    def listening(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def mail(self, user):
        folder = self.folder / "mail" / user / "new"
        return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
