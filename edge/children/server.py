"""The clean fork server: forks children on request, and knows nothing.

It is one thread in a program of its own, begun before the agent holds a secret, and hears only which kind of child is
wanted: orders, codes and calls pass between agent and child on a channel that is handed through unread. So what a
child inherits is code, and what a child learns ends with it. When the agent ends, the server and every child end too.

Rules: 1 a child ends by `os._exit` and never returns here · 2 it keeps no descriptor but its own and can write no file
· 3 its errors are told by the name of their class · 4 a kind that is unknown, too many children or a broken request
cost their descriptors and nothing else.
"""

import contextlib
import gc
import os
import resource
import select
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from contracts.claim import ORIGIN_BYTES, SLOT_BYTES
from contracts.sealed import seal
from edge.children import analyser_child, code_child, seal_child
from edge.children.channel import Channel, receive_with_descriptors
from edge.children.confine import die_with_parent, keep_memory_private
from edge.children.messages import Failed, Kill, Kind, Spawn, ToServer, Warm, decode_for_server, encode
from edge.errors import ChildError

MAX_CHILDREN: Final = 1024  # a simulated district's agents share a process: 100 kiosks with three children at most each

ChildMain = Callable[[Channel, Sequence[int]], None]

# Each with the number of descriptors it takes beside its channel.
_KINDS: Final[dict[Kind, tuple[ChildMain, int]]] = {
    "analyser": (analyser_child.run, 3),
    "code": (code_child.run, 0),
    "seal": (seal_child.run, 0),
}

_STDERR: Final = 2
_WAKE_BYTES: Final = 512


class Server:
    """Forks, counts and reaps."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._pids: dict[int, int] = {}  # number -> pid
        self._woken, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Serve until the agent is gone."""
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that the descriptor is written to
        poller = select.poll()
        poller.register(self._requests, select.POLLIN)
        poller.register(self._woken, select.POLLIN)
        _load_what_loads_late()
        gc.freeze()  # what is here now is shared by all children: collecting would copy it
        with contextlib.suppress(ChildError):
            while True:
                poller.poll()
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, _WAKE_BYTES)
                self._reap()
                self._serve()

    def _serve(self) -> None:
        """Do what was asked for; ChildError when the agent is gone."""
        while (came := receive_with_descriptors(self._requests)) is not None:
            message, descriptors = came
            try:
                self._act(decode_for_server(message), descriptors)
            except ChildError:  # rule 4
                pass
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def _act(self, request: ToServer, descriptors: list[int]) -> None:
        match request:
            case Kill(number):
                if number in self._pids:
                    os.kill(self._pids[number], signal.SIGKILL)  # not reaped yet, so the pid is its own still
            case Warm(notice, page_hash):
                with contextlib.suppress(Exception):  # drawn later, then, and told by the child that fails
                    code_child.warm(notice, page_hash)
            case Spawn(number, kind):
                self._reap()
                if len(self._pids) < MAX_CHILDREN and len(descriptors) == 1 + _KINDS[kind][1]:
                    self._fork(number, kind, descriptors)

    def _fork(self, number: int, kind: Kind, descriptors: list[int]) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            return
        if pid == 0:
            _be_child(kind, descriptors, parent)  # rule 1
        self._pids[number] = pid

    def _reap(self) -> None:
        ended = set[int]()
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                ended.add(pid)
        self._pids = {number: pid for number, pid in self._pids.items() if pid not in ended}


def _load_what_loads_late() -> None:
    """Seal nothing to nobody, once: cryptography imports on first use, which would cost each child 15 ms."""
    nobody = X25519PrivateKey.generate().public_key().public_bytes_raw()
    seal(bytes(SLOT_BYTES), nobody, bytes(ORIGIN_BYTES), b"")


def _be_child(kind: Kind, descriptors: list[int], parent: int) -> NoReturn:
    """Live a child's whole life."""
    status = 1
    try:
        die_with_parent(parent)
        _let_go_of_the_server(descriptors)
        channel = Channel(socket.socket(fileno=descriptors[0]))
        status = _work(kind, channel, descriptors[1:])
    finally:
        os._exit(status)


def _work(kind: Kind, channel: Channel, descriptors: Sequence[int]) -> int:
    try:
        _KINDS[kind][0](channel, descriptors)
    except ChildError:  # the agent is gone or wants no more
        return 0
    except Exception as exc:  # noqa: BLE001 -- rule 3
        with contextlib.suppress(ChildError):
            channel.send(encode(Failed(type(exc).__name__[:40])))
        return 1
    return 0


def _let_go_of_the_server(descriptors: Sequence[int]) -> None:
    """Rule 2."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, _STDERR)
    kept = sorted({-1, _STDERR, *descriptors})
    for low, high in zip(kept, [*kept[1:], resource.getrlimit(resource.RLIMIT_NOFILE)[0]], strict=True):
        os.closerange(max(low + 1, _STDERR + 1), high)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main(descriptor: int, parent: int) -> None:
    """Be the server of the agent at the other end of `descriptor`."""
    keep_memory_private()
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's interrupt is for the agent, whose end is ours
    requests = socket.socket(fileno=descriptor)
    requests.setblocking(False)
    requests.set_inheritable(False)
    Server(requests).run()
