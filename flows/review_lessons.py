"""`gesso review lessons`: what people changed in captions, and what a machine could do for them the next time."""

from dataclasses import asdict, dataclass
from textwrap import indent
from typing import Any

import yaml

from flows.reviewing import captioned
from pipeline.lessons import Group, Lessons, lessons
from pipeline.run import Run
from pipeline.steps.lessons import of_run

SHOWN = 10
"""Terms and replacements that a person is shown; a script gets all."""


@dataclass(frozen=True)
class Learnt:
    """The lessons of a run's captions."""

    run: Run
    found: Lessons

    def value(self) -> dict[str, Any]:
        """For a script; the keys are listed in docs/scripts.md."""
        told = self.found
        return {
            "run": self.run.id,
            **{name: count for name, count in _value(told.all).items() if name != "name"},
            "by_captioner": [_value(one) for one in told.by_captioner],
            "by_flag": [_value(one) for one in told.by_flag],
            "added": dict(told.added),
            "removed": dict(told.removed),
            "replace": self.replace(),
            "replacements": [asdict(one) for one in told.replacements],
        }

    def replace(self) -> dict[str, str]:
        """What to write instead of phrases, as caption.replace of a recipe takes it; of two the more frequent."""
        return {one.phrase: one.instead for one in reversed(self.found.replacements)}

    def words(self) -> str:
        """The same for a person."""
        told = self.found
        if not told.all.read:
            return "no caption was read by a person yet"
        lines = [f"of {told.all.read} captions that people read, {_told(told.all)}"]
        lines += [f"  from {one.name}, {one.read}: {_told(one)}" for one in told.by_captioner]
        lines += [f"  flag {one.name}, {one.read}: {_told(one)}" for one in told.by_flag]
        for what, terms in (("put in", told.added), ("taken out", told.removed)):
            lines += [f"{what}: " + ", ".join(f"{term} {count}" for term, count in terms[:SHOWN])] if terms else []
        lines += ["what people write instead:"] if told.replacements else []
        lines += [
            f"  {one.phrase} -> {one.instead or '(nothing)'}   in {one.count} of {one.seen}"
            for one in told.replacements[:SHOWN]
        ]
        return "\n".join(lines + self._taken_over())

    def _taken_over(self) -> list[str]:
        """What the recipe has to say for a machine to do it: its own replacements and the new ones."""
        has = self.run.recipe.caption.replace
        new = {phrase: text for phrase, text in self.replace().items() if phrase not in map(str.casefold, has)}
        if not new:
            return []
        made = {"caption": {"replace": {**has, **new}}}
        text = yaml.safe_dump(made, allow_unicode=True, sort_keys=False, width=1000)
        return [
            "for the next machine's captions, put into the recipe what you agree with:",
            *indent(text, "  ").splitlines(),
        ]


def learn(run: Run) -> Learnt:
    """Compare what was proposed with what people made of it.

    Raises:
        InputError: there is nothing to review.
    """
    captioned(run)
    return Learnt(run, of_run(run) or lessons([]))


def _value(group: Group) -> dict[str, Any]:
    return {**asdict(group), "share": group.share}


def _told(group: Group) -> str:
    return f"{group.edited} needed a hand ({group.share:.0%}); {group.distance:.0%} of the words differ"
