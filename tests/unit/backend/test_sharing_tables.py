"""Tables of the open data model: every metric has its part, ids keep their lengths, and rows their order."""

import csv
import io

from backend.sharing import odm
from backend.sharing.tables import dictionary
from contracts.metrics import METRICS

DATASET = odm.Dataset("turtle-bay", "Turtle Bay embassy district of New York", "2021-12-20")
LONG = "air-monitor-of-the-main-hall-in-the-conference-building-2"
MEAN = odm.Mean(LONG, LONG, "co2_ppm", "2021-12-12T00:00:00-05:00", "2021-12-12T01:00:00-05:00", 612.3456789)

# github.com/Big-Life-Lab/PHES-ODM, dictionary 2.2.3, sheet parts: the longest that a column's values may be.
LENGTHS = {
    "siteID": 30,
    "datasetID": 30,
    "name": 30,
    "instrumentID": 10,
    "protocolID": 30,
    "protocolIDContainer": 15,
    "stepID": 30,
    "measureRepID": 30,
    "measure": 12,
    "value": 15,
    "notes": 200,
}


def rows(name: str) -> list[dict[str, str]]:
    made = odm.tables(DATASET, [odm.Place(LONG, LONG, "venue", "z1")], [odm.Sensor(LONG, "scd30")], [MEAN])
    return list(csv.DictReader(io.StringIO(made[odm.file_name(name)].decode())))


def test_every_metric_that_may_be_shared_has_its_part_of_the_model() -> None:
    assert set(odm.PARTS) == {name for name, metric in METRICS.items() if metric.bucket == "environment"}


def test_what_is_too_long_for_the_model_is_shortened_the_same_way_everywhere() -> None:
    for table in odm.TABLES:
        for row in rows(table):
            assert list(row) == list(odm.TABLES[table])
            for column, most in LENGTHS.items():
                assert len(row.get(column, "")) <= most, (table, column)
    (measure,) = rows("measures")
    assert measure["siteID"] == rows("sites")[0]["siteID"] != LONG
    assert measure["protocolID"] == rows("protocols")[0]["protocolID"]
    assert measure["value"] == "612.346"


def test_a_measure_is_of_the_site_and_of_air_by_the_models_own_ids() -> None:
    (measure,) = rows("measures")
    wanted = {"specimen": "si", "compartment": "air", "measure": "co2", "unit": "ppm", "class": "gas", "sampleID": "NA"}
    assert wanted.items() <= measure.items()


def test_the_dictionary_says_of_each_column_what_the_model_calls_it() -> None:
    told = list(csv.DictReader(io.StringIO(dictionary(odm.described()).decode())))
    assert {(row["file"], row["column"]) for row in told} == {
        (odm.file_name(table), column) for table, columns in odm.TABLES.items() for column in columns
    }
