"""What is copied to a target: Python 3.7, the standard library and NumPy; imports nothing of ours."""
