"""What documents and docstrings point to is there: files, and sections of the mathematics."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MATHEMATICS = ROOT / "workers" / "mechanism" / "README.md"
FILES = [path for folder in ("schemas", "workers", "tests", "infra") for path in sorted((ROOT / folder).rglob("*.*"))]
SOURCES = [str(path.relative_to(ROOT)) for path in FILES if path.suffix == ".py"]
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
DOCUMENTS = ["README.md", *PAGES, *(str(path.relative_to(ROOT)) for path in FILES if path.suffix == ".md")]

LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]+)")
ANCHOR = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)#([^)\s]+)\)")
PATH = re.compile(r"\b(?:workers|schemas|tests|infra)/[\w./-]+\.(?:py|md|json|yml|toml)\b")
MODULE = re.compile(r"(?<![\w/.])(?:[\w-]+/)*[\w-]+\.py\b")  # with its folder or without
CITATION = re.compile(r"mechanism/README(?:\.md)? ((?:§\d+(?:, | and )?)+)")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_relative_links_of_a_document_resolve(document: str) -> None:
    folder = (ROOT / document).parent

    assert [link for link in LINK.findall(text_of(document)) if not (folder / link).exists()] == []


def anchors(document: Path) -> set[str]:
    """The names by which its headings can be linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_to_a_heading_name_one_that_is_there(document: str) -> None:
    here = ROOT / document
    found = ((here.parent / link if link else here, anchor) for link, anchor in ANCHOR.findall(text_of(document)))

    assert [anchor for target, anchor in found if target.suffix == ".md" and anchor not in anchors(target)] == []


def test_each_page_is_one_click_from_the_readme_and_one_click_back() -> None:
    assert [page for page in PAGES if f"]({page})" not in text_of("README.md")] == []
    assert [page for page in PAGES if "](../README.md#pages)" not in text_of(page)] == []
    assert len(PAGES) >= 8


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 200


@pytest.mark.parametrize("name", [*SOURCES, *(one for one in DOCUMENTS if not one.startswith("infra/decisions/"))])
def test_files_named_in_sources_and_documents_exist(name: str) -> None:
    """A decision tells how things were when it was made; everything else names what there is."""
    assert [path for path in PATH.findall(text_of(name)) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", [name for name in SOURCES if name.startswith(("schemas/", "workers/"))])
def test_modules_named_in_sources_exist(name: str) -> None:
    modules = [f"/{source}" for source in SOURCES]

    named = set(MODULE.findall(text_of(name)))

    assert [one for one in sorted(named) if not any(module.endswith(f"/{one}") for module in modules)] == []


def test_cited_sections_of_the_mathematics_exist() -> None:
    sections = set(re.findall(r"^## (\d+)\.", MATHEMATICS.read_text(encoding="utf-8"), flags=re.MULTILINE))
    cited = {
        (name, number)
        for name in (*SOURCES, *DOCUMENTS)
        for found in CITATION.findall(text_of(name))
        for number in re.findall(r"\d+", found)
    }
    own = {("README", number) for number in re.findall(r"§(\d+)", MATHEMATICS.read_text(encoding="utf-8"))}

    assert len({name for name, _ in cited}) >= 15
    assert {(name, number) for name, number in cited | own if number not in sections} == set()


def test_no_source_cites_a_file_that_the_repository_does_not_have() -> None:
    """`mechanism.md` was a guide outside of it."""
    gone = "mechanism" + ".md §"

    assert [name for name in (*SOURCES, *DOCUMENTS) if gone in text_of(name)] == []
