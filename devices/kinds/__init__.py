"""Ways to reach a device: this machine, ssh, adb, a compiler's delegate, a simulation."""
