"""Network to Keras, and back to fewer layers."""
