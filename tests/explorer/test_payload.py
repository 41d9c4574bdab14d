"""What the page is told of a run."""

from __future__ import annotations

import json

import pytest

from vaekit.explorer import payload


@pytest.mark.parametrize("name", ["digits", "table", "squares"])
def test_it_is_json_and_the_same_every_time(name, request):
    first = request.getfixturevalue(f"{name}_payload")
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    assert payload(request.getfixturevalue(f"{name}_run")) == first
