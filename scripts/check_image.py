"""Check what the Dockerfile would make, without Docker: `make image-check`.

Lays out the image's task folder as the Dockerfile says: the runtime lock, from the wheels that fit
the image's Python and platform, and what is copied of src/. Then all of its code is imported from
that folder alone, and the build's own command (infra/02-deploy/codebuild.tf) is started in it.

What only Docker can show stays open: the base image itself and its packages.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dockerfile import Dockerfile

ROOT: Final = Path(__file__).parents[1]
TASK_ROOT: Final = "${LAMBDA_TASK_ROOT}/"
# Amazon Linux 2023 has glibc 2.34; wheels that ask for no newer one fit.
PLATFORMS: Final = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")


def main() -> int:
    """Run the checks; print what was found."""
    dockerfile = Dockerfile.read(ROOT / "Dockerfile")
    (lock,) = (each.source for each in dockerfile.stage("dependencies").copies)
    python, is_its_own = interpreter(dockerfile.python)
    with tempfile.TemporaryDirectory() as name:
        packages, task = Path(name, "packages"), Path(name, "task")
        install(ROOT / lock, packages, dockerfile.python)
        size = f"{megabytes(packages):.1f} MB unpacked"
        print(f"{lock}: installs for Python {dockerfile.python}, {size}")
        for part in sorted(packages.iterdir(), key=megabytes, reverse=True)[:4]:
            print(f"  {part.name}: {megabytes(part):.1f} MB")
        if not is_its_own:
            print(f"no Python {dockerfile.python} is here: the imports are tried with {python}")
            shutil.rmtree(packages)
            install(ROOT / lock, packages, None)
        shutil.copytree(packages, task)
        for copy in dockerfile.image.copies:
            lay(ROOT / copy.source, task / copy.target.removeprefix(TASK_ROOT))
        print(f"src: {megabytes(task / 'src'):.1f} MB")
        found = probe(python, task)
        print(
            f"{len(found['modules'])} modules import from it alone, {', '.join(found['handlers'])}"
        )
        print(f"  and what functions import later: {', '.join(found['lazy'])}")
        print(f"the build's command starts the worker: {started(python, task)}")
    return 0


def interpreter(version: str) -> tuple[str, bool]:
    """Return a Python of that version, or this one, and whether it is of that version."""
    for candidate in _candidates(version):
        told = _output(candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
        if told == version:
            return candidate, True
    return sys._base_executable, False  # without the packages of a virtual environment


def _candidates(version: str) -> Iterator[str]:
    yield os.environ.get("IMAGE_PYTHON", f"python{version}")
    yield sys._base_executable
    root = _output("pyenv", "root")
    if root is not None:
        yield from map(str, sorted(Path(root, "versions").glob(f"{version}.*/bin/python")))


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def install(lock: Path, folder: Path, version: str | None) -> None:
    """Install the lock into an empty folder: the image's wheels, or (None) this interpreter's."""
    fitting = [f"--platform={platform}_x86_64" for platform in PLATFORMS]
    for_image = [f"--python-version={version}", *fitting] if version else []
    options = ["--quiet", "--disable-pip-version-check", "--no-compile", "--target", folder]
    options += ["--require-hashes", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "install", *options, *for_image, "-r", lock]
    subprocess.run(command, check=True)


def lay(source: Path, target: Path) -> None:
    """Copy as COPY does: a folder's contents, a file to a name or into a folder."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def probe(python: str, task: Path) -> dict[str, list[str]]:
    """Import everything in the folder with nothing else that this machine has."""
    command = [python, "-I", "-S", ROOT / "scripts/image_probe.py", task]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"importing from the image's folder alone:\n{done.stderr}")
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def started(python: str, task: Path) -> str:
    """Run the buildspec's command without a dispatch; return how the worker refuses."""
    shim = task.parent / "bin/python"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {python} -S "$@"\n')
    shim.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", build_command()],
        env={"PATH": f"{shim.parent}:/usr/bin:/bin", "LAMBDA_TASK_ROOT": str(task)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stderr.strip().splitlines()[-1:]
    if done.returncode != 1 or not said or "IAC_CI_PAYLOAD" not in said[0]:
        sys.exit(f"the build's command ended with {done.returncode}:\n{done.stderr}")
    return said[0]


def build_command() -> str:
    """Return the command of the build project as CodeBuild's shell gets it."""
    text = (ROOT / "infra/02-deploy/codebuild.tf").read_text()
    found = re.search(r'commands = \[("(?:[^"\\]|\\.)*")\]', text)
    if found is None:
        sys.exit("infra/02-deploy/codebuild.tf: no list of one command")
    command: str = json.loads(found[1])
    return command.replace("$${", "${")


def megabytes(path: Path) -> float:
    """Return the size of a file or folder, byte code left out."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


if __name__ == "__main__":
    sys.exit(main())
