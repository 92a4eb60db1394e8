"""The ports' adapters for AWS; with the composition roots the only code that may import boto3."""
