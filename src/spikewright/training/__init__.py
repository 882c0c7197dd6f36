"""Training a converted network on: surrogate gradients, modules, losses, limits."""
