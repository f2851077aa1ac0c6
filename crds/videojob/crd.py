"""Generate the CustomResourceDefinition from the pydantic models.

Direction: models -> YAML. What a model cannot say (CEL rules, printer columns, selectable fields) stands here as
data. `make crds` writes crds/videojobs.yaml and the chart's copy; `make check` fails when they differ.

CEL messages are static: a `messageExpression` with `string(self.int)` exceeds the API server's cost budget more
than a hundredfold.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from videojob import names, resource
from videojob.families import (
    ANY_FAMILY,
    FIXED_SIZE_MODELS,
    IMAGE_MODEL_SUFFIX,
    LONG,
    LONG_MODEL_PREFIX,
    MAX_AREA,
    SHORT,
)
from videojob.phases import TERMINAL_PHASES
from videojob.request import NOT_BLANK_PATTERN
from videojob.spec import VideoJobSpec
from videojob.status import VideoJobStatus

Schema = dict[str, Any]

_KEPT = (
    "type", "description", "format", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "multipleOf",
    "maxItems", "default", "required",
)  # fmt: skip
_UNSAFE_MAXIMUM = 2**53
"""JSON Schema numbers are floats to the API server: the seed's 2^63-1 would round up; format int64 bounds it."""

_FIXED = ", ".join(f"'{name}'" for name in FIXED_SIZE_MODELS)

NAME_RULES = [
    {
        "rule": f"size(self.metadata.name) <= {names.MAX_NAME_LENGTH}",
        "message": f"metadata.name must have at most {names.MAX_NAME_LENGTH} characters",
    },
    {"rule": f"self.metadata.name.matches('{names.NAME_PATTERN}')", "message": "metadata.name must be a DNS label"},
]

REQUEST_RULES = [
    {"rule": "self == oldSelf", "message": "spec.request is immutable; create another VideoJob"},
    {"rule": f"self.prompt.matches(r'{NOT_BLANK_PATTERN}')", "message": "must not be blank", "fieldPath": ".prompt"},
    {
        "rule": f"!has(self.numFrames) || (self.numFrames - 1) % {ANY_FAMILY.step} == 0",
        "message": f"must be {ANY_FAMILY}",
        "fieldPath": ".numFrames",
    },
    {
        "rule": f"!has(self.numFrames) || !has(self.model) || !self.model.startsWith('{LONG_MODEL_PREFIX}')"
        f" || (self.numFrames - 1) % {LONG.step} == 0",
        "message": f"must be {LONG} for {LONG_MODEL_PREFIX} models",
        "fieldPath": ".numFrames",
    },
    {
        "rule": f"!has(self.numFrames) || !has(self.model) || !(self.model in [{_FIXED}])"
        f" || self.numFrames <= {SHORT.maximum}",
        "message": f"must be {SHORT} for this model",
        "fieldPath": ".numFrames",
    },
    {
        "rule": f"!has(self.width) || !has(self.model) || !(self.model in [{_FIXED}]) || self.width == 720",
        "message": "must be 720 for this model, which renders 720x480 only",
        "fieldPath": ".width",
    },
    {
        "rule": f"!has(self.height) || !has(self.model) || !(self.model in [{_FIXED}]) || self.height == 480",
        "message": "must be 480 for this model, which renders 720x480 only",
        "fieldPath": ".height",
    },
    {
        "rule": f"!has(self.width) || !has(self.height) || self.width * self.height <= {MAX_AREA}",
        "message": f"width times height must be at most {MAX_AREA} pixels",
        "fieldPath": ".height",
    },
    {
        "rule": "!has(self.negativePrompt) || !has(self.guidanceScale) || self.guidanceScale > 1.0",
        "message": "has no effect unless guidanceScale is greater than 1",
        "fieldPath": ".negativePrompt",
    },
    {
        "rule": f"!has(self.image) || (has(self.model) && self.model.endsWith('{IMAGE_MODEL_SUFFIX}'))",
        "message": f"is for image-to-video models only (their names end in {IMAGE_MODEL_SUFFIX})",
        "fieldPath": ".image",
    },
    {
        "rule": f"!has(self.model) || !self.model.endsWith('{IMAGE_MODEL_SUFFIX}') || has(self.image)",
        "message": "is required by image-to-video models",
        "fieldPath": ".model",  # an absent field cannot be pointed at
    },
]

