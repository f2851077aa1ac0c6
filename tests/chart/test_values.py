"""Values: a wrong one is refused with the path of the field, and each one is documented."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.rendering import Helm, Manifest

from videojob.families import FAMILY_DEFAULTS, Family
from videojob.speed import SpeedOptions
from videojob.speed_choices import Attention, Compile, Memory, StepCache

REFUSED = {
    "a misspelt value": ("operater.replicas=1", "operater"),
    "less than no operator": ("operator.replicas=-1", "/operator/replicas"),
    "a privileged port": ("api.port=80", "/api/port"),
    "an unknown family": ("models.mine.family=3,models.mine.source=/models/mine", "/models/mine/family"),
    "a model without a source": ("models.mine.family=5b", "/models/mine"),
    "a width that is no multiple of 16": (
        "models.CogVideoX-2b.defaults.width=721",
        "/models/CogVideoX-2b/defaults/width",
    ),
    "frames that the family cannot give": (
        "models.CogVideoX1\\.5-5B.defaults.numFrames=89",
        "/models/CogVideoX1.5-5B/defaults/numFrames",
    ),
    "a name that promises an image": ("models.mine-I2V.family=5b,models.mine-I2V.source=/m", "models.mine-I2V"),
    "an image that the name does not promise": ("models.mine.family=5b-i2v,models.mine.source=/m", "models.mine"),
    "a name that promises more frames": (
        "models.CogVideoX1\\.5-mine.family=5b,models.CogVideoX1\\.5-mine.source=/m",
        "models.CogVideoX1.5-mine",
    ),
    "no default profile": ("profiles.default=null", "/profiles"),
    "an unknown field of a profile": ("profiles.default.gpu=1", "/profiles/default"),
    "an attention kernel there is none of": (
        "profiles.default.speed.attention=fast",
        "/profiles/default/speed/attention",
    ),
    "a profile name no VideoJob may use": ("profiles.Big.gpus=1", "Big"),
    "no bucket": ("storage.bucket=", "/storage/bucket"),
    "a prefix with a slash before it": ("storage.prefix=/videos", "/storage/prefix"),
    "a third way to the bucket": ("storage.rendererAccess=keys", "/storage/rendererAccess"),
    "a broker that has no URL": ("storage.brokerUrl=videojob-api", "/storage/brokerUrl"),
    "half a pair of keys": ("storage.accessKeyId=AKIA", "/storage/secretAccessKey"),
    "the other half": ("storage.secretAccessKey=key", "/storage/accessKeyId"),
    "keys given twice": (
        "storage.existingSecret=s,storage.accessKeyId=a,storage.secretAccessKey=b",
        "/storage/accessKeyId",
    ),
    "a workload identity and a Secret": (
        "storage.workloadIdentity=true,storage.existingSecret=s",
        "/storage/existingSecret",
    ),
    "a workload identity and keys": (
        "storage.workloadIdentity=true,storage.accessKeyId=a,storage.secretAccessKey=b",
        "/storage/accessKeyId",
    ),
    "two caches of weights": ("weights.hostPath=/w,weights.claim.existing=c", "/weights/claim/existing"),
    "a claim that is there and is made": (
        "weights.claim.create=true,weights.claim.existing=c",
        "/weights/claim/existing",
    ),
    "weights to fetch and nowhere to put them": ("weights.fetch.enabled=true", "weights.claim.create"),
    "weights of an unknown model": (
        "weights.claim.create=true,weights.fetch.enabled=true,weights.fetch.models={CogVideoX-7b}",
        "CogVideoX-5b",
    ),
    "weights of a folder that the Job does not have": (
        "weights.claim.create=true,weights.fetch.enabled=true,models.CogVideoX-2b.source=/models/2b",
        "/models/2b",
    ),
    "an environment variable without a name": ("weights.fetch.env[0].value=x", "/weights/fetch/env/0"),
    "an adapter in a bucket": (
        "models.CogVideoX-2b.adapters.ink.source=s3://models/ink,models.CogVideoX-2b.adapters.ink.file=ink.safetensors",
        "/models/CogVideoX-2b/adapters/ink/source",
    ),
    "a repository of adapters without a file": (
        "models.CogVideoX-2b.adapters.ink.source=studio/ink",
        "/models/CogVideoX-2b/adapters/ink",
    ),
    "an adapter of the hub that nobody may ask": (
        "weights.offline=true,models.CogVideoX-2b.adapters.ink.source=studio/ink,models.CogVideoX-2b.adapters.ink.file=ink.safetensors",
        "models.CogVideoX-2b.adapters.ink.source",
    ),
    "two monitors": (
        "monitoring.serviceMonitor.enabled=true,monitoring.podMonitor.enabled=true",
        "/monitoring/podMonitor",
    ),
    "an interval without a unit": ("monitoring.podMonitor.interval=30", "/monitoring/podMonitor/interval"),
    "a route without a gateway": ("api.httpRoute.enabled=true", "/api/httpRoute/parentRefs"),
    "a network that is an address": (
        "networkPolicies.apiServer.cidrs={10.0.0.1}",
        "/networkPolicies/apiServer/cidrs/0",
    ),
    "a network of storage that is none, so everywhere": (
        "networkPolicies.storage.cidrs=null",
        "/networkPolicies/storage",
    ),
    "a port of storage that is a name": ("networkPolicies.storage.ports={https}", "/networkPolicies/storage/ports/0"),
    "a hub that is nowhere, so everywhere": ("networkPolicies.hub.cidrs={}", "/networkPolicies/hub/cidrs"),
    "an API server that is nowhere, so everywhere": (
        "networkPolicies.apiServer.cidrs={}",
        "/networkPolicies/apiServer/cidrs",
    ),
    "more GPUs than the operator takes": ("profiles.default.gpus=9", "/profiles/default/gpus"),
    "more GPUs for a video than its pod has": (
        "profiles.default.speed.cfgParallel=2",
        "profiles.default.gpus",
    ),
    "two GPUs for a video by a profile that names none": (
        "profiles.fast.speed.cfgParallel=2",
        "profiles.fast.gpus",
    ),
    "a priority class without a value": ("priorityClasses.low.description=x", "/priorityClasses/low"),
    "a quote in a user name": ("admissionPolicies.jobControllers={it's}", "/admissionPolicies/jobControllers/0"),
    "an endpoint without a scheme": ("storage.endpoint=s3.example.com", "/storage/endpoint"),
    "a digest that is a tag": ("api.image.digest=latest", "/api/image/digest"),
    "keys that are nowhere": ("api.auth.mode=keys", "/api/auth/keysSecret"),
    "an API for everyone that nobody asked for": ("api.auth.mode=none", "api.auth.allowAnyone=true"),
    "an origin with a path": ("api.corsOrigins={https://a.example/b}", "/api/corsOrigins/0"),
    "an ingress without a host": ("api.ingress.enabled=true", "/api/ingress/hosts"),
    "a Service type that does not exist": ("api.service.type=Public", "/api/service/type"),
    "a default model that is not in the catalogue": ("defaultModel=CogVideoX-7b", "CogVideoX-5b"),
}


@pytest.mark.parametrize(("values", "path"), REFUSED.values(), ids=REFUSED)
def test_helm_refuses(helm: Helm, values: str, path: str) -> None:
    result = helm("template", "videojob", "charts/videojob", f"--set={values}")
    assert result.returncode != 0
    assert path in result.stderr


def test_adapters_may_be_a_file_a_folder_or_a_file_of_the_hub(helm: Helm) -> None:
    model = "models.CogVideoX-2b.adapters"
    files = f"--set={model}.ink.source=/loras/ink.safetensors,{model}.oil.source=/loras/oil"
    hub = f"--set={model}.chalk.source=studio/chalk,{model}.chalk.file=chalk.safetensors"
    for values in ((files, hub), (files, "--set=weights.offline=true")):
        result = helm("template", "videojob", "charts/videojob", *values)
        assert result.returncode == 0, result.stderr


def keys(values: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Return the paths of all values, without what lies inside the open maps."""
    if not isinstance(values, dict) or not values or path in OPEN_MAPS:
        return {path}
    return set().union(*(keys(value, (*path, key)) for key, value in values.items()))


