"""A comment as a reader's browser gets it: GitHub-flavoured Markdown to HTML, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from markdown_it import MarkdownIt

CODE = {"code", "pre"}


@dataclass
class Rendered(HTMLParser):
    """Elements, texts outside code, texts of code blocks."""

    html: str
    elements: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)  # outside code: where GitHub sees mentions
    codes: list[str] = field(default_factory=list)  # each <code>, blocks and words
    unclosed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.unclosed.append(tag)
        if tag == "code":
            self.codes.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag

    def handle_data(self, data: str) -> None:
        if "code" in self.unclosed:
            self.codes[-1] += data
        else:
            self.words.append(data.replace("\xa0", " "))


def to_html(markdown: str) -> str:
    """Return the HTML of a comment, by a renderer that takes HTML and links bare addresses."""
    return MarkdownIt("gfm-like").render(markdown)


def rendered(markdown: str) -> Rendered:
    return Rendered(to_html(markdown))
