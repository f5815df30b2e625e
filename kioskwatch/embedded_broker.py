"""The built-in broker (combination C): iotcore on loopback, a process of its own. The one door to iotcore.

It cannot enforce identity or topic rights and keeps nothing over its restart: signed envelopes alone carry trust,
the end-to-end acknowledgement alone carries durability. `kioskwatch up` says so and refuses it to real devices.
"""

import logging
import sys
from pathlib import Path
from typing import Final

from kioskwatch.errors import OPERATOR_MUST_ACT

LOOPBACK: Final = "127.0.0.1"  # its own default is every interface

MAX_PAYLOAD_BYTES: Final = 256 * 1024
MAX_INFLIGHT: Final = 100
# A topic filter's log: what a slow reader may lag behind before messages drop. They come again, unacknowledged.
SEGMENT_BYTES: Final = 4 * 1024 * 1024
SEGMENTS: Final = 8


def configuration(port: int) -> str:
    """Return rumqttd's settings: MQTT 5 on loopback and nothing else."""
    return f"""\
id = 0

[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = {SEGMENT_BYTES}
max_segment_count = {SEGMENTS}

[v5.1]
name = "v5"
listen = "{LOOPBACK}:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {MAX_PAYLOAD_BYTES}
max_inflight_count = {MAX_INFLIGHT}
dynamic_filters = true
"""


def main(argv: list[str]) -> int:
    """Serve with the settings file named by the one argument until the process is ended."""
    from iotcore import IotCoreBroker

    settings = Path(argv[0])
    # rumqttd writes an error record for each message it routes: only a report of its own failure may pass.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    broker = IotCoreBroker(config_path=str(settings))
    try:
        broker.check_ports()
    except OSError as exc:
        print(f"broker: {exc}: choose another port with --broker-port", file=sys.stderr)
        return OPERATOR_MUST_ACT
    broker.run_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
