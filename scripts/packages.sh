#!/usr/bin/env bash
# Installs Debian packages that are missing: scripts/packages.sh mosquitto postgresql chromium
# As root it calls apt-get; anybody else gets the one command to run. Exit codes: 0 all there, 3 something is missing.
set -euo pipefail

declare -A FILES=( # any one of these says that it is installed
  [mosquitto]="/usr/sbin/mosquitto /usr/bin/mosquitto /usr/local/sbin/mosquitto"
  [postgresql]="/usr/lib/postgresql/*/bin/initdb"
  [chromium]="/usr/bin/chromium"
  [font-dejavu]="/usr/share/fonts/truetype/dejavu"
  [font-wqy]="/usr/share/fonts/truetype/wqy"
  [fribidi]="/usr/share/doc/libfribidi0"
  [r-surveillance]="/usr/lib/R/site-library/surveillance"
)
declare -A PACKAGES=(
  [mosquitto]="mosquitto"
  [postgresql]="postgresql"
  [r-surveillance]="r-cran-surveillance" # for `make oracle` only
  [chromium]="chromium"
  [font-dejavu]="fonts-dejavu-core" # slips and pages in Latin, Cyrillic and Arabic
  [font-wqy]="fonts-wqy-microhei"   # and in Chinese
  [fribidi]="libfribidi0"           # Arabic from right to left
)
readonly POLICY=/usr/sbin/policy-rc.d

installed() {
  command -v "$1" >/dev/null && return 0
  for file in ${FILES[$1]}; do [ -x "$file" ] && return 0; done
  return 1
}

wanted=()
for name in "$@"; do
  [ -n "${FILES[$name]:-}" ] || { echo "packages: unknown package $name" >&2; exit 2; }
  installed "$name" || wanted+=(${PACKAGES[$name]})
done
[ ${#wanted[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "packages: ${wanted[*]} missing. On Debian: sudo apt-get install --no-install-recommends ${wanted[*]}" >&2
  exit 3
fi

# We start these programs ourselves, on ports of our own: their packages shall start nothing.
if [ ! -e "$POLICY" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
  trap 'rm -f "$POLICY"' EXIT
fi
started=$SECONDS
echo "packages: installing ${wanted[*]}" >&2
log=$(mktemp)
install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >"$log" 2>&1; }
if ! install && ! { apt-get update -qq >>"$log" 2>&1 && install; }; then
  tail -n 5 "$log" >&2
  echo "packages: apt-get could not install ${wanted[*]}; the lines above say why, the rest is in $log" >&2
  exit 3
fi
rm -f "$log"
echo "packages: installed ${wanted[*]} in $((SECONDS - started)) s" >&2
