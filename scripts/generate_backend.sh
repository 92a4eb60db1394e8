#!/usr/bin/env bash
# Write infra/STAGE/backend.tf, so that the stage keeps its state in the bucket of 00-bootstrap.
#
# Not in the repository: it names a bucket that every installation has its own of. The lock is S3's
# own lock file where terraform knows it (1.10), older ones go without a lock.
set -euo pipefail
cd "$(dirname "$0")/.."

terraform=${TERRAFORM:-terraform}

refuse() {
  echo "generate_backend: $1" >&2
  exit 1
}

usage() {
  echo "usage: scripts/generate_backend.sh STAGE BUCKET REGION" >&2
  echo "  STAGE   01-ecr or 02-deploy" >&2
  echo "  BUCKET  output bucket_name of 00-bootstrap" >&2
  echo "  REGION  region of that bucket, such as eu-west-1" >&2
  exit 2
}

knows_lockfile() {
  local version major minor
  version=$("$terraform" version 2>/dev/null | sed -n 's/^[A-Za-z]* v\([0-9.]*\).*/\1/p') || true
  [[ $version =~ ^([0-9]+)\.([0-9]+)\. ]] || refuse "no terraform: '$terraform version' says none"
  major=${BASH_REMATCH[1]} minor=${BASH_REMATCH[2]}
  ((major > 1 || (major == 1 && minor >= 10)))
}

backend() {
  cat <<HCL
terraform {
  backend "s3" {
    bucket  = "$bucket"
    key     = "iac-ci/$stage/terraform.tfstate"
    region  = "$region"
    encrypt = true
HCL
  [[ -z $lock ]] || printf '\n    %s\n' "$lock"
  printf '  }\n}\n'
}

[[ $# -eq 3 ]] || usage
stage=$1 bucket=$2 region=$3

case $stage in
  01-ecr | 02-deploy) ;;
  00-bootstrap) refuse "00-bootstrap makes the bucket, so its state stays local" ;;
  *) refuse "unknown stage '$stage', want 01-ecr or 02-deploy" ;;
esac
[[ $bucket =~ ^[a-z0-9][a-z0-9.-]+[a-z0-9]$ ]] || refuse "'$bucket' is no name of a bucket"
[[ $region =~ ^[a-z]+(-[a-z]+)+-[0-9]+$ ]] || refuse "'$region' is no code of a region"

file=infra/$stage/backend.tf
lock=
if knows_lockfile; then
  lock='use_lockfile = true'
fi

[[ ! -e $file ]] || refuse "$file exists; remove it first, or the state it leads to is lost sight of"
text=$(backend)
(set -o noclobber && printf '%s\n' "$text" >"$file")
echo "Wrote $file${lock:+, with $lock}. Next: $terraform -chdir=infra/$stage init"
