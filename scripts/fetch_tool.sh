#!/usr/bin/env bash
# Put terraform or tofu into a folder, once its archive has the expected checksum (the Dockerfile does).
#
# Without a version there is nothing to do; without a checksum nothing is fetched. The checksum stands
# in the release's SHA256SUMS file, in the line of ..._linux_amd64.zip. TOOL_MIRROR replaces the part of
# the address before the version, for networks that reach neither maker.
set -euo pipefail

refuse() {
  echo "fetch_tool: $1" >&2
  exit 1
}

[[ $# -eq 4 ]] || refuse "usage: fetch_tool.sh terraform|tofu VERSION SHA256 FOLDER"
tool=$1 version=$2 sha256=$3 folder=$4

case $tool in
  terraform) base=https://releases.hashicorp.com/terraform/ ;;
  tofu) base=https://github.com/opentofu/opentofu/releases/download/v ;;
  *) refuse "unknown tool '$tool', want terraform or tofu" ;;
esac

if [[ -z $version ]]; then
  [[ -z $sha256 ]] || refuse "$tool: a checksum without a version"
  exit 0
fi
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.]+)?$ ]] || refuse "$tool: '$version' is no version"
[[ $sha256 =~ ^[0-9a-f]{64}$ ]] || refuse "$tool $version: '$sha256' is no SHA-256 of its archive"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
curl --fail --silent --show-error --location --retry 3 --output "$work/archive.zip" \
  "${TOOL_MIRROR:-$base}$version/${tool}_${version}_linux_amd64.zip"
found=$(sha256sum "$work/archive.zip" | cut -d ' ' -f 1)
[[ $found == "$sha256" ]] || refuse "$tool $version: the archive's SHA-256 is $found, not $sha256"
unzip -q "$work/archive.zip" "$tool" -d "$work"
install -m 755 "$work/$tool" "$folder/$tool"
