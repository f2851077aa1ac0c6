"""What is looked up is found in whichever version of Kueue's API the cluster serves."""

import ssl

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from videojob_operator.client import Client
from videojob_operator.credentials import Credentials
from videojob_operator.evidence import Wanted
from videojob_operator.lookups import Lookups

WORKLOAD = {"metadata": {"name": "w", "ownerReferences": [{"uid": "uid-of-job", "controller": True}]}}


@pytest.mark.parametrize("served", ["v1beta1", "v1beta2"])
async def test_a_workload_is_found_in_the_version_that_is_served(served: str) -> None:
    async def workloads(_: web.Request) -> web.Response:
        return web.json_response({"items": [WORKLOAD], "metadata": {"resourceVersion": "1"}})

    app = web.Application()
    app.router.add_get(f"/apis/kueue.x-k8s.io/{served}/namespaces/studio/workloads", workloads)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        client = Client(Credentials(url, ssl.create_default_context(), None, "studio"), lambda _method, _code: None)
        found = await Lookups(client, lambda: 0.0).find("studio", Wanted(workload_of="uid-of-job"))
        await client.close()
    assert found.workload == WORKLOAD
