#!/usr/bin/env bash
# Brings the real programs that tests talk to: Mosquitto, PostgreSQL and Chromium from Debian, influxd from its Go module.
# What cannot be had is named here and its tests are skipped; with CI set that is a failure.
set -euo pipefail
cd "$(dirname "$0")"

missing=0
./packages.sh mosquitto postgresql chromium font-dejavu font-wqy fribidi || missing=1
./influxd.sh >/dev/null || missing=1
if [ "$missing" = 1 ] && [ -n "${CI:-}" ]; then
  echo "services: CI is set, so a missing service is a failure" >&2
  exit 1
fi
[ "$missing" = 0 ] || echo "services: going on without what is named above; the tests that need it will be skipped" >&2
