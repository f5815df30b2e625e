"""A desk that behaves: modules that are taken and become free, one visit at the screen, faults by word. No agent."""

import threading
from dataclasses import dataclass, field, replace

from contracts.windows import NS
from edge.service.desk import CheckedIn, DeskView, Fault, Refusal, TurnedAway

NOW_NS = 1_639_336_800_000_000_000  # 2021-12-12 14:20 in New York
T_MAX_NS = 2700 * NS
INSERTION_NS = 600 * NS
TTL_NS = 10 * 86_400 * NS


@dataclass
class FakeDesk:
    """Implements edge.service.desk.Desk. `insert` is the cartridge; `pass_ns` lets time pass."""

    modules: int = 4
    code_url: str | None = None  # where a code without paper is shown
    refuse: Refusal | None = None  # what the next check-ins are told
    now_ns: int = NOW_NS
    fault: Fault | None = None
    issuing: bool = False
    visit: CheckedIn | None = None
    busy_until_ns: list[int] = field(default_factory=list)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    left: int = 0
    hold: threading.Event | None = None  # a check-in waits for it: a printer at work
    lock: threading.RLock = field(default_factory=threading.RLock)

    def view(self) -> DeskView:
        with self.lock:
            if self.visit is not None and self.now_ns >= self.visit.insert_until_ns:
                self.visit = None
            taken = [until for until in self.busy_until_ns if until > self.now_ns]
            free = self.modules - len(taken) - (self.visit is not None)
            visit = self.visit
            return DeskView(
                now_ns=self.now_ns,
                fault=self.fault,
                free_modules=free,
                next_free_ns=visit.insert_until_ns if visit else min(taken, default=None) if free <= 0 else None,
                stage="issuing" if self.issuing else "open" if visit is None else "insert",
                insert_until_ns=None if visit is None else visit.insert_until_ns,
                ready_ns=None if visit is None else visit.ready_ns,
                expires_ns=None if visit is None else visit.expires_ns,
                code_url=None if visit is None else visit.code_url,
            )

    def check_in(self, language: str, *, paper: bool, timeout_s: float) -> CheckedIn | TurnedAway:
        with self.lock:
            self.asked.append((language, paper))
            refusal = self.refuse or (self.fault if paper or self.fault not in ("paper", "printer") else None)
            if refusal is None and self.view().free_modules <= 0:
                refusal = "busy"
            if refusal is not None:
                return TurnedAway(refusal)
            self.issuing = True
        if self.hold is not None:
            self.hold.wait(timeout_s)
        with self.lock:
            self.issuing = False
            ready_ns = self.now_ns + INSERTION_NS + T_MAX_NS
            self.visit = CheckedIn(
                ready_ns, ready_ns + TTL_NS, self.now_ns + INSERTION_NS, None if paper else self.code_url
            )
            return self.visit

    def leave(self) -> None:
        with self.lock:
            self.left += 1
            if self.visit is not None:
                self.visit = replace(self.visit, code_url=None)

    def insert(self) -> None:
        with self.lock:
            self.visit = None
            self.busy_until_ns.append(self.now_ns + T_MAX_NS)

    def pass_ns(self, span_ns: int) -> None:
        with self.lock:
            self.now_ns += span_ns
