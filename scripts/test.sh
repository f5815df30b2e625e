#!/usr/bin/env bash
# Runs pytest on the given paths; for all of tests, first the unit tests, which share nothing, on every core. A path without
# tests (pytest's exit 5) is an error: it is a misspelt path or a lost folder.
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
  local status=0
  .venv/bin/python -m pytest "$@" || status=$?
  if [ "$status" = 5 ]; then
    echo "test: no test was found in: $*" >&2
  fi
  return "$status"
}

if [ "$*" = tests ]; then
  run -n auto tests/unit
  run tests --ignore=tests/unit
else
  run "$@"
fi
