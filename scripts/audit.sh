#!/usr/bin/env bash
# Checks that are worth a look now and then, too slow or too noisy for every change. Runs all of them, fails if one did.
set -uo pipefail
cd "$(dirname "$0")/.."
status=0
audit() {
  echo "audit: $1"
  shift
  "$@" || status=1
}
packages=(backend contracts dashboards edge firmware_sim gateway kioskwatch mqttlink stores)
audit "dead code (vulture)" .venv/bin/vulture "${packages[@]}" tests bench --min-confidence 80
audit "dependencies that are unused, missing or only transitive (deptry)" .venv/bin/deptry .
audit "spelling (codespell)" .venv/bin/codespell "${packages[@]}" tests bench scripts docs README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md SECURITY.md
audit "known vulnerabilities (pip-audit)" .venv/bin/pip-audit --require-hashes -r requirements.lock --disable-pip
exit "$status"
