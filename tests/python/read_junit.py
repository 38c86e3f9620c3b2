"""Reads a JUnit report with Python's own XML reader and prints what a CI system would take from it.

    read_junit.py FILE

Prints one JSON object: {"tests", "failures", "cases": [{"suite", "name", "file", "line",
"failure": {"message", "text"} or null}]}. Exits 1 if the text is no XML or the counts do not agree.
"""

import json
import sys
import xml.etree.ElementTree as ElementTree


def main():
    root = ElementTree.parse(sys.argv[1]).getroot()
    if root.tag != "testsuites":
        sys.exit(f"the root is {root.tag}")
    cases = []
    for suite in root:
        here = []
        for case in suite.findall("testcase"):
            failure = case.find("failure")
            told = None
            if failure is not None:
                told = {"message": failure.get("message"), "text": failure.text}
            here.append(
                {
                    "suite": suite.get("name"),
                    "name": case.get("name"),
                    "file": case.get("file"),
                    "line": case.get("line"),
                    "failure": told,
                }
            )
        failed = sum(1 for case in here if case["failure"])
        if (suite.get("tests"), suite.get("failures")) != (str(len(here)), str(failed)):
            sys.exit(f"the counts of {suite.get('name')} do not agree")
        cases += here
    failed = sum(1 for case in cases if case["failure"])
    if (root.get("tests"), root.get("failures")) != (str(len(cases)), str(failed)):
        sys.exit("the counts do not agree")
    print(json.dumps({"tests": len(cases), "failures": failed, "cases": cases}))


main()
