"""The forms that single values of a job may take: names, URLs, refs, paths, environment names.

Each form is a check of one text that says in words what is wrong; nothing here knows another field.
"""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from src.common import keys
from src.common.git_names import git_ref, git_url

LAMBDA_TIMEOUT: Final = 540  # s: a worker Lambda lives 600, and its result must still leave it
BUILD_TIMEOUT: Final = 10_800  # s: a presigned URL dies with the role session that signed it
JOB_TIMEOUT: Final = 79_200  # s, 22 h
MIN_JOB_TIMEOUT: Final = 3600  # s, of the automatic one
PACKAGING: Final = 1200  # s, the deadline of packaging
PRESIGN_EXPIRY: Final = 43_200  # s, 12 h
PRESIGN_MARGIN: Final = 600  # s that a given expiry must exceed the longest timeout by
ONE_STRING: Final = 131_071  # bytes: Linux starts no process with a longer argument or variable
MAX_ENTRIES: Final = 10_000  # of a list or map; looking at each costs a kilobyte where it is wrong
ENV_PREFIX: Final = "IAC_CI_"

ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_S3: Final = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>[^\x00-\x1f\x7f]{1,1020}\.zip)"
)
_LOCATION: Final = re.compile(
    r"aws:::(?P<kind>ssm|secretsmanager):(?P<name>[A-Za-z0-9_./@+=:-]{1,2048})"
)
_SECRET_PATH: Final = re.compile(r"[A-Za-z0-9_./@+=:-]{1,2048}")


def order_name(name: str) -> str:
    """Check an order's name."""
    if name.startswith("_"):
        raise ValueError("must not start with _, which is reserved")
    if not keys.ORDER_NAME.fullmatch(name):
        raise ValueError("must be 1 to 80 of the characters A-Z a-z 0-9 . _ -")
    return name


def unicode_text(text: str) -> str:
    """Check that a text can be encoded: JSON can say half a character, UTF-8 cannot."""
    if _HALF_CHARACTER.search(text):
        raise ValueError("must be valid Unicode text")
    return text


def label(text: str) -> str:
    """Check a short text that ids and comments carry."""
    if not text or len(text) > 128 or not text.isprintable() or text != text.strip():
        raise ValueError("must be 1 to 128 printable characters")
    return text


def tag(text: str) -> str:
    """Check the tag that hides in an HTML comment."""
    if "--" in label(text) or ">" in text:
        raise ValueError("must not hold -- or >, which would end the comment that hides it")
    return text


def command(text: str) -> str:
    """Check a shell command."""
    if not text.strip():
        raise ValueError("must not be empty")
    return one_string(text)


def one_string(text: str) -> str:
    """Check a text that becomes one argument or variable of a process."""
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    if len(text.encode()) > ONE_STRING:
        raise ValueError(
            f"must not be over {ONE_STRING} bytes, the most that Linux hands a process"
        )
    return text


def env_name(name: str) -> str:
    """Check the name of an environment variable."""
    if not ENV_NAME.fullmatch(name):
        raise ValueError("must be a variable's name: letters, digits and _, no digit first")
    if name.startswith(ENV_PREFIX):
        raise ValueError(f"must not start with {ENV_PREFIX}, which is reserved")
    return name


def folder(path: str) -> str:
    """Check a folder within the code and return it in its shortest form (`.` for all of it)."""
    return posixpath.normpath(_inner_path(path.rstrip("/") or path))


def file_path(path: str) -> str:
    """Check a file's path within the code, which must be in its shortest form."""
    if posixpath.normpath(_inner_path(path)) != path or path == ".":
        raise ValueError("must be a plain relative path of a file")
    return path


def _inner_path(path: str) -> str:
    if path.startswith("/"):
        raise ValueError("must be a relative path")
    if ".." in path.split("/"):
        raise ValueError("must not lead out of the code with ..")
    if not path or _CONTROL.search(path) or "\\" in path or len(path.encode()) > 1024:
        raise ValueError("must be 1 to 1024 bytes without control characters or backslashes")
    if any(len(part.encode()) > 255 for part in path.split("/")):
        raise ValueError("must not hold a name of over 255 bytes")
    return path


