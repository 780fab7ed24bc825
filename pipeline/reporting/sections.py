"""The sections of a report: what each is called, the sentence that explains it, and the data that it shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from pipeline.reporting import captions, curves, galleries, measured, planted, plots, taught, verdict
from pipeline.reporting.charts import share_bar
from pipeline.reporting.pictures import THUMBNAIL, Album
from pipeline.reporting.record import RunRecord
from pipeline.reporting.words import spread

MOST_CAPTIONS = 200
"""Rows of the caption table."""
MOST_VIEWED = 24
"""Pictures on the augmentation sheet."""
MOST_ROWS, MOST_COLUMNS = 32, 8
"""Rows (prompt and seed) and columns (checkpoints) of the sample grid."""
MOST_PAIRS = 12
"""Pairs of a generated picture and the one it resembles."""
SAMPLE_SIZES = (512, 384, 256, 128)
"""Longest sides that the sample grid tries, pixels, until it fits."""

Data = Mapping[str, object]
"""What a section's template reads."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page."""

    name: str
    """Its anchor, and the name of its template."""
    title: str
    lead: str
    """What it shows, for somebody who has read nothing else."""
    fill: Callable[[RunRecord, Album], Data]
    """Empty where the record says nothing of it; the section is then left out."""


def filled(record: RunRecord, album: Album) -> list[tuple[Section, Data]]:
    """The sections that the record can fill, in the order of the page."""
    return [(section, data) for section in SECTIONS if (data := section.fill(record, album))]


def _funnel(record: RunRecord, _: Album) -> Data:
    if not record.funnel:
        return {}
    came_in = record.funnel[0].came_in
    steps = [(step, share_bar([("on", step.went_on), *step.left.items()], came_in)) for step in record.funnel]
    return {"steps": steps, "kept": verdict.kept(record), "held_out": verdict.held_out(record)}


def _planted(record: RunRecord, album: Album) -> Data:
    caught = planted.compare(record)
    if caught is None:
        return {}
    return {
        "kinds": [(kind, share_bar([("on", kind.right)], kind.planted)) for kind in caught.kinds],
        "reasons": caught.reasons,
        "recall": caught.recall,
        "precision": caught.precision,
        "galleries": galleries.mistakes(caught, album),
    }


def _left_out(record: RunRecord, album: Album) -> Data:
    shown = galleries.left_out(record, album)
    return {"galleries": shown} if shown else {}


def _duplicates(record: RunRecord, album: Album) -> Data:
    shown, total = galleries.duplicates(record, album)
    return {"galleries": shown, "total": total} if shown else {}


def _captions(record: RunRecord, album: Album) -> Data:
    if not record.captions:
        return {}
    ranked = sorted(record.captions, key=captions.rank)
    worst, known = captions.misfits(record.captions)
    return {
        "misfits": ([(row, album.thumbnail(row.sample_id)) for row in worst], known),
        "rows": [(row, album.thumbnail(row.sample_id), captions.changes(row)) for row in ranked[:MOST_CAPTIONS]],
        "total": len(record.captions),
        "flagged": sum(bool(row.flags) for row in record.captions),
        "reviewed": sum(row.reviewed is not None for row in record.captions),
        "cut": sum(captions.cut(row) for row in record.captions),
    }


def _class_pictures(record: RunRecord, album: Album) -> Data:
    shown = galleries.class_pictures(record, album)
    return {"galleries": shown} if shown else {}


def _augmentation(record: RunRecord, album: Album) -> Data:
    if not record.views:
        return {}
    samples = [list(views) for _, views in groupby(record.views, key=lambda view: view.sample_id)]
    sheet = [
        [(view, album.picture(view.picture, longest=THUMBNAIL)) for view in views] for views in samples[:MOST_VIEWED]
    ]
    return {"sheet": sheet, "total": len(samples)}


def _preflight(record: RunRecord, _: Album) -> Data:
    return {"rows": record.preflight} if record.preflight else {}


def _training(record: RunRecord, _: Album) -> Data:
    charts = (plots.training_loss, plots.learning_rate)
    return {"charts": [chart(record.training) for chart in charts]} if record.training else {}


def _learning(record: RunRecord, _: Album) -> Data:
    if not record.stable_loss:
        return {}
    changed = curves.by_timestep(record.stable_loss)
    return {
        "overall": plots.stable_loss(record.stable_loss),
        "timesteps": plots.stable_loss_by_timestep(record.stable_loss),
        "changes": changed,
        "mean": curves.overall(changed),
    }


def _samples(record: RunRecord, album: Album) -> Data:
    if not record.evaluations:
        return {}
    columns = spread(record.evaluations, MOST_COLUMNS)
    found = [{(sample.prompt, sample.seed): sample.picture for sample in column.samples} for column in columns]
    keys = sorted(dict.fromkeys(key for column in found for key in column), key=_by_prompt(found))
    cells = [(key, index) for key in keys[:MOST_ROWS] for index in range(len(found)) if key in found[index]]
    images = album.sheet([found[index][key] for key, index in cells], sizes=SAMPLE_SIZES)
    placed = dict(zip(cells, images, strict=True))
    rows = [(key, [placed.get((key, index)) for index in range(len(found))]) for key in keys[:MOST_ROWS]]
    return {
        "steps": [column.step for column in columns],
        "prompts": [(prompt, list(group)) for prompt, group in groupby(rows, key=lambda row: row[0][0])],
        "rows": (len(rows), len(keys)),
        "columns": (len(columns), len(record.evaluations)),
    }


