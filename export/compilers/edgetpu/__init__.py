"""The Edge TPU's compiler: its rules, its output, and the program itself where it is installed."""
