"""A mail server on the loopback interface that keeps what it is sent."""

import base64
import email
import socketserver
import threading
from email import policy


class MailSink:
    """Speaks SMTP (RFC 5321) with AUTH PLAIN and LOGIN until it is closed.

    Attributes:
        mails: Envelope recipients and the parsed message of each mail.
        logins: Name and password of each login.
        refuses: What RCPT is answered with, if anything.
    """

    def __init__(self):
        self.mails, self.logins, self.refuses = [], [], ""
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session)
        self._server.daemon_threads, self._server.sink = True, self
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self):
        return self._server.server_address[1]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Session(socketserver.StreamRequestHandler):
    def handle(self):
        self._say("220 sink ESMTP")
        self.recipients = []
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "QUIT":
                self._say("221 bye")
                return
            getattr(self, f"do_{word.lower()}", self._unknown)(line)

    def do_ehlo(self, _line):
        self._say("250-sink\r\n250 AUTH PLAIN LOGIN")

    def do_auth(self, line):
        words = line.split()
        if words[1].upper() == "PLAIN":
            _, name, password = base64.b64decode(words[2]).decode().split("\0")
        else:
            name = base64.b64decode(words[2]).decode()
            self._say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(self.rfile.readline()).decode()
        self.server.sink.logins.append((name, password))
        self._say("235 welcome")

    def do_mail(self, _line):
        self.recipients = []
        self._say("250 ok")

    def do_rcpt(self, line):
        if refuses := self.server.sink.refuses:
            self._say(refuses)
            return
        self.recipients.append(line.split("<")[1].split(">")[0])
        self._say("250 ok")

    def do_data(self, _line):
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        mail = email.message_from_bytes(b"".join(lines), policy=policy.default)
        self.server.sink.mails.append((self.recipients, mail))
        self._say("250 kept")

    def do_rset(self, _line):
        self._say("250 ok")

    def _unknown(self, _line):
        self._say("502 not here")

    def _say(self, text):
        self.wfile.write(f"{text}\r\n".encode())
