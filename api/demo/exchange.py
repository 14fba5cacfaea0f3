"""The far side of the demo: a stand-in for Twilio that speaks its real wire format.

It signs its webhooks, follows the TwiML it is answered, keeps recordings behind HTTP Basic, and deletes them when
told. Tests use it too, with the vendor's own SDK as the judge of its signatures.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import secrets
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit


@dataclass
class Exchange:
    """A telephone exchange with customers, an account and recordings.

    `clock` gives its own time, and `pass_by` lets so many seconds of it go by, so that no call ends before its time.
    `requests` holds the method of each request that reached its REST side.
    """

    account_sid: str
    auth_token: str
    webhooks: str  # public URL of the service
    clock: Callable[[], datetime]
    pass_by: Callable[[float], object]
    recordings: dict[str, bytes] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def answering(self) -> Iterator[Exchange]:
        """Serve recordings on a free loopback port while the block runs."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Rest", (_Rest,), {"exchange": self}))
        server.daemon_threads = True
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, name="exchange", daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def call(self, *, customer: str, line: str, key: str | None, audio: bytes, seconds: float) -> Call:
        """One inbound call from ring to hang-up: what was said, and what was recorded.

        The two parties talk for `seconds`, and then the call ends. Where the TwiML after the key starts a recording,
        `audio` becomes that recording, as long as they talked.
        """
        call = Call("CA" + secrets.token_hex(16), customer, line)
        fields = {
            "AccountSid": self.account_sid,
            "CallSid": call.sid,
            "From": customer,
            "To": line,
            "CallStatus": "ringing",
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
        }
        twiml = self._post(f"{self.webhooks}/webhooks/twilio/voice", fields, call)
        gather = twiml.find("Gather")
        call.prompt = [said.text or "" for said in twiml.iter("Say")]
        if gather is not None:
            answered = {**fields, "CallStatus": "in-progress", "Digits": key or ""}
            twiml = self._post(gather.get("action", ""), answered, call)
            call.answer = [said.text or "" for said in twiml.iter("Say")]
        call.connected_to = "".join(text.strip() for dial in twiml.iter("Dial") for text in dial.itertext()) or None
        started = self.clock()
        recording = twiml.find(".//Recording")
        if recording is not None:
            self._record(recording, fields, call, audio, started, seconds)
        self.talk(call, seconds)
        ended = started + timedelta(seconds=seconds)
        status = {
            **fields,
            "CallStatus": "completed",
            "Timestamp": format_datetime(ended),
            "CallDuration": f"{seconds:.0f}",
        }
        self._post(f"{self.webhooks}/webhooks/twilio/status", status, call)
        return call

    def delete(self, sid: str) -> bool:
        """Delete a recording; gives whether that worked."""
        del self.recordings[sid]
        self.deleted.append(sid)
        return True

    def talk(self, call: Call, seconds: float) -> None:  # noqa: ARG002 -- for subclasses that listen
        """The two are connected and talk."""
        self.pass_by(seconds)

    def placed(self, fields: dict[str, str]) -> bool:  # noqa: ARG002 -- for subclasses that have telephones
        """Begin a call that was asked for by REST; gives whether it was begun. There are no such calls in the demo."""
        return False

    def _record(
        self, verb: ET.Element, fields: dict[str, str], call: Call, audio: bytes, started: datetime, seconds: float
    ) -> None:
        sid = "RE" + secrets.token_hex(16)
        self.recordings[sid] = audio
        call.recording = sid
        callback = {
            **{name: fields[name] for name in ("AccountSid", "CallSid")},
            "RecordingSid": sid,
            "RecordingUrl": f"{self.rest_url}/2010-04-01/Accounts/{self.account_sid}/Recordings/{sid}",
            "RecordingStartTime": format_datetime(started),
            "RecordingSource": "StartCallRecordingTwiML",
            "RecordingTrack": "both",
            "RecordingChannels": "2",
        }
        url = verb.get("recordingStatusCallback", "")
        self._post(url, {**callback, "RecordingStatus": "in-progress"}, call)
        self._post(url, {**callback, "RecordingStatus": "completed", "RecordingDuration": f"{seconds:.0f}"}, call)

    def _post(self, url: str, fields: dict[str, str], call: Call) -> ET.Element:
        body = urlencode(fields)
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=15)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signature(self.auth_token, url, fields),
        }
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        call.exchanges.append((parts.path, response.status))
        return ET.fromstring(text) if text else ET.Element("Response")  # noqa: S314 -- our own service's answer


@dataclass
class Call:
    """What happened in one call, seen from the exchange."""

    sid: str
    customer: str
    line: str
    prompt: list[str] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)
    connected_to: str | None = None
    recording: str | None = None
    exchanges: list[tuple[str, int]] = field(default_factory=list)


def signature(token: str, url: str, fields: dict[str, str]) -> str:
    """X-Twilio-Signature of a form POST (twilio.com, "Validating requests")."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


class _Rest(BaseHTTPRequestHandler):
    """The REST side: recordings behind HTTP Basic, until they are deleted."""

    protocol_version = "HTTP/1.1"
    exchange: Exchange

    def log_message(self, *_: object) -> None:
        """Say nothing: the story is told elsewhere."""

    def do_GET(self) -> None:
        if sid := self._sid():
            self._answer(200, self.exchange.recordings[sid], "audio/x-wav")

    def do_POST(self) -> None:
        """Ask for a call. Only subclasses that override `placed` begin one."""
        fields = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        placed = urlsplit(self.path).path.endswith("/Calls.json") and self._known() and self.exchange.placed(fields)
        self._answer(*((201, b"{}", "application/json") if placed else (400, b"{}", "application/json")))

    def do_DELETE(self) -> None:
        if sid := self._sid():
            self._answer(204 if self.exchange.delete(sid) else 500)

    def _sid(self) -> str | None:
        """The recording asked for; None where the request has been refused."""
        if not self._known():
            self._answer(401)
            return None
        sid = urlsplit(self.path).path.rsplit("/", 1)[-1].split(".")[0]
        if sid not in self.exchange.recordings:
            self._answer(404)
            return None
        return sid

    def _known(self) -> bool:
        self.exchange.requests.append(self.command)
        login = f"{self.exchange.account_sid}:{self.exchange.auth_token}".encode()
        return hmac.compare_digest(self.headers.get("Authorization", ""), f"Basic {base64.b64encode(login).decode()}")

    def _answer(self, status: int, body: bytes = b"", kind: str = "application/xml") -> None:
        self.send_response(status)
        if body:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
