"""What a prepared set is written as for those who train elsewhere. An export is one file, named as its format.

    DESCRIPTION  one line for `gesso list exports`
    FILES        patterns of the files of each split, by what Hugging Face calls it
    write        (pictures, folder, read, progress): everything but README.md and ATTRIBUTION.md, into an empty folder

`read` gives the original bytes of a sample id; they are written as they are. Each format carries for each picture what
`_picture.metadata` says, so that `pipeline.sources` reads it all back.
"""