def _by_prompt(found: Sequence[Mapping[tuple[str, int], object]]) -> Callable[[tuple[str, int]], tuple[int, int]]:
    """Order of the grid's rows: prompts as they first came, their seeds rising."""
    order = {prompt: index for index, prompt in enumerate(dict.fromkeys(key[0] for column in found for key in column))}
    return lambda key: (order[key[0]], key[1])


def _resemblances(record: RunRecord, album: Album) -> Data:
    if not record.resemblances:
        return {}
    worst = sorted(record.resemblances, key=lambda pair: -pair.similarity)[:MOST_PAIRS]
    pairs = [(pair, album.picture(pair.generated, longest=256), album.thumbnail(pair.sample_id)) for pair in worst]
    return {"pairs": pairs, "total": len(record.resemblances)}


def _rights(record: RunRecord, _: Album) -> Data:
    rows = sorted(record.rights, key=lambda right: (right.allowed, -right.count, right.license))
    return {"rows": rows} if rows else {}


def _repeat(record: RunRecord, _: Album) -> Data:
    return {"command": record.command}


SECTIONS = (
    Section(
        "funnel",
        "What became of the files",
        "Every file that came in is counted once: at each stage it either went on or ended there, and here is why.",
        _funnel,
    ),
    Section(
        "planted",
        "What was planted, and what was caught",
        "Trouble was put among these files on purpose, so that the truth about each is known: here is what preparation "
        "found of it, what it missed, and what it took out without need.",
        _planted,
    ),
    Section(
        "left-out",
        "Left out",
        "Files that did not pass, by reason, the furthest from its limit first; under each stands what was measured "
        "and what the recipe wanted.",
        _left_out,
    ),
    Section(
        "duplicates",
        "Duplicates",
        "Each box holds pictures that are the same, or nearly so: the first was kept, the others stand down for it.",
        _duplicates,
    ),
    Section(
        "variety",
        "How varied it is",
        "What most of the pictures that stayed share will be learned as one with the subject, so here is what the set "
        "is one-sided in.",
        measured.variety,
    ),
    Section(
        "measured",
        "What was measured",
        "Each bar counts pictures by what was measured on them, red where a limit refuses them; click on a bar to see "
        "some of its pictures.",
        measured.bars,
    ),
    Section(
        "captions",
        "Captions",
        "What the machine proposed, what people changed in it, and the caption that training reads; those that a check "
        "flagged come first, then those that a person changed.",
        _captions,
    ),
    Section(
        "class-pictures",
        "Class pictures",
        "What stands for what the model knew before, by caption: pictures that it painted itself or that you brought.",
        _class_pictures,
    ),
    Section(
        "lessons",
        "What people changed",
        "How many of the proposed captions needed a hand, whose they were and why a check had flagged them, and the "
        "words that went in and out.",
        taught.groups,
    ),
    Section(
        "augmentation",
        "Augmented views",
        "Each row is one picture as it is, then the altered views of it that training also sees; a change that would "
        "make the caption untrue is left out.",
        _augmentation,
    ),
    Section(
        "preflight",
        "Before training",
        "What was known before the first step: estimates of memory and time, how often pictures are seen, what is cut, "
        "and advice where something is amiss.",
        _preflight,
    ),
    Section(
        "training",
        "Training",
        "The loss of every step, and how far the optimiser was let to move; single steps are noisy by nature, so look "
        "at the smoothed line and judge by the next section.",
        _training,
    ),
    Section(
        "learning",
        "Has it learned, or only copied?",
        "At each checkpoint the same pictures with the same noise are scored again, so a change is learning and not "
        "luck: below 0 % is better than the base model, and where held-out rises while training falls, it copies.",
        _learning,
    ),
    Section(
        "samples",
        "Samples",
        "Each row starts from the same noise (its seed): the first column is the base model, the others are the "
        "checkpoints, so whatever differs within a row was learned.",
        _samples,
    ),
    Section(
        "metrics",
        "Before and after",
        "Each measure of the base model and of the trained one; the bar is where the difference lies with 95 % "
        "confidence, and where it holds the upright rule at 0 the two are not distinguishable.",
        measured.metrics,
    ),
    Section(
        "resemblances",
        "Nearest training pictures",
        "Each generated picture (left) beside the training picture it is most like (right), the most alike first: a "
        "pair that looks the same is a copy.",
        _resemblances,
    ),
    Section(
        "rights",
        "Rights",
        "Under which licences the files came, whether the recipe lets them into training, and whom to name.",
        _rights,
    ),
    Section(
        "cost",
        "What it took",
        "Time, rows and the highest memory of each stage; rows from the cache were worked out in an earlier run.",
        measured.cost,
    ),
    Section(
        "repeat",
        "Do it again",
        "The command, the recipe and the versions that lead to this result, and the hashes that tell what was made.",
        _repeat,
    ),
)
"""The order of the page."""
