"""Environmental results as tables of the PHES-ODM, version 2.2.3. Pure.

Public Health Environmental Surveillance Open Data Model: github.com/Big-Life-Lab/PHES-ODM, dictionary 2.2.3.
Table and column names, their order, the ids of measures, units, aggregations and the lengths of ids are the model's.
A sensor in a room takes no sample: a measure's specimen is the site (`si`), its sampleID `NA`. What the model asks for
and a district does not say is `nr` (not reported). The model ties a measure to its instrument by a protocol, so each
instrument has one. An id that is longer than the model allows is replaced by the beginning of its SHA-256.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backend.sharing.tables import Column, csv_bytes

MODEL: Final = "PHES-ODM 2.2.3"
NOT_REPORTED, NOT_APPLICABLE = "nr", "NA"
ID_CHARS: Final = 30
INSTRUMENT_CHARS: Final = 10
PROTOCOL_CHARS: Final = 15
NAME_CHARS: Final = 30

# Columns as the model orders them; the last two of each are lastEdited and notes.
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "datasets": (
        *("parDatasetID", "datasetID", "datasetDate", "name", "license", "descr", "refLink", "lang", "funderCont"),
        *("custodyCont", "funderID", "custodyID", "lastEdited", "notes"),
    ),
    "organizations": (
        *("organizationID", "name", "descr", "addressID", "datasetID", "orgType", "orgLevel", "orgSector"),
        *("lastEdited", "notes"),
    ),
    "sites": (
        *("parSiteID", "siteID", "datasetID", "polygonID", "siteType", "sampleShed", "addressID", "organizationID"),
        *("contactID", "name", "descr", "repOrg1", "repOrg2", "healthRegion", "geoLat", "geoLong", "geoEPSG"),
        *("lastEdited", "notes"),
    ),
    "instruments": (
        *("instrumentID", "datasetID", "name", "model", "manufacturer", "contactID", "organizationID", "descr"),
        *("refLink", "insType", "insTypeOth", "index", "lastEdited", "notes"),
    ),
    "protocols": (
        *("sourceProtocol", "protocolID", "datasetID", "name", "summ", "refLink", "organizationID", "contactID"),
        *("protocolVersion", "lastEdited", "notes"),
    ),
    "protocolsteps": (
        *("stepID", "method", "measure", "summ", "sourceStep", "stepVer", "refLink", "organizationID", "contactID"),
        *("instrumentID", "value", "unit", "aggregation", "lastEdited", "notes"),
    ),
    "protocolrelationships": (
        *("protocolRelationshipsID", "protocolIDContainer", "protocolIDObj", "stepIDObj", "relationshipID"),
        *("protocolIDSub", "stepIDSub", "lastEdited", "notes"),
    ),
    "measures": (
        *("measureRepID", "protocolID", "sampleID", "purpose", "polygonID", "siteID", "datasetID", "measureSetRepID"),
        *("aDateStart", "aDateEnd", "reportDate", "relDateStart", "relDateEnd", "compartment", "specimen", "fraction"),
        *("group", "class", "measure", "value", "unit", "aggregation", "nomenclature", "index", "measureLic"),
        *("reportable", "organizationID", "contactID", "refLink", "lastEdited", "notes"),
    ),
}
AGGREGATION: Final = "me"  # arithmetic mean


@dataclass(frozen=True, slots=True)
class Part:
    """A metric of ours in the model's words."""

    measure: str
    unit: str
    class_: str


PARTS: Final[Mapping[str, Part]] = {
    "co2_ppm": Part("co2", "ppm", "gas"),
    "temperature_c": Part("airTemp", "cel", "temperature"),
    "humidity_pct": Part("relHum", "perc", "humid"),
}
# The model knows sheds, not rooms; of our kinds only a venue is one of them.
_SHEDS: Final = {"venue": "commFacOth"}


@dataclass(frozen=True, slots=True)
class Dataset:
    """Whose data it is."""

    id: str
    name: str
    made_on: str  # ISO 8601 date


@dataclass(frozen=True, slots=True)
class Place:
    """A site at which something was measured."""

    id: str
    name: str
    kind: str
    zone: str


@dataclass(frozen=True, slots=True)
class Sensor:
    """A device, and the model of the instrument in it as far as it said."""

    id: str
    model: str = NOT_REPORTED


@dataclass(frozen=True, slots=True)
class Mean:
    """One mean of one metric of one device."""

    device: str
    site: str
    metric: str
    start: str  # ISO 8601
    end: str
    value: float


def tables(
    dataset: Dataset, places: Iterable[Place], sensors: Sequence[Sensor], means: Iterable[Mean]
) -> dict[str, bytes]:
    """Return the model's tables as CSV files, by file name."""
    rows: dict[str, Iterable[Mapping[str, object]]] = {
        "datasets": [_dataset(dataset)],
        "organizations": [_organization(dataset)],
        "sites": (_site(place, dataset) for place in places),
        "instruments": (_instrument(sensor, dataset) for sensor in sensors),
        "protocols": (_protocol(sensor, dataset) for sensor in sensors),
        "protocolsteps": (_step(sensor, dataset) for sensor in sensors),
        "protocolrelationships": (_relationship(sensor) for sensor in sensors),
        "measures": (_measure(mean, dataset) for mean in means),
    }
    return {file_name(table): _table(TABLES[table], rows[table]) for table in TABLES}


