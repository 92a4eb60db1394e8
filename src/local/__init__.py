"""Local runs: the handlers of production on one machine, without a cloud."""
