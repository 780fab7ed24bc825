"""Scorers: numbers about one decoded picture. They measure and never decide; limits on them stand in a recipe.

One file is one scorer, and its name is the file's. A scorer module has

    VERSION     int, raised when the numbers of any picture change
    ADDS        pa.schema of its columns, named <scorer>__<value>; each field's metadata has a b"description" with unit
                and range
    Params      a frozen pydantic model that forbids extra keys; each field has a default and a description
    measure     (picture: Canonical, params: Params) -> dict with exactly the names of ADDS; pure and deterministic

All scorers of a run are fed from one decode and together may cost a sixth of it, so they read `picture.proxy`; only
what a smaller picture cannot show (noise, blockiness) reads crops of `picture.pixels`.
"""
