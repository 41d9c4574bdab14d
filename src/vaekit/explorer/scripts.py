"""The page's programs as inline scripts: its own modules joined into one, and the runtime that it carries."""

from __future__ import annotations

import re
from importlib.resources.abc import Traversable

_IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
_STRAY = re.compile(r"^\s*(?:import|export)\b.*$", re.MULTILINE)
_NAMES = re.compile(r"export\{([\w$, ]+)\};\s*//# sourceMappingURL=\S+\s*$")
_UNSAFE = re.compile(r"</script|<script|<!--", re.IGNORECASE)


def joined(folder: Traversable, first: str) -> str:
    """A module and all that it imports, as one script that imports nothing.

    Every file keeps a scope of its own; what it exports are the properties of one constant. The files are
    written in two forms only, `import { a, b } from "./file.js";` and `export` before a declaration.

    Args:
        folder: where the files are.
        first: name of the module to begin with, without ending.

    Raises:
        ValueError: a file imports or exports in another form, imports what is not exported, or imports itself
            through others.
    """
    done: dict[str, frozenset[str]] = {}
    parts: list[str] = []

    def add(name: str, above: tuple[str, ...]) -> frozenset[str]:
        if name in above:
            raise ValueError(
                f"{' imports '.join((*above, name))}: modules of the page may not go in a circle"
            )
        if name in done:
            return done[name]
        text = folder.joinpath(f"{name}.js").read_text(encoding="utf-8")
        for wanted, source in _IMPORT.findall(text):
            if missing := {item.strip() for item in wanted.split(",")} - add(source, (*above, name)):
                raise ValueError(
                    f"{name}.js imports {', '.join(sorted(missing))}, which {source}.js does not export"
                )
        found = frozenset(match[2] for match in _EXPORT.finditer(text))
        text = _EXPORT.sub(r"\1", _IMPORT.sub(r"const { \1 } = of_\2;", text))
        if stray := _STRAY.search(text):
            raise ValueError(
                f'{name}.js has {stray[0]!r}; expected `import {{ a }} from "./file.js";` or `export const`'
            )
        parts.append(f"const of_{name} = (() => {{\n{text}\nreturn {{ {', '.join(sorted(found))} }};\n}})();")
        done[name] = found
        return found

    add(first, ())
    return checked("\n".join(parts))


def runtime(bundle: str) -> str:
    """onnxruntime-web's module as a script that leaves `globalThis.ort`: an inline module cannot be imported.

    Raises:
        ValueError: the file does not end with one `export { ... }`, as release 1.30.0 does.
    """
    found = _NAMES.search(bundle)
    if found is None:
        raise ValueError(
            "the bundle of onnxruntime-web does not end with `export{...};`: take that of vendor/README.md"
        )
    pairs = [item.split(" as ") for item in found[1].split(",")]
    listed = ",".join(f"{pair[-1].strip()}:{pair[0].strip()}" for pair in pairs)
    return checked(f"{bundle[: found.start()]}globalThis.ort={{{listed}}};")


def checked(script: str) -> str:
    """The script itself, if it may stand inside of an HTML page.

    Raises:
        ValueError: it holds what would end the script, or begin another.
    """
    if found := _UNSAFE.search(script):
        raise ValueError(f"a script of the page holds {found[0]!r}, which would not stay inside of it")
    return script
