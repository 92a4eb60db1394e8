"""Function URLs that want IAM tell their function who called, as AWS does.

ministack checks the signature and the grant, and then says nothing of the caller.
"""

from __future__ import annotations

import inspect
from typing import Any

from tests.support.embedded_aws.principals import principal


class FunctionUrls:
    """Adds `requestContext.authorizer.iam` to the events of function URLs."""

    def __init__(self) -> None:
        from ministack.services import lambda_svc

        self._build = lambda_svc._build_function_url_event
        self._signature = inspect.signature(self._build)
        lambda_svc._build_function_url_event = self.build

    def build(self, *given: Any, **more: Any) -> dict[str, Any]:
        """Return the event of a request."""
        from ministack.core.router import extract_access_key_id

        event: dict[str, Any] = self._build(*given, **more)
        asked = self._signature.bind(*given, **more).arguments
        if not asked.get("anonymous"):
            key = extract_access_key_id(asked["headers"], asked["query_params"])
            event["requestContext"]["authorizer"] = {
                "iam": {
                    "accessKey": key,
                    "accountId": asked["account_id"],
                    "callerId": key,
                    "cognitoIdentity": None,
                    "principalOrgId": None,
                    "userArn": principal(key),
                    "userId": key,
                }
            }
        return event
