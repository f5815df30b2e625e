#!/usr/bin/env bash
# Prints the path of a Telegraf that can do what `make bench` compares with: built once from its Go module into the cache.
# Progress goes to stderr. Exit codes: 0 found or built, 3 no toolchain to build it with, 1 the build failed.
set -euo pipefail

readonly VERSION=1.37.2
# Only the plugins that the comparison uses: the full program takes minutes and 200 MB more.
readonly TAGS=custom,inputs.mqtt_consumer,outputs.influxdb_v2,parsers.json_v2,parsers.influx
cache=${KIOSKWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kioskwatch}/telegraf-$VERSION

if [ -x "$cache/telegraf" ]; then
  echo "$cache/telegraf"
  exit 0
fi
if ! command -v go >/dev/null; then
  echo "telegraf: none can be built because go is missing. Install Go >= 1.25.10." >&2
  exit 3
fi
mkdir -p "$cache"
exec 9>"$cache/build.lock"
flock 9
if [ ! -x "$cache/telegraf" ]; then
  started=$SECONDS
  echo "telegraf: building $VERSION into $cache" >&2
  GOBIN="$cache/part" nice go install -tags "$TAGS" -ldflags '-s -w' "github.com/influxdata/telegraf/cmd/telegraf@v$VERSION" >&2
  mv "$cache/part/telegraf" "$cache/telegraf"
  rmdir "$cache/part"
  echo "telegraf: built in $((SECONDS - started)) s" >&2
fi
echo "$cache/telegraf"
