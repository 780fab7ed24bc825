"""The command line, a file for each group of commands.

gesso.py        the command itself, and how its errors are shown
chain.py        a recipe's steps: run, prepare, train, evaluate, plan, demo, serve
results.py      what a workspace holds: report, ledger, show
reviewing.py    review export, review apply
weights.py      weights show, convert, merge, extract
sharing.py      what leaves a workspace: export, forget
about.py        gesso itself: list, doctor, recipe schema, starter build, starter pictures, starter sdxl
"""
