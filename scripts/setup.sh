#!/usr/bin/env bash
# Make .venv from requirements/dev.lock and install this checkout into it.
#
# The lock that was installed lies in the environment itself. While it is missing or another one, the
# environment is made from nothing, so an interrupted set-up never passes for a finished one.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
lock=requirements/dev.lock
installed=$venv/installed.lock

find_python() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  echo "setup: iac-ci needs Python 3.11 or newer, found none (set PYTHON=/path/to/python3)" >&2
  return 1
}

discard() {
  rm -rf "$venv"
  echo "setup: interrupted or failed, removed the unfinished $venv" >&2
}

# One set-up at a time: the others wait, and find it done. The lock goes with the descriptor.
one_at_a_time() {
  exec 9<"$lock"
  "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
}

usable() { cmp -s "$lock" "$installed" && "$venv/bin/python" -c '' 2>/dev/null; }

python=$(find_python)
one_at_a_time
if ! usable; then
  echo "setup: making $venv with $("$python" --version) (about a minute, once)" >&2
  rm -rf "$venv"
  trap discard EXIT
  trap 'exit 130' INT TERM HUP
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --require-hashes -r "$lock"
  cp "$lock" "$installed.new"
  mv "$installed.new" "$installed"
  trap - EXIT INT TERM HUP
fi

"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  --no-deps --no-build-isolation -e .
