"""ARNs in the short form of reports: service and resource, without account, region and hash."""

from __future__ import annotations

import re

from tests.support.terraform.names import Names


class Short:
    """Shortens the ARNs of one deployment: `s3 internal/tmp/exec/*`, `dynamodb table/orders`."""

    def __init__(self, names: Names) -> None:
        self._name = re.compile(rf"iac-ci-([\w-]+)-{names.hash}\b")

    def __call__(self, arn: str) -> str:
        """Return the short form; what is no ARN comes back as it is."""
        plain = self._name.sub(r"\1", arn)
        parts = plain.split(":", 5)
        return f"{parts[2]} {parts[5]}" if plain.startswith("arn:") else plain
