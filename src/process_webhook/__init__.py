"""process_webhook: takes jobs in, answers at once, and packages them afterwards."""