OPEN_MAPS = {
    ("models",),
    ("profiles",),
    *((part, field) for part in ("operator", "api") for field in ("resources", "updateStrategy")),
    ("weights", "fetch", "resources"),
    ("networkPolicies", "dns", "podSelector"),
    ("monitoring", "dashboard", "labels"),
}


@pytest.fixture(scope="module")
def schema(root: Path) -> Manifest:
    document: Manifest = json.loads((root / "charts/videojob/values.schema.json").read_text())
    return document


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / "charts/videojob/values.yaml").read_text()


def properties(schema: Manifest, node: Manifest, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Return the paths of all values the schema knows, in the closed part."""
    node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    if "properties" not in node or path in OPEN_MAPS:
        return {path}
    inner = (properties(schema, child, (*path, key)) for key, child in node["properties"].items() if key != "global")
    return set().union(*inner)


def test_the_schema_knows_exactly_the_speed_options_of_the_vocabulary(schema: Manifest) -> None:
    vocabulary = SpeedOptions.model_json_schema(by_alias=True)
    ours = schema["$defs"]["profile"]["properties"]["speed"]["properties"]
    assert ours.keys() == vocabulary["properties"].keys()
    for name, choices in (("attention", Attention), ("compile", Compile), ("cache", StepCache), ("memory", Memory)):
        assert ours[name]["enum"] == [*choices]


def test_the_schema_knows_exactly_the_frames_of_each_family(schema: Manifest) -> None:
    model = schema["$defs"]["model"]
    long = model["if"]["properties"]["family"]["enum"]
    assert set(model["properties"]["family"]["enum"]) == set(Family)
    for family, defaults in FAMILY_DEFAULTS.items():
        ours = model["then" if family in long else "else"]["properties"]["defaults"]["properties"]["numFrames"]["enum"]
        assert ours == [frames for frames in range(1, 200) if defaults.frames.allows(frames)]


def test_the_schema_knows_exactly_the_values_there_are(schema: Manifest, text: str) -> None:
    assert keys(yaml.safe_load(text)) == properties(schema, schema)


def test_every_value_has_a_line_that_explains_it(text: str) -> None:
    """Each key whose value is not a block of further keys is preceded by a comment `# -- ...`."""
    closed, _, _ = text.partition("\nmodels:")
    rest = text[text.index("\nweights:") :]
    lines = (closed + rest).splitlines()
    undocumented = []
    for above, line in pairwise(lines):
        is_value = re.match(r"^ *[A-Za-z]+: +[^#\s]", line)
        if is_value and not above.lstrip().startswith("#") and not re.match(r"^ +(requests|limits):", line):
            undocumented.append(line)
    assert not undocumented
