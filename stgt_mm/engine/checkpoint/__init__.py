"""Checkpoints: what they hold, writing them whole, reading them safely, resuming, loading strictly."""