def file_name(table: str) -> str:
    """Return the file of a table."""
    return f"odm_{table}.csv"


def described() -> list[tuple[str, tuple[Column, ...]]]:
    """Return the dictionary's rows: the model describes its columns itself; ours say what a value is."""
    units = ", ".join(f"{part.measure} in {part.unit}" for part in PARTS.values())
    special = {
        "value": Column("value", units, "mean of a sensor's readings from relDateStart to relDateEnd", method="mean"),
        "aggregation": Column("aggregation", "", f"{AGGREGATION}: arithmetic mean"),
    }
    return [
        (
            file_name(table),
            tuple(special.get(name, Column(name, "", f"as in {MODEL}, table {table}")) for name in names),
        )
        for table, names in TABLES.items()
    ]


def short_id(text: str, chars: int = ID_CHARS) -> str:
    """Return an id of at most so many characters: itself, or the beginning of its hash."""
    return text if len(text) <= chars else hashlib.sha256(text.encode()).hexdigest()[:chars]


def _table(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    return csv_bytes(columns, ([row.get(name, "") for name in columns] for row in rows))


def _dataset(dataset: Dataset) -> Mapping[str, object]:
    return {
        "datasetID": short_id(dataset.id),
        "datasetDate": dataset.made_on,
        "name": dataset.name[:NAME_CHARS],
        "license": "private",  # an agreement says who may have it
        "custodyID": short_id(dataset.id),
        "notes": MODEL,
    }


def _organization(dataset: Dataset) -> Mapping[str, object]:
    named = {"organizationID": dataset.id, "name": dataset.name[:NAME_CHARS], "addressID": NOT_REPORTED}
    return {**named, "datasetID": short_id(dataset.id), "orgSector": "pubHealth"}


def _site(place: Place, dataset: Dataset) -> Mapping[str, object]:
    return {
        "siteID": short_id(place.id),
        "datasetID": short_id(dataset.id),
        "siteType": NOT_APPLICABLE,  # the model's types are of sewers, plants and waters
        "sampleShed": _SHEDS.get(place.kind, NOT_APPLICABLE),
        "organizationID": dataset.id,
        "contactID": NOT_REPORTED,
        "name": place.name[:NAME_CHARS],
        "descr": f"indoor air, {place.kind}",
        "healthRegion": short_id(place.zone),
    }


def _instrument(sensor: Sensor, dataset: Dataset) -> Mapping[str, object]:
    return {
        "instrumentID": short_id(sensor.id, INSTRUMENT_CHARS),
        "datasetID": short_id(dataset.id),
        "name": sensor.id[:NAME_CHARS],
        "model": sensor.model[:100],
        "insType": "onse",  # online sensor
    }


def _protocol(sensor: Sensor, dataset: Dataset) -> Mapping[str, object]:
    named = {
        "protocolID": short_id(sensor.id, PROTOCOL_CHARS),
        "datasetID": short_id(dataset.id),
        "name": sensor.id[:NAME_CHARS],
    }
    return {**named, "summ": "Readings of one sensor in a room, averaged over the time stated", "protocolVersion": 1}


def _step(sensor: Sensor, dataset: Dataset) -> Mapping[str, object]:
    return {
        "stepID": short_id(sensor.id),
        "summ": "continuous reading",
        "organizationID": dataset.id,
        "instrumentID": short_id(sensor.id, INSTRUMENT_CHARS),
        "aggregation": AGGREGATION,
    }


def _relationship(sensor: Sensor) -> Mapping[str, object]:
    protocol = short_id(sensor.id, PROTOCOL_CHARS)
    named = {"protocolRelationshipsID": f"{protocol}-1", "protocolIDContainer": protocol, "protocolIDObj": protocol}
    return {**named, "relationshipID": "specifies", "stepIDSub": short_id(sensor.id)}


def _measure(mean: Mean, dataset: Dataset) -> Mapping[str, object]:
    part = PARTS[mean.metric]
    identity = f"{mean.device} {mean.metric} {mean.start}".encode()
    return {
        "measureRepID": hashlib.sha256(identity).hexdigest()[:ID_CHARS],
        "protocolID": short_id(mean.device, PROTOCOL_CHARS),
        "sampleID": NOT_APPLICABLE,
        "purpose": "regular",
        "siteID": short_id(mean.site),
        "datasetID": short_id(dataset.id),
        "aDateStart": mean.start,
        "aDateEnd": mean.end,
        "reportDate": dataset.made_on,
        "relDateStart": mean.start,
        "relDateEnd": mean.end,
        "compartment": "air",
        "specimen": "si",
        "fraction": NOT_APPLICABLE,
        "group": "siteFeat",
        "class": part.class_,
        "measure": part.measure,
        "value": f"{mean.value:.6g}",
        "unit": part.unit,
        "aggregation": AGGREGATION,
        "reportable": "True",
        "organizationID": dataset.id,
    }
