"""Weights as other programs have them: shown, turned into each other's layouts, merged, and taken apart again."""
