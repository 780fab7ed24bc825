"""LAVIS in an environment and a process of its own, since it needs a transformers that diffusers cannot live with.

`environment` builds and knows the environment, `worker` is what runs in it, `client` talks to it: docs/lavis.md.
"""
