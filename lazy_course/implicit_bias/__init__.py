"""Implicit bias: which solution gradient flow chooses, from lazy to active with the scale of initialization."""
