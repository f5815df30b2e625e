"""Telegraf as the anchor of the ingest bench: `mqtt_consumer` (JSON) to `influxdb_v2`, set for at-least-once and speed.

The PUBACK goes out after the output's write (qos 1, persistent session, client id); batch and buffer sizes are
those that gave the highest rate on the machine this was tuned on.
"""

import subprocess
from pathlib import Path

from bench.load import BUCKET, MEASUREMENT, TAGS, TELEGRAF_TOPIC
from tests.support.influxd import InfluxOrg

CLIENT_ID = "telegraf-bench"
_ROOT = Path(__file__).parents[1]


def telegraf_binary() -> str:
    """Its path, building it when Go is there; RuntimeError with the reason otherwise."""
    found = subprocess.run([_ROOT / "scripts/telegraf.sh"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise RuntimeError(found.stderr.strip())
    return found.stdout.strip()


def configuration(*, mqtt_port: int, org: InfluxOrg) -> str:
    """telegraf.conf: one input, one output, nothing added to a reading."""
    tags = "".join(f'    [[inputs.mqtt_consumer.json_v2.tag]]\n      path = "{tag}"\n' for tag in TAGS)
    return f"""
[agent]
  interval = "1s"
  flush_interval = "200ms"
  metric_batch_size = 5000
  metric_buffer_limit = 100000
  omit_hostname = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{mqtt_port}"]
  topics = ["{TELEGRAF_TOPIC}"]
  topic_tag = ""
  client_id = "{CLIENT_ID}"
  qos = 1
  persistent_session = true
  max_undelivered_messages = 5000
  data_format = "json_v2"
  [[inputs.mqtt_consumer.json_v2]]
    measurement_name = "{MEASUREMENT}"
{tags}    [[inputs.mqtt_consumer.json_v2.object]]
      path = "r"
      timestamp_key = "ts"
      timestamp_format = "unix_ns"
[[outputs.influxdb_v2]]
  urls = ["{org.url}"]
  token = "{org.tokens[BUCKET]}"
  organization = "{org.name}"
  bucket = "{BUCKET}"
"""
