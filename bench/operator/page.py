"""Write docs/benchmark-operator.md from bench/results/operator.json, so that no figure is typed by hand."""

import json
from typing import Any

from bench.machine import ROOT

RESULT = ROOT / "bench/results/operator.json"
PAGE = ROOT / "docs/benchmark-operator.md"

HEADER = """# How fast the operator is

<!-- Written from bench/results/operator.json by bench/operator/page.py; do not edit. -->

`make bench-operator` measures the operator as a process of its own on a real etcd and a real API server. Only kubelets are pretended: by kwok, or with forged
pods where thousands are to end at once. Beside each figure stands what a plain asynchronous client reaches with bare Jobs in the same run, because only
the ratio means anything on another machine.
"""


def render(report: dict[str, Any]) -> str:
    """Return the page."""
    machine, results = report["machine"], report["results"]
    loads = sorted(load for result in results.values() for load in result.get("load_average", ()))
    where = f"{machine['cores']} cores of {machine['cpu']}, Python {machine['python']}, Kopf {machine['kopf']}"
    cluster = f"Kubernetes {machine['kubernetes']}, etcd {machine['etcd']}"
    lines = [
        HEADER,
        f"Measured on {report['date'][:10]}, many = {report['many']:,} jobs: {where}, {cluster}.",
        f"The load average before and after the measurements was {loads[0]} to {loads[-1]}: {machine['note']}.",
        "The targets are for 10,000 jobs and a machine that does nothing else.",
        "",
        "| figure | value | target | met |",
        "|---|---|---|---|",
        *(
            f"| {row['figure']} | {row['value']} | {row['target']} | {'yes' if row['met'] else '**no**'} |"
            for row in report["targets"]
        ),
    ]
    for name, result in results.items():
        lines += ["", f"## {name.replace('_', ' ')}", "", "| measure | value |", "|---|---|"]
        lines += [f"| {key.replace('_', ' ')} | {_text(value)} |" for key, value in result.items()]
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    PAGE.write_text(render(json.loads(RESULT.read_text())))
