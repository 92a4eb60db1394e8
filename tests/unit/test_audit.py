"""What `make audit` makes of findings, answers and advisories."""

from __future__ import annotations

import pytest

from scripts.audit import ANSWERS, Finding, advisories, compare, read_answers

pytestmark = pytest.mark.unit

ONE, OTHER = Finding("CKV_1", "a.b"), Finding("CKV_1", "a.c")


def test_a_finding_without_an_answer_is_told_with_what_it_demands() -> None:
    told = list(compare({ONE: "be good", OTHER: "be good"}, {ONE: "why"}))

    assert told == ["CKV_1 a.c: be good: mend it or answer it"]


def test_an_answer_without_its_finding_is_told() -> None:
    assert list(compare({}, {ONE: "why"})) == [
        "CKV_1 a.b: answered, and not found: remove the answer"
    ]


def test_findings_that_are_answered_are_not_told() -> None:
    assert list(compare({ONE: "be good"}, {ONE: "why"})) == []


@pytest.mark.parametrize("answer", ['reason = "why"', 'resources = ["a.b"]', 'reason = ""'])
def test_an_answer_without_reason_or_resources_is_refused(answer: str) -> None:
    with pytest.raises(ValueError, match="CKV_1"):
        read_answers(f"[CKV_1]\n{answer}\n")


def test_the_answers_are_readable() -> None:
    found = read_answers(ANSWERS.read_text())

    assert len(found) > 20
    assert all(reason.endswith(".") for reason in found.values())


def test_advisories_and_what_nobody_knows_are_told_apart() -> None:
    fine = {"name": "fine", "version": "1", "vulns": []}
    bad = {"name": "bad", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
    lost = {"name": "lost", "skip_reason": "not found"}

    assert advisories([fine, bad, lost]) == (["lost"], ["bad 2: CVE-1, mended in 3"])
