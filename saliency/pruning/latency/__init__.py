"""Tables of measured latency: engines, timing, and what a network costs by them."""
