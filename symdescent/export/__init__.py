"""Standalone programs: a loss, its gradient and the steps of an update rule, in several languages."""
