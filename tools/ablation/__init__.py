"""What each mechanism of measuring brings: recorded visits, replayed with one mechanism after the other off."""
