"""Where pictures come from. A source is one file, named as its `kind` in a recipe.

    DESCRIPTION  one line for `gesso list sources`
    check        (source, position): raises InputError where it can be seen at once that there is nothing to read
    known        (source, workspace) -> origin of each picture, with its sample id where it was read before; reads none
    scan         (source, position, workspace) -> the rows of `manifest.ORIGINS`, one for each file it names

It stores the bytes of what it could read and never changes anything at the source.
"""
