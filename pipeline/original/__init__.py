"""Base models as single files in the layout of the code that they were trained with: to diffusers' folders and back."""
