"""The client of a deployed stack: submit jobs and see what becomes of them, with no engine here."""
