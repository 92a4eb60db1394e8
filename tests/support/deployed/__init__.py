"""The applied stack: what puts it up for a test run, and how scenarios talk to it."""
