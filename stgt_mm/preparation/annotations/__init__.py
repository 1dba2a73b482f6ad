"""Annotation files of public data sets, as people have them, turned into records; one module a data set."""
