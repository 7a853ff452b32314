"""Building blocks and losses of the networks."""
