"""The client's calls on AWS, and what each of them needs.

Every call names its action and resource, so that a refusal says what a policy has to grant. Reads
only what a command shows: of rows never what opens a bundle.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from src.common import jsontext, keys, live
from src.common.aws.clients import Clients
from src.common.aws.errors import Refusal, calling
from src.common.aws.items import decode, encode, value_of
from src.common.codec import decode as decode_json
from src.common.errors import Permanent, Transient
from src.common.messages import Result
from src.common.records import Event
from src.common.retry import attempts
from src.remote.calls import Calls
from src.remote.logs import LiveLine
from src.remote.state import ORDER_FIELDS, RUN_FIELDS
from src.remote.target import Target

_NO_GROUP: Final = "ResourceNotFoundException"
_BATCH: Final = 100  # keys of one BatchGetItem
_INDEX: Final = "order_name_index"


class AwsStack(Calls):
    """A deployed stack; see `src.remote.look.Records` for what is read."""

    def run(self, run_id: str) -> Mapping[str, Any] | None:
        """Return `RUN_FIELDS` of the run's item (strongly consistent)."""
        table = self._target.need("orders_table")
        with self._asking(f"reading run {run_id}", "dynamodb:GetItem", self._table(table)):
            reply = self._clients.dynamodb.get_item(
                TableName=table,
                Key=encode({"pk": run_id}),
                ConsistentRead=True,
                **_only(RUN_FIELDS),
            )
        return decode(reply["Item"]) if "Item" in reply else None

    def orders(self, run_id: str, nums: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return `ORDER_FIELDS` of the rows that exist, by number."""
        table = self._target.need("orders_table")
        doing, resource = f"reading the orders of {run_id}", self._table(table)
        found: dict[str, dict[str, Any]] = {}
        wanted = [encode({"pk": keys.row_key(run_id, num)}) for num in nums]
        for start in range(0, len(wanted), _BATCH):
            left: list[Any] = wanted[start : start + _BATCH]
            for last in attempts():
                asked: Any = {"Keys": left, "ConsistentRead": True, **_only(ORDER_FIELDS)}
                with self._asking(doing, "dynamodb:BatchGetItem", resource):
                    reply = self._clients.dynamodb.batch_get_item(RequestItems={table: asked})
                rows = [decode(item) for item in reply["Responses"].get(table, ())]
                found |= {row["num"]: row for row in rows}
                unprocessed = reply.get("UnprocessedKeys", {}).get(table)
                left = list(unprocessed["Keys"]) if unprocessed else []
                if not left:
                    break
                if last:
                    raise Transient(f"{doing}: {len(left)} keys are still unprocessed")
        return found

    def trace(self, run_id: str) -> str | None:
        """Return the trace id that a request with this run id is remembered with."""
        table = self._target.need("events_table")
        key = {"pk": f"idem:{jsontext.sha256({'run_id': run_id})}", "sk": "idem"}
        doing = f"looking for the trace of {run_id}, which has no rows"
        with self._asking(doing, "dynamodb:GetItem", self._table(table)):
            reply = self._clients.dynamodb.get_item(
                TableName=table, Key=encode(key), **_only(("run_id", "trace_id"))
            )
        item = decode(reply["Item"]) if "Item" in reply else {}
        return str(item["trace_id"]) if item.get("run_id") == run_id else None

    def events(self, trace_id: str) -> Sequence[Event]:
        """Return the events of a trace, oldest first."""
        table = self._target.need("events_table")
        query: dict[str, Any] = {
            "TableName": table,
            "KeyConditionExpression": "pk = :trace_id",
            "ExpressionAttributeValues": {":trace_id": value_of(trace_id)},
            "ConsistentRead": True,
        }
        doing = f"reading the events of trace {trace_id}"
        found = list(self._query(query, doing, self._table(table)))
        return sorted(found, key=lambda event: (event.epoch, event.sk))

    def job_events(self) -> Iterator[Event]:
        """Yield the events of whole runs (`_job`), newest first; pages are read as needed."""
        table = self._target.need("events_table")
        query = {
            "TableName": table,
            "IndexName": _INDEX,
            "KeyConditionExpression": "order_name = :job",
            "ExpressionAttributeValues": {":job": value_of(keys.JOB)},
            "ScanIndexForward": False,
        }
        resource = f"{self._table(table)}/index/{_INDEX}"
        return self._query(query, "reading the latest runs", resource)

    def _query(self, query: Mapping[str, Any], doing: str, resource: str) -> Iterator[Event]:
        start: dict[str, Any] = {}
        while True:
            with self._asking(doing, "dynamodb:Query", resource):
                reply = self._clients.dynamodb.query(**query, **start)
            yield from (Event.from_item(decode(item)) for item in reply["Items"])
            if "LastEvaluatedKey" not in reply:
                return
            start = {"ExclusiveStartKey": reply["LastEvaluatedKey"]}

    def done(self, run_id: str) -> Mapping[str, Any] | None:
        """Return the done object."""
        bucket = self._target.need("done_bucket")
        doing = f"looking for the done object of {run_id}, which has no rows"
        body = self._get(bucket, keys.done_key(run_id), doing)
        return None if body is None else decode_json(body)

    def result(self, run_id: str, num: str) -> Result | None:
        """Return how an order ended, with its log."""
        bucket, key = self._target.need("internal_bucket"), keys.result_key(run_id, num)
        body = self._get(bucket, key, f"reading the result of {run_id}:{num}")
        return None if body is None else Result.from_item(decode_json(body))

    def lines(self, run_id: str, num: str, since: int, *, builds: bool) -> Iterator[LiveLine]:
        """Yield what an order (all of the run with num "") printed since a time, oldest first."""
        if builds:
            group = f"/aws/codebuild/{self._target.need('build_project')}"
        else:
            group = f"/aws/lambda/{self._target.need('worker_function')}"
        doing = f"reading what {live.label(run_id, num)} printed"
        resource = self._target.arn("logs", f"log-group:{group}", region=self._region)
        asked = {
            "logGroupName": group,
            "startTime": since,
            "filterPattern": f'"{live.label(run_id, num)}"',
        }
        more: dict[str, str] = {}
        while True:
            try:
                with self._asking(doing, "logs:FilterLogEvents", resource, _NO_GROUP):
                    reply = self._clients.logs.filter_log_events(**asked, **more)
            except Refusal:
                return  # no group: nothing ever ran there
            for event in reply["events"]:
                found = live.parsed(event["message"], run_id)
                if found is not None and num in ("", found[0]):
                    yield LiveLine(event["eventId"], event["timestamp"], *found)
            if not reply.get("nextToken"):
                return
            more = {"nextToken": reply["nextToken"]}

    def request(self, digest: str) -> Mapping[str, Any] | None:
        """Return the job of an accepted request."""
        bucket, key = self._target.need("internal_bucket"), keys.request_key(digest)
        body = self._get(bucket, key, f"reading the request {digest[:12]}")
        return None if body is None else decode_json(body)

    def cancel(self, run_id: str) -> None:
        """Write the object that cancels a run; writing it again changes nothing."""
        bucket, key = self._target.need("internal_bucket"), keys.cancel_key(run_id)
        resource = self._target.bucket_arn(bucket, key)
        with self._asking(f"cancelling {run_id}", "s3:PutObject", resource):
            self._clients.s3.put_object(Bucket=bucket, Key=key, Body=b"{}")

    def parameter(self, name: str) -> str:
        """Return an SSM parameter, decrypted."""
        resource = self._target.arn("ssm", f"parameter/{name.lstrip('/')}", region=self._region)
        with self._asking(f"reading SSM parameter {name}", "ssm:GetParameter", resource):
            reply = self._clients.ssm.get_parameter(Name=name, WithDecryption=True)
        return reply["Parameter"]["Value"]

    def invoke(self, event: Mapping[str, Any]) -> tuple[int, Any]:
        """Invoke process_webhook and wait for its answer: status and body.

        Raises:
            Transient: the function itself failed.
        """
        name = self._target.need("function")
        doing, payload = f"invoking {name}", json.dumps(event).encode()
        resource = name if name.startswith("arn:") else self._function(name)
        with self._asking(doing, "lambda:InvokeFunction", resource):
            reply: Any = self._clients.lambda_.invoke(FunctionName=name, Payload=payload)
            answer: Any = json.loads(reply["Payload"].read())
        if "FunctionError" in reply:
            raise Transient(f"{doing}: it failed: {answer.get('errorMessage', answer)}")
        return int(answer["statusCode"]), answer["body"]

    def signed(self, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of a POST to a function URL, signed with the caller's credentials."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        doing = f"signing the request to {url}"
        with calling(doing):
            credentials = self._clients.session.get_credentials()
            if credentials is None:
                raise Permanent(f"{doing}: there are no AWS credentials")
            request = AWSRequest(method="POST", url=url, data=body, headers=dict(headers))
            SigV4Auth(credentials, "lambda", self._region).add_auth(request)
        return dict(request.headers.items())


def _only(fields: Collection[str]) -> dict[str, Any]:
    """Return the projection on some attributes; several of them are reserved words."""
    names = {f"#{name}": name for name in fields}
    return {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}


def connect(target: Target, endpoint: str | None) -> AwsStack:
    """Return the stack in its own region, at an endpoint of its own if one is given."""
    return AwsStack(target, Clients(region=target.region, endpoint=endpoint))
