"""Where pictures come from. A source is one file, named as its `kind` in a recipe.

    DESCRIPTION  one line for `gesso list sources`
    scan         (source, position, workspace) -> the rows of `manifest.ORIGINS`, one for each file it names

It stores the bytes of what it could read and never changes anything at the source.
"""
