"""The chart, rendered by Helm's own library, checked by Kubernetes' own schemas, and its parts against each other."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from functools import cache
from typing import Any, Final

import pytest
import yaml
from deployment import DEPLOY, compose, image_environment

from optiinfra_assets.settings import Settings, project_file

CHART: Final = DEPLOY / "helm" / "optiinfra"
KUBERNETES: Final = ("1.27", "1.37")
IS_THERE: Final = all(importlib.util.find_spec(name) for name in ("helm_python", "kubernetes_validate", "dagster_k8s"))
rendered_only = pytest.mark.skipif(
    not IS_THERE, reason="NOT TESTED: the chart: install deploy/checks.lock (make test-deploy)"
)

SECRET: Final = {
    f"OPTIINFRA_{name}"
    for name in (
        *("POSTGRES_URL", "CLICKHOUSE_URL", "CLICKHOUSE_READER_URL", "CELERY_BROKER"),
        *("MASTER_KEY", "LINK_KEY", "DAGSTER_TOKEN", "METRICS_TOKEN", "OIDC_CLIENT_SECRET"),
    )
}

VALUES: Final[dict[str, dict[str, Any]]] = {
    "as it is": {"secret": "optiinfra"},
    "everything": {
        "secret": "optiinfra",
        "image": {
            "repository": "registry.example.com/optiinfra",
            "digest": f"sha256:{'0' * 64}",
            "pullSecrets": ["pull"],
        },
        "clickhouse": {"cluster": "costs"},
        "settings": {"OPTIINFRA_RETENTION_DAYS": "30", "OPTIINFRA_API_MAX_MEMORY": "2GiB"},
        "api": {
            "autoscaling": {"enabled": False},
            "replicas": 3,
            "trustedProxies": "10.0.0.0/8",
            "ingress": {"enabled": True, "host": "costs.example.com", "tlsSecret": "tls", "className": "nginx"},
        },
        "dagster": {
            "webserver": {"ingress": {"enabled": True, "host": "dagster.example.com", "annotations": {"a": "b"}}}
        },
        "networkPolicy": {"apiFrom": [{"namespaceSelector": {}}], "webserverFrom": [{"namespaceSelector": {}}]},
        "podAnnotations": {"a": "b"},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "costs", "operator": "Exists"}],
    },
    "celery": {"secret": "optiinfra", "runs": {"launcher": "celery", "celery": {"replicas": 3, "concurrency": 4}}},
    "open": {"secret": "optiinfra", "networkPolicy": {"enabled": False}},
}


def render(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects that Helm makes of the chart."""
    import helm_python

    with helm_python.Chart.load(str(CHART)) as chart:
        chart.validate_schema(values)
        made = chart.render(values, name="prod", namespace="costs")
    texts = [text for name, text in made.items() if name.endswith(".yaml")]
    return [one for text in texts for one in yaml.safe_load_all(text) if one]


@cache
def rendered(values: str) -> list[dict[str, Any]]:
    """The objects of one of `VALUES`."""
    return render(VALUES[values])


def pods(values: str) -> dict[str, dict[str, Any]]:
    """The pods of the chart by component, and that of a run as Dagster's launcher makes it."""
    kinds = ("Deployment", "Job")
    found = {
        one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: one["spec"]["template"]
        for one in rendered(values)
        if one["kind"] in kinds
    }
    if VALUES[values].get("runs", {}).get("launcher") != "celery":
        found["run"] = job_of_a_run(values)["spec"]["template"]
    return found


def dagster_yaml(values: str) -> dict[str, Any]:
    """Dagster's settings."""
    (found,) = (one for one in rendered(values) if one["kind"] == "ConfigMap")
    content: dict[str, Any] = yaml.safe_load(found["data"]["dagster.yaml"])
    return content


