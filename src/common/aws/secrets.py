"""SecretSource on SSM and Secrets Manager. Messages name paths, never values."""

from __future__ import annotations

from src.common.aws.clients import Clients
from src.common.aws.errors import calling
from src.common.errors import Permanent


class AwsSecretSource:
    """SSM parameters and Secrets Manager secrets."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def ssm(self, path: str) -> str:
        """Return a parameter, decrypted; Permanent when it is missing or may not be read."""
        with calling(f"reading SSM parameter {path}"):
            reply = self._clients.ssm.get_parameter(Name=path, WithDecryption=True)
        return reply["Parameter"]["Value"]

    def secretsmanager(self, name: str) -> str:
        """Return a secret string; Permanent when it is missing, binary or may not be read."""
        with calling(f"reading secret {name}"):
            reply = self._clients.secretsmanager.get_secret_value(SecretId=name)
        if "SecretString" not in reply:
            raise Permanent(f"reading secret {name}: it is binary, text is needed")
        return reply["SecretString"]
