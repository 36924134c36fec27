"""Mistakes that end a command with one line: the instructor's, never a student's."""


class GradingError(Exception):
    """Something that the person at the keyboard must mend; the message says what and how."""
