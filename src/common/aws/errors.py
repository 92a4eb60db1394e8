"""From what AWS answers to our errors: the one place that knows error codes.

`calling` wraps one call. Codes that the caller wants to judge itself (a failed condition) come back
as `Refusal`; everything else becomes `Transient` or `Permanent`. botocore is imported on the first
error only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from src.common.aws.bounds import OutOfTime
from src.common.errors import Permanent, ServiceError, Transient

CONDITION_FAILED: Final = "ConditionalCheckFailedException"
TRANSACTION_CONFLICT: Final = "TransactionConflictException"  # of a write that is in none itself
TRANSACTION_CANCELED: Final = "TransactionCanceledException"

# Codes that mean "later", whatever HTTP status they come with; 429 and 5xx mean it always.
_TRANSIENT_CODES: Final = frozenset(
    {
        "AccountLimitExceededException",  # CodeBuild: too many builds at once
        "ConditionalRequestConflict",  # S3: a concurrent conditional write
        "EC2ThrottledException",
        "ENILimitReachedException",
        "ExecutionLimitExceeded",  # Step Functions: too many open executions
        "ExpiredToken",
        "ExpiredTokenException",  # the next sandbox has fresh credentials
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "LimitExceededException",
        "OperationAborted",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ResourceConflictException",  # Lambda: the function is being updated
        "ResourceNotReadyException",
        "ServiceException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflict",
        TRANSACTION_CONFLICT,
        "TransactionInProgressException",
    }
)


class Refusal(Exception):
    """AWS answered with a code that the caller of `calling` asked for."""

    def __init__(self, code: str, response: Mapping[str, Any]) -> None:
        self.code = code
        self.response = response
        self.message = str(response.get("Error", {}).get("Message", ""))
        super().__init__(f"{code}: {self.message}")

    @property
    def item(self) -> Mapping[str, Any] | None:
        """The stored item that failed the condition (encoded), if the answer carries it."""
        return self.response.get("Item")

    @property
    def reasons(self) -> Sequence[Mapping[str, Any]]:
        """Why a transaction was cancelled, one entry per item."""
        reasons: Sequence[Mapping[str, Any]] = self.response.get("CancellationReasons", ())
        return reasons

    def unexpected(self, doing: str) -> ServiceError:
        """Return the error that `calling` would have raised, had the code not been expected."""
        cause = self.__cause__
        translated = translate(cause, doing) if isinstance(cause, Exception) else None
        return translated or Permanent(f"{doing}: {self}", f"{doing}: {self.code}")

    def cancelled_by(self, code: str) -> bool:
        """Return whether `code` is among the cancellation reasons."""
        return any(reason.get("Code") == code for reason in self.reasons)


@contextmanager
def calling(doing: str, *expected: str) -> Iterator[None]:
    """Translate what the call inside raises; `doing` says what to which id, for the message.

    Raises:
        Refusal: AWS answered with one of the `expected` codes.
        Transient, Permanent: any other trouble of the platform.
    """
    try:
        yield
    except ServiceError:
        raise
    except Exception as error:
        response = getattr(error, "response", None)
        if isinstance(response, Mapping) and "Error" in response:
            code = str(response["Error"].get("Code", ""))
            if code in expected:
                raise Refusal(code, response) from error
        translated = translate(error, doing)
        if translated is None:
            raise
        raise translated from error


def translate(error: Exception, doing: str) -> ServiceError | None:
    """Return our error for one of botocore's, None for an exception that is none of botocore's."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        reason = str(error.response.get("Error", {}).get("Message", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
        message, told = f"{doing}: {code}: {reason}", f"{doing}: {code}"
        if code == TRANSACTION_CANCELED:
            return _cancelled(error.response.get("CancellationReasons", ()), message, told)
        later = code in _TRANSIENT_CODES or status == 429 or status >= 500
        return Transient(message, told) if later else Permanent(message, told)
    if isinstance(error, OutOfTime):
        return Transient(f"{doing}: {error}")
    message, told = f"{doing}: {error}", f"{doing}: {type(error).__name__}"
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError | boto.IncompleteReadError):
        return Transient(message, told)
    if isinstance(error, boto.CredentialRetrievalError | boto.MetadataRetrievalError):
        return Transient(message, told)
    if isinstance(error, boto.BotoCoreError):
        return Permanent(message, told)
    return None


def _cancelled(reasons: Sequence[Mapping[str, Any]], message: str, told: str) -> ServiceError:
    codes = {str(reason.get("Code")) for reason in reasons} - {"None"}
    message = f"{message} ({', '.join(sorted(codes))})"
    later = bool(codes) and codes <= _TRANSIENT_CODES
    return Transient(message, told) if later else Permanent(message, told)
