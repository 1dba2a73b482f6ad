"""Trained models for use from Python: a model and a video go in, an answer comes out."""
