#!/usr/bin/env bash
# Build and test a small git repository that this script makes, as three orders of one commit.
#
#     examples/build-and-test/run.sh [options of iac-ci run]
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
repo=$place/greeting

# A repository as any: a module, its test and a commit.
git init --quiet --initial-branch=main "$repo"
mkdir "$repo/greeting" "$repo/tests"
cat >"$repo/greeting/__init__.py" <<'PYTHON'
"""Greets."""


def greet(name: str) -> str:
    return f"Hello, {name}!"
PYTHON
touch "$repo/tests/__init__.py"
cat >"$repo/tests/test_greeting.py" <<'PYTHON'
import unittest

from greeting import greet


class GreetingTest(unittest.TestCase):
    def test_greets_by_name(self) -> None:
        self.assertEqual(greet("iac-ci"), "Hello, iac-ci!")
PYTHON
git -C "$repo" add .
git -C "$repo" -c user.name=demo -c user.email=demo@example.com -c commit.gpgsign=false \
  commit --quiet --message "Greet by name"

cat >"$place/job.yaml" <<YAML
username: demo
flow_label: build-and-test
git_repo: file://$repo
git_ref: main

orders:
  compile:
    timeout: 60
    cmds: ["python3 -m compileall -q greeting"]

  test:
    timeout: 60
    cmds: ["python3 -m unittest discover --start-directory tests --top-level-directory ."]

  build:
    dependencies: [compile, test]
    timeout: 60
    cmds:
      - python3 -m zipfile -c greeting.zip greeting
      - python3 -c 'import hashlib; print(hashlib.sha256(open("greeting.zip", "rb").read()).hexdigest())'
YAML

"${IAC_CI:-iac-ci}" run "$place/job.yaml" "$@"
