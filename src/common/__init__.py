"""What the four handlers share: the job, records, rules, ports and their AWS adapters."""
