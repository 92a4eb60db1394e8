"""The commands for a deployed stack."""
