"""One quiet measurement: visits to models, what disturbed them, and the latency that follows."""
