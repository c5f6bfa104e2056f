"""Public measurements of microcontrollers, and the networks that they are of."""
