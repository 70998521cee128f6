"""A guided session: one gradient at a time, from the loss back, then in one line what melts into one."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from codegen.tools.learn.answers import complete
from codegen.tools.learn.check import Checker
from codegen.tools.learn.console import Console
from codegen.tools.learn.hints import HINTS
from codegen.tools.learn.page import Page, save
from codegen.tools.learn.rounds import rounds
from codegen.tools.learn.shapes import listed
from codegen.tools.learn.tasks import LineTask, RoundTask, Task
from codegen.tools.learn.told import equation_told
from codegen.tools.workbook import Exercise, Grade
from derive.command import meant

__all__ = ["Session"]

COMMANDS = {
    "?": "a hint; there are three, each larger (or: hint)",
    "show": "a solution",
    "skip": "leave this one open and go on",
    "back": "go back to the one before",
    "go NAME": "go to a gradient",
    "where": "what is done and what is open",
    "task": "show this task again",
    "quit": "stop; everything right is in your file, and the next time you go on from there",
}
#: Other words for commands.
SAME = {"hint": "?", "exit": "quit", "solution": "show", "next": "skip"}
WORDS = {*(c.partition(" ")[0] for c in COMMANDS), *SAME, "help"}


class Stopped(Exception):
    """The learner stops."""


@dataclass
class Session:
    """A learner's session on one exercise. ``command`` is what starts it again, ``again`` what grades the whole file."""

    exercise: Exercise
    file: Path
    command: str
    again: str
    seconds: float
    console: Console = field(default_factory=Console)

    def __post_init__(self) -> None:
        self.checker = Checker(self.exercise, self.file, self.seconds)
        self.tasks: list[Task] = [LineTask(self.exercise, b) for b in self.exercise.blanks]
        self.right: set[str] = set()
        self.at = 0
        self.hints = 0
        self.said: set[str] = set()
        self.rounds = False

    # ---- the session -------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Ask until everything is done or the learner stops; returns the exit status. KeyboardInterrupt passes."""
        try:
            self._begin()
            while self.at < len(self.tasks) or self._more():
                self._task()
            self._end()
        except (Stopped, EOFError):
            self._stopped()
        except KeyboardInterrupt:
            self._stopped()
            raise
        return 0

    def _begin(self) -> None:
        op, say = self.exercise.op, self.console.say
        say(f"{op.name}: {self._count(len(self.tasks), 'gradient')} to find, from the loss back.", "title")
        say(f"Your lines go into {self.file}.")
        say("Type the line for each: it is checked at once. ? gives a hint, help lists what else there is.")
        say("Lines are tried on random data of other lengths than those shown: write a length as x.shape[0].")
        say()
        say("The forward pass:")
        self.console.show([equation_told(e, op) for e in op.equations])
        if handed := self.exercise.handed:
            say("This is one step of a recurrence, for all steps at once:")
            self.console.show(handed)
        page = self._page()
        if filled := page.filled():
            self._again(page, [t for t in self.tasks if t.name in filled])
            self._next(0)

    def _again(self, page: Page, tasks: Sequence[Task]) -> None:
        """Grade what the file has already."""
        names = [t.name for t in tasks]
        grades = {g.name: g for g in self.checker.each(page.text, names)}
        self.right |= {t.label for t in tasks if grades[t.name].approximate}
        say = self.console.say
        say()
        done = sum(t.label in self.right for t in tasks)
        say(f"Going on: of {self._count(len(tasks), 'line')} in your file {self._are(done)} right.")
        for task in tasks:
            if task.label not in self.right:
                say(f"{task.name}: {grades[task.name].remark or 'it has no value'}", "wrong", indent=4)

    def _more(self) -> bool:
        """Begin the rounds after the last line; whether there is one."""
        if self.rounds:
            return False
        self.rounds = True
        self.console.say()
        self._tally()
        self.console.say("Which of them melt into one line? That is being derived.", "quiet")
        found = rounds(self.exercise)
        if found.zeros:
            self.console.say(f"{listed(found.zeros)} {self._are(len(found.zeros))[2:]} 0 whatever the data: the parts cancel.")
        tasks = [RoundTask(self.exercise, m) for m in found.melted]
        page = self._page()
        self.right |= {t.label for t in tasks if t.answer(page) and t.graded(self.checker, page).approximate}
        for t in tasks:
            if not t.answer(page) and self._melted_already(t, page):
                self.right.add(t.label)
                self.console.say(f"Your line for {t.name} is in one line already.", "right")
        self.tasks += tasks
        self._next(self.at)
        return self.at < len(self.tasks)

    def _melted_already(self, task: Task, page: Page) -> bool:
        """Whether the line that the learner wrote by the chain rule does without the gradients that melt."""
        try:
            return task.graded(self.checker, task.answered(page, page.lines(task.name))).approximate
        except (ValueError, RuntimeError):
            return False

    def _end(self) -> None:
        self._tally()
        self.console.say(f"To grade the whole file:  {self.again}")

    def _stopped(self) -> None:
        self.console.say()
        self._tally()
        self.console.say(f"To go on:  {self.command}")

    def _tally(self) -> None:
        lines = [t for t in self.tasks if isinstance(t, LineTask)]
        done = sum(t.label in self.right for t in lines)
        self.console.say(f"{done} of {self._count(len(lines), 'gradient')} right, in {self.file}.", "title")
        if 0 < len(lines) - done < 6 and self.rounds:
            self.console.say(f"Still open: {listed(t.label for t in lines if t.label not in self.right)}.")
        if rest := [t for t in self.tasks if isinstance(t, RoundTask)]:
            done = sum(t.label in self.right for t in rest)
            self.console.say(f"{done} of {self._count(len(rest), 'round')} in one line right.", "title")

    @staticmethod
    def _count(n: int, what: str) -> str:
        return f"{n} {what}{'' if n == 1 else 's'}"

    @staticmethod
    def _are(n: int) -> str:
        return f"{n} is" if n == 1 else f"{n} are"

    # ---- one task ----------------------------------------------------------------------------------------------------

    def _task(self) -> None:
        """Show a task and take lines until the session is at another one."""
        task, at = self.tasks[self.at], self.at
        self.hints, self.said = 0, set()
        self._shown()
        while self.at == at and self.at < len(self.tasks) and self.tasks[self.at] is task:
            line = self.console.ask(f"{task.name} = ")
            word, _, rest = line.strip().partition(" ")
            if not word:
                continue
            if self._is_command(word, rest):
                self._command(SAME.get(word, word), rest.strip())
            else:
                self._answer(line)

    def _shown(self) -> None:
        task, console = self.tasks[self.at], self.console
        sentence, formulas, more, picture = task.introduction()
        console.say()
        head = f"{self.at + 1} of {len(self.tasks)}"
        console.say(f"── {head} ── {task.title} {'─' * max(70 - len(head) - len(task.title), 2)}", "title")
        console.say(sentence)
        console.show(formulas)
        if more:
            console.say(more)
        if picture:
            console.say()
            console.show(picture)
        if old := task.answer(self._page()):
            console.say()
            console.say("Your file has" if task.label in self.right else "Your file has, which is not right yet,")
            console.show(old)
        console.say()

    def _is_command(self, word: str, rest: str) -> bool:
        """Whether a line is a command, and no Python: one word, or ``go`` with a name."""
        return word in WORDS and (not rest or (word == "go" and rest.strip().isidentifier()))

    def _command(self, word: str, rest: str) -> None:
        commands: dict[str, Callable[[], None]] = {
            "?": self._hint,
            "show": self._solution,
            "skip": lambda: self._goto(self.at + 1),
            "back": lambda: self._goto(self.at - 1),
            "go": lambda: self._go(rest),
            "where": self._where,
            "task": self._shown,
            "help": self._help,
            "quit": self._quit,
        }
        commands[word]()

    def _quit(self) -> None:
        raise Stopped

    def _help(self) -> None:
        self.console.show([f"{name:8} {what}" for name, what in COMMANDS.items()])
        self.console.say(
            "An answer is an expression, or lines that give the gradient its value. Several lines end with an empty one. "
            "You may use every name of the forward pass, and every gradient above."
        )

    def _where(self) -> None:
        for k, task in enumerate(self.tasks):
            state = "right" if task.label in self.right else "wrong" if task.answer(self._page()) else "open"
            mark = "  <- here" if k == self.at else ""
            self.console.show([f"{k + 1:3} {task.label:24} {state}{mark}"])

    def _go(self, name: str) -> None:
        for k, task in enumerate(self.tasks):
            if name in (task.label, str(k + 1)):
                self._goto(k)
                return
        self.console.say(f"there is no gradient '{name}'{meant(name, [t.label for t in self.tasks])}", "wrong")

    def _goto(self, at: int) -> None:
        if at < 0:
            self.console.say("This is the first.")
        else:
            self.at = at

    def _next(self, at: int) -> None:
        """Go to the first task from ``at`` on that is not right yet."""
        self.at = next((k for k in range(at, len(self.tasks)) if self.tasks[k].label not in self.right), len(self.tasks))

    def _hint(self) -> None:
        self.hints += 1
        if self.hints > HINTS:
            self.console.say("There is no further hint; show prints a solution.")
            return
        found = self.tasks[self.at].hint(self.hints)
        console = self.console
        console.say(f"hint {self.hints} of {HINTS}: {found.title}", "title")
        for sentence in found.sentences:
            console.say(sentence, indent=2)
        console.show(found.formulas, 6)
        for note in found.notes:
            if note not in self.said:
                console.say(note, "quiet", indent=2)
        self.said |= set(found.notes)

    def _solution(self) -> None:
        self.console.show(self.tasks[self.at].solution())
        self.console.say("Type it, or your own way to write it; skip leaves it open.")

    # ---- answers -----------------------------------------------------------------------------------------------------

    def _answer(self, line: str) -> None:
        task, say = self.tasks[self.at], self.console.say
        if unknown := self._unknown(line):
            say(unknown, "wrong")
            return
        lines = [line]
        while not complete(lines, task.name, task.gradients()):
            if len(lines) == 1:
                say("(an empty line ends the answer)", "quiet")
            try:
                more = self.console.ask("... ")
            except EOFError:
                break
            if not more.strip():
                break
            lines.append(more)
        try:
            page = task.answered(self._page(), lines)
            grade = task.graded(self.checker, page)
        except KeyboardInterrupt:
            say("stopped", "wrong")
            return
        except (ValueError, RuntimeError) as error:
            say(str(error), "wrong")
            return
        self._verdict(task, grade, page)

    def _unknown(self, line: str) -> str:
        """The message for a single word that is neither a command nor a name; "" for anything else."""
        word = line.strip()
        if not word.isidentifier() or keyword.iskeyword(word):
            return ""
        op = self.exercise.op
        known = {*(t.name for t in op.inputs), *(e.name for e in op.equations), *(c.name for c in op.constants)}
        if word in known | self.tasks[self.at].gradients() or word in self._page().text:
            return ""
        return (
            f"'{word}' is no command and no name here{meant(word, [*sorted(WORDS), *sorted(known)])}; help lists the commands"
        )

    def _verdict(self, task: Task, grade: Grade, page: Page) -> None:
        say = self.console.say
        if grade.approximate:
            save(self.file, page.text)
            self.right.add(task.label)
            how = "" if grade.exact else f" (within rounding: the largest difference is {grade.largest:.1g})"
            say(f"right{how}", "right")
            self._next(self.at + 1)
        elif not grade.line:
            say(f"not right: the line gives {task.name} no value (a function that writes in place returns None)", "wrong")
        else:
            say(f"not right: {grade.remark}", "wrong")

    def _page(self) -> Page:
        """The file as it is now: it may be edited while the session runs."""
        return Page(self.file.read_text(encoding="utf-8"), tuple(b.name for b in self.exercise.blanks))
