"""What `helm test` runs: the API answers those it should, and the API server takes a VideoJob of its service account.

It needs nothing but Python's standard library and a mounted service account. Nothing is created: the request is a dry
run, which passes authentication, rights, validation and admission, and needs no GPU.
"""

import json
import os
import ssl
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

ACCOUNT = Path(os.environ["ACCOUNT_DIR"])
PATIENCE_SECONDS = 60


def call(url: str, body: object = None, *, as_account: bool = False, ca: Path | None = None) -> dict[str, object]:
    """Send a request and return the JSON of the answer.

    Args:
        url: whom to ask.
        body: sent as JSON, by POST; None = GET.
        as_account: show the token of this pod's service account.
        ca: the authority that the answerer's certificate is of; None = one of the system's.
    """
    headers = {"Content-Type": "application/json"}
    if as_account:
        headers["Authorization"] = f"Bearer {(ACCOUNT / 'token').read_text()}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - our own URLs
    tls = ssl.create_default_context(cafile=ca) if ca else None
    with urllib.request.urlopen(request, timeout=10, context=tls) as answer:  # noqa: S310
        content: dict[str, object] = json.load(answer)
        return content


def readiness(api: str) -> str:
    """Ask the API whether Kubernetes and S3 answer it, again and again for a minute: its Service may be new."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return json.dumps(call(f"{api}/readyz"))
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"GET /readyz failed: {error}") from error
        time.sleep(1)


def health(api: str, mode: str) -> str:
    """Ask for numbers that not everyone may see: with a token where tokens open the door, else to find it locked."""
    try:
        numbers = call(f"{api}/health", as_account=mode == "kubernetes")
    except urllib.error.HTTPError as error:
        if mode == "keys" and error.code == HTTPStatus.UNAUTHORIZED:
            return "401: it wants a key, as it should"
        raise SystemExit(f"GET /health failed: {error.code} {error.read().decode(errors='replace')}") from error
    if mode == "keys":
        raise SystemExit("GET /health was answered without a key, though api.auth.mode is keys")
    return json.dumps(numbers)


def dry_run() -> str:
    """Create a VideoJob without creating it, and return its name."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    path = f"apis/videojob.dev/v1alpha1/namespaces/{os.environ['JOBS_NAMESPACE']}/videojobs"
    url = f"https://{host}:{port}/{path}?dryRun=All&fieldValidation=Strict"
    manifest = {
        "apiVersion": "videojob.dev/v1alpha1",
        "kind": "VideoJob",
        "metadata": {"name": "helm-test"},
        "spec": {"request": {"prompt": "a squirrel"}},
    }
    try:
        created = call(url, manifest, as_account=True, ca=ACCOUNT / "ca.crt")
    except urllib.error.HTTPError as error:
        raise SystemExit(f"the VideoJob was refused: {error.read().decode(errors='replace')}") from error
    return str(created["kind"])


if __name__ == "__main__":
    if url := os.environ["API_URL"]:
        print("GET /readyz ->", readiness(url), flush=True)
        print("GET /health ->", health(url, os.environ["API_AUTH"]), flush=True)
    else:
        print("the API is not asked: it has no pods, or listens where no other pod reaches it", flush=True)
    print("dry run of a", dry_run(), "-> accepted", flush=True)