SPEC_RULES = [
    {"rule": "self.profile == oldSelf.profile", "message": "is immutable", "fieldPath": ".profile"},
    {"rule": "!oldSelf.cancel || self.cancel", "message": "cannot be unset", "fieldPath": ".cancel"},
]

_TERMINAL = ", ".join(f"'{phase}'" for phase in sorted(TERMINAL_PHASES))
STATUS_RULES = [
    {
        "rule": f"!has(oldSelf.phase) || !(oldSelf.phase in [{_TERMINAL}])"
        " || (has(self.phase) && self.phase == oldSelf.phase)",
        "message": "a terminal phase never changes",
    }
]

COLUMNS = [
    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Progress", "type": "integer", "jsonPath": ".status.progress.percent", "description": "Percent."},
    {"name": "Reason", "type": "string", "jsonPath": ".status.reason"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Model", "type": "string", "jsonPath": ".status.resolved.model", "priority": 1},
    {"name": "Frames", "type": "integer", "jsonPath": ".status.resolved.numFrames", "priority": 1},
    {"name": "Seed", "type": "integer", "jsonPath": ".status.resolved.seed", "priority": 1},
    {"name": "Attempts", "type": "integer", "jsonPath": ".status.attempts", "priority": 1},
    {"name": "Node", "type": "string", "jsonPath": ".status.nodeName", "priority": 1},
    {"name": "Video", "type": "string", "jsonPath": ".status.artifacts.video.uri", "priority": 1},
]


def build_crd() -> Schema:
    """Build the manifest of the CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.CRD_NAME},
        "spec": {
            "group": resource.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.KIND,
                "listKind": f"{resource.KIND}List",
                "plural": resource.PLURAL,
                "singular": resource.SINGULAR,
                "shortNames": [resource.SHORT_NAME],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": resource.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": ".status.phase"}, {"jsonPath": ".spec.request.model"}],
                    "additionalPrinterColumns": COLUMNS,
                    "schema": {"openAPIV3Schema": _object_schema()},
                }
            ],
        },
    }


def _object_schema() -> Schema:
    spec, status = structural(VideoJobSpec), structural(VideoJobStatus)
    spec["x-kubernetes-validations"] = SPEC_RULES
    spec["properties"]["request"]["x-kubernetes-validations"] = REQUEST_RULES
    status["x-kubernetes-validations"] = STATUS_RULES
    status["properties"]["conditions"] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return {
        "type": "object",
        "description": "VideoJob renders one video from a text prompt and stores it in S3.",
        "required": ["spec"],
        "x-kubernetes-validations": NAME_RULES,
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }


def structural(model: type[VideoJobSpec] | type[VideoJobStatus]) -> Schema:
    """Turn a model into a structural OpenAPI schema: references inlined, `T | None` as an optional T, no titles."""
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}))


def _structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """One level of `structural`."""
    if "$ref" in schema:
        # What stands beside a reference (a description, a default) belongs to the field and wins over the definition.
        target = definitions[schema["$ref"].rsplit("/", 1)[1]]
        return _structural(target | {key: value for key, value in schema.items() if key != "$ref"}, definitions)
    if "anyOf" in schema:
        (chosen,) = (option for option in schema["anyOf"] if option.get("type") != "null")
        return _structural(chosen | {key: value for key, value in schema.items() if key != "anyOf"}, definitions)
    result = {key: schema[key] for key in _KEPT if schema.get(key) is not None}
    if result.get("maximum", 0) > _UNSAFE_MAXIMUM:
        del result["maximum"]
    if "properties" in schema:
        result["properties"] = {name: _structural(field, definitions) for name, field in schema["properties"].items()}
    if "items" in schema:
        result["items"] = _structural(schema["items"], definitions)
    return result


class _PlainDumper(yaml.SafeDumper):
    """YAML without anchors, which nobody expects in a manifest."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write every value out."""
        return True


def render() -> str:
    """Return the manifest as YAML."""
    header = "# Generated from the models in crds/videojob by `make crds`; do not edit.\n"
    return header + str(yaml.dump(build_crd(), Dumper=_PlainDumper, sort_keys=False, width=120))


def main() -> None:
    """Write the manifest to the files named on the command line."""
    for path in sys.argv[1:]:
        Path(path).write_text(render())


if __name__ == "__main__":
    main()
