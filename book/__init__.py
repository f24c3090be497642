"""Pages of the book that are made from data: the claims, the homework's objectives, the benchmark."""
