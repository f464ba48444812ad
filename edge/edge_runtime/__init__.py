"""The device: judges frames with a bundle and publishes verdicts. Also the contract that the host conforms to."""

__version__ = "0.1.0"
