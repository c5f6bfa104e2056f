"""What a vendor's compiler does with a file."""
