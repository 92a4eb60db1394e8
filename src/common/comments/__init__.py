"""The report on the pull request: one comment per run, edited in place (rule 13)."""
