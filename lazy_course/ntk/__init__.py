"""The chapter on tangent kernels: closed forms at infinite width, linearized dynamics, and wide networks."""
