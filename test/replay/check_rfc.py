#!/usr/bin/python3
"""check_rfc: holds docs/rfc.md to the tests.

- Every cited test exists: a function of a pytest file of test/replay (or with a path from the root), or
  lib/FOLDER/FILE_test.cc::Suite.Name. `*` stands for any ending.
- A requirement that is held, or by option, cites at least one test that bears its identifier.
- Every test of test/replay that bears an identifier is cited by the row of that identifier.
A test bears the identifiers in its name, and those its docstring (in C++ the comment above it) begins with.
Prints what is wrong, one finding a line; exit 1 if there is anything.
"""
import ast
import fnmatch
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROW = re.compile(r"^\| (R[0-9][^ |]*) \| [MSm] \|(.*)\|(.*)\|(.*)\|$")
IN_NAME = re.compile(r"^test_(R\d+(?:_\d+)*(?:_\d+[a-z])?)_")
IN_TEXT = re.compile(r"(R\d{4}-[\d.]*\d[a-z]?)(?:, |(?=:|\s|$))")
CPP_TEST = re.compile(r"((?:^//[^\n]*\n)*)^TEST(?:_[FP])?\((\w+),\s*(\w+)\)", re.M)


def in_name(test: str) -> set[str]:
    """test_R4443_2_4e_no_error -> R4443-2.4e"""
    match = IN_NAME.match(test)
    if not match:
        return set()
    document, *section = match[1].split("_")
    return {f"{document}-{'.'.join(section)}" if section else document}


def in_text(text: str) -> set[str]:
    """R4787-1, R5382-1: to other ports -> both"""
    result, place = set(), 0
    while match := IN_TEXT.match(text, place):
        result.add(match[1])
        place = match.end()
    return result


def tests_in(file: pathlib.Path) -> dict[str, set[str]]:
    """The names a file's tests are cited by, and the identifiers each bears."""
    text = file.read_text()
    if file.suffix == ".cc":
        return {f"{suite}.{name}": in_text(comment.removeprefix("//").strip()) for comment, suite, name in CPP_TEST.findall(text)}
    return {node.name: in_name(node.name) | in_text(ast.get_docstring(node) or "") for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def findings() -> list[str]:
    result, cited, rows = [], set(), set()
    for number, line in enumerate((ROOT / "docs/rfc.md").read_text().splitlines(), 1):
        row = ROW.match(line)
        if not row:
            continue
        identifier, held, citations = row[1], row[3].strip(), re.findall(r"`([^`]+)`", row[4])
        place = f"docs/rfc.md:{number}: {identifier}"
        rows.add(identifier)
        bearing = 0
        for citation in citations:
            name, _, pattern = citation.partition("::")
            file = ROOT / name if "/" in name else HERE / name
            borne = tests_in(file) if file.is_file() else {}
            matched = fnmatch.filter(borne, pattern)
            if not matched:
                result.append(f"{place}: there is no test {citation}")
            bearing += sum(identifier in borne[test] for test in matched)
            cited |= {(file.name, test, identifier) for test in matched}
        if not held.startswith("not") and not bearing:
            result.append(f"{place}: '{held}', but no cited test bears its identifier")
    if not rows:
        result.append("docs/rfc.md: no table found")
    for file in sorted(HERE.glob("test_*.py")):
        for test, identifiers in sorted(tests_in(file).items()):
            for identifier in sorted(identifiers):
                if (file.name, test, identifier) not in cited:
                    result.append(f"{file.name}::{test}: docs/rfc.md has no row {identifier} that cites it")
    return result


def main() -> int:
    found = findings()
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
