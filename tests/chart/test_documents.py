"""The helm commands and values that the READMEs show are ones the chart takes."""

import re
import shlex
from itertools import groupby
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from tests.chart.rendering import Helm, Render

from videojob_api.openai.forms import MAX_FORM_BYTES

READMES = ("README.md", "charts/videojob/README.md")


def blocks(text: str) -> list[str]:
    """Return the indented blocks of a page, dedented."""
    runs = groupby(text.splitlines(keepends=True), key=lambda line: line.startswith("    "))
    return [dedent("".join(lines)) for indented, lines in runs if indented]


@pytest.mark.parametrize("page", READMES)
def test_its_helm_install_is_one_the_chart_takes(helm: Helm, root: Path, page: str) -> None:
    text = "\n".join(blocks((root / page).read_text())).replace("\\\n", " ")
    commands = [shlex.split(line) for line in text.splitlines() if line.strip().startswith("helm install")]
    assert commands
    for _, _, *arguments in commands:
        result = helm("template", *arguments)
        assert result.returncode == 0, result.stderr


def test_the_values_shown_for_weights_on_a_volume_are_taken(helm: Helm, root: Path, tmp_path: Path) -> None:
    shown = [block for block in blocks((root / READMES[1]).read_text()) if block.startswith(("models:", "weights:"))]
    assert len(shown) == 2
    for block in shown:
        values = tmp_path / "values.yaml"
        values.write_text(block)
        result = helm("template", "videojob", "charts/videojob", f"--values={values}")
        assert result.returncode == 0, result.stderr
        assert "claimName" in result.stdout


def test_on_openshift_exactly_the_accounts_of_the_release_are_bound(render: Render, root: Path) -> None:
    install = (root / "docs/install.md").read_text()
    (binding,) = [yaml.safe_load(b) for b in yaml_blocks(install) if "openshift:scc" in b]
    rendered = render("--set=weights.claim.existing=c,weights.fetch.enabled=true")
    accounts = [each["metadata"] for each in rendered.of_kind("ServiceAccount")]
    assert {(s["name"], s["namespace"]) for s in binding["subjects"]} == {(a["name"], a["namespace"]) for a in accounts}
    assert len(binding["subjects"]) == 4


def test_on_openshift_names_are_resolved_by_its_own_pods_alone(render: Render, root: Path, tmp_path: Path) -> None:
    (shown,) = [block for block in yaml_blocks((root / "docs/install.md").read_text()) if "daemonset-dns" in block]
    (values := tmp_path / "values.yaml").write_text(shown)
    rendered = render(f"--values={values}", networkPolicies__enabled="true")
    (rule, *_) = rendered.one("NetworkPolicy", "videojob-api")["spec"]["egress"]
    assert rule["to"][0]["podSelector"]["matchLabels"] == {"dns.operator.openshift.io/daemonset-dns": "default"}
    assert {port["port"] for port in rule["ports"]} == {5353}


def test_ciliums_rule_selects_those_that_call_the_api_server_by_policy(
    render: Render, root: Path, tmp_path: Path
) -> None:
    """Whom a policy of Cilium selects may go nowhere else unless another lets it: so not the pod of `helm test`."""
    (shown,) = [block for block in yaml_blocks((root / "docs/security.md").read_text()) if "cilium" in block]
    (values := tmp_path / "values.yaml").write_text(shown)
    fetching = "--set=networkPolicies.enabled=true,weights.claim.existing=c,weights.fetch.enabled=true"
    rendered = render(f"--values={values}", fetching)
    (rule,) = rendered.of_kind("CiliumNetworkPolicy")
    name, component = rule["spec"]["endpointSelector"]["matchExpressions"]
    assert (name["operator"], component["operator"]) == ("In", "NotIn")
    selected = {
        policy["metadata"]["name"]
        for policy in rendered.of_kind("NetworkPolicy")
        if (labels := policy["spec"]["podSelector"]["matchLabels"])[name["key"]] in name["values"]
        and labels.get(component["key"]) not in component["values"]
    }
    assert selected == {"videojob-operator", "videojob-api", "videojob-renderer"}
    assert rendered.one("Pod", "videojob-test")["metadata"]["labels"][component["key"]] in component["values"]


def test_the_ingress_shown_takes_whatever_the_api_takes(root: Path) -> None:
    sizes = [
        re.findall(r"proxy-body-size: ([0-9]+)m\b", (root / page).read_text())
        for page in ("docs/install.md", "charts/videojob/values.yaml")
    ]
    for (megabytes,) in sizes:
        assert int(megabytes) * 2**20 >= MAX_FORM_BYTES


def yaml_blocks(text: str) -> list[str]:
    """Return the YAML blocks of a page."""
    return re.findall(r"(?ms)^```yaml\n(.*?)^```$", text)


def values_in(text: str, root: Path) -> list[str]:
    """Return the YAML blocks of a page that are values of the chart."""
    known = set(yaml.safe_load((root / "charts/videojob/values.yaml").read_text()))
    return [block for block in yaml_blocks(text) if keys(block) <= known]


def keys(block: str) -> set[str]:
    """Return the keys of the documents of a block."""
    return {key for document in yaml.safe_load_all(block) for key in document}


@pytest.mark.parametrize(("page", "count"), [("docs/install.md", 5), ("docs/operate.md", 3), ("docs/security.md", 1)])
def test_the_values_a_page_shows_are_taken(helm: Helm, root: Path, tmp_path: Path, page: str, count: int) -> None:
    shown = values_in((root / page).read_text(), root)
    assert len(shown) >= count
    for block in shown:
        values = tmp_path / "values.yaml"
        values.write_text(block)
        result = helm("template", "videojob", "charts/videojob", f"--values={values}")
        assert result.returncode == 0, result.stderr
