"""The bounded, masked, live log of an order."""

from __future__ import annotations

import base64
import json
import re
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.worker.log import HeadTail, Log
from src.worker.masking import MASK, Masker, forms

pytestmark = pytest.mark.unit

SECRET = "hunter22/+ ä%??>"


def masked(values: list[str], *chunks: str) -> str:
    masker = Masker(values)
    return "".join([*(masker.feed(chunk) for chunk in chunks), masker.flush()])


def a_log(*secrets: str, head: int = 64, tail: int = 64) -> tuple[Log, list[str]]:
    lines: list[str] = []
    return Log(Masker(secrets), lines.append, HeadTail(head, tail)), lines


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        re.sub("%..", lambda escape: escape[0].lower(), quote(SECRET, safe="")),
        json.dumps(SECRET)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_value_is_masked_in_every_form(text: str) -> None:
    assert masked([SECRET], f"a {text} b") == f"a {MASK} b"


@pytest.mark.parametrize("before", ["", "u:", "user:", "admin:x"])
@pytest.mark.parametrize("after", ["", "\n", "=;"])
def test_value_inside_a_larger_base64_text_cannot_be_decoded(before: str, after: str) -> None:
    value = "correct-horse-battery"
    encoded = base64.b64encode(f"{before}{value}{after}".encode()).decode()

    left = masked([value], encoded)

    neighbours = base64.b64encode(f"{before}{after}".encode())
    assert left.count(MASK) == 1
    assert len(left.replace(MASK, "")) <= len(neighbours) + 4  # what shares a character with them


def test_each_line_of_a_value_is_masked_but_no_short_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEabcdefgh\nxyz\n-----END KEY-----\n"

    assert masked([key], "> MIIEabcdefgh < xyz") == f"> {MASK} < xyz"
    assert masked([key], key) == MASK


def test_what_lies_in_a_structured_value_is_masked_by_itself() -> None:
    value = json.dumps({"db": [{"password": "tr0ub4dor", "port": 54321, "ok": True}, 1.5]})

    assert masked([value], "tr0ub4dor 54321 true password") == f"{MASK} {MASK} true password"
    assert masked([value], f"<{value}>") == f"<{MASK}>"
    assert masked(["[tr0ub4dor"], "tr0ub4dor [tr0ub4dor") == f"tr0ub4dor {MASK}"  # no JSON
    assert masked(["[" * 100_000], "text") == "text"


def test_long_base64_is_masked_when_it_is_broken_into_lines() -> None:
    value = "".join(f"{number:04d}" for number in range(60))

    assert masked([value], base64.encodebytes(value.encode()).decode()) == f"{MASK}\n" * 5


def test_values_under_four_characters_are_not_masked() -> None:
    assert forms("abc") == set()
    assert masked(["abc", "", "   "], "abc   ") == "abc   "


def test_overlapping_values_leave_nothing_of_either() -> None:
    assert masked(["abcdef", "defghi"], "-abcdefghi-") == f"-{MASK}-"


def test_longer_value_that_contains_another_is_masked_whole() -> None:
    assert masked(["pass", "password123"], "password123 pass") == f"{MASK} {MASK}"


def test_only_what_may_become_a_secret_is_held_back() -> None:
    masker = Masker(["hunter22"])

    assert masker.feed("hello\nhunt") == "hello\n"
    assert masker.feed("ing\n") == "hunting\n"
    assert masker.feed("hunter2") == ""
    assert masker.feed("2!") == f"{MASK}!"


def test_repetitive_secret_does_not_make_the_buffer_grow() -> None:
    masker = Masker(["aaaa"])

    out = "".join(masker.feed("a" * 1000) for _ in range(100)) + masker.flush()

    assert out == MASK
    assert len(masker._held) < 4


@given(
    values=st.lists(st.text("ab", min_size=4, max_size=6), min_size=1, max_size=3),
    text=st.text("abc", max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=8),
)
def test_chunk_borders_change_nothing(values: list[str], text: str, cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(text)]
    chunks = [text[start:end] for start, end in pairwise(borders)]

    out = masked(values, *chunks)

    assert out == masked(values, text)
    assert out.replace(MASK, "") == _uncovered(values, text)


def _uncovered(values: list[str], text: str) -> str:
    """What is part of no occurrence of any form."""
    hidden: set[int] = set()
    for form in {form for value in values for form in forms(value)}:
        for at in range(len(text)):
            if text.startswith(form, at):
                hidden.update(range(at, at + len(form)))
    return "".join(char for at, char in enumerate(text) if at not in hidden)


def test_complete_lines_go_out_at_once_and_the_rest_at_the_end() -> None:
    log, lines = a_log()

    log.write(b"one\ntwo\nthr")
    assert lines == ["one\ntwo"]

    log.write(b"ee\nfour")
    assert lines == ["one\ntwo", "three"]

    assert log.close() == ("one\ntwo\nthree\nfour", False)
    assert lines == ["one\ntwo", "three", "four"]


def test_line_without_end_goes_out_in_pieces() -> None:
    log, lines = a_log(head=10**6)

    for _ in range(20):
        log.write(b"x" * 10_000)
    text, _ = log.close()

    assert max(map(len, lines)) < 80_000
    assert "".join(lines) == text == "x" * 200_000


def test_log_keeps_head_and_tail_and_names_what_it_left_out() -> None:
    log, _ = a_log(head=10, tail=10)

    log.write(b"0123456789" + b"-" * 1000 + b"abcdefghij")

    assert log.close() == ("0123456789\n[... 1000 bytes left out ...]\nabcdefghij", True)


@given(
    chunks=st.lists(st.text("aä€😀", max_size=40), max_size=20),
    head=st.integers(0, 30),
    tail=st.integers(1, 30),
)
def test_bound_holds_for_any_text_and_cuts_no_character(
    chunks: list[str], head: int, tail: int
) -> None:
    kept = HeadTail(head, tail)
    for chunk in chunks:
        kept.add(chunk)

    whole = "".join(chunks)
    text, truncated = kept.text()

    size = len(whole.encode())
    assert truncated == (size > head + tail)
    if truncated:
        first, last = text.split(f"\n[... {size - head - tail} bytes left out ...]\n")
        assert whole.startswith(first)
        assert whole.endswith(last)
        assert len(first.encode()) <= head
        assert len(last.encode()) <= tail
    else:
        assert text == whole


def test_secret_across_the_cut_is_masked_before_the_log_is_cut() -> None:
    log, _ = a_log("hunter22", head=10, tail=10)

    log.write(b"-------hunter22" + b"-" * 100 + b"hunter22--------")
    text, truncated = log.close()

    assert truncated
    assert "hun" not in text
    assert "r22" not in text


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    log, lines = a_log()

    log.write("ä".encode()[:1])
    log.write("ä".encode()[1:] + b" \xff\xfe ok\n\xe2\x82")

    assert log.close() == ("ä \ufffd\ufffd ok\n\ufffd", False)
    assert lines == ["ä \ufffd\ufffd ok", "\ufffd"]


def test_own_lines_may_hold_what_utf8_cannot() -> None:
    log, lines = a_log()

    log.note("$ echo \ud800")

    assert log.close()[0] == "$ echo ?\n"
    assert lines == ["$ echo ?"]


def test_own_lines_begin_on_a_line_of_their_own() -> None:
    log, lines = a_log("hunter22")

    log.note("$ echo hunter22")
    log.write(b"no newline")
    log.note("$ next")

    assert log.close()[0] == f"$ echo {MASK}\nno newline\n$ next\n"
    assert lines == [f"$ echo {MASK}", "no newline\n$ next"]
