"""Where the code of orders comes from: git, a zip in a bucket, the job itself, or nowhere."""

from src.process_webhook.sources.code import CodeSources

__all__ = ["CodeSources"]