def job_of_a_run(values: str) -> dict[str, Any]:
    """The Job that Dagster's own launcher makes for a run, with the settings of the chart. It is not sent to a cluster: there is none."""
    import kubernetes
    from dagster import DagsterRun
    from dagster._config import process_config, resolve_to_config_type
    from dagster_k8s import launcher as k8s
    from dagster_k8s.client import DagsterKubernetesClient
    from dagster_k8s.job import construct_dagster_k8s_job

    config = dagster_yaml(values)["run_launcher"]["config"]
    checked = process_config(resolve_to_config_type(k8s.K8sRunLauncher.config_type()), config)
    assert checked.success, checked.errors
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(k8s, "load_kubernetes_config", lambda **_: None)
        patched.setattr(DagsterKubernetesClient, "production_client", lambda **_: None)
        launcher = k8s.K8sRunLauncher(**checked.value)
    context = launcher.get_container_context_for_run(DagsterRun(job_name="collect"))
    made = construct_dagster_k8s_job(
        context.get_k8s_job_config(job_image=None, run_launcher=launcher),
        args=["dagster", "api", "execute_run", "{}"],
        job_name="dagster-run-0",
        component="run_worker",
        user_defined_k8s_config=context.run_k8s_config,
    )
    serialized: dict[str, Any] = kubernetes.client.ApiClient().sanitize_for_serialization(made)
    return serialized


def test_dagsters_settings_are_those_of_one_machine() -> None:
    """The chart changes them where several machines need others, and nowhere else."""
    assert (CHART / "files" / "dagster.yaml").read_text() == project_file("dagster.yaml").read_text()


@rendered_only
@pytest.mark.parametrize(("concurrency", "runs"), [(2, 4), (40, 10)])
def test_no_run_waits_in_the_broker(concurrency: int, runs: int) -> None:
    """Dagster fails one that has not begun after 3 minutes."""
    objects = render({"secret": "optiinfra", "runs": {"launcher": "celery", "celery": {"concurrency": concurrency}}})
    (found,) = (one for one in objects if one["kind"] == "ConfigMap")
    assert yaml.safe_load(found["data"]["dagster.yaml"])["concurrency"]["runs"]["max_concurrent_runs"] == runs


@rendered_only
def test_helm_finds_nothing_wrong() -> None:
    import helm_python

    assert helm_python.lint(str(CHART), VALUES["as it is"])["errors"] == []


@rendered_only
@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", VALUES)
def test_kubernetes_accepts_every_object(values: str, version: str) -> None:
    import kubernetes_validate

    objects = rendered(values) + ([] if values == "celery" else [job_of_a_run(values)])
    for one in objects:
        kubernetes_validate.validate(one, version, strict=True)
    assert {"Deployment", "Job", "PodDisruptionBudget", "Service"} <= {one["kind"] for one in objects}


@rendered_only
@pytest.mark.parametrize("values", VALUES)
def test_every_pod_is_confined(values: str) -> None:
    """Not root, nothing to write but what is named, no rights in the cluster unless it starts runs, no secret but by reference."""
    found = pods(values)
    assert ("celery-worker" in found) != ("run" in found)
    for name, pod in found.items():
        spec = pod["spec"]
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["runAsUser"] == 65532, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        starts_runs = name in ("dagster-webserver", "dagster-daemon") and values != "celery"
        assert spec["automountServiceAccountToken"] is starts_runs, name
        assert SECRET.isdisjoint(one["name"] for one in container["env"]), name
        (secret,) = (one["secret"] for one in spec["volumes"] if "secret" in one)
        assert (secret["secretName"], secret["defaultMode"]) == ("optiinfra", 0o440), name
        (mount,) = (one for one in container["volumeMounts"] if one["name"] == "secret")
        assert mount["mountPath"] in {one["value"] for one in container["env"]}, name
        assert container["resources"]["limits"]["memory"]


