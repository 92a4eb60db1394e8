"""Stands in for the AWS CLI where that is not installed: `aws s3api get-object`, by boto3.

Same endpoint, credentials, retries and words of an error; nothing else of the CLI.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Run one command."""
    import boto3
    from botocore.exceptions import ClientError

    parser = argparse.ArgumentParser("aws")
    parser.add_argument("service", choices=["s3api"])
    parser.add_argument("operation", choices=["get-object"])
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    try:
        found = boto3.client("s3").get_object(Bucket=given.bucket, Key=given.key)
    except ClientError as error:
        print(f"\n{error}", file=sys.stderr)  # noqa: T201 - as the CLI says it
        return 254
    given.file.write_bytes(found["Body"].read())
    print("{}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
