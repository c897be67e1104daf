#!/usr/bin/env python3
"""How a session of IMAP fares that stays open, as those of telephones do: for days, and mostly silent.

Watchpost starts it once and writes an empty line for each run. It logs in at the first, keeps the session, and answers with lines of JSON:
how long the server takes to say that nothing is new, what waits in the mailbox, and how old the session is. A session that breaks is an
event, and is opened again at once: what broke it (a firewall that forgets, a server that was restarted) shows in `session_age`.

    idle.py HOST PORT USER

The password is in the environment (IMAP_PASSWORD), never among the arguments. Needs Python 3.7 or later, and nothing else.
"""

import imaplib
import json
import os
import socket
import sys
import time

# Shorter than the run's own: a reason is worth more than a deadline that was met.
TIMEOUT_S = 5


def tell(**line):
    print(json.dumps(line), flush=True)


class Failed(Exception):
    """Why nothing can be measured: a kind of failure, and a sentence."""


class Session:
    def __init__(self, host, port, user):
        self.host, self.port, self.user = host, port, user
        self.imap, self.since = None, 0.0

    def open(self):
        try:
            imap = imaplib.IMAP4(self.host, self.port)
        except OSError as error:
            raise Failed("connect", str(error)) from error
        try:
            imap.login(self.user, os.environ.get("IMAP_PASSWORD", ""))
            imap.select("INBOX", readonly=True)
        except imaplib.IMAP4.error as error:
            raise Failed("auth", str(error)) from error
        self.imap, self.since = imap, time.monotonic()

    def ask(self):
        begun = time.monotonic()
        self.imap.noop()
        took = time.monotonic() - begun
        unseen = len(self.imap.search(None, "UNSEEN")[1][0].split())
        tell(metric="noop_time", value=took, unit="seconds", help="Time until the server said that nothing is new.")
        tell(metric="unseen", value=unseen, unit="messages", help="Messages in the mailbox that nobody has read.")
        tell(metric="session_age", value=time.monotonic() - self.since, unit="seconds", help="How long the session has been open.")

    def measure(self):
        if self.imap is None:
            self.open()
        try:
            self.ask()
        except (OSError, imaplib.IMAP4.error) as error:
            age = time.monotonic() - self.since
            tell(event="session_broken", severity="minor", text=f"a session of {age:.0f} s broke: {error}")
            self.imap = None
            self.open()
            self.ask()


def main():
    host, port, user = sys.argv[1:]
    socket.setdefaulttimeout(TIMEOUT_S)
    session = Session(host, int(port), user)
    for _ in sys.stdin:
        try:
            session.measure()
        except Failed as failed:
            kind, why = failed.args
            tell(error=kind, text=why)
        except (OSError, imaplib.IMAP4.error) as error:
            session.imap = None
            tell(error="protocol", text=str(error))
        # Says that this run has all there is.
        tell(end=True)


main()
