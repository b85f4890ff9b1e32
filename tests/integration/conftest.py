"""The real servers of the integration tests."""

from tests.integration.rabbitmq import broker, bus

__all__ = ["broker", "bus"]
