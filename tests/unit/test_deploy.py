"""What deploy/ gives Kubernetes: valid by its schema, and a TF_CONFIG that each worker reads."""

import pathlib

import kubernetes_validate
import pytest
import yaml

from rnnapps.workers import cluster_of

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "deploy"
OBJECTS = list(yaml.safe_load_all((FOLDER / "train.yaml").read_text("utf-8")))
JOB, SERVICE, POLICY = OBJECTS


@pytest.mark.parametrize("found", OBJECTS, ids=lambda found: found["kind"])
def test_it_is_valid(found):
    kubernetes_validate.validate(found, "1.31", strict=True)


def test_a_mistake_would_be_found():
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**JOB, "spec": {**JOB["spec"], "completions": "two"}}, "1.31")


def test_each_pod_finds_itself_and_the_others():
    spec, pod = JOB["spec"], JOB["spec"]["template"]["spec"]
    index, config = pod["containers"][0]["env"]
    assert index["valueFrom"]["fieldRef"]["fieldPath"].endswith("job-completion-index']")
    name, domain = JOB["metadata"]["name"], SERVICE["metadata"]["name"]
    assert pod["subdomain"] == domain
    port = SERVICE["spec"]["ports"][0]["port"]
    for worker in range(spec["completions"]):  # as the kubelet fills it in
        cluster = cluster_of({"TF_CONFIG": config["value"].replace("$(WORKER)", str(worker))})
        assert cluster.index == worker
        assert len(cluster.addresses) == spec["completions"] == spec["parallelism"]
        assert cluster.addresses[worker] == f"{name}-{worker}.{domain}:{port}"
    labels = JOB["spec"]["template"]["metadata"]["labels"]
    for selector in (SERVICE["spec"]["selector"], POLICY["spec"]["podSelector"]["matchLabels"]):
        assert selector == labels
