"""What draws values in notebooks: one kind of value a file."""
