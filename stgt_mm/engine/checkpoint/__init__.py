"""Checkpoints: files, weights, resume, and the fingerprint of a training."""
