"""All signatures of a space measured on a device."""
