"""What a report says of a whole set: how measured values are spread, and what the set is one-sided in."""

from pipeline import diversity, plugins
from pipeline.reporting.histograms import Histogram, Spread, Variety, histogram
from pipeline.run import Run


def histograms(run: Run) -> list[Histogram]:
    """One for each column that has a limit, in the recipe or by default, of every picture that could be decoded."""
    limits = run.recipe.rules
    columns = list(dict.fromkeys([*limits, *plugins.limits()]))
    about = {
        field.name: (field.metadata or {}).get(b"description", b"").decode()
        for module in plugins.load_all("scorers").values()
        for field in module.ADDS
    }
    rows = [row for row in run.rows("samples") if not row["error"]]
    columns = [one for one in columns if rows and one in rows[0] and one in about]
    return [
        histogram(
            column,
            about[column],
            {row["sample_id"]: float(row[column]) for row in rows if row[column] is not None},
            least=limits[column].min if column in limits else None,
            most=limits[column].max if column in limits else None,
        )
        for column in columns
    ]


def variety(run: Run) -> Variety:
    """Of the pictures that stayed: how they are spread, the words of most captions, and advice; nothing of none."""
    stayed = {row["sample_id"] for row in run.rows("kept", ("sample_id",))}
    rows = [row for row in run.rows("samples") if row["sample_id"] in stayed]
    if not rows or not set(diversity.READS) <= set(rows[0]):
        return Variety(())
    captions = [row["caption"] for row in run.rows("views", ("view", "caption")) if row["view"] == 0]
    words = diversity.terms(captions, most=12)
    spread = diversity.coverage(rows)
    told = diversity.advice(len(rows), (), spread, 0, words if len(captions) == len(rows) else ())
    return Variety([Spread(one.name, one.counts, one.effective) for one in spread], words, told)
