#!/usr/bin/env bash
# See to it that the tests of pages find a Chromium: install Debian's as root with apt-get, else say
# what to install. CHROMIUM=/path/to/chromium names one that is not on PATH.
set -euo pipefail

find_chromium() {
  local candidate
  for candidate in "${CHROMIUM:-chromium}" chromium-browser google-chrome; do
    if command -v "$candidate"; then return; fi
  done
  return 1
}

install_chromium() {
  local get=(apt-get -q -y -o DPkg::Lock::Timeout=300)
  echo "browser: installing Debian's chromium" >&2
  "${get[@]}" update >/dev/null
  DEBIAN_FRONTEND=noninteractive "${get[@]}" install --no-install-recommends \
    chromium fonts-dejavu-core >/dev/null
}

if ! find_chromium >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "browser: no chromium here; install it (on Debian, as root: apt-get install chromium)," \
      "or name one: CHROMIUM=/path/to/chromium" >&2
    exit 1
  fi
  install_chromium
fi
"$(find_chromium)" --version
