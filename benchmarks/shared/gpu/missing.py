"""What a part of benchmarks/gpu.py says instead of a result, when the machine lacks something."""


class MissingError(Exception):
    """What is missing, and what would bring it."""
