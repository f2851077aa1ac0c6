"""What `helm test` runs: the API answers, and the API server takes a VideoJob of its service account.

It needs nothing but Python's standard library and a mounted service account. Nothing is created: the request is a dry
run, which passes authentication, rights, validation and admission, and needs no GPU.
"""

import json
import os
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path(os.environ["ACCOUNT_DIR"])
PATIENCE_SECONDS = 60


def call(url: str, body: object = None) -> dict[str, object]:
    """Send a request, as the service account where it goes to the API server, and return the JSON of the answer."""
    request = urllib.request.Request(url, headers={"Content-Type": "application/json"})  # noqa: S310 - our own URLs
    tls = None
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Authorization", f"Bearer {(ACCOUNT / 'token').read_text()}")
        tls = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    with urllib.request.urlopen(request, timeout=10, context=tls) as answer:  # noqa: S310
        content: dict[str, object] = json.load(answer)
        return content


def readiness() -> dict[str, object]:
    """Ask the API whether Kubernetes and S3 answer it, again and again for a minute: its Service may be new."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call(f"{os.environ['API_URL']}/readyz")
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"GET /readyz failed: {error}") from error
        time.sleep(1)


def dry_run() -> str:
    """Create a VideoJob without creating it, and return its name."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    path = f"apis/videojob.dev/v1alpha1/namespaces/{os.environ['JOBS_NAMESPACE']}/videojobs"
    manifest = {
        "apiVersion": "videojob.dev/v1alpha1",
        "kind": "VideoJob",
        "metadata": {"name": "helm-test"},
        "spec": {"request": {"prompt": "a squirrel"}},
    }
    try:
        created = call(f"https://{host}:{port}/{path}?dryRun=All&fieldValidation=Strict", manifest)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"the VideoJob was refused: {error.read().decode(errors='replace')}") from error
    return str(created["kind"])


if __name__ == "__main__":
    print("GET /readyz ->", json.dumps(readiness()), flush=True)
    print("dry run of a", dry_run(), "-> accepted", flush=True)
