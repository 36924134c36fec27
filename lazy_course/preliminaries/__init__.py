"""Preliminaries: differentials, norms, flows and the three inequalities that the course leans on."""
