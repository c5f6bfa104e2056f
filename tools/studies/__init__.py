"""What benches and tests of shared studies use: a database server, workers, and what kills them."""
