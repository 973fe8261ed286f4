"""Names that scripts and other programs rely on."""

from __future__ import annotations

import inspect

import pytest

import thymusimg as ti
from thymusimg import errors


@pytest.mark.parametrize("name", ["Section", "Settings", "analyse_section", "open_section", "__version__"])
def test_promised_name(name):
    assert getattr(ti, name) is not None
    assert name in dir(ti)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'analyze'"):
        ti.analyze  # noqa: B018


def test_every_error_stands_in_the_tree():
    tree = errors.__doc__
    for name, error in inspect.getmembers(errors, inspect.isclass):
        assert issubclass(error, errors.ThymusimgError)
        assert name in tree


def test_messages_are_not_quoted():
    assert str(errors.RoleError("no K14 channel")) == "no K14 channel"
    assert str(errors.OutputError("disk full")) == "disk full"
