"""``Answers`` as checks ask for them: with a sentence for what happens in a notebook before an answer can be wrong."""

from lib.homework import answers
from lib.homework.answers import Hint


class Answers(answers.Answers):
    """``lib.homework.answers.Answers``, with hints also for an id changed after the draw and an untouched answer."""

    def __init__(self, env, assignment: str):
        super().__init__(env, assignment)
        self._called = set()
        if getattr(env, "student_id", None) is None:  # a grader runs the whole notebook, and knows whose it is
            self._drawn_for_this_id()

    def value(self, name: str):
        """The value of a variable; a dict or list with an answer left out gets a sentence of its own."""
        try:
            return super().value(name)
        except Hint as hint:
            if "ellipsis" in str(hint):
                raise Hint(f"`{name}` has an entry that is still `...`. Answer it and run the cell again.") from None
            raise

    def call(self, name: str, *arguments, **choices):
        """What the student's function returns; the first call of a check never has None for its right answer."""
        reply = super().call(name, *arguments, **choices)
        if reply is None and name not in self._called:
            raise Hint(f"`{name}` returned None where a value is due. Is its body still `...`? Is there a `return`?")
        self._called.add(name)
        return reply

    def _drawn_for_this_id(self):
        drawn = self._ask({"value": "p"}).get("plain")
        now = self._ask({"value": "STUDENT_ID"}).get("plain")
        pairs = [pair for pair in drawn if isinstance(pair, list) and len(pair) == 2] if isinstance(drawn, list) else []
        drawn_for = next((value for name, value in pairs if name == "student_id"), None)
        if isinstance(now, str) and drawn_for is not None and drawn_for != now.strip().lower():
            raise Hint(
                f"Your numbers were drawn for {drawn_for!r}, and then STUDENT_ID was changed to {now!r}. "
                "Run all cells again from the top, so that your answers use the new numbers."
            )
