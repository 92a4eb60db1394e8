"""iac-ci: a serverless runner for infrastructure-as-code jobs."""

__version__ = "0.1.0"
