"""How much risk a zone bears: two axes and a confidence, never one black number; and two published views beside it.

T says how strong the evidence of transmission is, A how much a place amplifies it. Each stream's score s (0 .. 1) and
weight w combine by noisy-or, T = 1 - prod(1 - w s), so that -ln(1 - w s) adds up and every stream's share can be shown.
index = 100 (1 - (1 - T)(1 - A T/2)): bad air alone creates no risk. The template is ECDC's rapid risk assessment
(probability and impact judged apart, then combined; under uncertainty the higher branch). What is not published
elsewhere (bands, matrix, confidence limit, weights) is kioskwatch's own choice and is marked so in the tables.
The system recommends; people decide.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, number, numbers, whole

BANDS = (0.1, 0.3, 0.6)  # of T and of A; a value on a limit is in the band above. Own choice
LEVELS = ((0, 0, 0, 0), (1, 1, 1, 2), (1, 2, 2, 3), (2, 3, 3, 3))  # by band of T, then of A. Own choice
NOVEL_LEVEL = 3  # floor while a novel pathogen is confirmed
ENOUGH_TESTS_PER_100K = 300.0  # a week; below it ECDC's maps of 2021 were grey
ENOUGH_CONFIDENCE = 0.5  # to show a first level, or to lower one. Own choice
STREAMS_TO_RISE = 2  # independent ones; a single stream is resampled first. Own choice
CLEAN_PERIODS_TO_FALL = 2  # in a row. Own choice
_BAND_DECIMALS = 12  # 1 - (1 - 0.1) is 0.1 on the page and a little less in float64


@dataclass(frozen=True, slots=True)
class CutPoints:
    """A piecewise linear way from a measurement to a score; beyond its ends the score stays."""

    unit: str
    values: tuple[float, ...]  # ascending
    scores: tuple[float, ...]
    source: str


# The one table of how measurements become scores. Limits are the sources'; which score a limit gets is our choice.
CUT_POINTS: Mapping[str, CutPoints] = MappingProxyType(
    {
        "cusum": CutPoints("S over its threshold", (0.0, 1.0), (0.0, 1.0), "gateway.surveillance.cusum"),
        "swabs": CutPoints(
            "positive share of a set of swabs",
            (0.0, 0.1, 0.3, 0.5),
            (0.0, 0.33, 0.67, 1.0),
            "medRxiv 2022.06.28.22276560: limits 10, 30, 50 %; PPV .57, .73, .73",
        ),
        "wval_sars_cov_2": CutPoints(
            "WVAL", (2.0, 3.4, 5.3, 7.8), (0.0, 0.33, 0.67, 1.0), "CDC, wastewater data methods, 2025"
        ),
        "wval_fluav": CutPoints(
            "WVAL", (2.7, 6.2, 11.2, 17.6), (0.0, 0.33, 0.67, 1.0), "CDC, wastewater data methods, 2025"
        ),
        "wval_rsv": CutPoints(
            "WVAL", (2.5, 5.2, 8.0, 11.0), (0.0, 0.33, 0.67, 1.0), "CDC, wastewater data methods, 2025"
        ),
        "positivity": CutPoints("percent, week", (0.0, 4.0), (0.0, 1.0), "ECDC maps of 2021: 4 %"),
        "clean_air": CutPoints("ratio to ASHRAE 241", (0.0, 1.0), (1.0, 0.0), "1 - min(1, r), ASHRAE 241-2023"),
        "co2": CutPoints("ppm", (1000.0, 1500.0), (0.0, 1.0), "GB 37488-2019: 0.10 and 0.15 %"),
    }
)


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of evidence. A stream that failed its quality control is left out, and `qc_share` says so."""

    score: float  # 0 .. 1
    weight: float  # 0 .. below 1
    qc_ok: bool = True

    def __post_init__(self) -> None:
        """Refuse scores and weights that are none."""
        number("score", self.score, 0.0, 1.0)
        if number("weight", self.weight, 0.0, 1.0) == 1:
            raise SurveillanceError("weight: must be below 1, for no stream is certain")

    @property
    def evidence(self) -> float:
        """-ln(1 - w s), which adds up."""
        return -math.log1p(-self.weight * self.score)


@dataclass(frozen=True, slots=True)
class ZoneEvidence:
    """What is known of a zone in one period; the caller counts the clean periods and keeps the level before."""

    transmission: Mapping[str, Stream]
    amplification: Mapping[str, Stream]
    tests_7d_per_100k: float
    freshness: float  # 0 .. 1, as the shares
    qc_share: float  # of kiosks
    sensor_share: float
    novel_confirmed: bool = False
    previous_level: int | None = None
    clean_periods: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range, and a name on both axes."""
        both = set(self.transmission) & set(self.amplification)
        if both:
            raise SurveillanceError(f"amplification: {', '.join(sorted(both))} is a transmission stream too")
        number("tests_7d_per_100k", self.tests_7d_per_100k, 0.0, math.inf)
        for name in ("freshness", "qc_share", "sensor_share"):
            number(name, getattr(self, name), 0.0, 1.0)
        if self.previous_level is not None:
            whole("previous_level", self.previous_level, 0, NOVEL_LEVEL)
        whole("clean_periods", self.clean_periods, 0, 1_000_000)


@dataclass(frozen=True, slots=True)
class ZoneRisk:
    """The zone's level and what it rests on."""

    level: int | None  # 0 .. 3; None: grey, too little is known
    index: float  # 0 .. 100
    confidence: float  # 0 .. 1
    contributions: dict[str, float]  # by stream; sum to 1, empty at index 0


