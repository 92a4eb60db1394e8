"""Import all of an image's code from its task folder alone; run by the image's Python as `-I -S`.

Prints `{"modules": [...], "handlers": [...], "lazy": [...]}`. Knows the standard library alone: all
that it imports has to come from the folder, what functions import when they are called too.
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path


def lazy_imports(path: Path) -> Iterator[str]:
    """Yield the modules that functions of a file import when they are called."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module


def main() -> None:
    """Import everything; the first import that fails ends it with its own words."""
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(folder))
    files = sorted((folder / "src").rglob("*.py"))
    names = [".".join(path.relative_to(folder).with_suffix("").parts) for path in files]
    modules = [name.removesuffix(".__init__") for name in names]
    lazy = sorted({name for path in files for name in lazy_imports(path)})
    for name in [*modules, *lazy]:
        importlib.import_module(name)
    handlers = [name for name in modules if name.endswith(".handler")]
    for name in handlers:
        assert callable(sys.modules[name].handler), name
    print(json.dumps({"modules": modules, "handlers": handlers, "lazy": lazy}))


main()
