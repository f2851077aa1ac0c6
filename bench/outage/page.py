"""Write the section of docs/failures.md on the drill from bench/results/outage.json: no figure is typed by hand."""

import json
from typing import Any

from bench.machine import ROOT

RESULT = ROOT / "bench/results/outage.json"
PAGE = ROOT / "docs/failures.md"
_BEGIN, _END = "<!-- outage: written by bench/outage/page.py -->\n", "<!-- /outage -->\n"


def write(report: dict[str, Any]) -> None:
    """Put the section in the place of the last one."""
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(f"{before}{_BEGIN}\n{render(report)}\n{_END}{after}")


def render(report: dict[str, Any]) -> str:
    """Return the section."""
    operator, api, back = report["operator"], report["api"], report["seconds_after_the_return"]
    rows = {
        "the API server was away for": f"{report['outage_seconds']:.0f} s",
        "what went wrong": "; ".join(report["faults"]) or "nothing",
        "restarts of the operator; looks at its `/healthz`, all 200": f"{operator['restarts']}; {report['looks']}",
        "its memory before, at most, and afterwards": (
            f"{operator['rss_mb_before']}, {operator['rss_mb_at_most']}, {operator['rss_mb_at_the_end']} MB"
        ),
        "its CPU while it waited": f"{operator['cpu_percent']} % of a core",
        "reads of the REST API that were answered": str(api["reads_answered"]),
        "writes that got 503 with `Retry-After`": str(api["writes_refused_with_503_and_retry_after"]),
        "after the return, the operator at work again": f"{back['operator_ready']} s",
        "… the REST API in step": f"{back['api_in_step']} s",
        "… the video recorded that had waited for it": f"{back['waiting_video_recorded']} s",
        "… all jobs ended, those that had waited for a GPU included": f"{back['all_ended']} s",
        "the killed render went on from step": str(report["resumed_from_step"]),
        "and gave the bytes of the same one that was not killed": "yes" if report["same_bytes_killed_or_not"] else "no",
    }
    note = f" ({report['machine']['note']})" if "note" in report["machine"] else ""
    measured = f"Measured on {report['date'][:10]} on {report['machine']['cores']} cores{note}:"
    lines = [measured, "", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items()), ""])


if __name__ == "__main__":
    write(json.loads(RESULT.read_text()))
