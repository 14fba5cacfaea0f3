"""An exchange in a process of its own: its recordings are files, and so is its mood."""

from __future__ import annotations

import os
import signal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

MOODS = ("away", "cut", "page", "missing")


def serve(spool: Path) -> int:
    """Serve the recordings lying in `spool` for as long as this process lives; gives the port. Forks."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"spool": spool}))
    if os.fork() == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.parent = os.getppid()
        server.serve_forever()
    server.socket.close()
    return server.server_port


def set_mood(spool: Path, mood: str) -> None:
    (spool / "mood").write_text(mood)


class _Server(HTTPServer):
    parent = 0

    def service_actions(self) -> None:
        if os.getppid() != self.parent:
            os._exit(0)


class _Handler(BaseHTTPRequestHandler):
    spool: Path

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        """A subscriber is told something."""
        said = self.rfile.read(int(self.headers["Content-Length"]))
        if (self.spool / "mood").read_text() != "well":
            self._say(503, b"")
            return
        with (self.spool / "told").open("ab") as file:
            file.write(said + b"\n")
        self._say(204, b"")

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        mood = (self.spool / "mood").read_text()
        file = self.spool / self.path.strip("/")
        if mood == "away":
            self.close_connection = True
        elif mood != "well" and self.command == "DELETE":
            self._say(503, b"")  # never 204: the service believes it, and the file would stay
        elif mood == "page":
            self._say(200, b"<html>we are sorry</html>")
        elif mood == "missing" or not file.is_file():
            self._say(404, b"")
        elif self.command == "DELETE":
            file.unlink()
            self._say(204, b"")
        else:
            sound = file.read_bytes()
            self._say(200, sound[: len(sound) // 2] if mood == "cut" else sound, len(sound))

    def _say(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True
