"""The chapter on bounds that hold for all time: Theorems 2.4 and 2.5 of the paper, and sharper ones."""