@rendered_only
def test_links_lead_where_browsers_come_in() -> None:
    values = {"secret": "s", "api": {"ingress": {"enabled": True, "host": "costs.example.com", "tlsSecret": "tls"}}}
    (api,) = (one for one in render(values | {"dagster": {"url": "https://dagster.example.com"}}) if _is_api(one))
    given = {one["name"]: one["value"] for one in api["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert given["OPTIINFRA_PUBLIC_URL"] == "https://costs.example.com"
    assert given["OPTIINFRA_DAGSTER_URL"] == "https://dagster.example.com"
    assert "https://costs.example.com" in given["OPTIINFRA_WEB_ORIGINS"].split(",")


def _is_api(one: dict[str, Any]) -> bool:
    return (one["kind"], one["metadata"]["name"]) == ("Deployment", "prod-optiinfra-api")


def test_links_to_the_pages_take_the_public_address() -> None:
    assert Settings(public_url="https://costs.example.com/").api_url == "https://costs.example.com"
    assert Settings(public_url="", api_port=8001, bind_host="::").api_url == "http://127.0.0.1:8001"
    with pytest.raises(ValueError, match="public_url"):
        Settings(public_url="costs.example.com")


@rendered_only
@pytest.mark.parametrize("values", VALUES)
def test_who_reaches_whom(values: str) -> None:
    """What selects pods selects those that there are; the code location is reached by two processes of Dagster alone."""
    objects, labels = rendered(values), {name: pod["metadata"]["labels"] for name, pod in pods(values).items()}

    def selected(wanted: dict[str, str]) -> set[str]:
        return {name for name, found in labels.items() if wanted.items() <= found.items()}

    for one in objects:
        spec = one.get("spec", {})
        wanted = (
            spec.get("selector", {}) if one["kind"] == "Service" else spec.get("selector", {}).get("matchLabels", {})
        )
        assert not wanted or len(selected(wanted)) == 1, one["metadata"]["name"]
    policies = {
        one["metadata"]["name"].removeprefix("prod-optiinfra-"): one["spec"]
        for one in objects
        if one["kind"] == "NetworkPolicy"
    }
    if values == "open":
        assert policies == {}
        return
    assert labels.keys() <= policies.keys()
    for name, spec in policies.items():
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert selected(spec["podSelector"]["matchLabels"]) == {name} & labels.keys()
        assert name in ("api", "dagster-webserver", "code-location") or "ingress" not in spec
    (rule,) = policies["code-location"]["ingress"]
    assert [selected(peer["podSelector"]["matchLabels"]) for peer in rule["from"]] == [
        {"dagster-webserver"},
        {"dagster-daemon"},
    ]


@rendered_only
def test_processes_are_started_as_in_the_compose_file() -> None:
    """So what is shown of the commands there holds here."""
    found = {name: pod["spec"]["containers"][0] for name, pod in pods("as it is").items()}
    services = {name: one["command"] for name, one in compose()["services"].items() if "command" in one}
    assert services.keys() == found.keys() - {"run"}
    for name, command in services.items():
        ours = [word for word in found[name]["command"] if not word.startswith("--fixed-server-id=")]
        assert ours == command, name
        assert "/var/lib/dagster" in {one["mountPath"] for one in found[name]["volumeMounts"]}
    assert image_environment()["DAGSTER_HOME"] == "/var/lib/dagster"


@rendered_only
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "secret"),
        ({"secret": ""}, "secret"),
        ({"secret": "s", "replicas": 2}, "replicas"),
        ({"secret": "s", "settings": {"OPTIINFRA_POSTGRES_URL": "postgresql://u:p@h/d"}}, "OPTIINFRA_POSTGRES_URL"),
        ({"secret": "s", "settings": {"OPTIINFRA_RETENTION_DAYS": 30}}, "OPTIINFRA_RETENTION_DAYS"),
        ({"secret": "s", "runs": {"launcher": "docker"}}, "launcher"),
        ({"secret": "s", "api": {"ingress": {"enabled": True}}}, "host"),
        ({"secret": "s", "runs": {"scratch": "much"}}, "scratch"),
    ],
    ids=json.dumps,
)
def test_values_that_cannot_be_meant_are_refused_by_name(values: dict[str, Any], said: str) -> None:
    import helm_python

    with pytest.raises(helm_python.HelmError, match=said):
        render(values)


@rendered_only
@pytest.mark.parametrize("name", sorted(SECRET))
def test_no_secret_is_a_value(name: str) -> None:
    """Whoever may read the release would read it."""
    import helm_python

    with pytest.raises(helm_python.HelmError, match=name):
        render({"secret": "s", "settings": {name: "x"}})


@rendered_only
def test_the_compose_file_is_one() -> None:
    """By the schema of the Compose specification."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            str(DEPLOY / "compose.yaml"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
