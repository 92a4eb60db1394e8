"""A run as one HTML page that needs nothing else. Made from a `RunRecord`, whoever gathered it."""
