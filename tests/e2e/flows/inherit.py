"""A flow whose ends come from a sibling module's base class, and a method from a mixin."""

from metaflow import step
from shared_base import BaseFlow, Tools


class InheritFlow(Tools, BaseFlow):
    @step
    def middle(self):
        self.said = self.describe()
        self.next(self.end)


if __name__ == "__main__":
    InheritFlow()
