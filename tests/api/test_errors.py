"""Whatever goes wrong, the answer has the one error shape; here neither Kubernetes nor S3 is there."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import Response

from videojob_api.app import create_app
from videojob_api.routes.direct import DirectRoute
from videojob_api.routes.ids import JobId
from videojob_api.services import ServicesOf
from videojob_api.settings import Settings

KEYS = {"code", "message", "field", "nearest", "request_id"}

HOSTILE_IDS = [
    "..",
    "%2e%2e%2fsecrets",
    "a/b",
    "UPPER",
    "a" * 53,
    "a" * 5000,
    "a\0b",
    "job-1\n",
    "job_1",
    "-a",
    "a-",
    "ваня",
    "\U0001f600",
    "a?watch=true",
    "*",
    " ",
    "'; drop table jobs",
    "{{7*7}}",
]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer, which must have the shape and name the request."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"error"}
    error: dict[str, Any] = body["error"]
    assert error.keys() == KEYS
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["message"]
    return error


@pytest.mark.parametrize("route", ["GET /status/{}", "GET /video/{}", "DELETE /jobs/{}", "POST /jobs/{}/cancel"])
async def test_an_id_that_no_job_can_have_is_unknown(route: str, away: httpx.AsyncClient) -> None:
    method, path = route.split()
    for job_id in HOSTILE_IDS:
        # A client would resolve ".." by itself, and so ask for the page.
        answer = await away.request(method, path.format(quote(job_id, safe="").replace(".", "%2E")))
        assert answer.status_code == 404, job_id
        error_of(answer)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/status/job-1"),
        ("GET", "/video/job-1"),
        ("GET", "/jobs"),
        ("GET", "/health"),
        ("GET", "/readyz"),
        ("DELETE", "/jobs/job-1"),
        ("POST", "/jobs/job-1/cancel"),
    ],
)
async def test_without_kubernetes_the_answer_is_503_and_says_when_to_ask_again(
    method: str, path: str, away: httpx.AsyncClient
) -> None:
    answer = await away.request(method, path)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert error_of(answer)["code"] in {"ClusterUnavailable", "StorageUnavailable"}


async def test_generate_without_kubernetes_is_503(away: httpx.AsyncClient) -> None:
    answer = await away.post("/generate", json={"prompt": "a squirrel"})
    assert answer.status_code == 503
    assert error_of(answer)["code"] == "ClusterUnavailable"


async def test_a_video_head_without_kubernetes_is_503_without_a_body(away: httpx.AsyncClient) -> None:
    assert (await away.head("/video/job-1")).status_code == 503


async def test_the_process_is_alive_without_kubernetes(away: httpx.AsyncClient) -> None:
    answer = await away.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("body", "field", "nearest"),
    [
        ({"prompt": "a", "num_frames": 50}, "num_frames", 49),
        ({"prompt": "   "}, "prompt", None),
        ({"prompt": "a", "fps": 0}, "fps", 1),
        ({"prompt": "a", "guidance_scale": -1}, "guidance_scale", 0),
        ({"prompt": "a", "seed": 2**63}, "seed", 2**63 - 1),
        ({"prompt": "a", "promt": "b"}, "promt", "prompt"),
    ],
)
async def test_wrong_input_is_422_with_the_field_and_the_nearest_value(
    body: dict[str, Any], field: str, nearest: Any, away: httpx.AsyncClient
) -> None:
    answer = await away.post("/generate", json=body)
    assert answer.status_code == 422
    error = error_of(answer)
    assert (error["code"], error["field"], error["nearest"]) == ("InvalidRequest", field, nearest)


async def test_a_body_that_is_no_json_is_422(away: httpx.AsyncClient) -> None:
    answer = await away.post("/generate", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert error_of(answer)["field"] == "body"


async def test_a_form_is_422_with_the_right_content_type(away: httpx.AsyncClient) -> None:
    answer = await away.post("/generate", data={"prompt": "a"})
    assert answer.status_code == 422
    assert error_of(answer)["nearest"] == "application/json"


async def test_a_body_beyond_all_measure_is_413(away: httpx.AsyncClient) -> None:
    answer = await away.post("/generate", content=b" " * 200_000, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    error_of(answer)


@pytest.mark.parametrize(
    ("query", "field", "nearest"),
    [
        ("limit=0", "limit", 1),
        ("limit=501", "limit", 500),
        ("limit=many", "limit", None),
        ("status=done", "status", None),
        ("model=a,b", "model", None),
        ("phase=Running", "phase", None),
    ],
)
async def test_a_wrong_query_is_422_with_its_field(
    query: str, field: str, nearest: Any, away: httpx.AsyncClient
) -> None:
    answer = await away.get(f"/jobs?{query}")
    assert answer.status_code == 422
    error = error_of(answer)
    assert (error["field"], error["nearest"]) == (field, nearest)


async def test_an_unknown_path_is_404_in_the_same_shape(away: httpx.AsyncClient) -> None:
    answer = await away.get("/nothing/here")
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "NotFound"


async def test_a_wrong_method_is_405_and_names_the_right_one(away: httpx.AsyncClient) -> None:
    answer = await away.get("/generate")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert error_of(answer)["code"] == "MethodNotAllowed"


async def test_a_harmless_request_id_is_kept(away: httpx.AsyncClient) -> None:
    answer = await away.get("/nothing", headers={"X-Request-ID": "mine-1"})
    assert error_of(answer)["request_id"] == "mine-1"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b', "<script>"])
async def test_any_other_request_id_is_replaced(given: str, away: httpx.AsyncClient) -> None:
    answer = await away.get("/nothing", headers={"X-Request-ID": given})
    assert error_of(answer)["request_id"] != given


async def test_a_fault_of_the_service_has_the_shape_and_no_stack_trace(
    dead_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(dead_settings)

    async def broken() -> None:
        raise RuntimeError("a squirrel of which nobody may know")

    app.add_api_route("/broken", broken)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "InternalError"
    assert "squirrel" not in answer.text
    assert "Traceback" not in answer.text
    assert any(record.exc_info for record in caplog.records)


async def test_openapi_tells_the_error_shape_for_every_route(away: httpx.AsyncClient) -> None:
    document = (await away.get("/openapi.json")).json()
    operations = [(path, operation) for path, item in document["paths"].items() for operation in item.values()]
    assert len(operations) >= 17
    for path, operation in operations:
        errors = [answer for status, answer in operation["responses"].items() if status[0] in "45d"]
        assert errors or path in {"/healthz", "/metrics"}
        shape = "ProtocolErrorAnswer" if path.startswith("/v1/") else "ErrorAnswer"
        for answer in errors:
            schema = answer["content"]["application/json"]["schema"]
            assert schema == {"$ref": f"#/components/schemas/{shape}"}
    assert document["components"]["schemas"]["ErrorDetail"]["properties"].keys() == KEYS
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_openapi_has_an_example_of_every_body(away: httpx.AsyncClient) -> None:
    document = (await away.get("/openapi.json")).json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            bodies = [operation["requestBody"]] if "requestBody" in operation else []
            for body in [*bodies, *operation["responses"].values()]:
                for media_type, content in body.get("content", {}).items():
                    if media_type in {"application/json", "multipart/form-data"}:
                        where = f"{method} {path} {media_type}"
                        assert has_example(content, document["components"]["schemas"]), where


def has_example(content: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Tell whether a body of the document comes with an example, its own or its schema's."""
    schema = content["schema"]
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return "example" in content or "example" in schema


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/videos/job-1", 503),
        ("GET", "/v1/videos/JOB", 404),
        ("GET", "/v1/videos/job-1/content?variant=poster", 400),
        ("GET", "/v1/videos?limit=0", 400),
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/videos", 405),
        ("POST", "/v1/videos", 400),
    ],
)
async def test_below_v1_errors_have_the_shape_of_openai(
    method: str, path: str, status: int, away: httpx.AsyncClient
) -> None:
    answer = await away.request(method, path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code", "nearest"}
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")


async def test_openapi_tells_the_body_of_generate(away: httpx.AsyncClient) -> None:
    document = (await away.get("/openapi.json")).json()
    body = document["paths"]["/generate"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["prompt"]
    assert {"prompt", "num_frames", "guidance_scale", "seed", "fps", "profile"} <= body["properties"].keys()


def test_a_direct_route_that_wants_more_than_it_gets_is_refused_when_it_is_made() -> None:
    async def status(job_id: JobId, services: ServicesOf, verbose: bool = False) -> Response:
        raise NotImplementedError

    with pytest.raises(TypeError, match="takes a JobId and ServicesOf"):
        DirectRoute("/status/{job_id}", status)


async def test_there_is_a_page_of_the_routes(away: httpx.AsyncClient) -> None:
    answer = await away.get("/docs")
    assert answer.status_code == 200
    assert "swagger" in answer.text
