"""Bugs planted in gesso's own source: each check holds for the true code and fails for every bug planted in it.

A module of this folder lists its checks and bugs as TRAPS: {check: {bug's name: (where, old, new)}}. `where` is
`module:name` or `module:Class.name`, `old` a piece of its source that occurs once, and `new` what takes its place.
"""

import importlib
import inspect
from contextlib import contextmanager
from functools import cached_property
from types import CodeType, SimpleNamespace

import pytest
import torch
from diffusers import UNet2DConditionModel

from pipeline.training.data import MemoryExamples


@contextmanager
def planted(where, old, new):
    """Within, `old` in the source of what lies at `where` is `new`.

    A function keeps its identity and changes its code, so that every `from module import name` has the bug, too; its
    defaults and decorators stay. The source of a plain value is its repr.
    """
    module_name, _, path = where.partition(":")
    module = importlib.import_module(module_name)
    *parents, name = path.split(".")
    owner = module
    for parent in parents:
        owner = getattr(owner, parent)
    target = _function(inspect.getattr_static(owner, name))
    if not inspect.isfunction(target):
        assert repr(target).count(old) == 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, eval(repr(target).replace(old, new), vars(module)))  # noqa: S307 (our own)
            yield
        return
    source, own = inspect.getsource(module), inspect.getsource(target)
    assert own.count(old) == 1, f"{where} has {own.count(old)} times {old!r}"
    assert source.count(own) == 1
    changed = compile(source.replace(own, own.replace(old, new)), f"<{where} with a bug>", "exec", dont_inherit=True)
    true, before = target.__code__, set(vars(module))
    target.__code__ = _find(changed, target.__qualname__)
    try:
        yield
    finally:
        target.__code__ = true
        for added in set(vars(module)) - before:
            delattr(module, added)


def _function(found):
    """The function that a method's or property's descriptor, and decorators, wrap."""
    if isinstance(found, staticmethod | classmethod):
        found = found.__func__
    elif isinstance(found, property):
        found = found.fget
    elif isinstance(found, cached_property):
        found = found.func
    return inspect.unwrap(found) if callable(found) else found


def _find(code, name):
    """The code object of this qualified name within a module's."""
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    for one in inner:
        if one.co_qualname == name:
            return one
        if name.startswith(f"{one.co_qualname}."):
            return _find(one, name)
    raise LookupError(name)


@pytest.fixture
def plant():
    return planted


def pytest_generate_tests(metafunc):
    """Give `trap` (a check and maybe a bug) every combination that the module's TRAPS list, and `check` each check."""
    traps = getattr(metafunc.module, "TRAPS", {})
    if "bug" in metafunc.fixturenames:
        pairs = [
            (check, bug, f"{check.__name__}: {name}") for check, bugs in traps.items() for name, bug in bugs.items()
        ]
        metafunc.parametrize(("check", "bug"), [pair[:2] for pair in pairs], ids=[pair[2] for pair in pairs])
    elif "check" in metafunc.fixturenames:
        metafunc.parametrize("check", list(traps), ids=lambda check: check.__name__)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny_unet():
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=4,
        block_out_channels=(4, 8),
        layers_per_block=1,
        norm_num_groups=2,
        cross_attention_dim=4,
        attention_head_dim=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )


def seven_examples():
    """Two sizes and repeats: epochs of 8 rows in 5 batches of at most 2, so that steps of 2 batches cross epochs."""
    draws = torch.Generator().manual_seed(1)
    moments = [torch.randn(8, 4, 4 + 4 * (row % 2), generator=draws) for row in range(7)]
    text = torch.randn(7, 77, 4, generator=draws)
    return MemoryExamples(moments, text, torch.zeros(77, 4), scale=0.5, shift=0.1, repeats=[1, 1, 2, 1, 1, 1, 1])


@pytest.fixture(scope="session")
def tiny_of():
    """What checks of trainings need: a model's and a training set's makers, and a folder."""
    return lambda folder: SimpleNamespace(unet=tiny_unet, examples=seven_examples, folder=folder)


@pytest.fixture
def tiny(tiny_of, tmp_path):
    return tiny_of(tmp_path)
