"""What the frontends and the NIR exporter have in common; how each walks through a network is its own."""
