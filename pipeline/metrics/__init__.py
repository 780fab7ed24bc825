"""The measures of a trained model; one file each, and its name is the metric's name.

A metric is a module:

    DESCRIPTION: str                one line for `gesso list metrics`
    UNIT: str                       what its numbers are
    HIGHER_IS_BETTER: bool | None   None where neither direction is better by itself
    measure(...)                    its numbers one by one, so that before and after can be compared in pairs
"""
