"""Imports go one way, and `import vaekit` waits for nothing."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import vaekit

ROOT = Path(vaekit.__file__).parent

# from the bottom up; a module may import from its own layer's line above, never from below
LAYERS = [
    ["errors", "__init__", "checks", "randomness", "pooling", "plain"],
    ["distributions", "networks"],
    ["conditionals"],
    ["trace", "schedules", "controllers", "data"],
    ["parallel", "disentanglement"],
    ["models", "terms"],
    ["objective"],
    ["procedures"],
    ["system"],
    ["wiring", "checkpoint", "files"],
    ["validation"],
    ["trainer"],
    ["metrics", "attributes"],
    ["worlds"],
    ["recipes"],
    ["stages"],
    ["runs", "testing"],
    ["loggers"],
    ["staged"],
    ["api"],
    ["stacked"],
    ["pictures", "analogies", "disruption"],
    ["report", "estimator"],
    ["exporting", "importing", "doctor"],
    ["explorer"],
    ["studies"],
    ["reproductions"],
    ["cli", "__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def modules():
    return sorted(path for path in ROOT.rglob("*.py") if path.name != "mini.py")


def layer_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _module(name):
    """Where a name of the package itself is defined: `vaekit.__version__` is of its `__init__`."""
    return "__init__" if name.startswith("__") else name


def top_level_imports(path):
    """Modules of vaekit that are imported when the file is, not inside functions or for type checkers."""
    tree = ast.parse(path.read_text())
    found = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vaekit":
            parts = (node.module or "").split(".")
            found += [parts[1]] if len(parts) > 1 else [_module(alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [a.name.split(".")[1] for a in node.names if a.name.startswith("vaekit.")]
    return found


def test_every_module_has_its_layer():
    assert {layer_of(path) for path in modules()} <= set(LEVEL)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    mine = layer_of(path)
    for name in top_level_imports(path):
        allowed = name == mine or LEVEL[name] < LEVEL[mine] or (LEVEL[name] == LEVEL[mine])
        assert allowed, f"{path.relative_to(ROOT)} (layer {mine!r}) imports {name!r}, which stands above it"


def test_recipes_never_import_recipes():
    for path in (ROOT / "recipes").glob("*.py"):
        if path.stem != "__init__":
            assert "recipes" not in top_level_imports(path), path.name


def test_same_layer_imports_make_no_circle():
    edges = {name: set() for name in LEVEL}
    for path in modules():
        mine = layer_of(path)
        edges[mine] |= {n for n in top_level_imports(path) if n != mine and LEVEL[n] == LEVEL[mine]}
    seen: dict[str, int] = {}

    def visit(name):
        assert seen.get(name) != 1, f"a circle through {name!r}"
        if name not in seen:
            seen[name] = 1
            for other in edges[name]:
                visit(other)
            seen[name] = 2

    for name in edges:
        visit(name)


@pytest.mark.parametrize(
    "statement",
    [
        "import vaekit",
        "from vaekit.data.catalogue import names; names()",
        "from vaekit.reproductions import names; names()",
        "from vaekit.cli import main",
    ],
)
def test_what_must_not_wait_for_torch(statement):
    code = f"import sys; {statement}; print([m for m in ('torch', 'numpy', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_training_does_not_import_what_it_does_not_need():
    heavy = ("sklearn", "scipy.stats", "matplotlib", "accelerate", "torch._dynamo", "pandas", "zuko",
             "tensorboard", "mlflow", "wandb")  # fmt: skip
    used = "import vaekit; vaekit.train; from vaekit.parallel import team_here; team_here()"
    code = f"import sys; {used}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_exporting_imports_its_tools_when_it_exports():
    heavy = ("onnx", "onnxscript", "onnxruntime", "huggingface_hub", "torch._dynamo", "torch.onnx")
    code = f"import sys; import vaekit.exporting.hub; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.filterwarnings("ignore")  # of packages that are imported along
def test_what_tests_and_benchmarks_import_within_functions_is_there():
    """A slow test that imports what was moved would be found when it is run, and not before."""
    here, wrong = Path(__file__).parent, []
    for path in [*here.rglob("*.py"), *here.parent.joinpath("benchmarks").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vaekit":
                wrong += [f"{path.name}:{node.lineno} {name}" for name in _missing(node)]
    assert not wrong


def _missing(node: ast.ImportFrom) -> list[str]:
    try:
        module = importlib.import_module(node.module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("vaekit"):
            return [node.module]
        return []  # of an extra that is not installed
    found = []
    for name in (alias.name for alias in node.names):
        try:
            there = hasattr(module, name) or importlib.import_module(f"{node.module}.{name}")
        except ModuleNotFoundError:
            there = False
        found += [] if there else [f"{node.module}.{name}"]
    return found
