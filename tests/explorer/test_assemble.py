from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html import unescape
from importlib import resources
from types import SimpleNamespace

import pytest

from vaekit.explorer import assemble
from vaekit.explorer.scripts import checked, joined, runtime

VENDOR = resources.files("vaekit.explorer").joinpath("vendor")
GRAPHS = SimpleNamespace(decoder=b"decoder", encoder=b"encoder", notes=("a note of the export",))


def content(name):
    data = VENDOR.joinpath(name).read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") else data


def test_the_runtime_is_the_one_that_its_table_says():
    table = VENDOR.joinpath("README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+)` \|.*\| `([0-9a-f]{64})` \|$", table, re.MULTILINE)
    assert {name for name, _ in rows} | {"README.md"} == {file.name for file in VENDOR.iterdir()}
    for name, expected in rows:
        assert hashlib.sha256(content(name)).hexdigest() == expected, name


def test_the_policy_allows_the_page_s_own_scripts_and_nothing_else(small):
    page = assemble(small.payload(title="small", facts=[], notes=[]), graphs=GRAPHS)
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    inside = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)

    def hashes(texts):
        digests = [hashlib.sha256(text.encode()).digest() for text in texts]
        return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]

    assert len(inside) == 2
    assert rules["script-src"].split() == [*hashes(inside), "'wasm-unsafe-eval'"]
    assert rules["style-src"].split() == hashes(styles)
    assert {rules[name] for name in ("default-src", "connect-src", "form-action", "base-uri")} == {"'none'"}
    assert not re.search(r"\s(?:src|href)=\"(?!#|data:)", page)  # nothing is taken from anywhere
    assert not re.search(r"\son\w+=|\sstyle=", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))


def test_the_served_page_asks_its_server_and_carries_no_model(small):
    page = assemble(small.payload(token="secret"))
    assert "connect-src &#39;self&#39;" in page
    assert "wasm-unsafe-eval" not in page.split("<style>")[0]
    assert 'id="runtime"' not in page
    assert len(page) < 300_000


def test_texts_of_the_data_stay_texts(small):
    page = assemble(small.payload(), graphs=GRAPHS)
    assert small.HOSTILE not in page
    assert "<img" not in page.lower()
    held = re.search(r'id="payload">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(held) == small.payload()
    assert not re.search("[<>&\u2028\u2029]", held)
    assert "a note of the export" in page


def test_the_same_model_gives_the_same_page(small):
    assert assemble(small.payload(), graphs=GRAPHS) == assemble(small.payload(), graphs=GRAPHS)


@pytest.mark.parametrize(
    ("changes", "graphs", "said"),
    [
        ({"format": 2}, None, "format 2"),
        ({"view": "smell"}, None, "'smell'"),
        ({"facts": [["x", float("nan")]], "display": {"low": float("nan"), "high": 1.0}}, None, "no JSON"),
        ({}, SimpleNamespace(decoder=b"decoder", encoder=None, notes=()), "promises an encoder"),
    ],
)
def test_what_is_no_payload_is_refused(small, changes, graphs, said):
    with pytest.raises(ValueError, match=said):
        assemble(small.payload(**changes), graphs=graphs)


def test_modules_are_joined_in_the_order_in_which_they_need_each_other(tmp_path):
    (tmp_path / "a.js").write_text('import { two } from "./b.js";\nconst one = two + 1;\n')
    (tmp_path / "b.js").write_text("export const two = 2;\nconst one = 7;\n")
    script = joined(tmp_path, "a")
    assert script.index("const two = 2;") < script.index("const { two } = of_b;")
    assert not re.search(r"^(?:import|export)\b", script, re.MULTILINE)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            'import { three } from "./b.js";\n',
            "export const two = 2;\n",
            "imports three, which b.js",
        ),
        (
            'import { two } from "./b.js";\n',
            'import { one } from "./a.js";\nexport const two = 2;\n',
            "circle",
        ),
        ('import * as b from "./b.js";\n', "", "expected `import"),
        ('import { two } from "./b.js";\n', "export default 2;\nexport const two = 2;\n", "expected `import"),
        ('const text = "</script>";\n', "", "</script"),
    ],
)
def test_modules_in_another_form_are_refused(tmp_path, first, second, said):
    (tmp_path / "a.js").write_text(first)
    (tmp_path / "b.js").write_text(second)
    with pytest.raises(ValueError, match=re.escape(said)):
        joined(tmp_path, "a")


def test_another_runtime_is_refused():
    script = runtime("const a=1;export{a as ort,b};\n//# sourceMappingURL=x.map\n")
    assert script == "const a=1;globalThis.ort={ort:a,b:b};"
    with pytest.raises(ValueError, match="does not end with"):
        runtime("const a = 1;")
    with pytest.raises(ValueError, match="<!--"):
        checked("a <!-- b")
