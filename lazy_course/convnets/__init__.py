"""Convolutional networks between standard and lazy training: Figures 3 and 7, and the criterion at full size."""
