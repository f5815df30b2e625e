#!/usr/bin/env bash
# Writes the lock files from pyproject.toml: requirements.lock (everything) and requirements-run.lock (what `make up` needs).
# Hashes, no URLs, no index lines: whatever index pip is set to use must serve these very files.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
if ! command -v "$uv" >/dev/null; then
  echo "lock: $uv is missing; run \`make setup\` first" >&2
  exit 2
fi
# lock FILE EXTRA...: resolves for Linux and Python 3.11 upwards, so that the file does not depend on this machine.
lock() {
  local out=$1 extras=()
  shift
  for extra in "$@"; do extras+=(--extra "$extra"); done
  "$uv" pip compile pyproject.toml "${extras[@]}" --generate-hashes --no-header --no-annotate --universal --python-version 3.11 \
    --no-emit-index-url --no-emit-find-links --no-emit-package kioskwatch --quiet --output-file "$out" ${UPGRADE:+--upgrade}
  echo "lock: $out, $(grep -c '==' "$out") packages"
}
lock requirements.lock all dev
# The run set is a part of the full one: the same versions, or the tests would prove another program.
cp requirements.lock requirements-run.lock
lock requirements-run.lock all build
