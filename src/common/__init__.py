"""What the four handlers share: the job, the records, the rules, the ports and their AWS adapters."""
