"""What a part says of itself over HTTP: its probes and its metrics. For tests, and for benchmarks."""

from http.client import HTTPConnection, HTTPException

from prometheus_client.parser import text_string_to_metric_families


def probe(port: int, path: str, timeout_seconds: float) -> tuple[int, str]:
    """Return status and text of a probe; 0 while nobody answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode().strip()
    except (OSError, HTTPException):
        return 0, ""
    finally:
        connection.close()


def metric(told: str, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples with these labels, from the text of /metrics."""
    families = text_string_to_metric_families(told + "\n")
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())
