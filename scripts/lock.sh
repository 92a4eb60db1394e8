#!/usr/bin/env bash
# Regenerate requirements/*.lock from pyproject.toml, with uv from an environment of its own.
#
# The development lock comes first and constrains the runtime lock: what ships is what was tested.
# The audit lock is of no concern to either: its tools live in an environment of their own.
# Pins stay as they are where they still fit; `make lock ARGS=--upgrade` takes the newest.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv

compile() {
  "$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --custom-compile-command "make lock" "$@"
}

compile pyproject.toml --extra cli --group dev -o requirements/dev.lock "${@}"
compile pyproject.toml -c requirements/dev.lock -o requirements/runtime.lock "${@}"
compile --group pyproject.toml:audit -o requirements/audit.lock "${@}"
