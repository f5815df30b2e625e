"""The real agent of one cabinet, with a side door for tests of its own: who connects to `desk.sock` checks in.

The answer is one line of JSON: the address of the page with the code, or the reason why there is none. A program of its
own, started by path, so that it can be killed.
"""

import json
import signal
import socket
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

from edge.bootstrap import build
from edge.children.keeper import ForkServer
from edge.service.counter import Counter
from edge.service.desk import CheckedIn
from edge.service.kiosk import KioskTask
from edge.settings import load_cabinet

DOOR = "desk.sock"


def _serve(desk: Counter, door: socket.socket) -> None:
    while True:
        visitor, _ = door.accept()
        with visitor, suppress(OSError):
            answer = desk.check_in("en", paper=False, timeout_s=10.0)
            said = {"url": answer.code_url} if isinstance(answer, CheckedIn) else {"reason": answer.reason}
            visitor.sendall(json.dumps(said).encode() + b"\n")


def main(path: Path) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    loaded = load_cabinet(path)
    with ExitStack() as closing:
        server = ForkServer()
        server.start()
        closing.callback(server.close)
        agent = build(loaded, stop.wait, closing, server)
        assert agent is not None
        (kiosk,) = (task for task in agent._parts.instruments if isinstance(task, KioskTask))
        where = loaded.folder / DOOR
        where.unlink(missing_ok=True)
        door = closing.enter_context(socket.socket(socket.AF_UNIX))
        door.bind(str(where))
        door.listen()
        threading.Thread(target=_serve, args=(kiosk.desk, door), daemon=True).start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        agent.run(stop.is_set)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
