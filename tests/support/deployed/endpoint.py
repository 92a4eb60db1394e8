"""The stack applied at an endpoint, as scenarios see it: HTTP, AWS's API and nothing of ours."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import requests
from boto3.session import Session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from src.common.aws.clients import Clients
from src.common.aws.uploads import HttpUploads
from src.common.clock import SystemClock
from src.local.deployed import deployed_adapters
from src.local.stack import PROCESS_WEBHOOK, Stack
from tests.support.deployed.account import KEY, Account
from tests.support.deployed.site import Answer, Site
from tests.support.leaks import Secret, Text
from tests.support.stores import everything

TIMEOUT_S: Final = 60
EMBEDDED: Final = "the embedded AWS"


@dataclass(frozen=True)
class Applied:
    """What the process that applied the stack tells those that test it. JSON-able."""

    name: str
    endpoint: str
    ca: str | None
    region: str
    account: str
    salt: str
    webhook_secret: str
    outputs: Mapping[str, Any]
    folder: str  # of the stages' copies
    toolchain: str
    access_log: str | None
    lacks: Mapping[str, str]
    code_bucket: str
    secrets: str  # where stored secrets are noted

    def as_json(self) -> str:
        """Pack it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Unpack it."""
        return cls(**json.loads(text))

    def but(self, **changes: Any) -> Self:
        """Return it with some fields changed."""
        return replace(self, **changes)

    @property
    def at(self) -> Account:
        """The account it was applied to."""
        ca = Path(self.ca) if self.ca else None
        return Account(self.endpoint, ca, self.region, Path(self.secrets))

    @property
    def secret_prefix(self) -> str:
        """What the names of secrets begin with that jobs may name."""
        return f"iac-ci/{self.salt}/"

    @property
    def stack(self) -> Stack:
        """The description of what was applied."""
        return Stack(
            region=self.region,
            account=self.account,
            salt=self.salt,
            webhook_secret_parameter=f"/{self.secret_prefix}webhook_secret",
        )


class EndpointClients(Clients):
    """The production clients, as the account's root."""

    def __init__(self, account: Account) -> None:
        super().__init__(region=account.region, endpoint=account.endpoint)
        self._ca = account.ca
        self._watch = account.watch

    @cached_property
    def session(self) -> Session:
        """The production session with an emulator's credentials; it trusts the endpoint's CA."""
        session = super().session
        session._session.set_credentials(KEY, KEY)
        if self._ca:
            session._session.set_config_variable("ca_bundle", str(self._ca))
        self._watch(session)
        return session


class TrustingUploads(HttpUploads):
    """The production uploads, trusting one CA."""

    def __init__(self, ca: str | None) -> None:
        super().__init__()
        self._ca = ca

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # a bundle that it names would come first
        session.verify = self._ca or True
        return session


class EndpointSite(Site):
    """The applied stack."""

    def __init__(self, applied: Applied) -> None:
        self.applied = applied
        self.account = applied.at
        self.name = applied.name
        self.stack = applied.stack
        self.webhook_secret = applied.webhook_secret
        self.secret_prefix = applied.secret_prefix
        self.lacks = applied.lacks
        self.clients = EndpointClients(self.account)
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = applied.ca or True
        deployed = deployed_adapters(self.clients, self.stack, SystemClock())
        self.adapters = replace(deployed, uploads=TrustingUploads(applied.ca))

    def api(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST to the HTTP API; an emulator's has no name that every machine resolves."""
        shown = urlsplit(self.applied.outputs["api_gateway_url"])
        api_id = self.applied.outputs["api_gateway_id"]
        path = f"/_aws/execute-api/{api_id}/$default{shown.path}"
        return self._post(path, body, headers)

    def url(self, body: bytes, *, signed: bool = True) -> Answer:
        """POST to the function URL."""
        return self.url_as(body, Credentials(KEY, KEY) if signed else None)

    def url_as(self, body: bytes, who: Credentials | None) -> Answer:
        """POST to the function URL, signed by somebody or nobody."""
        path = f"/_aws/lambda-url/{self._url_id()}/"
        headers = {"Content-Type": "application/json"}
        if who is not None:
            asked = AWSRequest("POST", self.account.endpoint + path, headers, body)
            SigV4Auth(who, "lambda", self.account.region).add_auth(asked)
            headers = dict(asked.headers)
        return self._post(path, body, headers)

    def _url_id(self) -> str:
        name = self.stack.functions[PROCESS_WEBHOOK].name
        found = self.clients.lambda_.get_function_url_config(FunctionName=name)
        return str(urlsplit(found["FunctionUrl"]).hostname).split(".")[0]

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        reply = self._http.post(
            self.account.endpoint + path, data=body, headers=dict(headers), timeout=TIMEOUT_S
        )
        try:
            return Answer(reply.status_code, reply.json())
        except ValueError:
            return Answer(reply.status_code, reply.text)

    def invoke(self, body: Mapping[str, Any]) -> Answer:
        """Invoke process_webhook directly."""
        return self.invoke_as(body, self.clients.lambda_)

    def invoke_as(self, body: Mapping[str, Any], client: Any) -> Answer:
        """Invoke process_webhook with somebody's client."""
        name = self.stack.functions[PROCESS_WEBHOOK].name
        reply = client.invoke(FunctionName=name, Payload=json.dumps(body).encode())
        answer = json.loads(reply["Payload"].read())
        return Answer(answer.get("statusCode", 500), answer.get("body", answer))

    def log(self, function: str) -> str:
        """Return what a function has logged."""
        logs = self.account.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{self.stack.functions[function].name}"
        )
        try:
            return "\n".join(event["message"] for page in pages for event in page["events"])
        except ClientError:
            return ""

    def left(self) -> list[Text]:
        """Return what lies in every store of the account."""
        return everything(self.account.client)

    def stored_secrets(self) -> list[Secret]:
        """Return the secrets that all processes of the test run stored."""
        return self.account.stored_secrets()

    def turn(self) -> None:
        """Let time pass."""
        time.sleep(0.05)
