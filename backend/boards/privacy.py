"""What the pipeline board says in words: yesterday's windows, the chain's head, epsilon per test, restricted openings.

All of it is about releases, never in one: how many came, the hash that fixes them, and with how much noise they were
made. A release holds every target of its layout, so every target tells the same of windows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from backend.boards.reader import Points, Reader, Span, number
from backend.web.names import Names
from backend.web.words import N_, Words
from contracts.layout import EPSILON_INVALID, EPSILON_POSITIVES, EPSILON_VALID
from contracts.windows import DAY_S, NS
from stores.errors import StoreError

LEVEL: Final = "district_day"
HEAD_CHARS: Final = 12  # to compare by eye with a receiver's; a package carries all of it
OPENINGS_S: Final = 30 * DAY_S
OPENINGS: Final = ("alerts", "openings")


class EpsilonAnswer(msgspec.Struct, frozen=True):
    """What one test of an assay moves a target's counter by, at most, as e to this power."""

    assay: str
    target: str
    epsilon: float


class PrivacyAnswer(msgspec.Struct, frozen=True):
    """`day_start_ns` is the last whole day's; windows are counted a kiosk; None where nothing is known yet."""

    day_start_ns: int | None
    expected: int | None
    received: int | None
    late: int | None
    missing: int | None
    chain_head: str | None
    releases: int | None
    epsilons: list[EpsilonAnswer]
    epsilon_valid: float
    epsilon_invalid: float
    epsilon_test: float  # one test called otherwise, over all targets of its assay
    openings: int


@dataclass(frozen=True, slots=True)
class PrivacyBoard:
    """Gathers it."""

    reader: Callable[[], Reader]
    names: Callable[[Words], Names]
    head: Callable[[], tuple[bytes, int]]
    now_ns: Callable[[], int]

    def answer(self, words: Words) -> PrivacyAnswer:
        """Return the numbers."""
        registry = self.names(words).registry
        now_ns = self.now_ns()
        yesterday_ns = registry.district.calendar.day_start_ns(now_ns) - DAY_S * NS
        in_force = registry.layout_at(now_ns)
        assays = in_force.layout.assays if in_force is not None else ()
        targets = [target for assay in assays for target in assay.targets]
        day = {
            name: self._most(name, targets, yesterday_ns) for name in ("kiosks_expected", "kiosks_reporting", "late")
        }
        expected, received = day["kiosks_expected"], day["kiosks_reporting"]
        head, releases = self._chain()
        return PrivacyAnswer(
            day_start_ns=yesterday_ns if expected is not None else None,
            expected=expected,
            received=received,
            late=day["late"],
            missing=None if expected is None or received is None else max(0, expected - received),
            chain_head=head,
            releases=releases,
            epsilons=[
                EpsilonAnswer(assay.code, target, float(assay.epsilon_positives))
                for assay in assays
                for target in assay.targets
            ],
            epsilon_valid=float(EPSILON_VALID),
            epsilon_invalid=float(EPSILON_INVALID),
            epsilon_test=float(EPSILON_POSITIVES),
            openings=self._openings(now_ns),
        )

    def facts(self, words: Words) -> list[Mapping[str, str]]:
        """Return them as a page shows them: a label and a text each."""
        found, none = self.answer(words), words.text("none yet")

        def told(value: int | None) -> str:
            return none if value is None else words.number(value)

        day = none if found.day_start_ns is None else words.day(found.day_start_ns)
        rows = [
            (words.text("Windows of %(day)s, expected", day=day), told(found.expected)),
            (words.text("received"), told(found.received)),
            (words.text("of these late"), told(found.late)),
            (words.text("missing"), told(found.missing)),
            (words.text("Releases received in all"), told(found.releases)),
            (words.text("Head of their chain"), found.chain_head or none),
            *(
                (
                    words.text("ε of one test, %(assay)s, %(target)s", assay=one.assay, target=words.text(one.target)),
                    f"{one.epsilon:.3g}",
                )
                for one in found.epsilons
            ),
            (
                words.text("ε of having been there, valid and invalid"),
                f"{found.epsilon_valid:.3g} + {found.epsilon_invalid:.3g}",
            ),
            (words.text("Restricted readings opened in thirty days"), words.number(found.openings)),
        ]
        return [{"label": label, "value": value} for label, value in rows]

    def _most(self, field: str, targets: list[str], day_ns: int) -> int | None:
        span = Span(day_ns, day_ns + DAY_S * NS)
        found: list[Points] = [self.reader().released(field, LEVEL, target, span).get("", {}) for target in targets]
        values = [value for table in found for value in map(number, table.values()) if value is not None]
        return int(max(values)) if values else None

    def _chain(self) -> tuple[str | None, int | None]:
        try:
            head, releases = self.head()
        except StoreError:  # ingest has not started yet
            return None, None
        return head.hex()[:HEAD_CHARS], releases

    def _openings(self, now_ns: int) -> int:
        found = self.reader().ask(OPENINGS, "opened", Span(now_ns - OPENINGS_S * NS, now_ns + 1))
        return sum(len(series.values) for series in found)


TITLE: Final = N_("Windows, chain and privacy budget")
