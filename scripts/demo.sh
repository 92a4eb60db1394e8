#!/usr/bin/env bash
# Run the first example that this machine can: the terraform pipeline, else a build and test.
set -euo pipefail
cd "$(dirname "$0")/.."

if command -v terraform >/dev/null; then
  exec .venv/bin/iac-ci run examples/terraform-pipeline/job.yaml
fi
echo "No terraform on PATH: running examples/build-and-test instead of the terraform pipeline."
IAC_CI="$PWD/.venv/bin/iac-ci" exec examples/build-and-test/run.sh
