"""Checking gradients by means that share nothing with the way they were derived."""
