"""TensorFlow Lite for Microcontrollers: whether its interpreter takes a model, and how large its arena is."""
