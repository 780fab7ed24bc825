"""The steps of a run, one file each: `run(run, tools)` does it. `plan.STEPS` says in which order.

A step reads what earlier steps saved in the run's folder and saves what it decided. Steps know the recipe; the stages
that they call do not.
"""
