"""Finite horizon: how close the flows of a model and of its linearization stay up to a time T."""
