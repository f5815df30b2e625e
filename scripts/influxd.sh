#!/usr/bin/env bash
# Prints the path of an influxd 2.x: the one on PATH, else one built once from its Go module into the cache.
# Progress goes to stderr. Exit codes: 0 found or built, 3 no toolchain to build it with, 1 the build failed.
set -euo pipefail

readonly VERSION=2.9.1 # the last release that builds with Go 1.25; 2.10 asks for 1.26.9
here=$(cd "$(dirname "$0")" && pwd)
cache=${KIOSKWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kioskwatch}/influxd-$VERSION

say() { echo "influxd: $*" >&2; }

if found=$(command -v influxd) && influxd version 2>/dev/null | grep -q '^InfluxDB v\?2\.'; then
  echo "$found"
  exit 0
fi
if [ -x "$cache/influxd" ]; then
  echo "$cache/influxd"
  exit 0
fi
for tool in go cargo gcc; do
  if ! command -v "$tool" >/dev/null; then
    say "no InfluxDB 2 on PATH, and none can be built because $tool is missing. Install influxd 2.x, or Go >= 1.25.10, Rust >= 1.83 and gcc."
    exit 3
  fi
done

mkdir -p "$cache"
exec 9>"$cache/build.lock"
flock 9 # a second run waits here and then finds the binary
if [ ! -x "$cache/influxd" ]; then
  started=$SECONDS
  say "building $VERSION from its Go module into $cache (about five minutes on two cores, once)"
  if command -v rustup >/dev/null; then
    # Flux pins a Rust release in a rust-toolchain file: build with what is installed instead of fetching another.
    RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-$(cd / && rustup show active-toolchain | cut -d' ' -f1)}
    export RUSTUP_TOOLCHAIN
  fi
  # `nice`, so that whatever else this machine does goes first.
  (
    cd "$here/influxd"
    nice go build -o "$cache/pkg-config" github.com/influxdata/pkg-config
    PKG_CONFIG="$cache/pkg-config" nice go build -tags sqlite_foreign_keys,sqlite_json \
      -ldflags "-s -w -X main.version=v$VERSION" -o "$cache/influxd.part" github.com/influxdata/influxdb/v2/cmd/influxd
  ) >&2
  mv "$cache/influxd.part" "$cache/influxd"
  say "built in $((SECONDS - started)) s"
fi
echo "$cache/influxd"