def score(name: str, measured: npt.ArrayLike) -> Array:
    """The score of a measurement by the row `name` of CUT_POINTS.

    Raises:
        SurveillanceError: no such row, or NaN.
    """
    if name not in CUT_POINTS:
        raise SurveillanceError(f"name: must be one of {', '.join(CUT_POINTS)}")
    row = CUT_POINTS[name]
    return np.asarray(np.interp(numbers("measured", measured), row.values, row.scores), dtype=np.float64)


def zone_risk(evidence: ZoneEvidence) -> ZoneRisk:
    """Weigh the evidence. The same evidence gives the same bits, in whatever order its streams stand."""
    spreading, amplifying = _passed(evidence.transmission), _passed(evidence.amplification)
    t_evidence, a_evidence = math.fsum(spreading.values()), math.fsum(amplifying.values())
    t, a = -math.expm1(-t_evidence), -math.expm1(-a_evidence)
    amplified = -math.log1p(-a * t / 2)
    confidence = (
        min(1.0, evidence.tests_7d_per_100k / ENOUGH_TESTS_PER_100K)
        * evidence.freshness
        * evidence.qc_share
        * evidence.sensor_share
    )
    candidate = LEVELS[_band(t)][_band(a)]
    voices = sum(stream.qc_ok and stream.score > 0 for stream in evidence.transmission.values())
    level = next_level(
        candidate,
        evidence.previous_level,
        sure=confidence >= ENOUGH_CONFIDENCE,
        may_rise=voices >= STREAMS_TO_RISE,
        clean=evidence.clean_periods >= CLEAN_PERIODS_TO_FALL,
    )
    return ZoneRisk(
        level=NOVEL_LEVEL if evidence.novel_confirmed else level,  # the floor is the top of the matrix too
        index=100 * -math.expm1(-(t_evidence + amplified)),
        confidence=confidence,
        contributions=_shares(spreading, amplifying, t_evidence, a_evidence, amplified),
    )


def next_level(candidate: int, previous: int | None, *, sure: bool, may_rise: bool, clean: bool) -> int | None:
    """The state step: up at once where it may rise, down only when sure and clean, else as before.

    Without a level before it there is nothing to rise or fall from: the candidate, or None where too little is known.
    """
    if previous is None:
        return candidate if sure else None
    moves = may_rise if candidate > previous else sure and clean
    return candidate if moves else previous


def ecdc_2021(*, notification_14d: float, positivity_7d_pct: float, tests_7d: float) -> str:
    """Colour of ECDC's maps (Council Recommendation (EU) 2020/1475), rates per 100 000.

    "grey" below 300 tests a week, before all else; "dark red" from 500; "red" above 150, or from 50 with 4 % positive;
    "green" below 25 with less than 4 %; else "orange".

    Raises:
        SurveillanceError: NaN or out of range; the message names the parameter.
    """
    rate = number("notification_14d", notification_14d, 0.0, math.inf)
    share = number("positivity_7d_pct", positivity_7d_pct, 0.0, 100.0)
    rules = (
        ("grey", number("tests_7d", tests_7d, 0.0, math.inf) < ENOUGH_TESTS_PER_100K),
        ("dark red", rate >= 500),  # noqa: PLR2004 - the recommendation's numbers stand where they are read
        ("red", rate > 150 or (rate >= 50 and share >= 4)),  # noqa: PLR2004 - likewise
        ("green", rate < 25 and share < 4),  # noqa: PLR2004 - likewise
    )
    return next((colour for colour, holds in rules if holds), "orange")


def cdc_community_2022(*, cases_7d: float, admissions_7d: float, beds_pct: float) -> str:
    """CDC's COVID-19 Community Level of 2022: new cases and admissions per 100 000 a week, percent of staffed beds.

    The worse of the two hospital bands: below 200 cases "low" under 10 and 10 %, "medium" under 20 and 15 %, else
    "high"; from 200 cases on "medium" under 10 and 10 %, else "high".

    Raises:
        SurveillanceError: NaN or out of range; the message names the parameter.
    """
    cases = number("cases_7d", cases_7d, 0.0, math.inf)
    admissions = number("admissions_7d", admissions_7d, 0.0, math.inf)
    beds = number("beds_pct", beds_pct, 0.0, 100.0)
    strained = (admissions >= 10) + (admissions >= 20), (beds >= 10) + (beds >= 15)  # noqa: PLR2004 - CDC's numbers
    if cases >= 200:  # noqa: PLR2004 - likewise
        return "high" if max(strained) else "medium"
    return ("low", "medium", "high")[max(strained)]


def _passed(streams: Mapping[str, Stream]) -> dict[str, float]:
    return {name: stream.evidence for name, stream in streams.items() if stream.qc_ok}


def _band(value: float) -> int:
    return sum(round(value, _BAND_DECIMALS) >= limit for limit in BANDS)


def _shares(
    spreading: dict[str, float], amplifying: dict[str, float], t_evidence: float, a_evidence: float, amplified: float
) -> dict[str, float]:
    """Transmission streams by their evidence; what the place adds is divided among its streams by theirs."""
    total = t_evidence + amplified
    if total == 0:
        return {}
    shares = {name: part / total for name, part in spreading.items()}
    within = amplified / total
    return shares | {name: within * (part / a_evidence) if part else 0.0 for name, part in amplifying.items()}
