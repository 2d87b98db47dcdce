"""Public functions of the mathematics, engines, rewards and Kafka say what they take and give, arrays by shape."""

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("mechanism", "truthfulness", "engines", "rewards", "stream")
FILES = [path for package in PACKAGES for path in sorted((ROOT / "workers" / package).rglob("*.py"))]

ARRAY = re.compile(r"\b(Floats|NDArray)\b")
SHAPE = re.compile(r"\[[A-Z](, [A-Z])*\]")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Public functions, and the public methods of public classes: the name that is shown, and where it is defined."""
    for node in public(tree.body):
        if isinstance(node, Function):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{one.name}", one) for one in public(node.body) if isinstance(one, Function))


@cache
def promised(package: str) -> frozenset[str]:
    """What a Protocol of the package documents: a class of it that keeps that promise need not say it again."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in FILES if package_of(path) == package)
    protocols = (
        node
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases)
    )
    return frozenset(
        one.name
        for protocol in protocols
        for one in protocol.body
        if isinstance(one, Function) and ast.get_docstring(one)
    )


def package_of(path: Path) -> str:
    return path.relative_to(ROOT / "workers").parts[0]


def problems(name: str, function: Function, documented: Collection[str] = ()) -> Iterator[str]:
    """What its docstring lacks; `documented`: methods that need none of their own."""
    said = ast.get_docstring(function)
    if said is None:
        if not ("." in name and function.name in documented):
            yield f"{name} has no docstring"
        return
    arguments = [*function.args.args, *function.args.kwonlyargs]
    arrays = [one.arg for one in arguments if one.annotation and ARRAY.search(ast.unparse(one.annotation))]
    yield from (f"{name} does not speak of its array {one!r}" for one in arrays if not re.search(rf"\b{one}\b", said))
    returns_array = function.returns is not None and ARRAY.search(ast.unparse(function.returns))
    if (arrays or returns_array) and not SHAPE.search(said):
        yield f"{name} gives no shape, such as [N, M]"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_functions_have_docstrings_that_name_their_arrays_with_shapes(path: Path) -> None:
    tree, documented = ast.parse(path.read_text(encoding="utf-8")), promised(package_of(path))

    assert [problem for name, function in functions(tree) for problem in problems(name, function, documented)] == []


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def f(rewards: Floats) -> float: ...", "f has no docstring"),
        ('def f(rewards: Floats) -> float:\n    """The sum [N] of them."""', "f does not speak of its array 'rewards'"),
        ('def f(rewards: Floats) -> float:\n    """The sum of rewards."""', "f gives no shape, such as [N, M]"),
        ('def f(n: int) -> "Floats":\n    """Zeros."""', "f gives no shape, such as [N, M]"),
    ],
)
def test_a_docstring_without_its_arrays_is_found(source: str, problem: str) -> None:
    ((name, function),) = functions(ast.parse(source))

    assert [*problems(name, function)] == [problem]
