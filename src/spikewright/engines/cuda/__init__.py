"""The cuda engine: the same semantics as the reference, with time folded into the batch. See ``docs/engines.md``."""
