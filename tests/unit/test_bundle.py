"""Bundles: what goes in comes out, and nothing hostile does."""

from __future__ import annotations

import io
import os
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.common import zips
from src.common.bundle import Bundle, build, decrypt, encrypt, extract, new_identity
from src.common.codezip import CodeZip
from src.common.errors import BundleError

pytestmark = pytest.mark.unit

IDENTITY = new_identity()
BUNDLE = Bundle(("echo 1", "écho 2"), {"A": "plain", "B": "hunter2 ü"}, frozenset({"B"}))

Fill = Callable[[zipfile.ZipFile], None]


def code(*files: str) -> bytes:
    with CodeZip("code") as made:
        for name in files:
            made.file(name, io.BytesIO(name.encode()), len(name.encode()))
    return made.data


def hostile(fill: Fill) -> bytes:
    """Return a bundle to whose sound parts `fill` added something."""
    buffer = io.BytesIO(build(None, BUNDLE, IDENTITY))
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "a") as archive:
        warnings.simplefilter("ignore")  # about duplicate names
        fill(archive)
    return buffer.getvalue()


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def link(name: str, target: str) -> Fill:
    return lambda archive: archive.writestr(entry(name, stat.S_IFLNK | 0o777), target)


def file(name: str, text: str = "x") -> Fill:
    def fill(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("placeholder")
        info.filename = name  # as it is, without zipfile's tidying
        archive.writestr(info, text)

    return fill


def both(*fills: Fill) -> Fill:
    return lambda archive: [fill(archive) for fill in fills] and None


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_bundle_returns_what_was_built(tmp_path: Path) -> None:
    with CodeZip("code") as made:
        for name in ("main.tf", "modules/ünï/a b.tf"):
            made.file(name, io.BytesIO(name.encode()), len(name.encode()))
        made.file("run.sh", io.BytesIO(b"#!"), 2, executable=True)
        made.folder("empty")
        made.link("modules/main.tf", "../main.tf")

    found = extract(build(made.data, BUNDLE, IDENTITY), tmp_path / "work", IDENTITY)

    work = tmp_path / "work"
    assert found == BUNDLE
    assert tree(work) == {
        *("main.tf", "modules", "modules/ünï", "modules/ünï/a b.tf", "run.sh", "empty"),
        "modules/main.tf",
    }
    assert (work / "modules/main.tf").readlink() == Path("../main.tf")
    assert (work / "modules/main.tf").read_text() == "main.tf"
    assert os.access(work / "run.sh", os.X_OK)
    assert not (work / "main.tf").stat().st_mode & 0o111


def test_bundle_without_code_makes_an_empty_folder(tmp_path: Path) -> None:
    assert extract(build(None, BUNDLE, IDENTITY), tmp_path / "work", IDENTITY) == BUNDLE
    assert tree(tmp_path) == {"work"}


def test_bundle_is_a_sound_zip_to_others_too() -> None:
    data = build(code("a", "b/c"), BUNDLE, IDENTITY)

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["code/a", "code/b/c", "order.json", "env.age"]


def test_environment_lies_encrypted_in_the_bundle() -> None:
    data = build(None, BUNDLE, IDENTITY)

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        contents = [archive.read(name) for name in archive.namelist()]
    assert not any(value in part for part in (data, *contents) for value in (b"hunter2", b"plain"))
    assert not any(IDENTITY.encode() in part for part in (data, *contents))
    assert "hunter2" not in repr(BUNDLE)


def test_equal_code_gives_equal_bytes() -> None:
    assert code("a", "b") == code("a", "b")


def test_identities_are_fresh_and_open_only_their_own() -> None:
    other = new_identity()

    data = encrypt("text ü", IDENTITY)

    assert other != IDENTITY
    assert decrypt(data, IDENTITY) == "text ü"
    with pytest.raises(BundleError, match="decrypting"):
        decrypt(data, other)
    with pytest.raises(BundleError, match="decrypting"):
        decrypt(b"x", IDENTITY)
    with pytest.raises(BundleError, match="decrypting"):
        decrypt(data, "no identity")


HOSTILE: dict[str, tuple[Fill, str]] = {
    "absolute": (file("/etc/x"), "leads out of its folder"),
    "upwards": (file("code/../../x"), "leads out of its folder"),
    "ends upwards": (file("code/.."), "leads out of its folder"),
    "dot": (file("code/./x"), "leads out of its folder"),
    "double slash": (file("code//x"), "leads out of its folder"),
    "backslash": (file("code/..\\x"), "holds a backslash"),
    "nul": (file("code/x\0y"), "or NUL"),
    "long path": (file("code/" + "x" * 3000), "is over 2048 bytes"),
    "long name": (file("code/" + "x" * 300), "unpacking the bundle: .*name too long"),
    "other folder": (file("other/x"), "has no place in a bundle"),
    "top": (file("x"), "has no place in a bundle"),
    "second order": (file("order.json"), "'order.json' appears twice"),
    "order as link": (link("order.json", "code/x"), "appears twice"),
    "twice": (both(file("code/x"), file("code/x")), "'code/x' appears twice"),
    "file and folder": (both(file("code/x"), file("code/x/")), "'code/x' appears twice"),
    "below a file": (both(file("code/x"), file("code/x/y")), "unpacking the bundle"),
    "link to absolute": (link("code/x", "/etc/passwd"), "link 'code/x' leads out of its folder"),
    "link upwards": (link("code/x", "../x"), "link 'code/x' leads out of its folder"),
    "link far upwards": (link("code/a/x", "../../x"), "leads out of its folder"),
    "link to nothing": (link("code/x", ""), "leads out of its folder"),
    "link of a bomb": (link("code/x", "y" * 5000), "target of over 4096 bytes"),
    "link by link": (
        both(link("code/p/d", ".."), link("code/p/x", "d/../..")),
        "'code/p/x' leads out",
    ),
    "below a link": (both(link("code/x", "y"), file("code/x/z")), "unpacking the bundle"),
    "link over a folder": (both(file("code/y/z"), link("code/y", "q")), "unpacking the bundle"),
    "pipe": (
        lambda archive: archive.writestr(entry("code/x", stat.S_IFIFO), ""),
        "neither file, folder nor link",
    ),
    "compression": (
        lambda archive: archive.writestr("code/x", "x", zipfile.ZIP_BZIP2),
        "uses compression 12",
    ),
}


@pytest.mark.parametrize(("fill", "reason"), HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_entry_is_refused(fill: Fill, reason: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    with pytest.raises(BundleError, match=reason):
        extract(hostile(fill), outside / "work" / "deep", IDENTITY)

    assert tree(tmp_path) <= {"outside", "outside/work", "outside/work/deep"} | {
        f"outside/work/deep/{name}" for name in tree(outside / "work" / "deep")
    }


def test_encrypted_entry_is_refused(tmp_path: Path) -> None:
    data = bytearray(hostile(file("code/x")))
    at = data.index(b"PK\x01\x02", data.rindex(b"env.age"))
    data[at + 8] |= 1

    with pytest.raises(BundleError, match="'code/x' is encrypted"):
        extract(bytes(data), tmp_path, IDENTITY)


def test_links_within_the_code_may_be_broken_or_chained(tmp_path: Path) -> None:
    fill = both(link("code/a", "b"), link("code/b", "c/d"), link("code/self", "self"))

    extract(hostile(fill), tmp_path / "w", IDENTITY)

    assert tree(tmp_path / "w") == {"a", "b", "self"}


def test_a_directory_of_too_many_entries_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry takes 46 bytes of the zip, and half a kilobyte of memory once it is read."""
    data = hostile(both(*(file(f"code/{at}") for at in range(11))))
    monkeypatch.setattr(zips, "MAX_ENTRIES", 10)
    monkeypatch.setattr(zipfile, "ZipInfo", None)  # whoever makes one fails

    with pytest.raises(BundleError, match="13 entries, over 10"), zips.opened(data, "a zip"):
        pass


def test_bombs_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zips, "RATIO_FLOOR", 10_000)
    monkeypatch.setattr(zips, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(zips, "MAX_ENTRIES", 10)

    def zeros(size: int) -> Fill:
        return lambda archive: archive.writestr("code/x", bytes(size), zipfile.ZIP_DEFLATED)

    for fill, reason in (
        (zeros(900_000), "a zip bomb"),
        (zeros(1_100_000), "over 1000000"),
        (both(*(file(f"code/{at}") for at in range(11))), "13 entries, over 10"),
    ):
        with pytest.raises(BundleError, match=reason):
            extract(hostile(fill), tmp_path / "w", IDENTITY)

    assert tree(tmp_path) == set()


def test_entry_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    data = bytearray(hostile(file("code/x", "y" * 5000)))
    at = data.index(b"PK\x01\x02", data.rindex(b"env.age"))
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")

    with pytest.raises(BundleError, match="not a sound zip"):
        extract(bytes(data), tmp_path / "w", IDENTITY)


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_bundle_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="reading the bundle"):
        extract(data, tmp_path / "w", IDENTITY)


def test_bundle_of_another_identity_writes_nothing(tmp_path: Path) -> None:
    data = build(code("a"), BUNDLE, IDENTITY)

    with pytest.raises(BundleError, match="decrypting"):
        extract(data, tmp_path / "w", new_identity())

    assert tree(tmp_path) == set()


def test_code_over_its_room_is_refused_as_soon_as_it_is_over() -> None:
    body = os.urandom(8 * 2**20)  # nothing to compress
    source = io.BytesIO(body)

    with (
        pytest.raises(BundleError, match=r"^packing the zip: over the 2000000 bytes that are left"),
        CodeZip("the zip", 2_000_000) as made,
    ):
        made.file("x", source, len(body))

    assert len(made.data) <= 2_000_000
    assert source.tell() < 4 * 2**20


def test_code_that_leads_out_is_not_packed() -> None:
    with CodeZip("code") as made, pytest.raises(BundleError, match=r"'\.\./x' leads out"):
        made.file("../x", io.BytesIO(), 0)
    with CodeZip("code") as made, pytest.raises(BundleError, match="link 'a/b' leads out"):
        made.link("a/b", "../../x")


SOUND = build(code("a", "b/c"), BUNDLE, IDENTITY)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, len(SOUND)),
    at=st.lists(st.integers(0, len(SOUND) - 1), max_size=4),
    byte=st.integers(1, 255),
)
def test_damaged_bundle_is_read_or_refused(
    cut: int, at: list[int], byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    damaged = bytearray(SOUND)
    for position in at:
        damaged[position] ^= byte

    for data in (bytes(damaged), SOUND[:cut]):
        folder = tmp_path_factory.mktemp("w")
        try:
            found = extract(data, folder, IDENTITY)
        except BundleError:
            continue
        assert found.env == BUNDLE.env
