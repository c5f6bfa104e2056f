"""Finding the best network for a device: recipes, training, search, study, reports and the command line."""
