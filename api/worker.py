"""The process the jobs run in, beside the one that answers: what they compute delays no webhook.

`python -m api.worker` reads settings, and then names of jobs to wake, from its standard input. It ends when that does:
however the process that started it ended, it only finishes what it is in the middle of.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, cast

import structlog

from api import heap, logs
from recorder.errors import RecorderError
from recorder.jobs import OWN, Jobs
from recorder.ports import Service
from recorder.service import Bell, opened
from recorder.settings import Settings

NICER = 5  # webhooks go before jobs, and jobs before encoders
GATHER_SECONDS = 0.02  # however often a job is rung within this time, the process is told once
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before a process that died is replaced
PATIENCE_SECONDS = 30.0  # for what is still running when we stop
STEADY_SECONDS = 60.0  # after a process that lived longer, the next pause is the first one again

log = structlog.get_logger(__name__)


class Worker:
    """Keeps a process running that does the jobs, and tells it which to wake. Used just like `Jobs`. Thread-safe."""

    def __init__(self, service: Service) -> None:
        self._settings = service.settings
        self._own = Jobs(service, OWN)
        self._rung: SimpleQueue[str | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._pipe: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._keep_running, self._ring)]

    def start(self) -> None:
        self._own.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return when what was running in the process has ended, and the process with it.

        What takes longer than `PATIENCE_SECONDS` is cut off; the next process takes it up again.
        """
        self._stopped.set()
        self._rung.put(None)
        with self._lock:
            self._hang_up()
        patient_until = time.monotonic() + PATIENCE_SECONDS
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, patient_until - time.monotonic()))
        self._cut_off()
        self._own.stop()

    def wake(self, name: str) -> None:
        """Never waits. Nothing is lost where no process listens: a new one looks at everything when it starts."""
        self._rung.put(name)

    def _ring(self) -> None:
        while not self._stopped.is_set():
            names = {self._rung.get()}
            while not self._rung.empty():
                names.add(self._rung.get())
            with self._lock, suppress(BrokenPipeError):
                if self._pipe is not None:
                    self._pipe.write("".join(f"{name}\n" for name in names if name).encode())
            self._stopped.wait(GATHER_SECONDS)

    def _keep_running(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopped.is_set():
            began = time.monotonic()
            code = self._run()
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE
            if not self._stopped.is_set():
                log.error("worker.ended", exit_code=code, again_in_seconds=pause)
            self._stopped.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _run(self) -> int | None:
        """Run one process to its end. Gives its exit code; None where none could be started."""
        command = [sys.executable, "-m", "api.worker"]
        try:
            process = subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # noqa: S603 -- ourselves
        except OSError as error:  # no process, memory or file to be had just now
            log.error("worker.not_begun", why=error.strerror)  # noqa: TRY400 -- the kernel's word says it all
            return None
        self._process = process
        pipe = cast("IO[bytes]", process.stdin)
        with suppress(BrokenPipeError):
            pipe.write(pickle.dumps(self._settings))
        os.set_blocking(pipe.fileno(), False)  # a process that leaves the pipe full of names need not be told more
        with self._lock:
            self._pipe = pipe
            if self._stopped.is_set():
                self._hang_up()
        code = process.wait()
        with self._lock:
            self._hang_up()
        return code

    def _cut_off(self) -> None:
        keeper = self._threads[0]
        if keeper.is_alive() and self._process is not None:
            log.warning("worker.cut_off", after_seconds=PATIENCE_SECONDS)
            self._process.kill()
            keeper.join()

    def _hang_up(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def main() -> None:
    """Do jobs until the standard input ends or SIGTERM comes; then finish what is running."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    signal.signal(signal.SIGTERM, _stop)
    os.nice(NICER)
    logs.configure()
    settings: Settings = pickle.load(sys.stdin.buffer)  # noqa: S301 -- our own, from the process that started us
    try:
        with opened(settings) as service:
            jobs = Jobs(service)
            if isinstance(service.wake, Bell):
                service.wake.answer = jobs.wake
            heap.settle()
            service.database.give_way()
            jobs.start()
            try:
                for name in sys.stdin.buffer:
                    jobs.wake(name.decode().strip())
            finally:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                jobs.stop()
    except RecorderError as error:
        log.warning("worker.not_started", code=error.code, why=str(error))
        sys.exit(1)


def _stop(*_: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
