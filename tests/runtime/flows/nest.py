from metaflow import FlowSpec, step


class NestFlow(FlowSpec):
    """foreach in foreach in foreach."""

    @step
    def start(self):
        self.letters = ["a", "b"]
        self.next(self.outer, foreach="letters")

    @step
    def outer(self):
        self.word = self.input
        self.digits = [7, 8] if self.input == "a" else [9]
        self.next(self.middle, foreach="digits")

    @step
    def middle(self):
        self.word = self.word + str(self.input)
        self.marks = "!?" if self.input == 9 else "."
        self.next(self.inner, foreach="marks")

    @step
    def inner(self):
        self.word = self.word + self.input
        self.where = self.foreach_stack()
        self.next(self.join_marks)

    @step
    def join_marks(self, inputs):
        self.words = [i.word for i in inputs]
        self.next(self.join_digits)

    @step
    def join_digits(self, inputs):
        self.words = [i.words for i in inputs]
        self.next(self.join_letters)

    @step
    def join_letters(self, inputs):
        self.words = [i.words for i in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    NestFlow()
