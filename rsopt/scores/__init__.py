"""Bounds on score rows: softmax or sparsemax outputs used whole."""