def s3_location(location: str) -> str:
    """Check `s3://bucket/key.zip`."""
    if not _S3.fullmatch(location):
        raise ValueError("must be s3://bucket/key.zip, the bucket with 3 to 63 of a-z 0-9 . -")
    return location


def split_s3(location: str) -> tuple[str, str]:
    """Return bucket and key of a checked location."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return bucket, key


def secret_location(location: str) -> str:
    """Check `aws:::ssm:/path` or `aws:::secretsmanager:name`."""
    if not _LOCATION.fullmatch(location):
        raise ValueError(
            "must say where the credential lies, aws:::ssm:/path or aws:::secretsmanager:name,"
            " and never be the credential"
        )
    return location


def split_location(location: str) -> tuple[str, str]:
    """Return kind (`ssm` or `secretsmanager`) and name of a checked location."""
    kind, _, name = location.removeprefix("aws:::").partition(":")
    return kind, name


def secret_path(path: str) -> str:
    """Check the name of a parameter or secret."""
    if not _SECRET_PATH.fullmatch(path):
        raise ValueError("must be a path of the characters A-Z a-z 0-9 _ . / @ + = : -")
    return path


def listed_secret(path: str) -> str:
    """Check a secret of the list form, whose path names the variable."""
    name = variable_of(secret_path(path))
    if not ENV_NAME.fullmatch(name) or name.startswith(ENV_PREFIX):
        raise ValueError(f"would name the variable {name!r}; use the form NAME: path")
    return path


def variable_of(path: str) -> str:
    """Return the variable that a secret's path names: `/app/db-password` gives `DB_PASSWORD`."""
    last = path.rpartition("/")[2] if "/" in path else path.rpartition(":")[2]
    return re.sub(r"[^A-Z0-9]", "_", last.upper())


def _bounded(value: Any) -> Any:
    """Refuse a list or map of too many entries before any is looked at; a list becomes a tuple."""
    if isinstance(value, list | tuple | dict) and len(value) > MAX_ENTRIES:
        raise ValueError(f"must hold at most {MAX_ENTRIES} entries, not {len(value)}")
    return tuple(value) if isinstance(value, list) else value


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _list_or_map(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return "list"
    return "map" if isinstance(value, dict) else None


BOUNDED: Final = BeforeValidator(_bounded)
Seconds = Annotated[int, Field(gt=0)]
Number = Annotated[int, Field(gt=0, lt=2**53)]
Text = Annotated[str, AfterValidator(unicode_text)]
OrderName = Annotated[str, AfterValidator(order_name)]
Label = Annotated[str, AfterValidator(label)]
CommentTag = Annotated[str, AfterValidator(tag)]
Command = Annotated[Text, AfterValidator(command)]
Commands = Annotated[tuple[Command, ...], BOUNDED, Field(min_length=1)]
Names = Annotated[tuple[str, ...], BOUNDED, AfterValidator(_each_once)]
EnvName = Annotated[str, AfterValidator(env_name)]
EnvValue = Annotated[Text, AfterValidator(one_string)]
Env = Annotated[dict[EnvName, EnvValue], BOUNDED]
GitUrl = Annotated[Text, AfterValidator(git_url)]
GitRef = Annotated[Text, AfterValidator(git_ref)]
Folder = Annotated[Text, AfterValidator(folder)]
Inline = Annotated[dict[Annotated[Text, AfterValidator(file_path)], Text], BOUNDED]
S3Location = Annotated[Text, AfterValidator(s3_location)]
SecretLocation = Annotated[str, AfterValidator(secret_location)]
_SecretList = Annotated[tuple[Annotated[str, AfterValidator(listed_secret)], ...], BOUNDED]
_SecretMap = Annotated[dict[EnvName, Annotated[str, AfterValidator(secret_path)]], BOUNDED]
SecretPaths = Annotated[
    Annotated[_SecretList, Tag("list")] | Annotated[_SecretMap, Tag("map")],
    Discriminator(_list_or_map),
]
