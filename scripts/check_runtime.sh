#!/usr/bin/env bash
# Check that what ships is enough: requirements/runtime.lock, installed into an empty folder, and src/
# let the four handlers be imported, with nothing else that this Python has.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$python" -m pip install --quiet --disable-pip-version-check \
  --require-hashes --target "$folder" -r requirements/runtime.lock

for handler in process_webhook orchestrator watchdog_check worker; do
  # -I -S: neither the environment's packages nor the user's.
  "$python" -I -S -c '
import importlib, sys
sys.path[:0] = sys.argv[1:3]
assert callable(importlib.import_module(sys.argv[3]).handler), sys.argv[3]
' "$folder" "$PWD" "src.$handler.handler"
  echo "src.$handler.handler: imports"
done
