"""What a chip computes: event by event, in integers."""
