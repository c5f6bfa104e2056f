"""How a device's costs come to be, measured or computed, and what follows from that for everybody who needs them."""
