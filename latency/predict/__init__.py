"""From a table to the latency and energy of networks, populations and anybody's model file."""
