"""Scorers: numbers about one decoded picture. They measure and never decide; limits on them stand in a recipe.

One file is one scorer, and its name is the file's. A scorer module has

    VERSION     int, raised when the numbers of any picture change
    ADDS        pa.schema of its columns, named <scorer>__<value>; each field's metadata has a b"description" with unit
                and range
    LIMITS      the limits that `default_limits` of a recipe sets: column -> {"min": ..., "max": ...}, a literal; chosen
                by tests/benchmarks/defect_study.py, whose record says what each catches and what good pictures it costs
    Params      a frozen pydantic model that forbids extra keys; each field has a default and a description
    measure     (picture: Canonical, params: Params) -> dict with exactly the names of ADDS; pure and deterministic

All scorers of a run are fed from one decode and together may cost a sixth of it, so they read `picture.proxy`, or what
of it several share (`luma`, `histogram`, `lines`, `dots`); only what a smaller picture cannot show (noise, blockiness)
reads `picture.crops` of the full pixels.
"""
