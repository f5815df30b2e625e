#!/usr/bin/env bash
# Makes .venv from a lock file, and again only when the lock, pyproject.toml or Python changed.
# Usage: scripts/venv.sh run|all      (run: what `make up` needs; all: with the tools and tests)
set -euo pipefail
cd "$(dirname "$0")/.."

set_name=${1:?run or all}
case $set_name in
  run) lock=requirements-run.lock ;;
  all) lock=requirements.lock ;;
  *) echo "setup: unknown set $set_name" >&2; exit 2 ;;
esac

python=
for candidate in "${PYTHON:-}" python3.11 python3 python3.12 python3.13; do
  if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "setup: kioskwatch needs Python 3.11 or newer, and \`python3\` is $(python3 -V 2>&1 || echo missing). On Debian 12: sudo apt-get install python3 python3-venv" >&2
  exit 2
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing python3-venv" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
  else
    echo "setup: this Python cannot make a virtual environment. On Debian: sudo apt-get install python3-venv" >&2
    exit 2
  fi
fi

# A full environment also serves `make up`, so the smaller set never replaces it.
fingerprint() { { "$python" -V; cat "$1" pyproject.toml; pwd; } | sha256sum | cut -d' ' -f1; }
made=$(cat .venv/kioskwatch.made 2>/dev/null || true)
for name in "$lock" requirements.lock; do
  [ "$made" = "$(fingerprint "$name")" ] && exit 0
done

step() { # step TEXT COMMAND...: prints what it does, then how long it took; the command's words only when it fails
  local text=$1 started=$SECONDS words
  shift
  echo "setup: $text ..." >&2
  if ! words=$("$@" 2>&1); then
    printf '%s\nsetup: %s FAILED; the lines above say why\n' "$words" "$text" >&2
    exit 1
  fi
  echo "setup: $text: $((SECONDS - started)) s" >&2
}
count=$(grep -c '==' "$lock")
# An environment that was moved or made by another Python is made anew; an older one of this place is only brought up to date.
if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || ! grep -qF "$PWD/.venv" .venv/pyvenv.cfg; then
  rm -rf .venv
  step "virtual environment in .venv with $("$python" -V)" "$python" -m venv .venv
fi
step "$count packages of $lock" .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
step "kioskwatch itself" .venv/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
fingerprint "$lock" >.venv/kioskwatch.made
