"""Preparation, run once before training: annotations of public sets, verification of files."""
