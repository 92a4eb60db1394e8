"""watchdog_check: one turn of a watchdog, of an order or of a whole run."""
