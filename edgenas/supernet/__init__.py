"""One network that holds all networks of a space: shared weights, their training, and the search among them."""
