#!/usr/bin/env bash
# Try a built image with Docker: what only the base image can answer, as Lambda and CodeBuild use it.
#
# Lambda runs everything as user 993 on a file system that takes no writes but in /tmp; CodeBuild runs as
# root and overrides the entry point.
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the container
set -euo pipefail

[[ $# -eq 1 ]] || {
  echo "usage: scripts/try_image.sh IMAGE" >&2
  exit 2
}
image=$1

as_lambda() {
  docker run --rm --platform linux/amd64 --network none --user 993:990 --read-only --tmpfs /tmp \
    --entrypoint bash "$image" -euo pipefail -c "$1"
}

as_build() {
  docker run --rm --platform linux/amd64 --network none --entrypoint sh "$image" -c "$1"
}

echo "programs, as Lambda's user:"
as_lambda '
git --version
{ git remote-https || true; } 2>&1 | grep -q usage # fetches over https
ssh -G localhost >/dev/null # refuses a user without a name
ssh -V
command -v gzip tar unzip
env -i PATH="$PATH" LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}" python3 --version # as commands see it
id nobody # the user of the commands in builds
'

echo "handlers:"
as_lambda '
cd "$LAMBDA_TASK_ROOT"
for file in src/*/handler.py; do
  name=$(dirname "$file" | tr / .).handler
  python -c "import importlib, sys; assert callable(importlib.import_module(sys.argv[1]).handler)" "$name"
  echo "$name"
done
'

echo "the build's program:"
if said=$(as_build 'cd "${LAMBDA_TASK_ROOT:-/var/task}" && python -m src.worker' 2>&1); then
  echo "it took an empty environment for a dispatch: $said" >&2
  exit 1
fi
grep IAC_CI_PAYLOAD <<<"$said" || {
  echo "$said" >&2
  exit 1
}

docker image inspect --format '{{.Size}}' "$image" | awk '{printf "%.0f MB unpacked\n", $1 / 1e6}'
