"""Judges: models that put a number on a picture, such as how it looks or whether it is fit to be seen.

They cost far more than scorers, so a recipe names those that it wants under `judges`; `select` then takes their
columns. One file is one judge, and its name is the file's: a stage (see `stage.py`) whose key is the sample, and

    LIMITS      its default limits, as a scorer's
    Params      with `model` and `revision`, which the weights' hash stands for
    weights     (params) -> hash of the weights; raises ModelError where they are not there and cannot be had

None comes with gesso: a judge is as good as its model, and the starter has none.
"""
