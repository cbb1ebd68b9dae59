from metaflow import step
from shared_base import Base


class DerivedFlow(Base):
    """A base class with a parameter, a step and a helper in a sibling module."""

    @step
    def start(self):
        self.mood = "well"
        self.next(self.end)


if __name__ == "__main__":
    DerivedFlow()
