"""The command line: reads files, shows runs. Decides nothing about jobs."""
