"""Curves of logs, FLOPs by part, and sweeps of a key, for tools/analysis_tools."""
